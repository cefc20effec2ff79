//! Workload access tokens: what the engine side presents for every credential call.

use super::Binding;
use crate::clock::{Clock, Steady};
use crate::ids::{fill_random, sha256};
use crate::sync::{Arc, PoisonError, RwLock};
use std::collections::HashMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// No token lives longer.
const MAX_LIFE: Duration = Duration::from_secs(10 * 60);
/// So many locks, so that invocations rarely meet at one.
const SHARDS: usize = 16;

/// An opaque token, 256 random bits, that stands for one binding while its invocation runs.
///
/// It never enters guest memory and never leaves our own services. No `Debug`, no `Clone`, no way to its bytes but
/// [`WatTable::resolve`] and, between the host and the worker that runs its invocation, the two below.
pub struct WorkloadAccessToken(Zeroizing<[u8; 32]>);

/// The live tokens of this host, by their SHA-256: whoever reads the table learns no token.
pub struct WatTable {
    clock: Clock,
    shards: [RwLock<HashMap<[u8; 32], Entry>>; SHARDS],
}

struct Entry {
    binding: Arc<Binding>,
    over_at: Steady,
}

/// The life of a token: dropping it revokes the token at once.
#[must_use = "dropping it revokes the token"]
pub struct Live {
    table: Arc<WatTable>,
    name: [u8; 32],
}

impl WorkloadAccessToken {
    /// For the worker that runs its invocation, and for nobody else.
    pub(crate) fn to_worker(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// As a worker presents it: a claim, of which only [`WatTable::resolve`] knows whether it stands for anything.
    pub(crate) fn presented(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl WatTable {
    /// Without tokens.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, shards: Default::default() })
    }

    /// A token for this binding, for at most ten minutes whatever `ttl` says, and what keeps it alive.
    pub fn mint(self: &Arc<Self>, binding: Arc<Binding>, ttl: Duration) -> (WorkloadAccessToken, Live) {
        let mut token = Zeroizing::new([0; 32]);
        fill_random(token.as_mut_slice());
        let name = sha256(token.as_slice());
        let over_at = self.clock.steady().plus(ttl.min(MAX_LIFE));
        let mut shard = self.shard(&name).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert(name, Entry { binding, over_at });
        drop(shard);
        (WorkloadAccessToken(token), Live { table: self.clone(), name })
    }

    /// Whom it stands for; none where it is unknown, expired or revoked.
    pub fn resolve(&self, wat: &WorkloadAccessToken) -> Option<Arc<Binding>> {
        let name = sha256(wat.0.as_slice());
        let now = self.clock.steady();
        let shard = self.shard(&name).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&name).filter(|entry| now < entry.over_at).map(|entry| entry.binding.clone())
    }

    /// How many have been minted and not revoked.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, name: &[u8; 32]) -> &RwLock<HashMap<[u8; 32], Entry>> {
        &self.shards[usize::from(name[0]) % SHARDS]
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let entry = self.table.shard(&self.name).write().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        // The binding may be the last reference to the user's token: wiped here, outside the lock.
        drop(entry);
    }
}
