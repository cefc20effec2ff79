//! The client of all providers: it asks, and forgets what it was told.

use super::authorize::{self, AuthorizationRequest, CallbackError};
use super::discovery::Discovery;
use super::more::{More, Proofs};
use super::provider::{ClientAuthentication, Provider, When};
use super::server::{Endpoints, Server};
use super::tokens::{self, TokenSet};
use crate::clock::Clock;
use crate::egress::{Client, Fetch, FetchError, Fetched};
use crate::ids::{Issuer, Scopes};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// Talks to providers. Holds no tokens; discovery documents are its only memory.
pub struct OAuth {
    client: Arc<Client>,
    discovery: Discovery,
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
    /// What was asked for cannot be sent, and it is the agent that asked for it.
    #[error("this cannot be asked for: {0}")]
    Asked(String),
    /// It answered what is no answer.
    #[error("{0}")]
    Unreadable(String),
    /// The operator has to change something.
    #[error("{0}")]
    Configuration(String),
}

impl OAuth {
    /// Connects to nothing yet.
    pub fn new(client: Arc<Client>, clock: Clock) -> Arc<OAuth> {
        Arc::new(Self { discovery: Discovery::new(Arc::clone(&client), clock), client })
    }

    /// Where a provider is asked and what it can, from its discovery document or from the configuration.
    ///
    /// # Errors
    /// Discovery's.
    pub async fn server(&self, provider: &Provider) -> Result<Arc<Server>, OAuthError> {
        match &provider.endpoints {
            Endpoints::Static(server) => Ok(Arc::clone(server)),
            Endpoints::Discovery { issuer } => self.discovery.server(issuer).await,
        }
    }

    /// The issuer whose discovery document stands at this place, by asking for it. The document has to name an issuer
    /// whose own places include this one (OIDC Discovery §4.1, RFC 8414 §3.1).
    ///
    /// # Errors
    /// [`OAuthError::Configuration`] where the place is no discovery place, otherwise discovery's.
    pub async fn issuer_at(&self, document: &Url) -> Result<Issuer, OAuthError> {
        self.discovery.issuer_at(document).await
    }

    /// Whether this provider's tokens are to be bound to a key (RFC 9449): as configured, and as its description says.
    ///
    /// # Errors
    /// [`OAuthError::Configuration`] where binding is demanded of a provider that says it cannot; discovery's.
    pub async fn binds_tokens(&self, provider: &Provider) -> Result<bool, OAuthError> {
        match provider.dpop {
            When::Never => Ok(false),
            When::Always => Ok(true),
            When::Offered => Ok(self.server(provider).await?.dpop),
        }
    }

    /// Where the browser goes. Where the provider takes pushed requests, this asks it first, and the URL holds nothing
    /// but a reference (RFC 9126 §4).
    ///
    /// # Errors
    /// Discovery's, and [`OAuthError::Configuration`] where a configured parameter is one of ours.
    pub async fn authorization_url(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        request: &AuthorizationRequest,
    ) -> Result<Url, OAuthError> {
        let _ = proofs;
        let server = self.server(provider).await?;
        let endpoint = server.authorization.as_ref().ok_or_else(|| no_endpoint(provider, "authorization_endpoint"))?;
        authorize::url(provider, endpoint, request)
    }

    /// A token for the client itself (RFC 6749 §4.4), whoever the user is.
    ///
    /// # Errors
    /// [`OAuthError`]; [`OAuthError::Asked`] for what cannot be sent.
    pub async fn client_credentials(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        scopes: &Scopes,
        more: &More,
    ) -> Result<TokenSet, OAuthError> {
        let _ = (proofs, more);
        let scope = provider.scope_parameter(scopes);
        let form: Vec<_> =
            [("grant_type", "client_credentials")].into_iter().chain(scope.as_deref().map(|s| ("scope", s))).collect();
        self.ask_for_tokens(provider, &form, &[]).await
    }

    /// Turns a code into tokens (RFC 6749 §4.1.3, RFC 7636 §4.5). A code works once: an error here is final.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn exchange(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        code: &Secret,
        verifier: &Secret,
        redirect_uri: &str,
    ) -> Result<TokenSet, OAuthError> {
        let _ = proofs;
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
    pub async fn refresh(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        refresh: &Secret,
    ) -> Result<TokenSet, OAuthError> {
        let _ = proofs;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(refresh)?)];
        self.ask_for_tokens(provider, &form, &[refresh]).await
    }

    /// Tells the provider that a token is over (RFC 7009). `hint` is `refresh_token` or `access_token`.
    ///
    /// # Errors
    /// [`OAuthError`]; after [`OAuthError::Unreachable`] try again later.
    pub async fn revoke(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        token: &Secret,
        hint: &str,
    ) -> Result<Revoked, OAuthError> {
        let _ = proofs;
        let Some(endpoint) = self.server(provider).await?.revocation.clone() else { return Ok(Revoked::NoEndpoint) };
        let form = [("token", text(token)?), ("token_type_hint", hint)];
        let fetched = self.post(provider, endpoint, &form).await?;
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
        let server = self.server(provider).await?;
        authorize::check_issuer(server.issuer.as_ref().map(Issuer::as_str), server.callback_issuer, iss)
    }

    async fn ask_for_tokens(
        &self,
        provider: &Provider,
        form: &[(&str, &str)],
        sent: &[&Secret],
    ) -> Result<TokenSet, OAuthError> {
        let endpoint = self.server(provider).await?.token.clone();
        let resources = provider.resource.iter().map(|resource| ("resource", resource.as_str()));
        let form: Vec<_> = form.iter().copied().chain(resources).collect();
        let fetched = self.post(provider, endpoint, &form).await?;
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

    /// Posts a form with the client's authentication added.
    async fn post(&self, provider: &Provider, url: Url, form: &[(&str, &str)]) -> Result<Fetched, OAuthError> {
        let id = provider.client_id.as_str();
        let mut form = form.to_vec();
        match &provider.client_authentication {
            ClientAuthentication::Basic(_) => {}
            ClientAuthentication::Post(secret) => form.extend([("client_id", id), ("client_secret", text(secret)?)]),
            ClientAuthentication::None => form.push(("client_id", id)),
        }
        let mut fetch = Fetch::post_form(url, &form);
        if let ClientAuthentication::Basic(secret) = &provider.client_authentication {
            fetch.headers.insert(AUTHORIZATION, basic(id, text(secret)?)?);
        }
        self.client.fetch(fetch).await.map_err(|error| match error {
            FetchError::TooLarge(_) | FetchError::Encoded => OAuthError::Unreadable(error.to_string()),
            FetchError::Url(_) => OAuthError::Configuration(error.to_string()),
            _ => OAuthError::Unreachable(error.to_string()),
        })
    }
}

pub(super) fn no_endpoint(provider: &Provider, what: &str) -> OAuthError {
    OAuthError::Configuration(format!("provider `{}` has no `{what}`; add it to the provider", provider.name))
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, OAuthError> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(url::form_urlencoded::byte_serialize(secret.as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let text = Zeroizing::new([b"Basic ", encoded.as_bytes()].concat());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|_| OAuthError::Configuration("the client secret cannot be sent".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(secret: &Secret) -> Result<&str, OAuthError> {
    secret.expose_text().ok_or_else(|| OAuthError::Configuration("a secret to send is not text".into()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
