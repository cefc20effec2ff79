//! Credential providers: which there are, and how each gives credentials.
//!
//! The only place where a provider's name becomes a provider. Who may use one is not decided here: that is the directory's
//! terms, asked by the broker.

mod registry;

pub use registry::{ApiKeyProvider, CredentialProvider, Providers};
