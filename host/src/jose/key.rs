//! A private key that signs with one algorithm.

use super::jwk::PublicKey;
use super::pkcs11::{self, TokenKey};
use super::{SigningAlgorithm, pem};
use crate::secret::Secret;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;
use std::path::PathBuf;

/// A key pair with one algorithm and one name (`kid`).
///
/// No `Debug`, no `Clone`: the private half is used and never shown, except by [`SigningKey::to_pem`]. Share it with
/// [`std::sync::Arc`].
pub struct SigningKey {
    pub(super) pair: Pair,
    algorithm: SigningAlgorithm,
    kid: String,
    public: PublicKey,
}

/// The private half. AWS-LC wipes it when it is freed.
pub(super) enum Pair {
    Rsa(rsa::KeyPair),
    Elliptic(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    /// Stays where it is.
    Token(pkcs11::Found),
}

/// Why a key cannot be used. No message holds a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error(
        "it holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted); `openssl pkcs8 -topk8 -nodes` makes one"
    )]
    NoKey,
    /// There are several, and which one is meant is nowhere said.
    #[error("it holds more than one private key; leave the one that is meant")]
    Several,
    /// Damaged, of another kind, or an RSA key of another size: AWS-LC reads none that is shorter than RFC 7518 §3.3 allows.
    #[error("its private key is none that signs here; use RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519")]
    Unknown,
    /// The wrong algorithm for this key.
    #[error("its key does not sign with `{wanted}`; it signs with {able}")]
    Algorithm {
        /// As asked.
        wanted: SigningAlgorithm,
        /// What would do.
        able: &'static str,
    },
    /// No new key.
    #[error("the system made no key")]
    NotMade,
    /// It does not leave its token.
    #[error("the key stays in its token and cannot be written down")]
    Stays,
    /// A PKCS #11 module.
    #[error("the PKCS #11 module `{}` cannot be used: {why}", module.display())]
    Module {
        /// The library.
        module: PathBuf,
        /// Why not.
        why: String,
    },
    /// A PKCS #11 token.
    #[error("the token `{token}` {why}")]
    Token {
        /// Its label.
        token: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl SigningKey {
    /// Reads the one private key of a PEM text.
    ///
    /// An RSA key signs with RS256 unless told otherwise; every other kind has one algorithm. The name is the key's
    /// thumbprint (RFC 7638) unless another is given.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &Secret, algorithm: Option<SigningAlgorithm>, kid: Option<String>) -> Result<Self, KeyError> {
        match &*pem::read(pem)? {
            [der] => Self::new(Pair::read(der)?, algorithm, kid),
            _ => Err(KeyError::Several),
        }
    }

    /// Reads every private key of a PEM text, in its order, each with its kind's own algorithm and name.
    ///
    /// # Errors
    /// [`KeyError`] where one of them cannot be used.
    pub fn all_from_pem(pem: &Secret) -> Result<Vec<Self>, KeyError> {
        pem::read(pem)?.iter().map(|der| Self::new(Pair::read(der)?, None, None)).collect()
    }

    /// Uses a key that stays in a token; RSA, P-256 or P-384. Blocks for as long as the hardware takes, as signing does.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn in_token(at: TokenKey, algorithm: Option<SigningAlgorithm>, kid: Option<String>) -> Result<Self, KeyError> {
        let (found, public) = at.find()?;
        Self::with(Pair::Token(found), public, algorithm, kid)
    }

    /// Makes a new key; an RSA key with 2048 bits.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] when the system gives no randomness.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::NotMade;
        let pair = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                Pair::Rsa(rsa::KeyPair::generate(KeySize::Rsa2048).map_err(failed)?)
            }
            SigningAlgorithm::Es256 => {
                Pair::Elliptic(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
            SigningAlgorithm::Es384 => {
                Pair::Elliptic(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?)
            }
            SigningAlgorithm::EdDsa => Pair::Edwards(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Self::new(pair, Some(algorithm), None)
    }

    /// Its algorithm.
    pub fn alg(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its thumbprint (RFC 7638 §3), whatever its name.
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint()
    }

    /// The public half as a JWK (RFC 7517 §4), as it stands in a key set.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.members();
        jwk.insert("kid".into(), self.kid.as_str().into());
        jwk.insert("alg".into(), self.algorithm.as_str().into());
        jwk.insert("use".into(), "sig".into());
        Value::Object(jwk)
    }

    /// The public half with its required members alone, as a proof carries it (RFC 9449 §4.2).
    pub(super) fn bare_jwk(&self) -> Value {
        Value::Object(self.public.members())
    }

    /// The private half in PEM (PKCS#8, RFC 5958), to be kept.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] when it cannot be encoded, [`KeyError::Stays`] when it is in a token.
    pub fn to_pem(&self) -> Result<Secret, KeyError> {
        let failed = |_| KeyError::NotMade;
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                Ok(pem::write(der.as_ref()))
            }
            Pair::Elliptic(pair) => Ok(pem::write(pair.to_pkcs8v1().map_err(failed)?.as_ref())),
            Pair::Edwards(pair) => Ok(pem::write(pair.to_pkcs8v1().map_err(failed)?.as_ref())),
            Pair::Token(_) => Err(KeyError::Stays),
        }
    }

    fn new(pair: Pair, algorithm: Option<SigningAlgorithm>, kid: Option<String>) -> Result<Self, KeyError> {
        let public = pair.public()?;
        Self::with(pair, public, algorithm, kid)
    }

    fn with(
        pair: Pair,
        public: PublicKey,
        algorithm: Option<SigningAlgorithm>,
        kid: Option<String>,
    ) -> Result<Self, KeyError> {
        let (able, named): (&[SigningAlgorithm], _) = match &public {
            PublicKey::Rsa { .. } => (&[SigningAlgorithm::Rs256, SigningAlgorithm::Ps256], "`RS256` or `PS256`"),
            PublicKey::Elliptic { curve: "P-256", .. } => (&[SigningAlgorithm::Es256], "`ES256`"),
            PublicKey::Elliptic { .. } => (&[SigningAlgorithm::Es384], "`ES384`"),
            PublicKey::Edwards { .. } => (&[SigningAlgorithm::EdDsa], "`EdDSA`"),
        };
        let algorithm = match algorithm {
            None => able[0],
            Some(wanted) if able.contains(&wanted) => wanted,
            Some(wanted) => return Err(KeyError::Algorithm { wanted, able: named }),
        };
        let kid = kid.unwrap_or_else(|| public.thumbprint());
        Ok(Self { pair, algorithm, kid, public })
    }
}

