//! The registry itself: every entry in memory, what resolving each gives, and what each may do now.

use super::page::{self, Page};
use super::text::faces;
use super::{Configured, Entries, Killed, RegisteredAgent, Terms, Unavailable, Unresolved, Version, WorkloadIdentity};
use crate::clock::{Clock, Timestamp};
use crate::ids::{AgentName, Digest, Malformed, ProviderName, TrustDomain};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Which agents exist. One per host; shared by [`Arc`].
///
/// [`Directory::resolve`] runs for every invocation: a read lock, a lookup, a reference counted. Changes are rare,
/// happen one after the other, and run to their end even when whoever asked for them goes away: otherwise the store
/// could know a change that memory does not.
pub struct Directory {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) entries: Arc<dyn Entries>,
    pub(super) trust_domain: TrustDomain,
    pub(super) clock: Clock,
    configured: Configured,
    shown: RwLock<Shown>,
    /// Held over the write to the store, so that of two changes of one entry the second sees the first.
    pub(super) changing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shown {
    slots: BTreeMap<AgentName, Slot>,
    /// Names by their faces: two that have one in common would be one to people.
    alike: HashMap<String, AgentName>,
    /// Publishers by their faces, each with how many entries are theirs.
    publishers: HashMap<String, (String, usize)>,
    /// How often a name was made.
    makings: u64,
    /// Bytes that may run nowhere.
    killed: HashMap<Digest, Killed>,
}

/// An entry, and what resolving it gives until it changes.
#[derive(Clone)]
struct Slot {
    entry: Arc<WorkloadIdentity>,
    terms: Arc<Terms>,
    making: u64,
    here: Result<Arc<RegisteredAgent>, Unresolved>,
    elsewhere: Result<Arc<RegisteredAgent>, Unresolved>,
}

impl Directory {
    /// Reads every entry. `configured` is what the operator's configuration lets each do; one without any may do nothing.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read: a host does not start with half a directory.
    pub async fn load(
        entries: Arc<dyn Entries>,
        trust_domain: TrustDomain,
        configured: Configured,
        clock: Clock,
    ) -> Result<Arc<Self>, Unavailable> {
        let inner = Inner {
            trust_domain,
            configured,
            clock,
            shown: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            entries,
        };
        let killed = inner.entries.killed().await?;
        inner.shown_mut().killed = killed.into_iter().map(|killed| (killed.digest, killed)).collect();
        for entry in inner.entries.all().await? {
            inner.show(Arc::new(entry));
        }
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// The agent of this name, if it may be invoked now. What it returns does not change by later deployments.
    ///
    /// # Errors
    /// [`Unresolved`] says why it may not.
    pub fn resolve(&self, name: &AgentName) -> Result<Arc<RegisteredAgent>, Unresolved> {
        match self.inner.shown().slots.get(name) {
            Some(slot) => slot.here.clone(),
            None => Err(Unresolved::NotRegistered(name.clone())),
        }
    }

    /// The workload of this name that runs outside this host (on ECS, Lambda, a laptop), if it may be acted for now. Its
    /// bytes are not known, so it has no digest.
    ///
    /// # Errors
    /// [`Unresolved`] says why not; [`Unresolved::Linked`] for an agent that runs here, which nobody else may act as.
    pub fn resolve_elsewhere(&self, name: &AgentName) -> Result<Arc<RegisteredAgent>, Unresolved> {
        match self.inner.shown().slots.get(name) {
            Some(slot) => slot.elsewhere.clone(),
            None => Err(Unresolved::NoWorkload(name.clone())),
        }
    }

    /// The agent or workload that began something at this time and goes on with it now: `elsewhere` says of which kind it
    /// was. A name that was deleted and made again since is somebody else's, who is not handed what the one before began.
    ///
    /// # Errors
    /// [`Unresolved`], as for its kind; [`Unresolved::Retired`] for a name that was made again.
    pub fn resolve_since(
        &self,
        name: &AgentName,
        elsewhere: bool,
        begun: Timestamp,
    ) -> Result<Arc<RegisteredAgent>, Unresolved> {
        let agent = if elsewhere { self.resolve_elsewhere(name) } else { self.resolve(name) }?;
        match agent.identity().created_at <= begun {
            true => Ok(agent),
            false => Err(Unresolved::Retired(name.clone())),
        }
    }

    /// What this agent may do at this moment, for every call for which it was bound earlier.
    ///
    /// A binding keeps which bytes run and for whom; what these may do is asked anew each time, so that suspending,
    /// deleting, binding and unbinding act on the next call of whatever runs already.
    ///
    /// # Errors
    /// [`Unresolved`] once it is suspended, deleted (even when made again under its name), or runs here instead of
    /// elsewhere.
    pub fn current_terms(&self, agent: &RegisteredAgent) -> Result<Arc<Terms>, Unresolved> {
        let shown = self.inner.shown();
        let slot = shown.slots.get(agent.name()).filter(|slot| slot.making == agent.making());
        let slot = slot.ok_or_else(|| Unresolved::Retired(agent.name().clone()))?;
        // What runs may be another version than the one that would be started now.
        if agent.digest().is_some_and(|digest| shown.killed.contains_key(&digest)) {
            return Err(Unresolved::Killed(agent.name().clone()));
        }
        let resolved = if agent.digest().is_some() { &slot.here } else { &slot.elsewhere };
        match resolved {
            Ok(_) => Ok(slot.terms.clone()),
            Err(why) => Err(why.clone()),
        }
    }

    /// All versions that ever ran under a name, the newest first.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn versions(&self, name: &AgentName) -> Result<Vec<Version>, Unavailable> {
        self.inner.entries.versions(name.clone()).await
    }

