//! Who this instance is and whom it serves. Fixed before it ran; nothing here can change it.

use crate::Error;
use crate::bindings::attache::identity::identity as wit;
use serde::de::DeserializeOwned;

pub use wit::{VerifiedUser, WorkloadIdentity};

/// This agent.
pub fn workload() -> WorkloadIdentity {
    wit::workload()
}

/// Whom this invocation serves, or none when the agent was invoked for itself.
pub fn user() -> Option<VerifiedUser> {
    wit::user()
}

/// One claim of the user's token. None when there is no such claim, no user, or when the operator does not let this
/// agent read it.
///
/// ```no_run
/// # fn handle() -> Result<(), attache_guest::Error> {
/// let email: Option<String> = attache_guest::identity::claim("email")?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::Unreadable`] when the claim is there and is not a `T`.
pub fn claim<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Error> {
    let Some(json) = wit::claim(name) else { return Ok(None) };
    serde_json::from_str(&json).map(Some).map_err(|error| Error::Unreadable(format!("claim `{name}`: {error}")))
}
