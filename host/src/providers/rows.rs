//! How a provider that was made while the host runs rests.

use crate::clock::Timestamp;
use crate::directory::Tags;
use crate::ids::ProviderName;
use futures_util::future::BoxFuture;

/// What a provider gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// OAuth 2 access tokens.
    Oauth2,
    /// One key, the same for every user.
    ApiKey,
}

impl Kind {
    /// As it is stored, and part of the associated data.
    pub fn code(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::ApiKey => "api-key",
        }
    }

    /// By its code.
    pub fn of_code(code: &str) -> Option<Self> {
        [Self::Oauth2, Self::ApiKey].into_iter().find(|kind| kind.code() == code)
    }
}

/// A provider at rest: what may be shown in the clear, its secret sealed to all of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// Unique over both kinds.
    pub name: ProviderName,
    /// Which kind.
    pub kind: Kind,
    /// JSON; part of the associated data, so that a changed endpoint does not get the secret.
    pub settings: String,
    /// The operator's own words; not part of the associated data.
    pub tags: Tags,
    /// Counts changes of settings and secret; part of the associated data.
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The secret; sealed even where there is none, so that the row is known to be ours.
    pub sealed: Vec<u8>,
}

/// Where such rows rest. Implemented by `store`. Every write is durable when it returns.
pub trait ProviderRows: Send + Sync {
    /// All of them.
    fn all(&self) -> BoxFuture<'_, Result<Vec<ProviderRow>, RowsUnavailable>>;
    /// Makes one; false if the name is taken.
    fn create(&self, row: ProviderRow) -> BoxFuture<'_, Result<bool, RowsUnavailable>>;
    /// Replaces one of this name and kind if its generation is still `from`; false if it is not, or is gone.
    fn replace(&self, from: u64, row: ProviderRow) -> BoxFuture<'_, Result<bool, RowsUnavailable>>;
    /// Removes one of this kind; false if it is gone.
    fn delete(&self, name: ProviderName, kind: Kind) -> BoxFuture<'_, Result<bool, RowsUnavailable>>;
}

/// The rows could not be read or written. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct RowsUnavailable(pub String);
