//! Sealing: AES-256-GCM under a fresh data key per row, itself sealed under a key of the ring.
//!
//! Both layers authenticate the same associated data and the header, so neither a row nor its wrapped key can be moved.
//! No function here takes a nonce: each is drawn at random when something is sealed. A data key seals once; a ring key
//! stays far below the 2^32 random nonces that NIST SP 800-38D §8.3 allows it.

use super::keyring::KeyRing;
use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of an AES-256 key.
pub(super) const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;
const VERSION: u8 = 1;

/// Which layer a ciphertext belongs to, so that a wrapped key never passes for data.
const WRAP: u8 = 1;
const DATA: u8 = 2;

/// Seals and opens under a key ring. Stateless; both take about a microsecond.
pub struct Sealer {
    ring: Arc<KeyRing>,
}

/// Why sealed bytes did not open, or nothing could be sealed. Says nothing of the contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are no sealed row of a version that this host reads.
    #[error("a sealed row is not in a form that this version reads; restore it from a backup")]
    Unreadable,
    /// The key that sealed it is gone.
    #[error(
        "a row was sealed with key `{0}`, which the key ring does not have; restore the key ring that belongs to this data"
    )]
    UnknownKey(String),
    /// It was sealed for another key, or was changed.
    #[error("a sealed row does not open: it was changed, or belongs elsewhere")]
    DoesNotOpen,
    /// The cipher failed.
    #[error("nothing could be sealed; try again")]
    Failed,
}

impl Sealer {
    /// Over this ring.
    pub fn new(ring: Arc<KeyRing>) -> Self {
        Self { ring }
    }

    /// Seals under a fresh data key, bound to these parts. The parts are length-prefixed, so `["ab", "c"]` and
    /// `["a", "bc"]` differ.
    ///
    /// # Errors
    /// [`SealError::Failed`] when the cipher fails.
    pub fn seal(&self, associated: &[&[u8]], plain: &Secret) -> Result<Vec<u8>, SealError> {
        let ring_key = self.ring.active();
        let header = header(&ring_key.id);
        let mut bound = Associated::of(&header, associated);

        let mut data_key = Zeroizing::new([0u8; KEY_LEN]);
        crate::ids::fill_random(data_key.as_mut_slice());
        let (wrap_nonce, wrapped) = close_box(&ring_key.cipher, bound.layer(WRAP), data_key.as_slice())?;
        let data_key = cipher(data_key.as_slice())?;
        let (nonce, sealed) = close_box(&data_key, bound.layer(DATA), plain.expose())?;

        let mut out = header;
        out.reserve_exact(2 * NONCE_LEN + wrapped.len() + sealed.len());
        out.extend_from_slice(&wrap_nonce);
        out.extend_from_slice(&wrapped);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens what [`Sealer::seal`] made, for the same parts.
    ///
    /// # Errors
    /// [`SealError`]; the same for a changed row and for one that belongs elsewhere.
    pub fn open(&self, associated: &[&[u8]], sealed: &[u8]) -> Result<Secret, SealError> {
        let row = Sealed::parse(sealed)?;
        let ring_key = self.ring.key(row.key_id).ok_or_else(|| SealError::UnknownKey(row.key_id.to_owned()))?;
        let mut bound = Associated::of(row.header, associated);

        let mut wrapped = Zeroizing::new([0u8; WRAPPED_LEN]);
        wrapped.copy_from_slice(row.wrapped);
        let data_key = cipher(open_box(&ring_key.cipher, row.wrap_nonce, bound.layer(WRAP), wrapped.as_mut_slice())?)?;
        let mut data = row.data.to_vec();
        let len = match open_box(&data_key, row.nonce, bound.layer(DATA), &mut data) {
            Ok(plain) => plain.len(),
            Err(error) => return Err(error),
        };
        data.truncate(len);
        Ok(Secret::new(data))
    }

    /// The id of the key that seals now.
    pub fn active_id(&self) -> String {
        self.ring.active_id()
    }

    /// Whether these bytes were sealed under another key than the active one. What is not readable is not.
    pub fn is_stale(&self, sealed: &[u8]) -> bool {
        Sealed::parse(sealed).is_ok_and(|row| row.key_id != self.ring.active().id)
    }

    /// Whether the ring has the key that this row needs. Opens nothing.
    ///
    /// # Errors
    /// [`SealError::Unreadable`] or [`SealError::UnknownKey`].
    pub fn check(&self, sealed: &[u8]) -> Result<(), SealError> {
        let row = Sealed::parse(sealed)?;
        match self.ring.key(row.key_id) {
            Some(_) => Ok(()),
            None => Err(SealError::UnknownKey(row.key_id.to_owned())),
        }
    }
}

/// The form of sealed bytes: version, key id, wrapped data key with its nonce, data with its nonce. Proves nothing.
pub struct Sealed<'a> {
    header: &'a [u8],
    key_id: &'a str,
    wrap_nonce: &'a [u8],
    wrapped: &'a [u8],
    nonce: &'a [u8],
    data: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads the form.
    ///
    /// # Errors
    /// [`SealError::Unreadable`] for another version or truncated bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SealError> {
        Self::split(bytes).ok_or(SealError::Unreadable)
    }

    /// The id of the ring key that it was sealed under.
    pub fn key_id(&self) -> &str {
        self.key_id
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, id_len], _) = bytes.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        let (header, rest) = bytes.split_at_checked(2 + usize::from(id_len))?;
        let key_id = std::str::from_utf8(&header[2..]).ok()?;
        let (wrap_nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED_LEN)?;
        let (nonce, data) = rest.split_at_checked(NONCE_LEN)?;
        (data.len() >= TAG_LEN).then_some(Self { header, key_id, wrap_nonce, wrapped, nonce, data })
    }
}

