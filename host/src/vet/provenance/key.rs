//! Keys that sign components: Ed25519 (RFC 8032), and for verifying also ECDSA on P-256, which cosign makes.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// What stands before the key in a SubjectPublicKeyInfo (RFC 8410 §4; RFC 5480 §2.1.1 for an uncompressed point).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why something is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not in PEM, or something else in it.
    #[error("it holds no {0} in PEM; `attache sign --new-key NAME` makes a pair")]
    Pem(&'static str),
    /// Of another kind.
    #[error("it is of a kind that is not taken here: Ed25519 is, and for verifying ECDSA on P-256")]
    Kind,
    /// The system gave no randomness, or the library refused.
    #[error("no key could be made")]
    Made,
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ed25519,
    P256,
}

impl PublicKey {
    /// From `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem("public key"))?;
        let spki = spki.as_ref().to_vec();
        let kind = match () {
            () if spki.starts_with(ED25519_SPKI) && spki.len() == ED25519_SPKI.len() + 32 => Kind::Ed25519,
            () if spki.starts_with(P256_SPKI) && spki.len() == P256_SPKI.len() + 65 => Kind::P256,
            () => return Err(KeyError::Kind),
        };
        Ok(Self { spki, kind })
    }

    /// `sha256:…` of its SubjectPublicKeyInfo.
    pub fn id(&self) -> String {
        crate::vet::name_of(&self.spki)
    }

    /// Whether its owner signed this.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            Kind::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, &self.spki[ED25519_SPKI.len()..]).verify(message, signature)
            }
            Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.spki[P256_SPKI.len()..])
                .verify(message, signature),
        }
        .is_ok()
    }
}

/// A key that signs: Ed25519. No `Debug`, no `Clone`.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::Made`].
    pub fn generate() -> Result<Self, KeyError> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| KeyError::Made)
    }

    /// From `-----BEGIN PRIVATE KEY-----` (PKCS #8).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem("private key"))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| KeyError::Kind)
    }

    /// As PKCS #8 in PEM. For a file that only its owner reads.
    ///
    /// # Errors
    /// [`KeyError::Made`].
    pub fn to_pem(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        let der = self.0.to_pkcs8v1().map_err(|_| KeyError::Made)?;
        Ok(pem("PRIVATE KEY", der.as_ref()).into())
    }

    /// The public half, in PEM.
    ///
    /// # Errors
    /// [`KeyError::Made`].
    pub fn public_pem(&self) -> Result<String, KeyError> {
        let der = self.0.public_key().as_der().map_err(|_| KeyError::Made)?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    /// The public half.
    ///
    /// # Errors
    /// [`KeyError::Made`].
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_pem(&self.public_pem()?)
    }

    /// Signs bytes as they are.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
