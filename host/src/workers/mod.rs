//! The second wall: guests in processes of their own, which hold no key, no database and no token of anybody's.
//!
//! A worker serves one agent's one component for one user (or for none), and never another: a guest that breaks out of the
//! engine's sandbox finds itself in a process that only ever ran its own code for its own user. The worker gave up files,
//! connections and other processes before it read the component ([`crate::sandbox`]). It has two sockets: over one the host
//! hands it invocations, over the other it speaks to the broker, and presents the workload access token with every message.
//! The host's end of that socket listens to tokens of invocations that run in this very worker, and to no others.
//!
//! What is absent: a way to name a worker, a binding or an invocation from inside; a second attempt of an invocation whose
//! worker died; anything of the host's in the worker but the component, limits, and what its guests may know of themselves.

mod body;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host_end;
mod pool;
mod process;
pub mod wire;
mod worker_end;

/// Bytes of one body that wait on either side. Small against [`WINDOW`], so that some bodies which nobody reads do not hold
/// up what else the worker and the host have to say to each other.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of all bodies of one socket that wait on either side, and so what a worker can make the host hold.
const WINDOW: u32 = 8 << 20;

pub use pool::{WorkerLimits, Workers};
pub use worker_end::{Streams, WORKER, work};
