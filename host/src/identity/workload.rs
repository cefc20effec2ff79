//! A workload, as others are told of it.

use super::Binding;
use crate::directory::RegisteredAgent;
use crate::ids::{AgentName, Digest, SpiffeId};

/// Which workload, and which bytes of it: what the host may vouch for to others.
///
/// Made only of a [`RegisteredAgent`], so there is none for an agent that is unknown or suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    id: SpiffeId,
    name: AgentName,
    digest: Option<Digest>,
}

impl Workload {
    /// Of this agent.
    pub fn of(agent: &RegisteredAgent) -> Self {
        Self { id: agent.identity().id.clone(), name: agent.name().clone(), digest: agent.digest() }
    }

    /// Its SPIFFE id.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Its name.
    pub fn name(&self) -> &AgentName {
        &self.name
    }

    /// The bytes that run; none for a workload that runs elsewhere.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

impl Binding {
    /// The workload that is bound, without its user.
    pub fn workload(&self) -> Workload {
        Workload::of(self.agent())
    }
}
