//! Components in OCI registries: named, pulled, pushed, and with their signatures beside them
//! (<https://github.com/opencontainers/distribution-spec>, <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>).
//!
//! For whoever types a command: it carries no credential of the host and no running host goes through it. Whatever a registry
//! says is checked against digests; a tag is looked up once, and what is done from then on is done by digest.

mod auth;
mod client;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod manifest;
mod reference;
mod registry;

pub use auth::Credentials;
pub use reference::{Reference, ReferenceError};
pub use registry::{Beside, Pulled, Registry};

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// No answer.
    #[error("the registry `{registry}` does not answer: {why}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What happened.
        why: String,
    },
    /// Nobody may do this without saying who they are.
    #[error(
        "the registry `{0}` wants a login for this; pass `--registry-user NAME` with the password in \
         ATTACHE_REGISTRY_PASSWORD, or log in with any tool that writes `~/.docker/config.json`"
    )]
    LoginNeeded(String),
    /// Somebody who said so may not.
    #[error("the registry `{0}` does not take this login; check the name, the password, and what they may do")]
    LoginRefused(String),
    /// Not there.
    #[error("the registry has no `{0}`; check the name and the tag")]
    NotFound(String),
    /// It answered something else.
    #[error("the registry answered {status} to {what}{}", hint(.says))]
    Answered {
        /// HTTP status.
        status: u16,
        /// To which request.
        what: String,
        /// Its own words, escaped and cut.
        says: String,
    },
    /// What came is not what was asked for.
    #[error("{0}")]
    Malformed(String),
}

fn hint(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!(": {says}") }
}
