//! Algorithms that this host signs with.

use crate::ids::Malformed;

/// How a key signs (RFC 7518 §3.1, RFC 8037 §3.1). All are asymmetric; a key has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// From its `alg` name, which is case-sensitive.
    ///
    /// # Errors
    /// [`Malformed`] for `none`, the HMAC family and what we do not sign with.
    pub fn parse(name: &str) -> Result<Self, Malformed> {
        // RFC 9864 names the curve where RFC 8037 named the family.
        if name == "Ed25519" {
            return Ok(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or_else(|| {
            let shown: String = name.chars().take(32).collect();
            let known = Self::ALL.map(Self::as_str).join(", ");
            Malformed(format!("`{}` is nothing that this host signs with; use one of {known}", shown.escape_debug()))
        })
    }

    /// Its `alg` name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl std::fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
