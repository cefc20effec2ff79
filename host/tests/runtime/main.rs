//! What guests may do to their host, and to each other: nothing.
//!
//! Real guests on a real engine; only the broker is one of the tests' own.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod bed;
mod guests;

mod calls;
mod faults;
mod isolation;
mod loading;
mod streams;
