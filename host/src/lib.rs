//! Attaché: a host that runs AI agents as WebAssembly components and is the only thing in the building that holds
//! credentials.
//!
//! A room per noun; a room names only rooms above it, and `tests/suite/tests/architecture.rs` holds that. ARCHITECTURE.md
//! tells the one way data takes.

pub mod clock;
pub mod ids;
pub mod secret;

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

pub mod operations;

pub mod http;

pub mod store;

pub mod cli;
pub mod config;
pub mod dev;
pub mod wiring;
