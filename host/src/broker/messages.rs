//! The broker's messages: plain data in both directions.

pub use crate::egress::{Body, BodyError};
use crate::identity::WorkloadAccessToken;
use crate::ids::CredentialId;
use crate::secret::SharedSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the engine learns about the instance it is to make: facts to tell the guest, and the token to present here.
pub struct Guest {
    /// Presented with every call to the broker. Never enters guest memory. Dies with [`crate::identity::Live`].
    pub wat: WorkloadAccessToken,
    /// What `identity.workload` answers.
    pub workload: WorkloadFacts,
    /// What `identity.user` answers.
    pub user: Option<UserFacts>,
    /// What `identity.claim` answers: only claims that the operator lets this agent read, as JSON text.
    pub claims: BTreeMap<String, String>,
    /// Whether `reveal` is linked for it.
    pub reveal: bool,
}

/// The agent, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkloadFacts {
    /// SPIFFE id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Digest of the executing bytes.
    pub digest: String,
}

/// The user, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserFacts {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
}

/// Asks for a credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquire {
    /// The provider's name, as the guest wrote it.
    pub provider: String,
    /// What kind.
    pub kind: Kind,
}

/// Which kind of credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// An OAuth 2 token.
    Oauth2 {
        /// As the guest wrote them.
        scopes: Vec<String>,
        /// How.
        flow: Flow,
        /// What is asked besides.
        wishes: Wishes,
    },
    /// An API key.
    ApiKey,
}

/// What may be asked besides scopes, as the caller wrote it. Nothing of it names anybody.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Wishes {
    /// Where the token is to be used (RFC 8707 §2).
    pub resources: Vec<String>,
    /// For whom the token is to be, in the provider's words (RFC 8693 §2.1). Not for user federation.
    pub audiences: Vec<String>,
    /// Added to the request to the provider; they never replace a parameter of ours or of the configuration.
    pub custom_parameters: Vec<(String, String)>,
    /// Drop what the user granted for this question, and ask them anew.
    pub force_authentication: bool,
    /// Comes back to the app's return URL as `state`. As good as a secret to the app.
    pub custom_state: Option<String>,
    /// Where the browser goes after a consent, for [`super::Desk::release`]. A guest's is that of its seat.
    pub return_url: Option<String>,
}

/// Without values that an app or a provider may hold secret.
impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.custom_parameters.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Wishes")
            .field("resources", &self.resources)
            .field("audiences", &self.audiences)
            .field("custom_parameters", &names)
            .field("force_authentication", &self.force_authentication)
            .field("return_url", &self.return_url)
            .finish_non_exhaustive()
    }
}

/// How a token is obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flow {
    /// Authorization code.
    UserFederation,
    /// Client credentials.
    MachineToMachine,
    /// Token exchange.
    OnBehalfOf,
}

/// The right to use a credential, by an id that means nothing outside its invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acquired {
    /// To present with [`Outbound`].
    pub id: CredentialId,
    /// The provider.
    pub provider: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// Seconds since 1970.
    pub expires_at: Option<u64>,
}

/// A request of a guest.
pub struct Outbound {
    /// The credential to attach; none for a plain request.
    pub credential: Option<CredentialId>,
    /// With an absolute URI, as the guest made it.
    pub request: http::Request<Body>,
    /// The guest's wishes; the host's own limits hold besides.
    pub connect_timeout: Option<Duration>,
    /// Until the response's head.
    pub first_byte_timeout: Option<Duration>,
    /// Between chunks of the response's body.
    pub between_bytes_timeout: Option<Duration>,
}

/// A credential as bytes, for a component that imports `reveal`.
pub struct Revealed(pub Vec<u8>);

/// A credential as bytes, for a workload that runs elsewhere.
pub struct Released {
    /// The token or key.
    pub secret: SharedSecret,
    /// How it is used.
    pub token_type: TokenType,
    /// Seconds since 1970; none where that is not known.
    pub expires_at: Option<u64>,
    /// What was granted; empty for an API key.
    pub scopes: Vec<String>,
}

/// How a released credential is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// As the third party says.
    ApiKey,
}

/// Why not. Mirrors `credentials.error` of the WIT, and every message is fit for a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The user has to agree first.
    #[error("the user has not granted this yet")]
    ConsentRequired {
        /// Where the browser goes.
        authorization_url: String,
        /// Names the attempt.
        session_uri: String,
        /// Seconds since 1970.
        expires_at: u64,
    },
    /// Policy refuses.
    #[error("{0}")]
    Denied(String),
    /// The provider granted less.
    #[error("the provider did not grant: {}", .0.join(" "))]
    InsufficientScopes(Vec<String>),
    /// No such provider or flow here.
    #[error("{0}")]
    NotConfigured(String),
    /// The provider said no.
    #[error("{0}")]
    ProviderRefused(String),
    /// The user's own token has expired, so nothing can be had on their behalf until they sign in again.
    #[error("{0}")]
    SignInRequired(String),
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
    /// The request cannot be sent.
    #[error("{0}")]
    InvalidRequest(String),
    /// The workload access token is not live.
    #[error("this invocation has ended")]
    NotBound,
}
