//! A credential provider, as the operator configured it.

use super::authentication::ClientAuthentication;
use crate::egress::{Destinations, check_url};
use crate::ids::{Issuer, Malformed, ProviderName, Scope, Scopes};
use url::Url;

/// How to get resource tokens from one third party.
///
/// No `Debug`: it holds the client secret.
pub struct Provider {
    /// The operator's name for it.
    pub name: ProviderName,
    /// For people.
    pub display_name: String,
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
    /// Resource indicators (RFC 8707 §2), sent with every request.
    pub resource: Vec<String>,
    /// A space (RFC 6749 §3.3), or what this provider uses instead.
    pub scope_separator: char,
    /// Asked for along with the others, such as `offline_access`, and not counted among them.
    pub offline_scope: Option<Scope>,
}

/// Where a provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one per provider, never moved about")]
pub enum Endpoints {
    /// In its discovery document (OIDC Discovery §4, RFC 8414 §3).
    Discovery {
        /// Compared byte for byte with what the document says.
        issuer: Issuer,
    },
    /// In the configuration.
    Static {
        /// What its callbacks name as `iss` (RFC 9207), if they do.
        issuer: Option<Issuer>,
        /// Where browsers go.
        authorization: Url,
        /// Where codes and refresh tokens go.
        token: Url,
        /// Where tokens are revoked, if that is possible.
        revocation: Option<Url>,
    },
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

/// What the host itself sends to an authorization endpoint. Neither configuration nor an endpoint's query sets these.
pub(super) const RESERVED: [&str; 13] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "state",
    "scope",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "request",
    "request_uri",
];

impl Provider {
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
                let url = Url::parse(issuer.as_str())
                    .map_err(|error| self.url_error("issuer", issuer.as_str(), &error.to_string()))?;
                if url.query().is_some() {
                    return Err(self.url_error("issuer", issuer.as_str(), "it has a query"));
                }
                self.check_endpoint("issuer", &url)?;
            }
            Endpoints::Static { authorization, token, revocation, .. } => {
                self.check_endpoint("authorization endpoint", authorization)?;
                self.check_endpoint("token endpoint", token)?;
                if let Some(revocation) = revocation {
                    self.check_endpoint("revocation endpoint", revocation)?;
                }
                self.check_parameters(authorization.query_pairs().map(|(name, _)| name))?;
            }
        }
        self.check_parameters(self.authorize_parameters.iter().map(|(name, _)| name.as_str().into()))?;
        for resource in &self.resource {
            // RFC 8707 §2: an absolute URI without fragment.
            match Url::parse(resource) {
                Ok(url) if url.fragment().is_none() => {}
                Ok(_) => return Err(self.url_error("resource", resource, "it has a fragment")),
                Err(error) => return Err(self.url_error("resource", resource, &error.to_string())),
            }
        }
        Ok(())
    }

    /// As the `scope` parameter: those wanted and the offline scope, with this provider's separator. None if there are none.
    pub(super) fn scope_parameter(&self, wanted: &Scopes) -> Option<String> {
        let all: Scopes = wanted.iter().chain(&self.offline_scope).cloned().collect();
        let joined = all.to_vec().join(&self.scope_separator.to_string());
        (!joined.is_empty()).then_some(joined)
    }

    fn check_parameters<'a>(
        &self,
        names: impl Iterator<Item = std::borrow::Cow<'a, str>>,
    ) -> Result<(), ProviderError> {
        for name in names {
            if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
                return Err(ProviderError::Reserved { provider: self.name.clone(), parameter: name.into_owned() });
            }
        }
        Ok(())
    }

    fn check_endpoint(&self, what: &'static str, url: &Url) -> Result<(), ProviderError> {
        check_url(url).map_err(|Malformed(reason)| self.url_error(what, url.as_str(), &reason))
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
