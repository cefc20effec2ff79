//! What `attache vet` says of components in text, each made to do one thing.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod agents;

mod authority;
mod declared;
mod engine;
mod formats;
mod hostile;
mod origin;
mod reaching;
mod shown;
mod strangers;
