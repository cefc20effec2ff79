//! Credential providers: which there are, and how each gives credentials.
//!
//! The only place where a provider's name becomes a provider. Some are in the configuration, some are made while the
//! host runs; their names are one set. Who may use one is not decided here: that is the directory's terms, asked by the
//! broker. Who may make one is `operations`' matter, and so is writing it down.

mod api_key;
mod build;
mod facts;
mod manage;
mod registry;
mod rows;
mod settings;
mod source;

pub use api_key::{ApiKeyProvider, ApiKeyProviderError};
pub use build::Builder;
pub use facts::{Facts, Page, Status, arn, secret_arn};
pub use manage::{ApiKeyInput, ManageError, Managed, Oauth2Input, SecretInput};
pub use registry::{Change, CredentialProvider, Providers, Unusable};
pub use rows::{Kind, ProviderRow, ProviderRows, RowsUnavailable};
pub use settings::{
    Actor, ApiKeySettings, Authentication, Discovery, KeyPlace, Metadata, Oauth2Settings, OnBehalf, OnBehalfGrant,
    SecretKept,
};
pub use source::{SecretFile, SecretFolder, SecretSource, SecretUnavailable};
pub(crate) use source::{line, read_private};
