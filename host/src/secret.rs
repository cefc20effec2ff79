//! Bytes that must not be seen: zeroized when dropped, and with one way out.

use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A token, key or password.
///
/// It has no `Debug`, `Display`, `Clone` or `Serialize`; [`Secret::expose`] is its one exit, so a search for `expose` is
/// the review. Share it with [`Arc`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<[u8]>);

/// A secret that several owners hold.
pub type SharedSecret = Arc<Secret>;

impl Secret {
    /// Takes the bytes over. The vector's spare capacity is wiped with it.
    pub fn new(bytes: Vec<u8>) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(bytes.as_slice().into())
    }

    /// Takes text over, as [`Secret::new`] does.
    pub fn from_text(text: String) -> Self {
        Self::new(text.into_bytes())
    }

    /// 32 bytes from the system's generator, in base64url: 256 bits, URL-safe.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        crate::ids::fill_random(bytes.as_mut_slice());
        use base64::Engine as _;
        Self::from_text(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice()))
    }

    /// The bytes themselves. Every caller is a place to review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, or none where they are not UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Constant-time comparison.
    pub fn matches(&self, other: &Secret) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.ct_eq(&other.0).into()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
