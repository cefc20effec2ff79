//! The directory: which agents and other workloads exist, and what each may do.
//!
//! Loaded once at start and held in memory; every change is durable in [`Entries`] before it shows. [`RegisteredAgent`]
//! has one origin, [`Directory::resolve`] and [`Directory::resolve_elsewhere`], and is the only thing that a binding takes
//! for an agent.

mod agent;
mod authority;
mod changes;
mod page;
mod registry;
#[cfg(test)]
mod registry_tests;
mod tags;
mod terms;
mod text;

pub use agent::{RegisteredAgent, Unresolved};
pub use authority::Authority;
pub use changes::{ChangeError, Deployment, NewWorkload, Retired};
pub use page::Page;
pub use registry::Directory;
pub use tags::Tags;
pub use terms::{BoundProvider, Configured, Most, Patterns, Terms, WorkloadPattern};
pub use text::return_url;

use crate::clock::Timestamp;
use crate::ids::{AgentName, Digest, SpiffeId};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The agent as a principal: one entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadIdentity {
    /// The name it is deployed under; unique in the directory, whatever the case of its letters.
    pub name: AgentName,
    /// `spiffe://<trust domain>/agent/<name>`.
    pub id: SpiffeId,
    /// How it came to be.
    pub origin: Origin,
    /// Who published the component; shown to users who are asked for consent. A name belongs to its first publisher.
    pub publisher: String,
    /// The operator account that made the entry.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where a browser may be sent after a consent, compared byte for byte.
    pub allowed_return_urls: Vec<String>,
    /// Words of the operator's.
    pub tags: Tags,
    /// Credential providers that were bound to it at run time, in the order of their names.
    pub bound: Vec<BoundProvider>,
    /// Whether it may be invoked.
    pub state: State,
    /// What runs; none for an identity made by hand that has no component here.
    pub version: Option<Version>,
    /// Whether no other version may take its place until an operator says so.
    pub pinned: bool,
}

impl WorkloadIdentity {
    /// Whether it runs on this host, or was made by it: then nobody else may act as it.
    pub fn host_managed(&self) -> bool {
        self.origin != Origin::Manual || self.version.is_some()
    }
}

/// How a workload identity came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// By deploying a component.
    Runtime,
    /// By a gateway.
    Gateway,
    /// By hand.
    Manual,
}

/// Whether an agent may be invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It may.
    Active,
    /// Every invocation is refused until it is resumed.
    Suspended,
    /// It is being deleted: nothing may be done with it, and its name is not free before everything of its is gone.
    Retired,
}

/// One version of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Digest of the bytes that run.
    pub digest: Digest,
    /// The operator account that deployed it.
    pub deployed_by: String,
    /// When.
    pub deployed_at: Timestamp,
    /// Where it came from, where that is known: `oci://…@sha256:…`.
    pub source: Option<String>,
    /// What it could use a grant for.
    pub authority: Authority,
}

/// Bytes that may run nowhere on this host, under whatever name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// Which.
    pub digest: Digest,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why. 1 to 128 bytes of visible text.
    pub reason: String,
}

/// Where entries rest. Implemented by `store`.
pub trait Entries: Send + Sync {
    /// All of them, in the order of their names.
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>>;
    /// Makes or replaces one with all that it holds; durable when it returns.
    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>>;
    /// All versions that ever ran under a name, the newest first.
    fn versions(&self, name: AgentName) -> BoxFuture<'_, Result<Vec<Version>, Unavailable>> {
        let _ = name;
        Box::pin(async { Ok(Vec::new()) })
    }
    /// What may run nowhere.
    fn killed(&self) -> BoxFuture<'_, Result<Vec<Killed>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// Adds to it; durable when it returns.
    fn kill(&self, killed: Killed) -> BoxFuture<'_, Result<(), Unavailable>> {
        let _ = killed;
        Box::pin(async { Err(Unavailable("it keeps nothing of the kind".into())) })
    }
    /// Takes it back; durable when it returns.
    fn revive(&self, digest: Digest) -> BoxFuture<'_, Result<(), Unavailable>> {
        let _ = digest;
        Box::pin(async { Err(Unavailable("it keeps nothing of the kind".into())) })
    }
    /// Removes one with all that it holds; durable when it returns. One that is not there is no mistake.
    fn remove(&self, name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>>;
}

/// The store could not be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct Unavailable(pub String);
