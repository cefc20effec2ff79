//! Who did what for whom: written down, or not done.
//!
//! An [`Attempt`] is opened before the act and closed after it. Opening hands the record to the journal in order;
//! [`Attempt::written`] waits until it, and so every record before it, is durable. Whatever releases a credential takes
//! the [`Written`] that this returns, so what cannot be recorded cannot be done. Closing does not wait.

mod allowance;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod record;
mod trail;

pub use allowance::Allowance;
pub use record::{Action, Actor, AgentRef, Decision, Outcome, Phase, Record, codes, with_cause};
pub use trail::{Attempt, Deed, Trail, Written};

use futures_util::future::BoxFuture;

/// The record cannot be written. Answer with a refusal, and release nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the audit trail cannot be written: {0}")]
pub struct Unwritable(pub String);

/// A record's place in the journal, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Where records rest. Implemented by `store`: one writer, group commit, records durable in the order of their tickets.
pub trait Journal: Send + Sync {
    /// Takes the record; it will be written in this order. Does not block and does not wait for the disk.
    ///
    /// # Errors
    /// [`Unwritable`] when an earlier write failed and the journal has not recovered, or its queue is full.
    fn append(&self, record: Record) -> Result<Ticket, Unwritable>;

    /// Waits until the record of this ticket, and all before it, are durable.
    fn durable(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), Unwritable>>;

    /// Reads back, newest first.
    fn query(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<Entry>, Unwritable>>;
}

/// Which records are wanted. Absent means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this agent.
    pub agent: Option<String>,
    /// On behalf of this `sub`.
    pub subject: Option<String>,
    /// With this action code, such as `credential.send`.
    pub action: Option<String>,
    /// With this decision.
    pub decision: Option<Decision>,
    /// On the request of this caller of the API, such as `key:AKAT…`, or this operator account.
    pub caller: Option<String>,
    /// Not before.
    pub since: Option<crate::clock::Timestamp>,
    /// At most so many attempts; 0 means 100.
    pub limit: usize,
}

/// An attempt as it is read back: its opening joined with its closing.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Entry {
    /// Place of the opening record.
    pub seq: u64,
    /// When it was opened. Written as the record's own `at`: JSON has no place for the name twice.
    #[serde(skip)]
    pub at: crate::clock::Timestamp,
    /// The record as opened; its outcome is the closing record's when there is one.
    #[serde(flatten)]
    pub record: Record,
    /// When it was closed; none while it is in flight, or when the host died in between.
    pub closed_at: Option<crate::clock::Timestamp>,
}
