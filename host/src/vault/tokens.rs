//! The plaintext of a row: an access token and, where the provider gave one, a refresh token; for tokens that are bound to a
//! key (RFC 9449), that key.

use crate::jose::DpopKey;
use crate::oauth::{Holder, TokenSet, TokenType};
use crate::seal::SealError;
use crate::secret::Secret;
use zeroize::Zeroizing;

/// Opened tokens. Wiped when dropped; no `Debug`.
pub(super) struct Tokens {
    plain: Secret,
    /// Where the access token begins.
    at: usize,
    access: usize,
    refresh: usize,
}

/// Version, kind, length of the access token, length of the refresh token; with [`OF_A_HOLDER`] whose they are; then both
/// and the key. What is empty is not there.
const VERSION: u8 = 2;
const OF_A_HOLDER: u8 = 3;
const HEAD: usize = 10;
const BEARER: u8 = 0;
const DPOP: u8 = 1;

impl Tokens {
    /// Of an answer, with the refresh token that counts from now on, the holder that it has had so far, and the key
    /// that both may be bound to.
    pub(super) fn of(
        answer: &TokenSet,
        refresh: Option<&Secret>,
        holder: Option<Holder>,
        key: Option<&DpopKey>,
    ) -> Result<Self, SealError> {
        let key = key.map(DpopKey::to_secret).transpose().map_err(|_| SealError::Failed)?;
        Ok(Self::new(answer.token_type, &answer.access, refresh, holder.or(answer.holder), key.as_ref()))
    }

    fn new(
        kind: TokenType,
        access: &Secret,
        refresh: Option<&Secret>,
        holder: Option<Holder>,
        key: Option<&Secret>,
    ) -> Self {
        let refresh = refresh.map_or(&[][..], Secret::expose);
        let key = key.map_or(&[][..], Secret::expose);
        let of = holder.as_ref().map_or(&[][..], |holder| &holder[..]);
        let at = HEAD + of.len();
        let mut plain = Zeroizing::new(Vec::with_capacity(at + access.len() + refresh.len() + key.len()));
        plain.push(if holder.is_some() { OF_A_HOLDER } else { VERSION });
        plain.push(match kind {
            TokenType::Bearer => BEARER,
            TokenType::Dpop => DPOP,
        });
        // Token replies are capped at 256 KiB.
        plain.extend_from_slice(&u32::try_from(access.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend_from_slice(&u32::try_from(refresh.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend_from_slice(of);
        plain.extend_from_slice(access.expose());
        plain.extend_from_slice(refresh);
        plain.extend_from_slice(key);
        Self { plain: Secret::new(std::mem::take(&mut *plain)), at, access: access.len(), refresh: refresh.len() }
    }

    /// Reads what [`Tokens::plain`] gave; none for another form.
    pub(super) fn read(plain: Secret) -> Option<Self> {
        let (&[version, kind, a, b, c, d, e, f, g, h], rest) = plain.expose().split_first_chunk::<HEAD>()?;
        let access = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let refresh = usize::try_from(u32::from_be_bytes([e, f, g, h])).ok()?;
        let of = match version {
            VERSION => 0,
            OF_A_HOLDER => size_of::<Holder>(),
            _ => return None,
        };
        if ![BEARER, DPOP].contains(&kind) || access.checked_add(refresh)?.checked_add(of)? > rest.len() {
            return None;
        }
        Some(Self { plain, at: HEAD + of, access, refresh })
    }

    /// To be sealed.
    pub(super) fn plain(&self) -> &Secret {
        &self.plain
    }

    /// How the access token is used.
    pub(super) fn kind(&self) -> TokenType {
        if self.plain.expose()[1] == DPOP { TokenType::Dpop } else { TokenType::Bearer }
    }

    /// Whose they are, where the provider has said.
    pub(super) fn holder(&self) -> Option<Holder> {
        self.plain.expose()[HEAD..self.at].try_into().ok()
    }

    pub(super) fn access(&self) -> Secret {
        Secret::new(self.plain.expose()[self.at..self.at + self.access].to_vec())
    }

    pub(super) fn refresh(&self) -> Option<Secret> {
        let at = self.at + self.access;
        self.renewable().then(|| Secret::new(self.plain.expose()[at..at + self.refresh].to_vec()))
    }

    /// The key that the tokens are bound to, as it serializes itself.
    pub(super) fn key(&self) -> Option<Secret> {
        let key = &self.plain.expose()[self.at + self.access + self.refresh..];
        (!key.is_empty()).then(|| Secret::new(key.to_vec()))
    }

    /// Whether there is a refresh token.
    pub(super) fn renewable(&self) -> bool {
        self.refresh > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went_in() {
        let [access, refresh, key] = ["access", "refresh", "key"].map(|text| Secret::from_text(text.into()));
        for (with, bound) in [(None, None), (Some(&refresh), None), (None, Some(&key)), (Some(&refresh), Some(&key))] {
            let kind = if bound.is_some() { TokenType::Dpop } else { TokenType::Bearer };
            for holder in [None, Some([7; 32])] {
                let plain = Tokens::new(kind, &access, with, holder, bound).plain().expose().to_vec();
                let tokens = Tokens::read(Secret::new(plain)).unwrap();
                assert_eq!((tokens.kind(), tokens.holder()), (kind, holder));
                assert!(tokens.access().matches(&access));
                assert_eq!(tokens.renewable(), with.is_some());
                assert_eq!(tokens.refresh().is_some_and(|r| r.matches(&refresh)), with.is_some());
                assert_eq!(tokens.key().is_some_and(|k| k.matches(&key)), bound.is_some());
            }
        }
        for bad in [
            &[][..],
            &[2, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0, 1, 0, 0, 0, 1, b'x'],
            &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'x'],
        ] {
            assert!(Tokens::read(Secret::new(bad.to_vec())).is_none(), "{bad:?}");
        }
        let most = [2, 0, 255, 255, 255, 255, 255, 255, 255, 255, b'x'];
        assert!(Tokens::read(Secret::new(most.to_vec())).is_none());
    }
}
