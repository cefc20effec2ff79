//! The client of all providers: it asks, and forgets what it was told.

use super::authentication::{Asking, Form};
use super::authorize::{self, AuthorizationRequest, CallbackError};
use super::discovery::Discovery;
use super::dpop;
use super::provider::{Endpoints, Provider};
use super::tokens::{self, TokenSet};
use crate::clock::Clock;
use crate::egress::{Client, Fetch, FetchError, Fetched};
use crate::identity::{Workload, WorkloadIssuer};
use crate::jose::{DpopKey, DpopNonces, DpopProver};
use crate::secret::Secret;
use http::HeaderMap;
use std::sync::Arc;
use url::Url;

/// Talks to providers. Holds no tokens; discovery documents are its only memory.
pub struct OAuth {
    client: Arc<Client>,
    discovery: Discovery,
    issuer: Arc<WorkloadIssuer>,
    nonces: Arc<DpopNonces>,
    clock: Clock,
}

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The provider knows: the token is dead there.
    Told,
    /// The provider has no way to revoke such a token; it dies when it expires.
    NoEndpoint,
}

/// Why a provider gave nothing. No message holds a secret or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// It said no (RFC 6749 §5.2).
    #[error("the provider refused: `{error}` {description}")]
    Refused {
        /// Its code.
        error: String,
        /// Its words, escaped and cut at 200 characters.
        description: String,
    },
    /// `invalid_grant`: the code or refresh token is used up, expired or revoked. The user has to agree again.
    #[error("the provider no longer honours this grant; the user has to agree again")]
    GrantGone,
    /// It could not be reached, or is out of order. Worth another try later.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// It answered what is no answer.
    #[error("{0}")]
    Unreadable(String),
    /// The operator has to change something.
    #[error("{0}")]
    Configuration(String),
}

impl OAuth {
    /// Connects to nothing yet. `issuer` signs for workloads, where a provider knows them by that.
    pub fn new(client: Arc<Client>, issuer: Arc<WorkloadIssuer>, clock: Clock) -> Arc<OAuth> {
        let discovery = Discovery::new(Arc::clone(&client), clock.clone());
        Arc::new(Self { discovery, client, issuer, nonces: Arc::default(), clock })
    }

    /// Makes the proofs of one grant's key, for token requests and for what is sent with its token.
    pub fn prover(&self, key: Arc<DpopKey>) -> DpopProver {
        DpopProver::new(key, Arc::clone(&self.nonces), self.clock.clone())
    }

    /// Where the browser goes.
    ///
    /// # Errors
    /// Discovery's, and [`OAuthError::Configuration`] where a configured parameter is one of ours.
    pub async fn authorization_url(
        &self,
        provider: &Provider,
        request: &AuthorizationRequest,
    ) -> Result<Url, OAuthError> {
        match &provider.endpoints {
            Endpoints::Static { authorization, .. } => authorize::url(provider, authorization, request),
            Endpoints::Discovery { issuer } => {
                authorize::url(provider, &self.discovery.metadata(issuer).await?.authorization, request)
            }
        }
    }

