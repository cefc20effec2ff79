//! Credentials at the providers that the operator bound to this agent: of the user whom this invocation serves, or of the
//! agent itself. Which user and which agent, the host knows; there is no way to say another.

use crate::Error;
use crate::bindings::attache::identity::credentials as wit;
use crate::bindings::wasi::http::types::{FutureIncomingResponse, OutgoingRequest};

/// How a token is obtained. Each has a function of its own; [`request`] is for asking for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// The user consents once; the agent then acts for that user.
    #[default]
    UserFederation,
    /// The agent acts for itself (OAuth 2 client credentials). No user is needed.
    MachineToMachine,
    /// The token that this invocation came with is exchanged for one at the provider (RFC 8693, RFC 7523).
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
    request(Flow::UserFederation, provider).scopes(scopes).acquire()
}

/// A token of the agent's own: nobody is asked, and what it may do does not depend on a user. Without scopes it asks for
/// those bound to this agent.
///
/// ```no_run
/// # fn handle() -> Result<(), attache_guest::Error> {
/// let reports = attache_guest::credentials::machine_to_machine("reports", &["reports.write"])?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Any [`Error`] of the first group but [`Error::ConsentRequired`].
pub fn machine_to_machine(provider: &str, scopes: &[&str]) -> Result<Credential, Error> {
    request(Flow::MachineToMachine, provider).scopes(scopes).acquire()
}

/// A token that the user's own is exchanged for: they are not asked, and it is good for as long as they are signed in.
///
/// ```no_run
/// # fn handle() -> Result<(), attache_guest::Error> {
/// let orders = attache_guest::credentials::on_behalf_of("orders", &["orders.read"])?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::SignInRequired`] once the user's token has expired, and any other [`Error`] of the first group but
/// [`Error::ConsentRequired`].
pub fn on_behalf_of(provider: &str, scopes: &[&str]) -> Result<Credential, Error> {
    request(Flow::OnBehalfOf, provider).scopes(scopes).acquire()
}

/// A token in the making, for what the functions above do not say.
///
/// ```no_run
/// # use attache_guest::credentials::{self, Flow};
/// # fn handle() -> Result<(), attache_guest::Error> {
/// let drive = credentials::request(Flow::UserFederation, "drive")
///     .scopes(&["files.read"])
///     .resource("https://drive.example/")
///     .parameter("access_type", "offline")
///     .acquire()?;
/// # Ok(()) }
/// ```
pub fn request(flow: Flow, provider: &str) -> Request {
    Request(wit::Oauth2Request {
        provider: provider.into(),
        scopes: Vec::new(),
        flow: match flow {
            Flow::UserFederation => wit::Flow::UserFederation,
            Flow::MachineToMachine => wit::Flow::MachineToMachine,
            Flow::OnBehalfOf => wit::Flow::OnBehalfOf,
        },
        resources: Vec::new(),
        audiences: Vec::new(),
        custom_parameters: Vec::new(),
        force_authentication: false,
        custom_state: None,
    })
}

/// What is asked of a provider. What is wrong with it is said by [`acquire`](Request::acquire).
#[must_use = "nothing is asked until it is acquired"]
pub struct Request(wit::Oauth2Request);

impl Request {
    /// With these scopes, instead of those bound to this agent.
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.0.scopes = scopes.iter().map(|&scope| scope.into()).collect();
        self
    }

    /// To be used there: an absolute URI (RFC 8707). A token for one resource is never given out for another.
    pub fn resource(mut self, uri: &str) -> Self {
        self.0.resources.push(uri.into());
        self
    }

    /// To be used with this service, in the provider's words (RFC 8693). Not with [`Flow::UserFederation`].
    pub fn audience(mut self, name: &str) -> Self {
        self.0.audiences.push(name.into());
        self
    }

    /// Adds a parameter to what the provider is sent. None replaces one of the host's or of the configuration; where nobody
    /// is asked, none can name somebody.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.0.custom_parameters.push((name.into(), value.into()));
        self
    }

    /// Forgets what the user granted for this question, and asks anew. Only with [`Flow::UserFederation`].
    pub fn force_authentication(mut self) -> Self {
        self.0.force_authentication = true;
        self
    }

    /// Comes back to the app's return URL as `state`. Only with [`Flow::UserFederation`].
    pub fn custom_state(mut self, state: &str) -> Self {
        self.0.custom_state = Some(state.into());
        self
    }

    /// Asks for it.
    ///
    /// # Errors
    /// Any [`Error`] of the first group.
    pub fn acquire(self) -> Result<Credential, Error> {
        Ok(Credential(wit::oauth2(&self.0)?))
    }
}

/// A credential of a provider that is configured with an API key. The host puts the key where the configuration says.
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
            wit::Error::SignInRequired(why) => Error::SignInRequired(why),
            wit::Error::Unavailable(why) => Error::Unavailable(why),
            wit::Error::InvalidRequest(why) => Error::InvalidRequest(why),
        }
    }
}
