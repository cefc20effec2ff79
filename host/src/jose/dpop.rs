//! Demonstrating proof of possession (RFC 9449): a token bound to a key is of no use to who has the token alone.

use super::nonces::Server;
use super::{DpopNonces, KeyError, SignError, SigningAlgorithm, SigningKey};
use crate::clock::{Clock, Timestamp};
use crate::ids::{InvocationId, sha256};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Map, Value};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The key of one grant, P-256. It is sealed beside the token that is bound to it.
///
/// ES256 is what every server that takes DPoP takes.
pub struct DpopKey(SigningKey);

impl DpopKey {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        SigningKey::generate(SigningAlgorithm::Es256).map(Self)
    }

    /// As [`DpopKey::to_secret`] wrote it.
    ///
    /// # Errors
    /// [`KeyError`] when it is none of ours.
    pub fn from_secret(secret: &Secret) -> Result<Self, KeyError> {
        SigningKey::from_pem(secret, Some(SigningAlgorithm::Es256), None).map(Self)
    }

    /// To be sealed.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] when it cannot be encoded.
    pub fn to_secret(&self) -> Result<Secret, KeyError> {
        self.0.to_pem()
    }

    /// The thumbprint that an authorization server binds tokens to (RFC 9449 §6.1), and that an authorization request may
    /// announce as `dpop_jkt` (§10).
    pub fn jkt(&self) -> String {
        self.0.thumbprint()
    }

    /// A proof for one request (RFC 9449 §4.2). `access_token` is the one that goes with it, where one does.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn proof(
        &self,
        method: &Method,
        uri: &Uri,
        access_token: Option<&Secret>,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Secret, SignError> {
        let header = Map::from_iter([("jwk".to_owned(), self.0.bare_jwk())]);
        let mut claims = Map::from_iter([
            ("jti".to_owned(), Value::from(InvocationId::random().to_string())),
            ("htm".to_owned(), method.as_str().into()),
            ("htu".to_owned(), target(uri).into()),
            ("iat".to_owned(), now.secs().into()),
        ]);
        if let Some(token) = access_token {
            claims.insert("ath".into(), URL_SAFE_NO_PAD.encode(sha256(token.expose())).into());
        }
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        self.0.sign_jws("dpop+jwt", &header, &claims)
    }
}

/// The request's URI without query and fragment (RFC 9449 §4.2), normalised as §4.3 asks the server to: the scheme's own
/// port is left out, and the host is in lower case.
fn target(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let own = if scheme == "http" { 80 } else { 443 };
    let port = uri.port_u16().filter(|port| *port != own).map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", uri.path())
}

/// Makes the `DPoP` headers of one key, with the nonces that servers ask for.
#[derive(Clone)]
pub struct DpopProver {
    key: Arc<DpopKey>,
    nonces: Arc<DpopNonces>,
    clock: Clock,
}

impl DpopProver {
    /// `DPoP`.
    pub const HEADER: HeaderName = HeaderName::from_static("dpop");

    /// For this key.
    pub fn new(key: Arc<DpopKey>, nonces: Arc<DpopNonces>, clock: Clock) -> Self {
        Self { key, nonces, clock }
    }

    /// Its key.
    pub fn key(&self) -> &Arc<DpopKey> {
        &self.key
    }

    /// The header for one request, with the last nonce that this server gave.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn header(&self, method: &Method, uri: &Uri, access_token: Option<&Secret>) -> Result<HeaderValue, SignError> {
        let nonce = self.nonces.last(&Server::of(uri, access_token.is_some()));
        let proof = self.key.proof(method, uri, access_token, nonce.as_deref(), self.clock.now())?;
        let text = Bytes::from_owner(Zeroizing::new(proof.expose().to_vec()));
        let mut value = HeaderValue::from_maybe_shared(text).map_err(|_| SignError { kid: self.key.jkt() })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Remembers the nonce of a response (RFC 9449 §8.2: any response may bring one). `with_token` says whether the
    /// request carried an access token. True if it is another than the last, so that asking again makes sense.
    pub fn remember(&self, uri: &Uri, with_token: bool, response: &HeaderMap) -> bool {
        self.nonces.take(Server::of(uri, with_token), response)
    }
}

#[cfg(test)]
#[path = "dpop_tests.rs"]
mod tests;
