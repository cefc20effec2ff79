//! What can go wrong with an invocation, and what of it may be said outside.

use super::limits::Exceeded;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::{I32Exit, ResourceTableError};

/// Why an invocation has no response. `Display` is fit for the caller of the agent: it holds nothing of the guest's
/// memory and nothing of the host's inside, which the log has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum InvokeError {
    /// The agent's fault: it stopped itself, or did what the machine forbids.
    #[error("the agent stopped with a fault: {0}; its author finds more in the host's log")]
    Trapped(String),
    /// The agent ran for too long.
    #[error("the agent did not finish within {}; it was stopped", seconds(*.0))]
    Deadline(Duration),
    /// The agent asked for more memory, or for larger tables, than it may have.
    #[error("the agent asked for {0}; it was stopped")]
    OutOfMemory(String),
    /// The agent returned and left its caller without an answer.
    #[error("the agent ended without a response")]
    NoResponse,
    /// The agent answered with an error of `wasi:http` instead of a response.
    #[error("the agent answered with the error `{0}`")]
    AgentError(String),
    /// The agent imports `attache:identity/reveal` and was not granted it. Nothing of it ran.
    #[error("the agent wants to read credentials as bytes, which the operator has not granted it")]
    RevealNotGranted,
    /// All instances are in use. Trying again may help.
    #[error("all instances of this host are busy; try again in a moment")]
    Busy,
    /// The process that ran the agent ended, with everything that ran in it. It may have acted before.
    #[error("the process that ran the agent was stopped; what it had begun may have happened")]
    Stopped,
    /// The host's fault.
    #[error("the host could not run the agent; the reason is in its log")]
    Host,
}

impl InvokeError {
    /// From what the engine says. The whole of it goes to the log; one word of it goes outside.
    pub(super) fn from_engine(error: &wasmtime::Error) -> Self {
        tracing::debug!(target: "guest", error = %format!("{error:#}"), "a guest was stopped");
        if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
            return Self::OutOfMemory(exceeded.to_string());
        }
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::Busy;
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Self::Trapped(trap.to_string().trim_start_matches("wasm trap: ").to_owned());
        }
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return Self::Trapped(format!("it exited with code {code}"));
        }
        if error.downcast_ref::<ResourceTableError>().is_some() {
            return Self::Trapped("it holds too many handles, or one that it gave away".into());
        }
        // A limit on a host call, a handle that does not exist, a value that breaks the interface: all made by the
        // guest, and all without a type of their own.
        Self::Trapped("it broke a rule of the interface".into())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}
