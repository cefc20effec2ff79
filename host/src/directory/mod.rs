//! The directory: which agents exist, and what each may do.
//!
//! Loaded once at start and held in memory; every change is durable in [`Entries`] before it shows. [`RegisteredAgent`]
//! has one origin, [`Directory::resolve`], and is the only thing that a binding takes for an agent.

mod agent;
mod registry;

pub use agent::{RegisteredAgent, Unresolved};
pub use registry::{ChangeError, Deployment, Directory, NewWorkload};

use crate::clock::Timestamp;
use crate::ids::{AgentName, Digest, ProviderName, Scopes, SpiffeId};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The agent as a principal: one entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadIdentity {
    /// The name it is deployed under; unique in the directory.
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
    /// Whether it may be invoked.
    pub state: State,
    /// What runs; none for an identity made by hand that has no component here.
    pub version: Option<Version>,
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
}

/// What the operator's configuration lets one agent do. Absent means no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Credential providers it may use, each with the most it may ask for.
    pub providers: Vec<BoundProvider>,
    /// Claims of the user's token that it may read, by top-level name.
    pub claims: Vec<String>,
    /// Origins it may reach without a credential, such as `https://api.example.com`.
    pub egress: Vec<String>,
    /// Whether it may turn credentials into bytes.
    pub reveal: bool,
    /// Whether its word is taken for who its user is (AgentCore's user-id mint). Only for a workload that runs elsewhere.
    pub trusts_user_ids: bool,
}

/// A provider bound to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundProvider {
    /// Which.
    pub provider: ProviderName,
    /// The most it may ask for.
    pub scopes: Scopes,
}

impl Terms {
    /// The binding for this provider, if there is one.
    pub fn provider(&self, name: &ProviderName) -> Option<&BoundProvider> {
        self.providers.iter().find(|bound| &bound.provider == name)
    }
}

/// Where entries rest. Implemented by `store`.
pub trait Entries: Send + Sync {
    /// All of them, in the order of their names.
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>>;
    /// Makes or replaces one; durable when it returns.
    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>>;
}

/// The store could not be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct Unavailable(pub String);
