//! Guests that attack their host. Real guests on a real engine; the broker is one of the tests' own, but where the promise
//! is about the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod bed;
#[path = "../runtime/guests.rs"]
mod guests;
mod scripted;
#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod cancelled;
mod counts;
mod smith;
mod table;
mod woven;
