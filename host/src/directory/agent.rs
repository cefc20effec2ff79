//! The proof that an agent is registered, active, and runs where it is said to run.

use super::{Authority, State, Terms, WorkloadIdentity};
use crate::ids::{AgentName, Digest};
use std::sync::Arc;

/// An agent that the directory knows and that is active. What runs is either the component of a known digest, or code
/// outside this host.
///
/// Made only by [`super::Directory`]. It is a snapshot: a deployment during an invocation does not change it. What it may
/// do is a snapshot too, for what is decided once when it is bound; every credential call asks
/// [`super::Directory::current_terms`] instead.
pub struct RegisteredAgent {
    entry: Arc<WorkloadIdentity>,
    digest: Option<Digest>,
    authority: Authority,
    terms: Arc<Terms>,
    making: u64,
}

impl RegisteredAgent {
    /// One of the two places where the proof is made: for a component of this host.
    pub(super) fn here(entry: &Arc<WorkloadIdentity>, terms: &Arc<Terms>, making: u64) -> Result<Self, Unresolved> {
        active(entry)?;
        let Some(version) = &entry.version else {
            return Err(Unresolved::NothingDeployed(entry.name.clone()));
        };
        let (digest, authority) = (Some(version.digest), version.authority.clone());
        Ok(Self { entry: entry.clone(), digest, authority, terms: terms.clone(), making })
    }

    /// The other: for a workload that was made by hand and runs outside this host.
    pub(super) fn elsewhere(
        entry: &Arc<WorkloadIdentity>,
        terms: &Arc<Terms>,
        making: u64,
    ) -> Result<Self, Unresolved> {
        active(entry)?;
        if entry.host_managed() {
            return Err(Unresolved::Linked(entry.name.clone()));
        }
        Ok(Self { entry: entry.clone(), digest: None, authority: Authority::none(), terms: terms.clone(), making })
    }

    /// The directory's entry.
    pub fn identity(&self) -> &WorkloadIdentity {
        &self.entry
    }

    /// Its name.
    pub fn name(&self) -> &AgentName {
        &self.entry.name
    }

    /// Digest of the bytes that run; none for a workload that runs elsewhere, whose bytes this host has not seen.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What those bytes could use a grant for; nothing for a workload that runs elsewhere.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What it may do.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The return URL that this is, byte for byte, if a browser may be sent there after a consent.
    pub fn return_url(&self, wanted: &[u8]) -> Option<&str> {
        let of_entry = self.entry.allowed_return_urls.iter();
        of_entry.chain(&self.terms.return_urls).find(|url| url.as_bytes() == wanted).map(String::as_str)
    }

    /// Which making of the name it is of: another one after a deletion is somebody else.
    pub(super) fn making(&self) -> u64 {
        self.making
    }
}

fn active(entry: &WorkloadIdentity) -> Result<(), Unresolved> {
    match entry.state {
        State::Active => Ok(()),
        State::Suspended => Err(Unresolved::Suspended(entry.name.clone())),
        State::Retired => Err(Unresolved::Retired(entry.name.clone())),
    }
}

/// Why a name is no agent that can be invoked, or no workload that can be acted for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// No such entry, for what would run here.
    #[error("agent `{0}` is not registered; run `attache deploy {0}.wasm`")]
    NotRegistered(AgentName),
    /// No such entry, for what would run elsewhere.
    #[error("workload identity `{0}` does not exist; create it, or run `attache agents create {0}`")]
    NoWorkload(AgentName),
    /// An operator suspended it.
    #[error("agent `{0}` is suspended; run `attache agents resume {0}`")]
    Suspended(AgentName),
    /// Its bytes may run nowhere on this host.
    #[error("what agent `{0}` runs was stopped on this host for good; deploy another version, or roll back to one")]
    Killed(AgentName),
    /// It is being deleted, or was deleted and made again.
    #[error("agent `{0}` was deleted; what was started for it before ends here")]
    Retired(AgentName),
    /// The identity was made by hand.
    #[error("agent `{0}` has nothing deployed; run `attache deploy {0}.wasm`")]
    NothingDeployed(AgentName),
    /// It runs on this host, so nobody else may act as it. AgentCore's words, which its clients know.
    #[error(
        "WorkloadIdentity is linked to a service and cannot retrieve an access token by the caller; invoke agent `{0}` instead"
    )]
    Linked(AgentName),
}
