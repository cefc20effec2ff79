//! Signatures, from inside.