    /// Bytes that may run nowhere on this host, in the order of their digests.
    pub fn killed(&self) -> Vec<Killed> {
        let mut all: Vec<Killed> = self.inner.shown().killed.values().cloned().collect();
        all.sort_by_key(|killed| killed.digest.to_string());
        all
    }

    /// The entry of this name, whether or not it may be invoked.
    pub fn entry(&self, name: &AgentName) -> Option<Arc<WorkloadIdentity>> {
        self.inner.entry(name)
    }

    /// All entries, in the order of their names.
    pub fn list(&self) -> Vec<Arc<WorkloadIdentity>> {
        self.inner.shown().slots.values().map(|slot| slot.entry.clone()).collect()
    }

    /// At most `most` entries that `wanted` lets through, in the order of their names, from where an earlier page ended.
    ///
    /// # Errors
    /// [`Malformed`] for a token that no page gave.
    pub fn page(
        &self,
        token: Option<&str>,
        most: usize,
        wanted: impl Fn(&WorkloadIdentity) -> bool,
    ) -> Result<Page, Malformed> {
        let after = token.map(page::place).transpose()?;
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let shown = self.inner.shown();
        let entries = shown.slots.range::<AgentName, _>((from, Bound::Unbounded)).map(|(_, slot)| slot.entry.clone());
        Ok(page::page(entries.filter(|entry| wanted(entry)), most))
    }

    /// What this agent may do; for a name that is not registered, what the configuration would let it do.
    pub fn terms(&self, name: &AgentName) -> Arc<Terms> {
        match self.inner.shown().slots.get(name) {
            Some(slot) => slot.terms.clone(),
            None => self.inner.configured.terms(name, false, &[]),
        }
    }
}

impl Inner {
    pub(super) fn entry(&self, name: &AgentName) -> Option<Arc<WorkloadIdentity>> {
        self.shown().slots.get(name).map(|slot| slot.entry.clone())
    }

    /// The registered name for which people would take this one.
    pub(super) fn alike(&self, name: &AgentName) -> Option<AgentName> {
        let shown = self.shown();
        let mut others = faces(name.as_str()).into_iter().filter_map(|face| shown.alike.get(&face));
        others.find(|other| *other != name).cloned()
    }

    /// The known publisher for whom people would take this one.
    pub(super) fn publisher_alike(&self, publisher: &str) -> Option<String> {
        let shown = self.shown();
        let mut others = faces(publisher).into_iter().filter_map(|face| shown.publishers.get(&face));
        others.find(|(other, _)| other != publisher).map(|(other, _)| other.clone())
    }

    /// Whether the configuration alone lets it use this provider.
    pub(super) fn configuration_binds(&self, entry: &WorkloadIdentity, provider: &ProviderName) -> bool {
        self.configured.binds(&entry.name, !entry.host_managed(), provider)
    }

    pub(super) fn show(&self, entry: Arc<WorkloadIdentity>) {
        let terms = self.configured.terms(&entry.name, !entry.host_managed(), &entry.bound);
        let mut shown = self.shown_mut();
        let making = match shown.slots.get(&entry.name) {
            Some(slot) => slot.making,
            None => {
                shown.known(&entry);
                shown.makings += 1;
                shown.makings
            }
        };
        let killed = entry.version.as_ref().is_some_and(|version| shown.killed.contains_key(&version.digest));
        let here = match killed {
            true => Err(Unresolved::Killed(entry.name.clone())),
            false => RegisteredAgent::here(&entry, &terms, making).map(Arc::new),
        };
        let slot = Slot {
            here,
            elsewhere: RegisteredAgent::elsewhere(&entry, &terms, making).map(Arc::new),
            terms,
            making,
            entry: entry.clone(),
        };
        shown.slots.insert(entry.name.clone(), slot);
    }

    /// Shows that bytes may run nowhere, or may again: every agent that has them is resolved anew.
    pub(super) fn show_killed(&self, digest: Digest, killed: Option<Killed>) {
        let of_them: Vec<Arc<WorkloadIdentity>> = {
            let mut shown = self.shown_mut();
            match killed {
                Some(killed) => shown.killed.insert(digest, killed),
                None => shown.killed.remove(&digest),
            };
            let entries = shown.slots.values().map(|slot| slot.entry.clone());
            entries.filter(|entry| entry.version.as_ref().is_some_and(|of| of.digest == digest)).collect()
        };
        of_them.into_iter().for_each(|entry| self.show(entry));
    }

    pub(super) fn is_killed(&self, digest: Digest) -> bool {
        self.shown().killed.contains_key(&digest)
    }

    pub(super) fn forget(&self, name: &AgentName) {
        let mut shown = self.shown_mut();
        if let Some(slot) = shown.slots.remove(name) {
            shown.unknown(&slot.entry);
        }
    }

    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown_mut(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Its name and its publisher are taken.
    fn known(&mut self, entry: &WorkloadIdentity) {
        for face in faces(entry.name.as_str()) {
            self.alike.entry(face).or_insert_with(|| entry.name.clone());
        }
        for face in faces(&entry.publisher) {
            self.publishers.entry(face).or_insert_with(|| (entry.publisher.clone(), 0)).1 += 1;
        }
    }

    /// Its name is free, and its publisher with the last entry of theirs.
    fn unknown(&mut self, entry: &WorkloadIdentity) {
        for face in faces(entry.name.as_str()) {
            if self.alike.get(&face) == Some(&entry.name) {
                self.alike.remove(&face);
            }
        }
        for face in faces(&entry.publisher) {
            if let Some((_, entries)) = self.publishers.get_mut(&face) {
                *entries -= 1;
                if *entries == 0 {
                    self.publishers.remove(&face);
                }
            }
        }
    }
}
