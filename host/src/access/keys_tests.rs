//! The registry, from inside.
