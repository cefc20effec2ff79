//! May this component be listed? A stranger's bytes are read, never run and never compiled, and what they can do is said
//! in words.
//!
//! A component's imports bound its authority, so most of the answer stands in the file. This room names no other room, so
//! that an author's CI can have it alone.

mod code;
mod part;
mod read;
mod signature;
mod world;

pub use read::Unreadable;

mod reach;
mod authority;
mod manifest;
mod policy;
mod rule;
