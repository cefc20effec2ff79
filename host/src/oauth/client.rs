//! The client of all providers: it asks, and forgets what it was told.

use super::authentication::{Asking, ClientAuthentication, Form};
use super::authorize::{self, AuthorizationRequest, CallbackError};
use super::discovery::Discovery;
use super::dpop;
use super::more::{More, Proofs};
use super::provider::{Provider, When};
use super::server::{Endpoints, Server};
use super::tokens::{self, Reading, TokenSet, TokenType};
use crate::clock::Clock;
use crate::egress::{Client, Fetch, FetchError, Fetched};
use crate::identity::WorkloadIssuer;
use crate::ids::{Issuer, Malformed, Scopes};
use crate::jose::{DpopKey, DpopNonces, DpopProver};
use crate::secret::Secret;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serializer as _;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// Talks to providers. Holds no tokens; discovery documents and nonces are its only memory.
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
    /// `invalid_grant`: the code, the refresh token or the user's own token is used up, expired or revoked. A provider that
    /// rotates refresh tokens says so, too, when one is used twice (RFC 9700 §4.14.2): then the whole grant is over.
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

/// A code and a refresh token stand for what was asked for when they were made.
static NOTHING: More = More { resources: Vec::new(), audiences: Vec::new(), parameters: Vec::new() };

