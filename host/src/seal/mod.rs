//! Sealing at rest: the key ring, and what is sealed under it.
//!
//! Knows nothing of what it seals. Whoever seals names, as associated data, what the bytes belong to: they open for the
//! same parts and for no others.

mod keyring;
mod sealer;

pub use keyring::{KeyRing, KeyRingError};
pub use sealer::{SealError, Sealed, Sealer, push_part};
