//! Credentials of the user whom this invocation serves, at the providers that the operator bound to this agent.

use crate::Error;
use crate::bindings::attache::identity::credentials as wit;
use crate::bindings::wasi::http::types::{FutureIncomingResponse, OutgoingRequest};

/// How a token is obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The user consents once; the agent then acts for that user.
    UserFederation,
    /// The agent acts for itself.
    MachineToMachine,
    /// The user's token is exchanged for one that names both user and agent (RFC 8693).
    OnBehalfOf,
}

/// A credential of an OAuth 2 provider, for the user of this invocation. Without scopes it asks for those bound to this
/// agent.
///
/// ```no_run
/// # fn handle() -> Result<(), attache_guest::Error> {
/// let calendar = attache_guest::credentials::oauth2("google-calendar", &["calendar.read"])?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::ConsentRequired`] until the user has agreed, and any other [`Error`] of the first group.
pub fn oauth2(provider: &str, scopes: &[&str]) -> Result<Credential, Error> {
    oauth2_by(Flow::UserFederation, provider, scopes)
}

/// The same, obtained in another way.
///
/// # Errors
/// As [`oauth2`].
pub fn oauth2_by(flow: Flow, provider: &str, scopes: &[&str]) -> Result<Credential, Error> {
    let request = wit::Oauth2Request {
        provider: provider.into(),
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        flow: match flow {
            Flow::UserFederation => wit::Flow::UserFederation,
            Flow::MachineToMachine => wit::Flow::MachineToMachine,
            Flow::OnBehalfOf => wit::Flow::OnBehalfOf,
        },
    };
    Ok(Credential(wit::oauth2(&request)?))
}

/// A credential of a provider that is configured with an API key.
///
/// # Errors
/// Any [`Error`] of the first group.
pub fn api_key(provider: &str) -> Result<Credential, Error> {
    Ok(Credential(wit::api_key(provider)?))
}

/// The right to use one credential in this invocation: a handle, with no bytes in it. Give it to
/// [`http::RequestBuilder::credential`](crate::http::RequestBuilder::credential). Dropping it gives the right up.
pub struct Credential(pub(crate) wit::Credential);

impl Credential {
    /// The provider it is for.
    pub fn provider(&self) -> String {
        self.0.provider()
    }

    /// The scopes that the provider granted, which may be more than were asked for.
    pub fn scopes(&self) -> Vec<String> {
        self.0.scopes()
    }

    /// Seconds since 1970 at which the token behind it expires, where that is known. The host refreshes by itself.
    pub fn expires_at(&self) -> Option<u64> {
        self.0.expires_at()
    }

    /// Sends a raw request, for what [`http`](crate::http) does not wrap.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`](crate::http::RequestBuilder::send).
    pub fn send_raw(&self, request: OutgoingRequest) -> Result<FutureIncomingResponse, Error> {
        Ok(self.0.send(request, None)?)
    }

    /// The token itself. Components that ask for this must be granted it by the operator, and every use is written down.
    ///
    /// # Errors
    /// [`Error::Denied`] unless the operator granted it.
    #[cfg(feature = "reveal")]
    pub fn reveal(&self) -> Result<Vec<u8>, Error> {
        Ok(crate::bindings::attache::identity::reveal::bytes(&self.0)?)
    }
}

/// What the user has to agree to, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Where the user's browser goes. Only the user of this invocation can complete it.
    pub authorization_url: String,
    /// Names this attempt, for the completion call of an app with a page of its own.
    pub session_uri: String,
    /// Seconds since 1970 after which the attempt is void.
    pub expires_at: u64,
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Error {
        match error {
            wit::Error::ConsentRequired(consent) => Error::ConsentRequired(Consent {
                authorization_url: consent.authorization_url,
                session_uri: consent.session_uri,
                expires_at: consent.expires_at,
            }),
            wit::Error::Denied(why) => Error::Denied(why),
            wit::Error::InsufficientScopes(missing) => Error::InsufficientScopes(missing),
            wit::Error::NotConfigured(why) => Error::NotConfigured(why),
            wit::Error::ProviderRefused(why) => Error::ProviderRefused(why),
            wit::Error::Unavailable(why) => Error::Unavailable(why),
            wit::Error::InvalidRequest(why) => Error::InvalidRequest(why),
        }
    }
}
