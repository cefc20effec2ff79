//! Who calls the API, and what they may do.
//!
//! Programs come with an access key and sign each request with it (AWS Signature Version 4, which the clients of AgentCore
//! speak); people come with a token of the operators' issuer; whoever has an account on this machine comes over the
//! socket. Each becomes a [`Caller`] by one function, and [`Caller::may`] alone turns a caller into a [`Permitted`], which
//! is what an operation takes.
//!
//! Rights are few and additive: a set of operations and a set of workloads, and nothing where neither says so.

mod caller;
mod door;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod key;
mod keys;
mod operation;
mod replay;
mod rights;
mod sigv4;

#[cfg(test)]
mod door_tests;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod sigv4_tests;
#[cfg(test)]
pub(crate) mod testing;

pub use caller::{Caller, Forbidden, Permitted, Who};
pub use door::{Door, People, Presented, Refused};
pub use key::{AccessKey, KeyId, KeyRow, KeyRows, RowsError};
pub use keys::{Keys, KeysError, MadeKey, NewKey};
pub use operation::{Concerns, Operation};
pub use rights::{Operations, Workloads};
