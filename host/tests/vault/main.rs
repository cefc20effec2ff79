//! The vault: whose tokens are whose, whatever happens.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crash;
mod grants;
mod matrix;
mod minted;
mod reseal;
#[path = "../support/mod.rs"]
mod support;
