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

pub use engine::{Engine, EngineConfig, EngineError};
pub use fault::InvokeError;
pub use load::{LoadError, Loaded};