/// One request to one endpoint of a provider, before it is known who asks.
pub(super) struct Request<'a> {
    pub(super) provider: &'a Provider,
    pub(super) server: &'a Server,
    pub(super) endpoint: &'a Url,
    pub(super) authentication: &'a ClientAuthentication,
    pub(super) proofs: Proofs<'a>,
    pub(super) form: Vec<(&'a str, &'a str)>,
    /// The client's id has to be among the fields, however the client is authenticated (RFC 8628 §3.1, RFC 9126 §2.1).
    pub(super) names_client: bool,
    /// The answer is no access token, but one to be exchanged again.
    pub(super) assertion: bool,
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
    /// [`OAuthError::Unreadable`] where the place is none of that issuer's, otherwise discovery's.
    pub async fn issuer_at(&self, document: &Url) -> Result<Issuer, OAuthError> {
        self.discovery.issuer_at(document).await
    }

    /// Whether this provider's tokens are to be bound to a key (RFC 9449): as configured, and as its description says.
    /// Make a [`DpopKey`] then, and give its prover along with every request for the grant.
    ///
    /// # Errors
    /// Discovery's.
    pub async fn binds_tokens(&self, provider: &Provider) -> Result<bool, OAuthError> {
        match provider.dpop {
            When::Never => Ok(false),
            When::Always => Ok(true),
            When::Offered => Ok(self.server(provider).await?.dpop),
        }
    }

    /// Where the browser goes. Where the provider takes pushed requests, this asks it first, and the URL holds nothing
    /// but a reference (RFC 9126 §4). With a key, the code is bound to it, too (RFC 9449 §10).
    ///
    /// # Errors
    /// Discovery's, the pushed request's, [`OAuthError::Asked`], and [`OAuthError::Configuration`] where a configured
    /// parameter is one of ours.
    pub async fn authorization_url(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        request: &AuthorizationRequest,
    ) -> Result<Url, OAuthError> {
        request.more.check().map_err(asked)?;
        let server = self.server(provider).await?;
        let endpoint = server.authorization.as_ref().ok_or_else(|| no_endpoint(provider, "authorization_endpoint"))?;
        let parameters = authorize::parameters(provider, endpoint, proofs, request)?;
        match self.pushed(provider, &server, proofs, &parameters).await? {
            Some(reference) => Ok(authorize::by_reference(provider, endpoint, &reference)),
            None => Ok(authorize::url(endpoint, &parameters)),
        }
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
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", text(code)?),
            ("code_verifier", text(verifier)?),
            ("redirect_uri", redirect_uri),
        ];
        self.ask_for_tokens(provider, proofs, form, &NOTHING, &[code, verifier]).await
    }

    /// New tokens for a refresh token (RFC 6749 §6), with the scopes of the grant. A grant that is bound to a key is
    /// renewed with that key (RFC 9449 §5).
    ///
    /// It asks once. After [`OAuthError::Unreachable`] or [`OAuthError::Unreadable`] nobody knows whether the provider
    /// has rotated the token. The caller may ask again with the same token: a provider that had not rotated it renews the
    /// grant, and one that had answers [`OAuthError::GrantGone`], which is the truth by then. It must not go on as if
    /// nothing had been sent, and must never ask from two places at once.
    ///
    /// # Errors
    /// [`OAuthError`]; [`OAuthError::GrantGone`] when the provider has withdrawn the grant.
    pub async fn refresh(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        refresh: &Secret,
    ) -> Result<TokenSet, OAuthError> {
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", text(refresh)?)];
        self.ask_for_tokens(provider, proofs, form, &NOTHING, &[refresh]).await
    }

    /// A token for the client itself (RFC 6749 §4.4), whoever the user is. Never with a refresh token: the client can ask
    /// again (RFC 6749 §4.4.3).
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
        // Not the offline scope, which is about users.
        let scope = provider.scope_text(scopes.iter());
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let tokens = self.ask_for_tokens(provider, proofs, form, more, &[]).await?;
        Ok(TokenSet { refresh: None, ..tokens })
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
        let server = self.server(provider).await?;
        let Some(endpoint) = &server.revocation else { return Ok(Revoked::NoEndpoint) };
        let form = vec![("token", text(token)?), ("token_type_hint", hint)];
        let fetched = self.send(Request::new(provider, &server, endpoint, proofs, form)).await?;
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

    /// A token request as the provider's usual client.
    async fn ask_for_tokens<'a>(
        &self,
        provider: &'a Provider,
        proofs: Proofs<'a>,
        mut form: Vec<(&'a str, &'a str)>,
        more: &'a More,
        sent: &[&Secret],
    ) -> Result<TokenSet, OAuthError> {
        more.add_to(provider, &mut form).map_err(asked)?;
        let server = self.server(provider).await?;
        self.tokens(Request::new(provider, &server, &server.token, proofs, form), sent).await
    }

    /// Sends a token request and reads the tokens. With a key, where binding is demanded, the token has to be bound.
    pub(super) async fn tokens(&self, request: Request<'_>, sent: &[&Secret]) -> Result<TokenSet, OAuthError> {
        let (provider, bound) = (request.provider, request.proofs.dpop.is_some());
        let (authentication, assertion) = (request.authentication, request.assertion);
        let fetched = self.send(request).await?;
        if !fetched.status.is_success() {
            return Err(self.read_refusal(provider, &fetched, sent));
        }
        let sent: Vec<_> = sent.iter().copied().chain(authentication.secret()).collect();
        let tokens = tokens::granted(&Reading { bound, assertion, ..Reading::of(provider, &sent) }, &fetched.body)?;
        if bound && !assertion && provider.dpop == When::Always && tokens.token_type != TokenType::Dpop {
            return Err(tokens::unreadable("its token is not bound to a key, which `dpop = \"always\"` demands"));
        }
        Ok(tokens)
    }

    /// What an answer other than success says.
    pub(super) fn read_refusal(&self, provider: &Provider, fetched: &Fetched, sent: &[&Secret]) -> OAuthError {
        let status = fetched.status;
        if status.is_server_error() || status.as_u16() == 429 {
            return OAuthError::Unreachable(format!("it answered {}; try again later", status.as_u16()));
        }
        if status.is_redirection() {
            return OAuthError::Unreadable("the provider answered with a redirect, which is not followed".into());
        }
        let sent: Vec<_> = sent.iter().copied().chain(provider.client_authentication.secret()).collect();
        tokens::refused(&Reading::of(provider, &sent), status.as_u16(), &fetched.body)
    }

    /// Posts a request with the client's authentication added, and a proof where there is a key. Twice at most: a server
    /// may want a nonce in the proof first (RFC 9449 §8), and has done nothing then.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Fetched, OAuthError> {
        let Request { provider, server, endpoint, authentication, proofs, form, names_client, .. } = request;
        let quirks = provider.vendor.quirks();
        let make = || {
            let (mut whole, mut headers) = (Form::new(), HeaderMap::new());
            form.iter().for_each(|(name, value)| whole.add(name, value));
            let asking = Asking {
                client_id: &provider.client_id,
                audience: server.issuer.as_ref().map_or(server.token.as_str(), Issuer::as_str),
                workload: proofs.workload,
                issuer: &self.issuer,
                now: self.clock.now(),
            };
            authentication.apply(&asking, &mut whole, &mut headers)?;
            if names_client && !whole.has("client_id") {
                whole.add("client_id", &provider.client_id);
            }
            let mut fetch = Fetch::post_form(endpoint.clone(), &whole.pairs());
            if quirks.json_requests {
                fetch.body = json(&whole.pairs())?;
                fetch.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            for (name, value) in &quirks.headers {
                let (Ok(header), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
                    return Err(OAuthError::Configuration(format!("the vendor's header `{name}` cannot be sent")));
                };
                fetch.headers.insert(header, value);
            }
            fetch.headers.extend(headers);
            Ok(fetch)
        };
        dpop::fetch(&self.client, proofs.dpop, make).await
    }
}

