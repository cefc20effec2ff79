//! A private key that stays in a hardware token: PKCS #11 (OASIS, version 2.40 and later).
//!
//! The vendor's module is loaded into this process, so whoever can write that file is this host.

use super::jwk::PublicKey;
use super::{KeyError, SigningAlgorithm};
use crate::secret::Secret;
use aws_lc_rs::digest;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// DER of the object identifiers of P-256 and P-384 (RFC 5480 §2.1.1.1).
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22];

/// Where a key is: the module to load, the token and the key by their labels, and the user's PIN.
pub struct TokenKey {
    /// The vendor's shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The private key's label, which no other private key of the token has.
    pub key: String,
    /// The PIN.
    pub pin: Arc<Secret>,
}

/// A key that was found. One signature at a time: a session is one conversation (PKCS #11 §2.6).
pub(super) struct Found {
    at: TokenKey,
    open: Mutex<Option<Open>>,
}

struct Open {
    session: Session,
    key: ObjectHandle,
}

impl TokenKey {
    /// Opens the token and reads the public half. Blocks for as long as the hardware takes.
    pub(super) fn find(self) -> Result<(Found, PublicKey), KeyError> {
        let open = self.open()?;
        let public = self.public(&open)?;
        Ok((Found { at: self, open: Mutex::new(Some(open)) }, public))
    }

    fn open(&self) -> Result<Open, KeyError> {
        let module = module(&self.module)?;
        let slots =
            module.get_slots_with_initialized_token().map_err(|error| self.failed("cannot be listed", &error))?;
        let mut named = slots
            .into_iter()
            .filter(|slot| module.get_token_info(*slot).is_ok_and(|token| token.label() == self.token));
        let slot = match (named.next(), named.next()) {
            (Some(slot), None) => slot,
            (None, _) => return Err(self.wrong("is not there; compare its label with `token`")),
            (Some(_), Some(_)) => return Err(self.wrong("is not the only one of that label; name them apart")),
        };
        let session = module.open_ro_session(slot).map_err(|error| self.failed("opens no session", &error))?;
        let pin = self.pin.expose_text().ok_or_else(|| self.wrong("has no PIN that is text"))?;
        match session.login(UserType::User, Some(&AuthPin::from(pin.to_owned()))) {
            // Logging in is for the whole process (PKCS #11 §5.6); another key of this token did it.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(self.failed("does not take the PIN", &error)),
        }
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(self.key.clone().into_bytes())];
        let found = session.find_objects(&wanted).map_err(|error| self.failed("cannot be searched", &error))?;
        match found[..] {
            [key] => Ok(Open { session, key }),
            [] => Err(self.wrong(&format!("has no private key `{}`; compare its label with `key`", self.key))),
            _ => Err(self.wrong(&format!("has several private keys `{}`; name them apart", self.key))),
        }
    }

    fn public(&self, open: &Open) -> Result<PublicKey, KeyError> {
        let read = |object, wanted: &[AttributeType]| {
            open.session.get_attributes(object, wanted).map_err(|error| self.failed("cannot be read", &error))
        };
        let mut kind = None;
        let mut id = None;
        for attribute in read(open.key, &[AttributeType::KeyType, AttributeType::Id])? {
            match attribute {
                Attribute::KeyType(found) => kind = Some(found),
                Attribute::Id(found) => id = Some(found),
                _ => {}
            }
        }
        // The public half is an object of its own that shares the id (PKCS #11 §4.8).
        let wanted = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id.unwrap_or_default())];
        let found = open.session.find_objects(&wanted).map_err(|error| self.failed("cannot be searched", &error))?;
        let [object] = found[..] else {
            return Err(self.wrong(&format!(
                "has not exactly one public key with the id of `{}`; import it beside the private one",
                self.key
            )));
        };
        let unknown = || KeyError::Unknown;
        let attributes = match kind {
            Some(KeyType::RSA) => read(object, &[AttributeType::Modulus, AttributeType::PublicExponent])?,
            Some(KeyType::EC) => read(object, &[AttributeType::EcParams, AttributeType::EcPoint])?,
            _ => return Err(unknown()),
        };
        let [first, second] = <[Attribute; 2]>::try_from(attributes).map_err(|_| unknown())?;
        match (first, second) {
            (Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)) => {
                let plain = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                let (modulus, exponent) = (plain(modulus), plain(exponent));
                // The hardware may hold what we would not read from a file: at least 2048 bits (RFC 7518 §3.3).
                let long = matches!(modulus.len(), 256..=1024) && (modulus.len() > 256 || modulus[0] & 0x80 != 0);
                if long { Ok(PublicKey::Rsa { modulus, exponent }) } else { Err(unknown()) }
            }
            (Attribute::EcParams(curve), Attribute::EcPoint(point)) => {
                let curve = match &curve[..] {
                    P256 => "P-256",
                    P384 => "P-384",
                    _ => return Err(unknown()),
                };
                // An OCTET STRING around the point; the length of either fits into one byte.
                let point = point.strip_prefix(&[4]).and_then(|rest| rest.split_first()).ok_or_else(unknown)?;
                PublicKey::of_point(curve, point.1).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    fn failed(&self, what: &str, error: &Error) -> KeyError {
        // The name of the return code says enough; the library's own sentence is a page of the standard.
        let why = match error {
            Error::Pkcs11(code, _) => format!("{code:?}"),
            error => error.to_string(),
        };
        self.wrong(&format!("{what}: {why}"))
    }

    fn wrong(&self, why: &str) -> KeyError {
        KeyError::Token { token: self.token.clone(), why: why.to_owned() }
    }
}

impl Found {
    /// Signs, and where the token does not answer, opens it once more: it may have been taken out and put back.
    pub(super) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signature) = open.as_ref().and_then(|open| open.sign(algorithm, message)) {
            return Some(signature);
        }
        *open = None;
        match self.at.open() {
            Ok(again) => open.insert(again).sign(algorithm, message),
            Err(error) => {
                tracing::warn!(%error, "a key in a token does not sign");
                None
            }
        }
    }
}

impl Open {
    fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let sign = |mechanism, data: &[u8]| self.session.sign(&mechanism, self.key, data).ok();
        match algorithm {
            SigningAlgorithm::Rs256 => sign(Mechanism::Sha256RsaPkcs, message),
            SigningAlgorithm::Ps256 => {
                let salt =
                    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() };
                sign(Mechanism::Sha256RsaPkcsPss(salt), message)
            }
            // Hashed here: not every token hashes for ECDSA. The signature comes in JWA's form (PKCS #11 §2.3.1).
            SigningAlgorithm::Es256 => sign(Mechanism::Ecdsa, digest::digest(&digest::SHA256, message).as_ref()),
            SigningAlgorithm::Es384 => sign(Mechanism::Ecdsa, digest::digest(&digest::SHA384, message).as_ref()),
            SigningAlgorithm::EdDsa => None,
        }
    }
}

/// A module is initialised once per process (PKCS #11 §5.4), however many keys it holds.
fn module(path: &Path) -> Result<Pkcs11, KeyError> {
    static LOADED: Mutex<Option<HashMap<PathBuf, Pkcs11>>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_default();
    if let Some(module) = loaded.get(path) {
        return Ok(module.clone());
    }
    let failed = |error: &dyn std::fmt::Display| KeyError::Module { module: path.to_owned(), why: error.to_string() };
    let module = Pkcs11::new(path).map_err(|error| failed(&error))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(&error)),
    }
    loaded.insert(path.to_owned(), module.clone());
    Ok(module)
}