    /// Turns a code into tokens (RFC 6749 §4.1.3, RFC 7636 §4.5). A code works once: an error here is final.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn exchange(
        &self,
        provider: &Provider,
        code: &Secret,
        verifier: &Secret,
        redirect_uri: &str,
    ) -> Result<TokenSet, OAuthError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", text(code)?),
            ("code_verifier", text(verifier)?),
            ("redirect_uri", redirect_uri),
        ];
        self.ask_for_tokens(provider, &form, &[code, verifier]).await
    }

    /// New tokens for a refresh token (RFC 6749 §6), with the scopes of the grant.
    ///
    /// # Errors
    /// [`OAuthError`]; [`OAuthError::GrantGone`] when the provider has withdrawn the grant.
    pub async fn refresh(&self, provider: &Provider, refresh: &Secret) -> Result<TokenSet, OAuthError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(refresh)?)];
        self.ask_for_tokens(provider, &form, &[refresh]).await
    }

    /// Tells the provider that a token is over (RFC 7009). `hint` is `refresh_token` or `access_token`.
    ///
    /// # Errors
    /// [`OAuthError`]; after [`OAuthError::Unreachable`] try again later.
    pub async fn revoke(&self, provider: &Provider, token: &Secret, hint: &str) -> Result<Revoked, OAuthError> {
        let endpoint = match &provider.endpoints {
            Endpoints::Static { revocation, .. } => revocation.clone(),
            Endpoints::Discovery { issuer } => self.discovery.metadata(issuer).await?.revocation.clone(),
        };
        let Some(endpoint) = endpoint else { return Ok(Revoked::NoEndpoint) };
        let form = [("token", text(token)?), ("token_type_hint", hint)];
        let fetched = self.post(provider, endpoint, &form, None, None).await?;
        if fetched.status.is_success() {
            return Ok(Revoked::Told);
        }
        match self.read_refusal(provider, &fetched, &[token]) {
            // RFC 7009 §2.2.1.
            OAuthError::Refused { error, .. } if error == "unsupported_token_type" => Ok(Revoked::NoEndpoint),
            // RFC 7009 §2.2 wants 200 for a token that is not valid any more; some say this instead.
            OAuthError::Refused { error, .. } if error == "invalid_token" => Ok(Revoked::Told),
            OAuthError::GrantGone => Ok(Revoked::Told),
            error => Err(error),
        }
    }

    /// Whether a callback comes from the provider that was asked (RFC 9207 §2.4): an `iss` must be the configured issuer,
    /// byte for byte, and must be there where the provider's document promises it.
    ///
    /// # Errors
    /// [`CallbackError`]: do not use the code.
    pub async fn check_callback_issuer(&self, provider: &Provider, iss: Option<&str>) -> Result<(), CallbackError> {
        match &provider.endpoints {
            Endpoints::Static { issuer, .. } => {
                authorize::check_issuer(issuer.as_ref().map(|issuer| issuer.as_str()), false, iss)
            }
            Endpoints::Discovery { issuer } => {
                let required = self.discovery.metadata(issuer).await?.callback_issuer;
                authorize::check_issuer(Some(issuer.as_str()), required, iss)
            }
        }
    }

    async fn ask_for_tokens(
        &self,
        provider: &Provider,
        form: &[(&str, &str)],
        sent: &[&Secret],
    ) -> Result<TokenSet, OAuthError> {
        let endpoint = match &provider.endpoints {
            Endpoints::Static { token, .. } => token.clone(),
            Endpoints::Discovery { issuer } => self.discovery.metadata(issuer).await?.token.clone(),
        };
        let resources = provider.resource.iter().map(|resource| ("resource", resource.as_str()));
        let form: Vec<_> = form.iter().copied().chain(resources).collect();
        let fetched = self.post(provider, endpoint, &form, None, None).await?;
        if fetched.status.is_success() {
            let sent: Vec<_> = sent.iter().copied().chain(provider.client_authentication.secret()).collect();
            return tokens::granted(&fetched.body, provider.scope_separator, &sent);
        }
        Err(self.read_refusal(provider, &fetched, sent))
    }

    fn read_refusal(&self, provider: &Provider, fetched: &Fetched, sent: &[&Secret]) -> OAuthError {
        let status = fetched.status;
        if status.is_server_error() || status.as_u16() == 429 {
            return OAuthError::Unreachable(format!("it answered {}; try again later", status.as_u16()));
        }
        if status.is_redirection() {
            return OAuthError::Unreadable("the provider answered with a redirect, which is not followed".into());
        }
        let sent: Vec<_> = sent.iter().copied().chain(provider.client_authentication.secret()).collect();
        tokens::refused(status.as_u16(), &fetched.body, &sent)
    }

    /// Posts a form with the client's authentication added, and a proof where there is a prover.
    async fn post(
        &self,
        provider: &Provider,
        url: Url,
        form: &[(&str, &str)],
        workload: Option<&Workload>,
        prover: Option<&DpopProver>,
    ) -> Result<Fetched, OAuthError> {
        let audience = match &provider.endpoints {
            Endpoints::Discovery { issuer } | Endpoints::Static { issuer: Some(issuer), .. } => issuer.as_str(),
            Endpoints::Static { token, .. } => token.as_str(),
        };
        let make = || {
            let (mut whole, mut headers) = (Form::new(), HeaderMap::new());
            form.iter().for_each(|(name, value)| whole.add(name, value));
            let asking = Asking {
                client_id: &provider.client_id,
                audience,
                workload,
                issuer: &self.issuer,
                now: self.clock.now(),
            };
            provider.client_authentication.apply(&asking, &mut whole, &mut headers)?;
            let mut fetch = Fetch::post_form(url.clone(), &whole.pairs());
            fetch.headers.extend(headers);
            Ok(fetch)
        };
        dpop::fetch(&self.client, prover, make).await
    }
}

/// Why a request got no answer.
pub(super) fn unsent(error: FetchError) -> OAuthError {
    match error {
        FetchError::TooLarge(_) | FetchError::Encoded => OAuthError::Unreadable(error.to_string()),
        FetchError::Url(_) => OAuthError::Configuration(error.to_string()),
        _ => OAuthError::Unreachable(error.to_string()),
    }
}

fn text(secret: &Secret) -> Result<&str, OAuthError> {
    secret.expose_text().ok_or_else(|| OAuthError::Configuration("a secret to send is not text".into()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