impl<'a> Request<'a> {
    /// One of the provider's usual client.
    pub(super) fn new(
        provider: &'a Provider,
        server: &'a Server,
        endpoint: &'a Url,
        proofs: Proofs<'a>,
        form: Vec<(&'a str, &'a str)>,
    ) -> Self {
        let authentication = &provider.client_authentication;
        Self { provider, server, endpoint, authentication, proofs, form, names_client: false, assertion: false }
    }
}

impl<'a> Reading<'a> {
    /// An answer of this provider.
    pub(super) fn of(provider: &'a Provider, sent: &'a [&'a Secret]) -> Self {
        Self {
            separator: provider.scope_separator,
            quirks: provider.vendor.quirks(),
            bound: false,
            assertion: false,
            sent,
        }
    }
}

/// The fields as one JSON object, wiped when it is dropped.
fn json(pairs: &[(&str, &str)]) -> Result<Bytes, OAuthError> {
    // Room for every byte as `\u0000`, so that no copy is left behind by growing.
    let size = pairs.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 6).sum::<usize>() + 2;
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    serde_json::Serializer::new(&mut *body)
        .collect_map(pairs.iter().copied())
        .map_err(|_| OAuthError::Configuration("the request cannot be written as JSON".into()))?;
    Ok(Bytes::from_owner(body))
}

pub(super) fn no_endpoint(provider: &Provider, what: &str) -> OAuthError {
    OAuthError::Configuration(format!("provider `{}` has no `{what}`; add it to the provider", provider.name))
}

/// What an agent asked for and cannot have.
pub(super) fn asked(Malformed(why): Malformed) -> OAuthError {
    OAuthError::Asked(why)
}

/// Why a request got no answer.
pub(super) fn unsent(error: FetchError) -> OAuthError {
    match error {
        FetchError::TooLarge(_) | FetchError::Encoded => OAuthError::Unreadable(error.to_string()),
        FetchError::Url(_) => OAuthError::Configuration(error.to_string()),
        _ => OAuthError::Unreachable(error.to_string()),
    }
}

pub(super) fn text(secret: &Secret) -> Result<&str, OAuthError> {
    secret.expose_text().ok_or_else(|| OAuthError::Configuration("a secret to send is not text".into()))
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(super) mod tests;