fn header(id: &str) -> Vec<u8> {
    // Ring ids are at most 64 bytes.
    let mut header = vec![VERSION, u8::try_from(id.len()).unwrap_or(u8::MAX)];
    header.extend_from_slice(id.as_bytes());
    header
}

/// Associated data of both layers, built once.
struct Associated(Vec<u8>);

impl Associated {
    fn of(header: &[u8], parts: &[&[u8]]) -> Self {
        let size = parts.iter().map(|part| part.len() + 8).sum::<usize>() + header.len() + 16;
        let mut bytes = Vec::with_capacity(size);
        bytes.push(0);
        push_part(&mut bytes, header);
        for part in parts {
            push_part(&mut bytes, part);
        }
        Self(bytes)
    }

    fn layer(&mut self, layer: u8) -> &[u8] {
        self.0[0] = layer;
        &self.0
    }
}

/// Length-prefixed with 64 bits: no two lists of parts have the same bytes.
pub fn push_part(into: &mut Vec<u8>, part: &[u8]) {
    into.extend_from_slice(&(part.len() as u64).to_be_bytes());
    into.extend_from_slice(part);
}

/// A cipher from 32 bytes.
pub(super) fn cipher(key: &[u8]) -> Result<RandomizedNonceKey, SealError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| SealError::Failed)
}

fn close_box(key: &RandomizedNonceKey, bound: &[u8], plain: &[u8]) -> Result<([u8; NONCE_LEN], Vec<u8>), SealError> {
    // Room for the tag, so that the plaintext is not left behind by a reallocation.
    let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_LEN));
    bytes.extend_from_slice(plain);
    let tag = key.seal_in_place_separate_tag(Aad::from(bound), bytes.as_mut_slice()).map_err(|_| SealError::Failed)?;
    let (nonce, tag) = tag;
    bytes.extend_from_slice(tag.as_ref());
    Ok((*nonce.as_ref(), std::mem::take(&mut *bytes)))
}

fn open_box<'b>(
    key: &RandomizedNonceKey,
    nonce: &[u8],
    bound: &[u8],
    bytes: &'b mut [u8],
) -> Result<&'b mut [u8], SealError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Unreadable)?;
    key.open_in_place(nonce, Aad::from(bound), bytes).map_err(|_| SealError::DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sealer(ring: KeyRing) -> Sealer {
        Sealer::new(Arc::new(ring))
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_parts_and_no_others() {
        let sealer = sealer(KeyRing::ephemeral());
        let sealed = sealer.seal(&[b"ab", b"c"], &Secret::from_text("token".into())).unwrap();
        assert_eq!(sealer.open(&[b"ab", b"c"], &sealed).ok().unwrap().expose(), b"token");
        let others: [&[&[u8]]; 6] = [&[b"a", b"bc"], &[b"abc"], &[b"ab", b"c", b""], &[b"ab"], &[b"c", b"ab"], &[]];
        for other in others {
            assert_eq!(sealer.open(other, &sealed).err(), Some(SealError::DoesNotOpen), "{other:?}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealer = sealer(KeyRing::ephemeral());
        let sealed = sealer.seal(&[b"row"], &Secret::from_text("token".into())).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(sealer.open(&[b"row"], &changed).is_err(), "byte {at} bit {bit}");
            }
            assert!(sealer.open(&[b"row"], &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_text_never_seals_to_the_same_bytes() {
        let sealer = sealer(KeyRing::ephemeral());
        let plain = Secret::from_text("token".into());
        let all: std::collections::HashSet<_> = (0..1000).map(|_| sealer.seal(&[], &plain).unwrap()).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|sealed| !sealed.windows(5).any(|w| w == b"token")));
    }

    #[test]
    fn a_wrapped_key_cannot_be_grafted_onto_another_row() {
        let sealer = sealer(KeyRing::ephemeral());
        let plain = Secret::from_text("token".into());
        let (one, two) = (sealer.seal(&[b"1"], &plain).unwrap(), sealer.seal(&[b"2"], &plain).unwrap());
        let border = Sealed::parse(&one).unwrap().header.len() + NONCE_LEN + WRAPPED_LEN;
        let grafted = [&one[..border], &two[border..]].concat();
        assert!(sealer.open(&[b"1"], &grafted).is_err());
        assert!(sealer.open(&[b"2"], &grafted).is_err());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let plain = Secret::from_text("token".into());
        let sealed = sealer(KeyRing::ephemeral()).seal(&[], &plain).unwrap();
        let id = Sealed::parse(&sealed).unwrap().key_id().to_owned();
        let other = sealer(KeyRing::ephemeral());
        assert_eq!(other.open(&[], &sealed).err(), Some(SealError::UnknownKey(id.clone())));
        assert_eq!(other.check(&sealed), Err(SealError::UnknownKey(id)));
    }

    /// Wycheproof: every AES-256 case with a 96-bit nonce and a 128-bit tag, the only form that we seal.
    #[test]
    fn wycheproof_agrees() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/wycheproof/aes_gcm_test.json");
        let suite: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in suite["testGroups"].as_array().unwrap() {
            if group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128 {
                continue;
            }
            for case in group["tests"].as_array().unwrap() {
                let field = |name: &str| bytes_of(case[name].as_str().unwrap());
                let mut data = [field("ct"), field("tag")].concat();
                let opened = open_box(&cipher(&field("key")).unwrap(), &field("iv"), &field("aad"), &mut data);
                if case["result"] == "valid" {
                    valid += 1;
                    assert_eq!(opened.unwrap(), field("msg"), "tc {}", case["tcId"]);
                } else {
                    invalid += 1;
                    assert!(opened.is_err(), "tc {}", case["tcId"]);
                }
            }
        }
        assert_eq!((valid, invalid), (39, 27));
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }
}
