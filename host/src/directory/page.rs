//! The directory, page by page.

use super::{State, WorkloadIdentity};
use crate::ids::{AgentName, Malformed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use std::sync::Arc;

/// Some entries in the order of their names, and how to ask for those that follow.
#[derive(Clone, Debug)]
pub struct Page {
    /// At most as many as were asked for.
    pub entries: Vec<Arc<WorkloadIdentity>>,
    /// What to send for the next page; none where this is the last.
    pub next: Option<String>,
}

/// The first `most` of these sorted entries. Those that are being deleted are no longer shown.
pub(super) fn page(entries: impl Iterator<Item = Arc<WorkloadIdentity>>, most: usize) -> Page {
    let mut entries = entries.filter(|entry| entry.state != State::Retired);
    let page: Vec<_> = entries.by_ref().take(most.max(1)).collect();
    let last = page.last().filter(|_| entries.next().is_some());
    let next = last.map(|last| BASE64.encode(last.name.as_str()));
    Page { entries: page, next }
}

/// The name after which a page begins. A page token is a place in the order of names, so whatever is made or deleted
/// between two pages, no entry that stays is missed or comes twice.
pub(super) fn place(token: &str) -> Result<AgentName, Malformed> {
    let name = BASE64.decode(token).ok().and_then(|bytes| AgentName::parse(std::str::from_utf8(&bytes).ok()?).ok());
    name.ok_or_else(|| Malformed("this is no token of a next page; ask for the first page again".into()))
}
