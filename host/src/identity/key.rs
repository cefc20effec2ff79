//! Keys of an identity provider: one JWK each, and the set of them.

use super::precheck::{Compact, MAX_KID_BYTES};
use super::rejected::{Rejected, shown};
use super::{Algorithm, roca, strict};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

/// A set with more keys is refused.
const MAX_KEYS: usize = 64;
/// AWS-LC verifies with RSA keys of these sizes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key that may verify with some algorithms, all of one family.
pub(super) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Vec<u8>,
    raw: DecodingKey,
}

impl Key {
    /// Reads one JWK (RFC 7517 §4), or says why it is of no use here.
    fn parse(jwk: &Value) -> Result<Self, String> {
        let jwk = jwk.as_object().ok_or("it is no object")?;
        if let Some(usage) = jwk.get("use")
            && usage != "sig"
        {
            return Err("its `use` is not `sig`".into());
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
        {
            return Err("its `key_ops` do not hold `verify`".into());
        }
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err("it shows its private part".into());
        }
        let kid = member(jwk, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err("its `kid` is longer than 256 bytes".into());
        }
        let (mut algorithms, material, raw) = match member(jwk, "kty")? {
            Some("RSA") => rsa(jwk)?,
            Some("EC") => elliptic(jwk)?,
            Some("OKP") => edwards(jwk)?,
            _ => return Err("its `kty` is none of `RSA`, `EC`, `OKP`".into()),
        };
        // A key that names its algorithm is used with no other, not even of its family.
        if let Some(alg) = member(jwk, "alg")? {
            let alg = Algorithm::parse(alg).map_err(|_| "its `alg` is no signature algorithm of ours")?;
            algorithms.retain(|fitting| *fitting == alg);
            if algorithms.is_empty() {
                return Err("its `alg` does not fit its type".into());
            }
        }
        Ok(Self { kid, algorithms, material, raw })
    }

    /// Whether this key signed it with this algorithm, which must be one of the key's.
    pub(super) fn check(&self, token: &Compact<'_>, algorithm: Algorithm) -> Result<(), Rejected> {
        let signed = token.signed.as_bytes();
        let good = self.algorithms.contains(&algorithm)
            && jsonwebtoken::crypto::verify(token.signature, signed, &self.raw, algorithm.raw()).unwrap_or(false);
        if good { Ok(()) } else { Err(Rejected::Signature) }
    }

    fn is(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithms == other.algorithms && self.material == other.material
    }

    fn could_be_taken_for(&self, other: &Self) -> bool {
        self.kid.is_some() && self.kid == other.kid && self.algorithms.iter().any(|alg| other.algorithms.contains(alg))
    }
}

/// Those keys of a JWK set (RFC 7517 §5) that we can use.
pub(super) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads each key by itself, so that an odd one does not take the others with it. Keys that cannot be told apart by
    /// their id are all left out: which of them is meant would be the order's choice.
    ///
    /// # Errors
    /// When it is no key set at all, or has more than 64 keys.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let members = strict::object(bytes)?;
        let list = members.get("keys").and_then(Value::as_array).ok_or("it has no list of `keys`")?;
        if list.len() > MAX_KEYS {
            return Err(format!("it has {} keys; {MAX_KEYS} are allowed", list.len()));
        }
        let mut keys: Vec<Key> = Vec::new();
        for (place, jwk) in list.iter().enumerate() {
            match Key::parse(jwk) {
                Ok(key) if keys.iter().any(|known| known.is(&key)) => {}
                Ok(key) => keys.push(key),
                Err(why) => tracing::debug!(place, why, "a key of an issuer is left out"),
            }
        }
        let twins: Vec<bool> =
            (0..keys.len()).map(|i| (0..keys.len()).any(|j| i != j && keys[i].could_be_taken_for(&keys[j]))).collect();
        let mut twins = twins.into_iter();
        keys.retain(|_| !twins.next().unwrap_or(false));
        Ok(Self { keys })
    }

    /// The one key that a token means.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Rejected> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithms.contains(&algorithm))
            .filter(|key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(Rejected::Key(format!("{} for `{algorithm}`", shown(kid.unwrap_or_default())))),
            (Some(_), Some(_)) => {
                Err(Rejected::Key(format!("that is the only one for `{algorithm}`; the token names none")))
            }
        }
    }

    /// Whether both hold the same keys, in whatever order.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len() && self.keys.iter().all(|key| other.keys.iter().any(|same| same.is(key)))
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

type Material = (Vec<Algorithm>, Vec<u8>, DecodingKey);

/// RFC 7518 §6.3.1, for keys that are neither short nor known to be weak.
fn rsa(jwk: &Map<String, Value>) -> Result<Material, String> {
    let modulus = unsigned(&bytes(jwk, "n")?);
    let exponent = unsigned(&bytes(jwk, "e")?);
    let bits = (modulus.len() * 8).saturating_sub(modulus.first().map_or(0, |first| first.leading_zeros() as usize));
    if !RSA_BITS.contains(&bits) {
        return Err(format!("its modulus has {bits} bits; 2048 to 8192 are allowed"));
    }
    if exponent != [1, 0, 1] {
        return Err("its exponent is not 65537".into());
    }
    if modulus.last().is_none_or(|last| last & 1 == 0) {
        return Err("its modulus is even".into());
    }
    if roca::marks(&modulus) {
        return Err("its modulus has the mark of CVE-2017-15361 (ROCA)".into());
    }
    let raw = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok((Algorithm::RSA.to_vec(), modulus, raw))
}

/// RFC 7518 §6.2.1. The point is checked to be on its curve.
fn elliptic(jwk: &Map<String, Value>) -> Result<Material, String> {
    let (algorithm, curve, length) = match member(jwk, "crv")? {
        Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err("its `crv` is neither `P-256` nor `P-384`".into()),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return Err("its coordinates do not have the length of its curve".into());
    }
    let point = [&[4][..], &x, &y].concat();
    ParsedPublicKey::new(curve, &point).map_err(|_| "its point is not on its curve")?;
    let raw = DecodingKey::from_ec_der(&point);
    Ok((vec![algorithm], point, raw))
}

/// RFC 8037 §2.
fn edwards(jwk: &Map<String, Value>) -> Result<Material, String> {
    if member(jwk, "crv")? != Some("Ed25519") {
        return Err("its `crv` is not `Ed25519`".into());
    }
    let point = bytes(jwk, "x")?;
    ParsedPublicKey::new(&ED25519, &point).map_err(|_| "its point is no Ed25519 key")?;
    let raw = DecodingKey::from_ed_der(&point);
    Ok((vec![Algorithm::EdDsa], point, raw))
}

fn member<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is no text")),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = member(jwk, name)?.ok_or_else(|| format!("it has no `{name}`"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its `{name}` is no base64url"))
}

/// Without leading zeros, which some providers write against RFC 7518 §2.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}