impl Pair {
    fn read(der: &PrivateKeyDer<'_>) -> Result<Self, KeyError> {
        let curves = [&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING];
        let unknown = |_| KeyError::Unknown;
        match der {
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).map_err(unknown),
            PrivateKeyDer::Sec1(der) => curves
                .into_iter()
                .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der.secret_sec1_der()).ok())
                .map(Self::Elliptic)
                .ok_or(KeyError::Unknown),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                // The document says which kind it is, and each reader takes only its own.
                if let Ok(pair) = rsa::KeyPair::from_pkcs8(der) {
                    return Ok(Self::Rsa(pair));
                }
                if let Some(pair) = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_pkcs8(curve, der).ok()) {
                    return Ok(Self::Elliptic(pair));
                }
                Ed25519KeyPair::from_pkcs8(der).map(Self::Edwards).map_err(unknown)
            }
            _ => Err(KeyError::Unknown),
        }
    }

    fn public(&self) -> Result<PublicKey, KeyError> {
        match self {
            Self::Rsa(pair) => {
                let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
                let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
                Ok(PublicKey::Rsa { modulus, exponent })
            }
            Self::Elliptic(pair) => {
                let curve = if pair.algorithm() == &ECDSA_P256_SHA256_FIXED_SIGNING { "P-256" } else { "P-384" };
                PublicKey::of_point(curve, pair.public_key().as_ref()).ok_or(KeyError::Unknown)
            }
            Self::Edwards(pair) => Ok(PublicKey::Edwards { x: pair.public_key().as_ref().to_vec() }),
            // Was read when the key was found.
            Self::Token(_) => Err(KeyError::Unknown),
        }
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
