//! Guests that attack their host. Real guests on a real engine; the broker is one of the tests' own, but where the promise
//! is about the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod bed;
#[path = "../runtime/guests.rs"]
mod guests;
mod scripted;

mod attacks;
mod counts;
mod table;
