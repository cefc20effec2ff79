//! Every call of the API: what it takes, what it gives, and how it can fail. Amazon's names, limits and patterns throughout
//! (service models `bedrock-agentcore` 2024-02-28 and `bedrock-agentcore-control` 2023-06-05); what we add is marked.
//!
//! Where a call is served and who may call it stands in [`crate::http::access`]; what it does, in [`crate::operations`].

mod identities;
mod names;
mod ours;
pub(super) mod providers;
mod runtimes;
mod tags;
mod token_vault;
mod tokens;

use super::fault::Kind as Fault;
use super::shape::Field;
use crate::access::Operation;

/// One call.
pub(in crate::http) struct Call {
    pub(in crate::http) operation: Operation,
    /// One line for people.
    pub(super) summary: &'static str,
    /// The status of success.
    pub(super) status: u16,
    pub(super) input: &'static [Field],
    pub(super) output: &'static [Field],
    /// The exceptions that Amazon's models name for it.
    pub(super) faults: &'static [Fault],
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Call> {
    [identities::CALLS, tokens::CALLS, providers::CALLS, token_vault::CALLS, tags::CALLS, runtimes::CALLS, ours::CALLS]
        .into_iter()
        .flatten()
}

/// The call of this operation; none where it is served elsewhere, at the operators' socket.
pub(in crate::http) fn of(operation: Operation) -> Option<&'static Call> {
    all().find(|call| call.operation == operation)
}
