//! The proof that an agent is registered, active and has something to run.

use super::{State, Terms, WorkloadIdentity};
use crate::ids::{AgentName, Digest};
use std::sync::Arc;

/// An agent that the directory knows and that is active. What runs is either the component of a known digest, or code
/// outside this host.
///
/// Made only by [`super::Directory`]. It is a snapshot: a deployment during an invocation does not change it.
pub struct RegisteredAgent {
    entry: Arc<WorkloadIdentity>,
    digest: Option<Digest>,
    terms: Arc<Terms>,
}

impl RegisteredAgent {
    /// The one place where the proof is made.
    pub(super) fn check(entry: Arc<WorkloadIdentity>, terms: Arc<Terms>) -> Result<Self, Unresolved> {
        if entry.state == State::Suspended {
            return Err(Unresolved::Suspended(entry.name.clone()));
        }
        let Some(digest) = entry.version.as_ref().map(|v| v.digest) else {
            return Err(Unresolved::NothingDeployed(entry.name.clone()));
        };
        Ok(Self { entry, digest: Some(digest), terms })
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

    /// What it may do.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// Why a name is no agent that can be invoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// No such entry.
    #[error("agent `{0}` is not registered; run `attache deploy {0}.wasm`")]
    NotRegistered(AgentName),
    /// An operator suspended it.
    #[error("agent `{0}` is suspended; run `attache agents resume {0}`")]
    Suspended(AgentName),
    /// The identity was made by hand.
    #[error("agent `{0}` has nothing deployed; run `attache deploy {0}.wasm`")]
    NothingDeployed(AgentName),
}
