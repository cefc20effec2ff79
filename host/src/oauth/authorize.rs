//! Sending a browser to a provider, and what the callback may say.

use super::client::OAuthError;
use super::more::{More, reserved};
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

/// The URL of RFC 6749 §4.1.1. Ours come first; what the operator added follows; neither appears twice.
pub(super) fn url(provider: &Provider, endpoint: &Url, request: &AuthorizationRequest) -> Result<Url, OAuthError> {
    let added = provider.authorize_parameters.iter().map(|(name, _)| name.as_str().into());
    if let Some(name) = endpoint.query_pairs().map(|(name, _)| name).chain(added).find(|name| reserved(name)) {
        return Err(OAuthError::Configuration(format!(
            "provider `{}`: the parameter `{}` is set by the host; remove it",
            provider.name,
            super::discovery::shown(&name)
        )));
    }
    let state = request.state.expose_text().ok_or_else(|| OAuthError::Configuration("the state is not text".into()))?;
    let mut url = endpoint.clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.client_id)
            .append_pair("redirect_uri", &request.redirect_uri)
            .append_pair("state", state)
            .append_pair("code_challenge", &request.pkce_challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = provider.scope_parameter(&request.scopes) {
            query.append_pair("scope", &scope);
        }
        if let Some(nonce) = &request.nonce {
            query.append_pair("nonce", nonce);
        }
        for resource in &provider.resource {
            query.append_pair("resource", resource);
        }
        query.extend_pairs(&provider.authorize_parameters);
    }
    Ok(url)
}
