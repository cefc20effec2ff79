//! What the tests of the whole host share: real parts, a browser without a screen, a caller.

pub mod browser;
pub mod call;
pub mod host;
pub mod walk;
