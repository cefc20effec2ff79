//! Private keys in PEM (RFC 7468), read and written without leaving copies behind.

use super::KeyError;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::{Zeroize as _, Zeroizing};

/// Private keys in DER, wiped when dropped.
pub(super) struct Wiped(Vec<PrivateKeyDer<'static>>);

impl std::ops::Deref for Wiped {
    type Target = [PrivateKeyDer<'static>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(PrivateKeyDer::zeroize);
    }
}

/// Every private key of a text; certificates and public keys beside them are passed over. At least one.
pub(super) fn read(pem: &Secret) -> Result<Wiped, KeyError> {
    let mut keys = Wiped(Vec::new());
    for key in PrivateKeyDer::pem_slice_iter(pem.expose()) {
        keys.0.push(key.map_err(|_| KeyError::NoKey)?);
    }
    if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(keys) }
}

/// A PKCS#8 document as text, 64 characters a line (RFC 7468 §2, §10).
pub(super) fn write(pkcs8: &[u8]) -> Secret {
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    // In full from the start: a buffer that grows leaves its old bytes behind.
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 64 + 64);
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Secret::from_text(text)
}
