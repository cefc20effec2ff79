//! What one record says.

use crate::clock::Timestamp;
use crate::ids::{AttemptId, HostId, UserId};
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The attempt that it opens, closes, or is whole.
    pub attempt: AttemptId,
    /// Which of these.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
    /// On which machine.
    pub host: HostId,
    /// By whom and for whom.
    #[serde(flatten)]
    pub actor: Actor,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// How it ended; only in a closing or whole record.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

/// Which part of an attempt a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the act.
    Opened,
    /// After the act.
    Closed,
    /// Both in one, where the act releases nothing.
    Whole,
}

/// By whom and for whom. The host stands in the record itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The agent and the bytes that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// The verified user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Who called the API, by infrastructure identity: `key:AKAT…`, `person:olga at https://id.example.com`. None for
    /// what is not asked for over the API, and for an operator at the socket, who stands in `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The operator account, for what operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The caller's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
}

/// An agent in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRef {
    /// Its name.
    pub name: String,
    /// Digest of the bytes that ran; none where they ran outside this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What is done, to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// A code from the list in [`codes`], such as `credential.send`.
    pub action: String,
    /// To what: `google-calendar`, `GET https://www.googleapis.com/calendar/v3/…` (no query), an agent, a grant.
    pub resource: String,
    /// More, in JSON: scopes, ids. Never a secret.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

impl Action {
    /// Without detail.
    pub fn new(code: &str, resource: impl Into<String>) -> Self {
        Self { action: code.to_owned(), resource: resource.into(), detail: serde_json::Value::Null }
    }

    /// With detail.
    pub fn with(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }
}

/// Every action code that is written.
pub mod codes {
    /// A call of an agent.
    pub const INVOKE: &str = "agent.invoke";
    /// An inbound request whose token was refused.
    pub const REJECT: &str = "user.reject";
    /// A guest asked for a credential.
    pub const ACQUIRE: &str = "credential.acquire";
    /// A request left with a credential attached.
    pub const SEND: &str = "credential.send";
    /// A request left without a credential.
    pub const EGRESS: &str = "egress.send";
    /// A credential was turned into bytes.
    pub const REVEAL: &str = "credential.reveal";
    /// A token was refreshed at the provider.
    pub const REFRESH: &str = "token.refresh";
    /// A token of an agent's own, or on behalf of a user, was obtained from the provider.
    pub const MINT: &str = "token.mint";
    /// A consent session was started.
    pub const CONSENT_START: &str = "consent.start";
    /// A user opened the consent page.
    pub const CONSENT_VIEW: &str = "consent.view";
    /// A user went on to the provider.
    pub const CONSENT_PROCEED: &str = "consent.proceed";
    /// The provider sent the browser back; the code is exchanged and the grant stored.
    pub const CONSENT_COMPLETE: &str = "consent.complete";
    /// A grant was revoked here.
    pub const GRANT_REVOKE: &str = "grant.revoke";
    /// The provider was told of a revocation.
    pub const PROVIDER_REVOKE: &str = "provider.revoke";
    /// A user signed in at the host's own pages.
    pub const SIGN_IN: &str = "user.sign-in";
    /// A component was deployed.
    pub const DEPLOY: &str = "agent.deploy";
    /// A workload identity was made by hand.
    pub const WORKLOAD_CREATE: &str = "workload.create";
    /// An access key was made.
    pub const KEY_CREATE: &str = "key.create";
    /// An access key was disabled.
    pub const KEY_DISABLE: &str = "key.disable";
    /// An access key was deleted.
    pub const KEY_DELETE: &str = "key.delete";
    /// A caller of the API was refused an operation.
    pub const OPERATION_REFUSE: &str = "operation.refuse";
    /// A session with an agent was ended: what ran in it was stopped.
    pub const SESSION_STOP: &str = "session.stop";
    /// A worker process spoke for an invocation that does not run in it.
    pub const WORKER_STRAY: &str = "worker.stray";
    /// A credential provider was made.
    pub const PROVIDER_CREATE: &str = "provider.create";
    /// A credential provider was changed.
    pub const PROVIDER_UPDATE: &str = "provider.update";
    /// A credential provider was deleted.
    pub const PROVIDER_DELETE: &str = "provider.delete";
    /// Tags were put on a credential provider.
    pub const PROVIDER_TAG: &str = "provider.tag";
    /// Tags were taken off a credential provider.
    pub const PROVIDER_UNTAG: &str = "provider.untag";
    /// The vault is sealed under another key from now on.
    pub const VAULT_KEY: &str = "vault.key";
    /// The vault got a new key, and every user's tokens were destroyed.
    pub const VAULT_RESET: &str = "vault.reset";
    /// A caller of the API was not let in.
    pub const CALLER_REJECT: &str = "caller.reject";
    /// Where a browser may be sent after a workload's consents was changed.
    pub const WORKLOAD_UPDATE: &str = "workload.update";
    /// A workload identity was deleted, with every grant and token of its.
    pub const WORKLOAD_DELETE: &str = "workload.delete";
    /// Tags were put on a workload identity.
    pub const WORKLOAD_TAG: &str = "workload.tag";
    /// Tags were taken off a workload identity.
    pub const WORKLOAD_UNTAG: &str = "workload.untag";
    /// A credential provider was bound to a workload at run time.
    pub const WORKLOAD_BIND: &str = "workload.bind";
    /// A credential provider was unbound from a workload.
    pub const WORKLOAD_UNBIND: &str = "workload.unbind";
    /// A workload that runs elsewhere was given a workload access token.
    pub const WAT_MINT: &str = "wat.mint";
    /// Somebody asked what a workload access token stands for.
    pub const WAT_INTROSPECT: &str = "wat.introspect";
    /// A workload access token was ended before its time.
    pub const WAT_REVOKE: &str = "wat.revoke";
    /// An agent was suspended.
    pub const SUSPEND: &str = "agent.suspend";
    /// An agent was resumed.
    pub const RESUME: &str = "agent.resume";
    /// An agent was given back an earlier version.
    pub const ROLL_BACK: &str = "agent.roll-back";
    /// An agent was held to its version, or let go.
    pub const PIN: &str = "agent.pin";
    /// Bytes may run nowhere on this host.
    pub const KILL: &str = "component.kill";
    /// They may again.
    pub const REVIVE: &str = "component.revive";
    /// The host started.
    pub const START: &str = "host.start";
    /// An operator said that a database is meant which lacks what was written before.
    pub const DATABASE_ACCEPT: &str = "database.accept";
    /// Records before this one could not be written; its detail says how many. Written by the journal itself.
    pub const GAP: &str = "audit.gap";
}

/// Allowed, refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It was allowed and done.
    Allowed,
    /// It was refused, and nothing was done.
    Refused,
    /// It was allowed and did not come about.
    Failed,
}

/// How it ended, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Allowed, refused or failed.
    pub decision: Decision,
    /// Why, in a sentence without secrets; empty when there is nothing to add.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Outcome {
    /// Allowed and done.
    pub fn allowed() -> Self {
        Self { decision: Decision::Allowed, reason: String::new() }
    }
    /// Allowed and done, with a remark such as the upstream's status.
    pub fn allowed_with(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Allowed, reason: reason.into() }
    }
    /// Refused: nothing was done.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Refused, reason: reason.into() }
    }
    /// Allowed, but it did not come about.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Failed, reason: reason.into() }
    }
}

/// An error and its causes in one line, as a reason.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
