//! What was verified lately, until it expires.

use super::{Authorizer, Bearer};
use crate::clock::Steady;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// So many tokens are remembered; above, those that are over go first, then any eighth.
const MAX_ENTRIES: usize = 10_000;

/// SHA-256 over the authorizer's serial number and the token: an entry is found only by who holds the whole token, and
/// only for the authorizer that admitted it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; 32]);

impl Name {
    pub(super) fn of(bearer: &Bearer, authorizer: &Authorizer) -> Self {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        hash.update(&authorizer.serial().to_le_bytes());
        hash.update(bearer.expose());
        let mut name = [0; 32];
        name.copy_from_slice(hash.finish().as_ref());
        Self(name)
    }
}

/// A bounded memory of values by the names of tokens. Looking takes a shared lock for as long as a clone takes.
pub(super) struct Cache<T>(RwLock<HashMap<Name, (Steady, T)>>);

impl<T: Clone> Cache<T> {
    pub(super) fn new() -> Self {
        Self(RwLock::default())
    }

    /// What is remembered under this name, if it has not expired since.
    pub(super) fn find(&self, name: &Name, now: Steady) -> Option<T> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).filter(|(over_at, _)| now < *over_at).map(|(_, value)| value.clone())
    }

    /// Remembers a value until then, unless room is needed.
    pub(super) fn keep(&self, name: Name, over_at: Steady, value: T, now: Steady) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, (over_at, _)| now < *over_at);
        }
        if entries.len() >= MAX_ENTRIES {
            let mut place = 0_usize;
            entries.retain(|_, _| {
                place += 1;
                !place.is_multiple_of(8)
            });
        }
        entries.insert(name, (over_at, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use std::time::Duration;

    fn name(number: u32) -> Name {
        Name(crate::ids::sha256(&number.to_le_bytes()))
    }

    fn kept(cache: &Cache<u32>) -> usize {
        cache.0.read().unwrap().len()
    }

    #[test]
    fn a_value_is_found_until_it_expires() {
        let cache = Cache::new();
        let begun = Clock::held(Timestamp::from_secs(0)).steady();
        let at = |seconds| begun.plus(Duration::from_secs(seconds));
        cache.keep(name(1), at(10), 1, at(0));
        assert_eq!(cache.find(&name(1), at(9)), Some(1));
        assert_eq!(cache.find(&name(1), at(10)), None);
        assert_eq!(cache.find(&name(2), at(9)), None);
    }

    #[test]
    fn it_does_not_grow_with_the_tokens() {
        let cache = Cache::new();
        let begun = Clock::held(Timestamp::from_secs(0)).steady();
        let at = |seconds| begun.plus(Duration::from_secs(seconds));
        for number in 0..30_000 {
            cache.keep(name(number), at(10), number, at(0));
            assert_eq!(cache.find(&name(number), at(0)), Some(number));
        }
        assert!((8_000..=MAX_ENTRIES).contains(&kept(&cache)), "{}", kept(&cache));
        // Once they have expired they all make room for the next.
        for number in 0..3_000 {
            cache.keep(name(100_000 + number), at(30), number, at(20));
        }
        assert!(kept(&cache) <= 3_000);
    }
}
