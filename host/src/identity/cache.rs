//! Tokens that were verified lately.

use super::jwks::KeySource;
use super::precheck::LEEWAY;
use super::{Authorizer, Bearer, VerifiedUser};
use crate::clock::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// So many tokens are remembered; above, those that expired go first, then any eighth.
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

/// A user, and what must still be true for it to count.
#[derive(Clone)]
pub(super) struct Entry {
    pub user: Arc<VerifiedUser>,
    pub source: Arc<KeySource>,
    pub generation: u64,
}

#[derive(Default)]
pub(super) struct Cache(RwLock<HashMap<Name, Entry>>);

impl Cache {
    /// What was verified under this name, if it has not expired since. Whether its key still counts is the caller's to
    /// ask.
    pub(super) fn find(&self, name: &Name, now: Timestamp) -> Option<Entry> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).filter(|entry| entry.lives(now)).cloned()
    }

    pub(super) fn keep(&self, name: Name, entry: Entry, now: Timestamp) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| entry.lives(now));
        }
        if entries.len() >= MAX_ENTRIES {
            let mut place = 0_usize;
            entries.retain(|_, _| {
                place += 1;
                !place.is_multiple_of(8)
            });
        }
        entries.insert(name, entry);
    }
}

impl Entry {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.user.expires_at().plus(LEEWAY)
    }
}
