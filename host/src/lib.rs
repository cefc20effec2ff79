//! Attaché: a host that runs AI agents as WebAssembly components and is the only thing in the building that holds
//! credentials.
//!
//! A room per noun; a room names only rooms above it, and `tests/suite/tests/architecture.rs` holds that. ARCHITECTURE.md
//! tells the one way data takes.

/// A place where a test can make this host panic, by name. Without the feature `failpoints` it is nothing.
macro_rules! fault_point {
    ($name:literal) => {{
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    }};
}

pub mod clock;
pub mod ids;
pub mod sandbox;
pub mod secret;
mod sync;

pub mod oci;
pub mod vet;

pub mod jose;

pub mod egress;

pub mod directory;

pub mod identity;

pub mod audit;

pub mod oauth;

pub mod seal;

pub mod providers;

pub mod vault;

pub mod consent;

pub mod sign_in;

pub mod access;

pub mod broker;

pub mod runtime;

pub mod workers;

pub mod rehearsal;

pub mod operations;

pub mod http;

pub mod store;

pub mod cli;
pub mod config;
pub mod dev;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod wiring;
