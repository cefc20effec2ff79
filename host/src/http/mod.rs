//! Serving: invocations, the pages on which users sign in, agree and revoke, and the operators' API on a Unix socket.
//!
//! Every route stands in one table with who may call it ([`access`]). `problem` alone picks statuses. Pages need no
//! script. Of secrets and stores this room knows nothing.

mod access;
mod admin;
mod admin_keys;
mod admin_workloads;
mod agentcore;
mod body;
mod consent;
mod cookies;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grants;
mod headers;
mod invoke;
mod me;
mod metadata;
mod operator;
mod pages;
mod problem;
mod serve;
mod sign_in;
mod site;
mod token;

#[cfg(test)]
mod tests;

pub use access::{admin_router, public_router};
pub use serve::{ServeError, serve};
