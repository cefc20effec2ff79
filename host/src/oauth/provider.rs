//! A credential provider, as the operator configured it.

use super::authentication::ClientAuthentication;
use super::behalf::OnBehalfOf;
use super::more::{check_resource, reserved};
use super::server::{Endpoints, places};
use super::vendor::Vendor;
use crate::egress::{Destinations, check_url};
use crate::ids::{Malformed, ProviderName, Scope, Scopes};
use url::Url;

/// How to get resource tokens from one third party.
///
/// No `Debug`: it holds the client secret.
#[derive(Clone)]
pub struct Provider {
    /// The operator's name for it.
    pub name: ProviderName,
    /// For people.
    pub display_name: String,
    /// Whose service it is, which decides how its answers are read.
    pub vendor: Vendor,
    /// Where to ask.
    pub endpoints: Endpoints,
    /// Our name there.
    pub client_id: String,
    /// How we prove it.
    pub client_authentication: ClientAuthentication,
    /// All it offers here. May be empty.
    pub scopes: Scopes,
    /// Where its tokens may go.
    pub destinations: Destinations,
    /// Added to the authorization URL, such as `access_type=offline`. They never replace our own parameters.
    pub authorize_parameters: Vec<(String, String)>,
    /// These instead of those of the same name when the user has to decide anew, such as `prompt=login`.
    pub force_parameters: Vec<(String, String)>,
    /// Resource indicators (RFC 8707 §2), sent with every request.
    pub resource: Vec<String>,
    /// A space (RFC 6749 §3.3), or what this provider uses instead.
    pub scope_separator: char,
    /// Asked for along with the others, such as `offline_access`, and not counted among them.
    pub offline_scope: Option<Scope>,
    /// How it takes a user's own token. None: it does not.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// Whether authorization requests are left at the provider before the browser goes (RFC 9126).
    pub pushed_authorization: When,
    /// Whether tokens are bound to a key of ours (RFC 9449).
    pub dpop: When,
    /// How users agree.
    pub consent: ConsentBy,
}

/// When something is done that a provider need not offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Not even where it is offered.
    Never,
    /// Where the provider's description says that it can.
    #[default]
    Offered,
    /// Always; a provider that cannot is not used.
    Always,
}

/// How users agree to what an agent may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsentBy {
    /// Their browser goes to the provider and comes back with a code (RFC 6749 §4.1).
    #[default]
    Browser,
    /// They type a short code at the provider, on whatever device (RFC 8628).
    Device,
    /// They are never asked: the provider's tokens are the client's own, or are had for the user's own token.
    None,
}

/// What is wrong with a provider's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// An endpoint or issuer.
    #[error("provider `{provider}`: the {what} `{url}` cannot be used: {reason}")]
    Url {
        /// Which provider.
        provider: ProviderName,
        /// Which of its URLs.
        what: &'static str,
        /// As configured.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A parameter that is ours.
    #[error("provider `{provider}`: the parameter `{parameter}` is set by the host; remove it from the configuration")]
    Reserved {
        /// Which provider.
        provider: ProviderName,
        /// Which parameter.
        parameter: String,
    },
    /// No client id.
    #[error("provider `{provider}`: the client id is empty; write the one that the provider issued")]
    ClientId {
        /// Which provider.
        provider: ProviderName,
    },
    /// A separator that scopes can contain, or that cannot be sent.
    #[error("provider `{provider}`: scopes cannot be separated by `{}`; use a space, `,` or `;`", .separator.escape_debug())]
    Separator {
        /// Which provider.
        provider: ProviderName,
        /// As configured.
        separator: char,
    },
}

/// What the host itself sends to an endpoint. Neither configuration nor an endpoint's query nor an agent sets these.
pub(super) const RESERVED: [&str; 32] = [
    // RFC 6749, OIDC Core
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "state",
    "scope",
    "nonce",
    "grant_type",
    "code",
    "refresh_token",
    "username",
    "password",
    // RFC 7636, RFC 8707, RFC 9101, RFC 9449
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "resource",
    "request",
    "request_uri",
    "dpop_jkt",
    // RFC 7521, RFC 8693, RFC 8628, RFC 7009
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "requested_token_use",
    "device_code",
    "token",
    "token_type_hint",
];

impl Provider {
    /// A provider that is asked at these endpoints, with nothing special about it: no scopes, and no place where its tokens
    /// may go. The rest is set field by field.
    pub fn new(
        name: ProviderName,
        endpoints: Endpoints,
        client_id: impl Into<String>,
        client_authentication: ClientAuthentication,
    ) -> Self {
        Self {
            display_name: name.to_string(),
            name,
            vendor: Vendor::CUSTOM,
            endpoints,
            client_id: client_id.into(),
            client_authentication,
            scopes: Scopes::default(),
            destinations: Destinations::default(),
            authorize_parameters: Vec::new(),
            force_parameters: vec![("prompt".into(), "login".into())],
            resource: Vec::new(),
            scope_separator: ' ',
            offline_scope: None,
            on_behalf_of: None,
            pushed_authorization: When::Offered,
            dpop: When::Never,
            consent: ConsentBy::Browser,
        }
    }

    /// Checks what can be checked without asking anybody. Configuration calls it at start.
    ///
    /// # Errors
    /// [`ProviderError`] names the first thing that cannot work.
    pub fn check(&self) -> Result<(), ProviderError> {
        if self.client_id.is_empty() {
            return Err(ProviderError::ClientId { provider: self.name.clone() });
        }
        if ![' ', ',', ';'].contains(&self.scope_separator) {
            return Err(ProviderError::Separator { provider: self.name.clone(), separator: self.scope_separator });
        }
        match &self.endpoints {
            Endpoints::Discovery { issuer } => {
                places(issuer.as_str()).map_err(|reason| self.url_error("issuer", issuer.as_str(), &reason))?;
            }
            Endpoints::Static(server) => {
                for (what, url) in server.all() {
                    check_url(url).map_err(|Malformed(reason)| self.url_error(what, url.as_str(), &reason))?;
                }
                self.check_parameters(server.authorization.iter().flat_map(Url::query_pairs).map(|(name, _)| name))?;
            }
        }
        let added = self.authorize_parameters.iter().chain(&self.force_parameters);
        self.check_parameters(added.map(|(name, _)| name.as_str().into()))?;
        for resource in &self.resource {
            check_resource(resource).map_err(|Malformed(reason)| self.url_error("resource", resource, &reason))?;
        }
        Ok(())
    }

    /// Scopes as one parameter, with this provider's separator. None if there are none.
    pub(super) fn scope_text<'a>(&self, scopes: impl Iterator<Item = &'a Scope>) -> Option<String> {
        let all: Scopes = scopes.cloned().collect();
        let joined = all.to_vec().join(&self.scope_separator.to_string());
        (!joined.is_empty()).then_some(joined)
    }

    fn check_parameters<'a>(
        &self,
        names: impl Iterator<Item = std::borrow::Cow<'a, str>>,
    ) -> Result<(), ProviderError> {
        for name in names {
            if reserved(&name) {
                return Err(ProviderError::Reserved { provider: self.name.clone(), parameter: name.into_owned() });
            }
        }
        Ok(())
    }

    fn url_error(&self, what: &'static str, url: &str, reason: &str) -> ProviderError {
        // A URL may hold a password, which must not be repeated.
        let url = url.split('@').next_back().unwrap_or_default().chars().take(200).collect::<String>();
        ProviderError::Url {
            provider: self.name.clone(),
            what,
            url: url.escape_debug().to_string(),
            reason: reason.to_owned(),
        }
    }
}
