//! Compact JWS (RFC 7515 §7.1).

use super::SigningAlgorithm;
use super::key::{Pair, SigningKey};
use crate::secret::Secret;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A signature could not be made. Nothing of what was to be signed is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key `{kid}` did not sign")]
pub struct SignError {
    /// Which key.
    pub kid: String,
}

impl SigningKey {
    /// Signs claims: `header.payload.signature`.
    ///
    /// The header holds `alg` and `typ`, whatever `extra` says of them, and the key's name unless `extra` names the key
    /// itself (`kid` or `jwk`).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_jws(
        &self,
        typ: &str,
        extra: &Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Result<Secret, SignError> {
        let mut header = extra.clone();
        header.insert("alg".into(), self.alg().as_str().into());
        header.insert("typ".into(), typ.into());
        if !header.contains_key("kid") && !header.contains_key("jwk") {
            header.insert("kid".into(), self.kid().into());
        }
        let failed = || SignError { kid: self.kid().to_owned() };
        let part = |members: &Map<String, Value>| serde_json::to_vec(members).map(|json| URL_SAFE_NO_PAD.encode(json));
        let (header, payload) = (part(&header).map_err(|_| failed())?, part(claims).map_err(|_| failed())?);
        let mut token = format!("{header}.{payload}");
        let signature = self.sign(token.as_bytes()).ok_or_else(failed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::from_text(token))
    }

    /// The signature in JWA's form: of ECDSA, both halves in full length (RFC 7518 §3.4).
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn RsaEncoding = match self.alg() {
                    SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Elliptic(pair) => pair.sign(&SystemRandom::new(), message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Edwards(pair) => pair.try_sign(message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Token(found) => found.sign(self.alg(), message),
        }
    }
}
