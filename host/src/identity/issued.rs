//! Workload access tokens of the API: what a workload that runs elsewhere holds, and presents for every credential.
//!
//! Another kind than [`super::WorkloadAccessToken`], which stands for a running invocation and never leaves the host: of
//! another type, over another table. Neither can be presented as the other.

use super::{Binding, User};
use crate::clock::{Clock, Steady, Timestamp};
use crate::ids::{AgentName, Malformed, UserId, WatId, sha256};
use crate::secret::Secret;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

/// How every token of the API begins, so that people and scanners of leaks know it.
const PREFIX: &str = "wat_";
/// 256 bits in base64url.
const RANDOM_CHARS: usize = 43;
/// No token lives longer.
const MAX_LIFE: Duration = Duration::from_secs(60 * 60);
/// Live tokens of one workload for one user; the oldest makes room.
const MOST_PER_OWNER: usize = 1024;
/// So many locks, so that callers rarely meet at one.
const SHARDS: usize = 16;
/// How often tokens that expired are forgotten when nobody asks for a new one.
const SWEEP: Duration = Duration::from_secs(60);

/// A token as somebody sent it. It proves nothing until [`IssuedWats::resolve`] knows it.
///
/// It holds the SHA-256 of the text, not the text.
pub struct PresentedWat([u8; 32]);

