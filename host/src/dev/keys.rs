//! The development identity provider's key: made at start, gone at the end.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Signs with ES256 (RFC 7518 §3.4).
pub(super) struct Signer {
    pair: EcdsaKeyPair,
    id: String,
}

impl Signer {
    #[expect(
        clippy::expect_used,
        reason = "without randomness nothing can be signed; this process is for development only"
    )]
    pub(super) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key can be made");
        let id = crate::ids::hex(&crate::ids::sha256(pair.public_key().as_ref())[..8]);
        Self { pair, id }
    }

    /// The public half, as a JWK set (RFC 7517 §5).
    pub(super) fn key_set(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": x, "y": y }] })
    }

    #[expect(
        clippy::expect_used,
        reason = "signing fails only without randomness; this process is for development only"
    )]
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).expect("the key signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn what_is_signed_verifies_with_the_published_key() {
        let signer = Signer::new();
        let token = signer.sign(&json!({ "sub": "alice" }));
        let (input, signature) = token.rsplit_once('.').unwrap();
        let set = signer.key_set();
        let mut point = vec![4];
        for half in ["x", "y"] {
            point.extend(URL_SAFE_NO_PAD.decode(set["keys"][0][half].as_str().unwrap()).unwrap());
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }
}
