//! The plaintext of a row: an access token and, where the provider gave one, a refresh token.

use crate::secret::Secret;
use zeroize::Zeroizing;

/// Opened tokens. Wiped when dropped; no `Debug`.
pub(super) struct Tokens {
    plain: Secret,
    access: usize,
}

/// Version, length of the access token, both tokens one after the other. An empty refresh token is none.
const VERSION: u8 = 1;
const HEAD: usize = 5;

impl Tokens {
    pub(super) fn new(access: &Secret, refresh: Option<&Secret>) -> Self {
        let refresh = refresh.map_or(&[][..], Secret::expose);
        let mut plain = Zeroizing::new(Vec::with_capacity(HEAD + access.len() + refresh.len()));
        plain.push(VERSION);
        // Token replies are capped at 256 KiB.
        plain.extend_from_slice(&u32::try_from(access.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend_from_slice(access.expose());
        plain.extend_from_slice(refresh);
        Self { plain: Secret::new(std::mem::take(&mut *plain)), access: access.len() }
    }

    /// Reads what [`Tokens::plain`] gave; none for another form.
    pub(super) fn read(plain: Secret) -> Option<Self> {
        let (&[version, a, b, c, d], rest) = plain.expose().split_first_chunk::<HEAD>()?;
        let access = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        if version != VERSION || access > rest.len() {
            return None;
        }
        Some(Self { plain, access })
    }

    /// To be sealed.
    pub(super) fn plain(&self) -> &Secret {
        &self.plain
    }

    pub(super) fn access(&self) -> Secret {
        Secret::new(self.plain.expose()[HEAD..HEAD + self.access].to_vec())
    }

    pub(super) fn refresh(&self) -> Option<Secret> {
        self.renewable().then(|| Secret::new(self.plain.expose()[HEAD + self.access..].to_vec()))
    }

    /// Whether there is a refresh token.
    pub(super) fn renewable(&self) -> bool {
        self.plain.len() > HEAD + self.access
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went_in() {
        let (access, refresh) = (Secret::from_text("access".into()), Secret::from_text("refresh".into()));
        for with in [None, Some(&refresh)] {
            let tokens = Tokens::read(Secret::new(Tokens::new(&access, with).plain().expose().to_vec())).unwrap();
            assert!(tokens.access().matches(&access));
            assert_eq!(tokens.renewable(), with.is_some());
            assert_eq!(tokens.refresh().is_some_and(|r| r.matches(&refresh)), with.is_some());
        }
        for bad in [&[][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 0], &[1, 0, 0, 0, 9, b'x']] {
            assert!(Tokens::read(Secret::new(bad.to_vec())).is_none(), "{bad:?}");
        }
    }
}