impl PresentedWat {
    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed`] for what no token of this host can be. It never repeats what was sent.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let random = text.strip_prefix(PREFIX).unwrap_or_default();
        if random.len() != RANDOM_CHARS || !random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(Malformed("this is no workload access token; get one with `GetWorkloadAccessToken`".into()));
        }
        Ok(Self(sha256(text.as_bytes())))
    }

    /// By which it is named where the token itself must not stand.
    pub fn id(&self) -> WatId {
        id_of(&self.0)
    }
}

/// What may be told of a token. Never the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedFacts {
    /// By which it is named and revoked. Not a secret.
    pub id: WatId,
    /// Of which workload.
    pub workload: AgentName,
    /// For whom; none where the workload acts for itself.
    pub user: Option<UserId>,
    /// Whether a token of the user proved who they are; otherwise the workload's word was taken.
    pub verified: bool,
    /// Who asked for it, as the audit trail names them.
    pub by: String,
    /// When.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why no token is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("agent `{0}` runs on this host, which gives its tokens to nobody; invoke the agent instead")]
pub struct RunsHere(pub AgentName);

/// The live tokens of the API, by their SHA-256: whoever reads the table learns no token.
///
/// In memory: a restart ends them all. Resolving takes one shared lock of sixteen; minting and revoking meet at one more.
/// Whether what a token stands for may still do anything is asked of the directory at each call, not here.
pub struct IssuedWats {
    clock: Clock,
    shards: [RwLock<HashMap<WatId, Issued>>; SHARDS],
    index: Mutex<Index>,
}

struct Issued {
    hash: [u8; 32],
    binding: Arc<Binding>,
    facts: Arc<IssuedFacts>,
    serial: u64,
    /// `expires_at` of the facts is what is told; this is what counts.
    over_at: Steady,
}

/// A workload and for whom it acts.
type Owner = (AgentName, Option<UserId>);

/// By owner and by age. Changed before a shard is, and always locked before one.
#[derive(Default)]
struct Index {
    serial: u64,
    owners: HashMap<Owner, BTreeMap<u64, WatId>>,
    ages: BTreeSet<(Steady, WatId)>,
}

impl IssuedWats {
    /// Without tokens.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, shards: Default::default(), index: Mutex::default() })
    }

    /// A token for this binding, for at most an hour whatever `ttl` says. `by` is who asked for it, as the audit trail names
    /// them. Of more than 1,024 live ones for the same workload and user the oldest ends.
    ///
    /// # Errors
    /// [`RunsHere`]: an invocation on this host has its own kind of token, which never leaves it.
    pub fn mint(
        &self,
        binding: Arc<Binding>,
        by: impl Into<String>,
        ttl: Duration,
    ) -> Result<(Secret, IssuedFacts), RunsHere> {
        let workload = binding.agent().name().clone();
        if binding.agent().digest().is_some() {
            return Err(RunsHere(workload));
        }
        let token = token();
        let hash = sha256(token.expose());
        let (now, ttl) = (self.clock.now(), ttl.min(MAX_LIFE));
        let (steady, over_at) = (self.clock.steady(), self.clock.steady().plus(ttl));
        let facts = IssuedFacts {
            id: id_of(&hash),
            workload,
            user: binding.user().map(|user| user.id().clone()),
            verified: binding.user().is_some_and(|user| User::verified(user).is_some()),
            by: by.into(),
            issued_at: now,
            expires_at: now.plus(ttl),
        };
        let mut gone = Vec::new();
        let mut index = self.index();
        self.drop_expired(&mut index, steady, &mut gone);
        let serial = index.serial;
        index.serial += 1;
        let of_owner = index.owners.entry(owner(&facts)).or_default();
        let oldest =
            if of_owner.len() >= MOST_PER_OWNER { of_owner.first_key_value().map(|(_, id)| *id) } else { None };
        of_owner.insert(serial, facts.id);
        index.ages.insert((over_at, facts.id));
        self.shard(&facts.id)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(facts.id, Issued { hash, binding, facts: Arc::new(facts.clone()), serial, over_at });
        if let Some(oldest) = oldest {
            gone.extend(self.take(&mut index, &oldest));
        }
        drop(index);
        // Bindings may be the last references to users' tokens: wiped here, outside the locks.
        drop(gone);
        Ok((token, facts))
    }

    /// What it stands for; none where it is unknown, expired or revoked.
    pub fn resolve(&self, wat: &PresentedWat) -> Option<Arc<Binding>> {
        self.look(wat, |issued| issued.binding.clone())
    }

    /// What may be told of it; none where it is unknown, expired or revoked.
    pub fn introspect(&self, wat: &PresentedWat) -> Option<IssuedFacts> {
        self.look(wat, |issued| issued.facts.clone()).map(|facts| IssuedFacts::clone(&facts))
    }

    /// What may be told of the live token with this id.
    pub fn facts(&self, id: &WatId) -> Option<IssuedFacts> {
        let now = self.clock.steady();
        let shard = self.shard(id).read().unwrap_or_else(PoisonError::into_inner);
        let issued = shard.get(id).filter(|issued| now < issued.over_at)?;
        Some(IssuedFacts::clone(&issued.facts))
    }

    /// Ends it at once. What it was; none where there was no such live token.
    pub fn revoke(&self, wat: &PresentedWat) -> Option<IssuedFacts> {
        self.introspect(wat).and_then(|facts| self.revoke_id(&facts.id))
    }

    /// As [`IssuedWats::revoke`], by its id.
    pub fn revoke_id(&self, id: &WatId) -> Option<IssuedFacts> {
        let mut index = self.index();
        let taken = self.take(&mut index, id);
        drop(index);
        let taken = taken?;
        (self.clock.steady() < taken.over_at).then(|| IssuedFacts::clone(&taken.facts))
    }

    /// Ends all of a workload. How many there were.
    pub fn revoke_workload(&self, workload: &AgentName) -> usize {
        self.revoke_where(|(of, _)| of == workload)
    }

    /// Ends all for a user, of every workload. How many there were.
    pub fn revoke_user(&self, user: &UserId) -> usize {
        self.revoke_where(|(_, of)| of.as_ref() == Some(user))
    }

    /// Forgets those that expired. How many there were.
    pub fn sweep(&self) -> usize {
        let mut gone = Vec::new();
        let now = self.clock.steady();
        self.drop_expired(&mut self.index(), now, &mut gone);
        gone.len()
    }

    /// Sweeps every minute for as long as the table is in use, so that a host that mints nothing keeps no user's token.
    pub async fn keep_swept(table: Weak<Self>) {
        let mut minutes = tokio::time::interval(SWEEP);
        minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            minutes.tick().await;
            match table.upgrade() {
                Some(table) => table.sweep(),
                None => return,
            };
        }
    }

    /// How many are kept: those that live, and those that expired since the last sweep.
    pub fn len(&self) -> usize {
        self.index().ages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn look<T>(&self, wat: &PresentedWat, then: impl FnOnce(&Issued) -> T) -> Option<T> {
        use subtle::ConstantTimeEq as _;
        let id = wat.id();
        let now = self.clock.steady();
        let shard = self.shard(&id).read().unwrap_or_else(PoisonError::into_inner);
        let issued = shard.get(&id)?;
        let live = bool::from(issued.hash.ct_eq(&wat.0)) && now < issued.over_at;
        live.then(|| then(issued))
    }

    fn revoke_where(&self, wanted: impl Fn(&Owner) -> bool) -> usize {
        let now = self.clock.steady();
        let mut index = self.index();
        let of_owners = index.owners.iter().filter(|(owner, _)| wanted(owner));
        let ids: Vec<WatId> = of_owners.flat_map(|(_, ids)| ids.values().copied()).collect();
        let taken: Vec<Issued> = ids.iter().filter_map(|id| self.take(&mut index, id)).collect();
        drop(index);
        taken.iter().filter(|issued| now < issued.over_at).count()
    }

    fn drop_expired(&self, index: &mut Index, now: Steady, gone: &mut Vec<Issued>) {
        while let Some((_, id)) = index.ages.first().filter(|(over_at, _)| *over_at <= now).copied() {
            match self.take(index, &id) {
                Some(issued) => gone.push(issued),
                // The index is changed first and under its lock, so both always agree; and if not, this ends.
                None => {
                    index.ages.pop_first();
                }
            }
        }
    }

    /// Takes it out of index and table. What it held is dropped by the caller, outside the locks.
    fn take(&self, index: &mut Index, id: &WatId) -> Option<Issued> {
        let issued = self.shard(id).write().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        index.ages.remove(&(issued.over_at, *id));
        let owner = owner(&issued.facts);
        if let Some(of_owner) = index.owners.get_mut(&owner) {
            of_owner.remove(&issued.serial);
            if of_owner.is_empty() {
                index.owners.remove(&owner);
            }
        }
        Some(issued)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, id: &WatId) -> &RwLock<HashMap<WatId, Issued>> {
        &self.shards[usize::from(id.bytes()[0]) % SHARDS]
    }
}

fn token() -> Secret {
    let random = Secret::random();
    let mut text = Vec::with_capacity(PREFIX.len() + random.len());
    text.extend_from_slice(PREFIX.as_bytes());
    text.extend_from_slice(random.expose());
    Secret::new(text)
}

/// The first half of the hash: enough to name one token among all, and nothing from which the token follows.
fn id_of(hash: &[u8; 32]) -> WatId {
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    WatId::from_bytes(id)
}

fn owner(facts: &IssuedFacts) -> Owner {
    (facts.workload.clone(), facts.user.clone())
}
