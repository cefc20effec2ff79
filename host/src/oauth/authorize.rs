//! Sending a browser to a provider, and what the callback may say.

use super::client::OAuthError;
use super::more::{More, Proofs, reserved};
use super::provider::Provider;
use crate::ids::{Scopes, sha256};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

/// One authorization request.
pub struct AuthorizationRequest {
    /// `{public_url}/oauth2/callback/{provider}`: every provider has its own (RFC 9700 §4.4.2).
    pub redirect_uri: String,
    /// Single-use, unguessable.
    pub state: Secret,
    /// [`Pkce::challenge`].
    pub pkce_challenge: String,
    /// Those wanted; the provider's offline scope comes along by itself.
    pub scopes: Scopes,
    /// For a sign-in (OIDC Core §3.1.2.1).
    pub nonce: Option<String>,
    /// What the agent asked for beyond scopes.
    pub more: More,
    /// The user decides anew, whatever the provider remembers: [`Provider::force_parameters`] are added.
    pub force: bool,
}

/// Proof Key for Code Exchange (RFC 7636), S256 only.
pub struct Pkce {
    /// Kept until the exchange: 43 characters, 256 bits.
    pub verifier: Secret,
    /// Sent ahead: SHA-256 of the verifier, in base64url.
    pub challenge: String,
}

impl Pkce {
    /// A new pair.
    #[expect(clippy::new_without_default, reason = "a default is a value, and this is never the same twice")]
    pub fn new() -> Self {
        let verifier = Secret::random();
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.expose()));
        Self { verifier, challenge }
    }
}

/// Why a callback is not from the provider that was asked (RFC 9207 §2.4, RFC 9700 §4.4).
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallbackError {
    /// The provider promised `iss` and it is not there.
    #[error("the callback names no issuer although the provider always does; it may come from elsewhere")]
    Missing,
    /// Another issuer.
    #[error("the callback names the issuer `{0}`, which is not the one that was asked")]
    Mismatch(String),
    /// There is nothing to compare with.
    #[error(
        "the callback names the issuer `{0}` and the configuration none; add `issuer` to the provider if that is it"
    )]
    Unknown(String),
    /// Discovery failed.
    #[error(transparent)]
    Provider(#[from] OAuthError),
}

/// `expected` is the configured issuer; `required` is whether the provider says that it always sends it.
pub(super) fn check_issuer(expected: Option<&str>, required: bool, iss: Option<&str>) -> Result<(), CallbackError> {
    match (expected, iss) {
        (_, None) if required => Err(CallbackError::Missing),
        (_, None) => Ok(()),
        (Some(expected), Some(iss)) if expected == iss => Ok(()),
        (Some(_), Some(iss)) => Err(CallbackError::Mismatch(super::discovery::shown(iss))),
        (None, Some(iss)) => Err(CallbackError::Unknown(super::discovery::shown(iss))),
    }
}

/// What an authorization request says, in order.
pub(super) type Parameters = Vec<(String, String)>;

/// The parameters of RFC 6749 §4.1.1. Ours come first; what the operator added follows, then what the agent added; none
/// appears twice, but `resource` and `audience`.
pub(super) fn parameters(
    provider: &Provider,
    endpoint: &Url,
    proofs: Proofs<'_>,
    request: &AuthorizationRequest,
) -> Result<Parameters, OAuthError> {
    let forced: &[_] = if request.force { &provider.force_parameters } else { &[] };
    let configured = provider.authorize_parameters.iter().chain(forced).map(|(name, _)| name.as_str().into());
    if let Some(name) = endpoint.query_pairs().map(|(name, _)| name).chain(configured).find(|name| reserved(name)) {
        return Err(OAuthError::Configuration(format!(
            "provider `{}`: the parameter `{}` is set by the host; remove it",
            provider.name,
            super::discovery::shown(&name)
        )));
    }
    let state = request.state.expose_text().ok_or_else(|| OAuthError::Configuration("the state is not text".into()))?;
    let mut all = Parameters::new();
    let mut add = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    add("response_type", "code");
    add("client_id", &provider.client_id);
    add("redirect_uri", &request.redirect_uri);
    add("state", state);
    add("code_challenge", &request.pkce_challenge);
    add("code_challenge_method", "S256");
    if let Some(scope) = provider.scope_text(request.scopes.iter().chain(&provider.offline_scope)) {
        add(provider.vendor.quirks().scope_parameter.as_deref().unwrap_or("scope"), &scope);
    }
    if let Some(nonce) = &request.nonce {
        add("nonce", nonce);
    }
    if let Some(prover) = proofs.dpop {
        add("dpop_jkt", &prover.key().jkt());
    }
    let more = &request.more;
    for resource in more.resources_of(provider) {
        add("resource", resource);
    }
    for (name, value) in &provider.authorize_parameters {
        if !forced.iter().any(|(other, _)| other == name) {
            add(name, value);
        }
    }
    for (name, value) in forced {
        if !endpoint.query_pairs().any(|(known, _)| known == name.as_str()) {
            add(name, value);
        }
    }
    let taken = |all: &Parameters, name: &str| {
        all.iter().any(|(known, _)| known == name) || endpoint.query_pairs().any(|(known, _)| known == name)
    };
    if !taken(&all, "audience") {
        all.extend(more.audiences.iter().map(|audience| ("audience".to_owned(), audience.clone())));
    }
    for (name, value) in &more.parameters {
        if !taken(&all, name) {
            all.push((name.clone(), value.clone()));
        }
    }
    Ok(all)
}

/// With all of it in the URL.
pub(super) fn url(endpoint: &Url, parameters: &Parameters) -> Url {
    let mut url = endpoint.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

/// With a reference to what was pushed, and nothing else (RFC 9126 §4).
pub(super) fn by_reference(provider: &Provider, endpoint: &Url, request_uri: &str) -> Url {
    let mut url = endpoint.clone();
    url.query_pairs_mut().append_pair("client_id", &provider.client_id).append_pair("request_uri", request_uri);
    url
}
