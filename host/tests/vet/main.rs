//! What `attache vet` says of components in text, each made to do one thing.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod agents;
#[path = "../../../tests/suite/src/sigstore.rs"]
#[allow(unreachable_pub, reason = "shared with another package")]
mod sigstore;

mod authority;
mod declared;
mod engine;
mod formats;
mod hostile;
mod keyless;
mod origin;
mod reaching;
mod shown;
mod strangers;
