//! Runs guests. The only room that knows wasmtime; of credentials it knows only the broker's messages.
//!
//! Once per process: an [`Engine`]. Once per version of an agent: a [`Loaded`] component, compiled, linked and type
//! checked. Once per invocation: an instance with a store of its own, bound before its first instruction and dropped
//! with the response. Nothing is used twice, so what one invocation leaves in memory no other can find.
//!
//! What is absent: sockets, a filesystem, an environment, and any way to name a user. A guest's requests go to
//! [`crate::broker::Broker::send`], with a credential or without.

mod calls;
mod clocks;
mod compile;
mod compiler;
mod ending;
mod engine;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heads;
mod instance;
mod invoke;
mod limits;
mod load;
mod log;
mod outgoing;

pub use compile::{Compiled, compile_apart};
pub use compiler::{COMPILE, CompileLimits, Compiler};
pub use engine::{Engine, EngineConfig, EngineError};
pub use fault::InvokeError;
pub use load::{LoadError, Loaded};

/// The threads that serve callers and run guests.
///
/// A guest that computes holds its thread for a tick of ten milliseconds at a time. By itself tokio looks at sockets, timers
/// and work from other threads after dozens of such turns, half a second later; here it does after two.
pub fn threads() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().event_interval(2).global_queue_interval(2);
    builder
}
