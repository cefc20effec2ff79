//! Public keys as JWKs, and their thumbprints.

use crate::ids::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// The public half of a key: exactly the members that RFC 7638 §3.2 and RFC 8037 §2 call required.
pub(super) enum PublicKey {
    /// RFC 7518 §6.3.1: big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// RFC 7518 §6.2.1: both coordinates in full length.
    Elliptic { curve: &'static str, x: Vec<u8>, y: Vec<u8> },
    /// RFC 8037 §2.
    Edwards { x: Vec<u8> },
}

impl PublicKey {
    /// The point of a curve in its uncompressed form (SEC 1 §2.3.3): 4, x, y.
    pub(super) fn of_point(curve: &'static str, point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4])?;
        let (x, y) = coordinates.split_at_checked(coordinates.len() / 2).filter(|(x, y)| x.len() == y.len())?;
        Some(Self::Elliptic { curve, x: x.to_vec(), y: y.to_vec() })
    }

    /// The required members, and no other.
    pub(super) fn members(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let value = match self {
            Self::Rsa { modulus, exponent } => json!({ "kty": "RSA", "n": text(modulus), "e": text(exponent) }),
            Self::Elliptic { curve, x, y } => json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) }),
            Self::Edwards { x } => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(x) }),
        };
        match value {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// SHA-256 of the required members in the order of their names, in base64url (RFC 7638 §3).
    pub(super) fn thumbprint(&self) -> String {
        let members = self.members();
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        // No value needs an escape: they are base64url and names of curves.
        let pairs: Vec<String> = names.into_iter().map(|name| format!("\"{name}\":{}", members[name])).collect();
        URL_SAFE_NO_PAD.encode(sha256(format!("{{{}}}", pairs.join(",")).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_rfc_7638() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                       oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\
                       zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44\
                       -csFCur-kEgU8awapJzKnqDKgw";
        let modulus = URL_SAFE_NO_PAD.decode(modulus.replace(char::is_whitespace, "")).unwrap();
        let key = PublicKey::Rsa { modulus, exponent: vec![1, 0, 1] };
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_thumbprint_of_rfc_8037() {
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(PublicKey::Edwards { x }.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 9449 §4.1's key and §6.1's `jkt` of it.
    #[test]
    fn the_thumbprint_of_rfc_9449() {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let key = PublicKey::Elliptic {
            curve: "P-256",
            x: decode("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"),
            y: decode("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"),
        };
        assert_eq!(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn a_point_is_split_only_where_it_is_whole() {
        assert!(PublicKey::of_point("P-256", &[4; 65]).is_some());
        for odd in [&[4_u8; 64][..], &[2; 65], &[]] {
            assert!(PublicKey::of_point("P-256", odd).is_none(), "{odd:?}");
        }
    }
}
