//! Page by page, in the order of something that stays as it is while others come and go.

use super::OperationError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// What was asked for of a list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the page before gave.
    pub token: Option<&'a str>,
    /// At most so many; none for as many as there may be.
    pub most: Option<usize>,
}

impl Wanted<'_> {
    /// How many, at most `limit`.
    pub(super) fn most(&self, limit: usize) -> usize {
        self.most.unwrap_or(limit).clamp(1, limit)
    }
}

/// A place in an order as a token. Opaque, so that nobody builds on what is in it.
pub(super) fn token(place: &str) -> String {
    BASE64.encode(place)
}

/// The place that a token names.
pub(super) fn place(token: &str) -> Result<String, OperationError> {
    let place = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    place.ok_or_else(|| OperationError::field("nextToken", "is no token that a page gave; ask for the first page"))
}
