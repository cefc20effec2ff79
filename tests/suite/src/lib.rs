//! What the tests of the whole stand on.

pub mod browser;
pub mod host;
pub mod html;
pub mod testbed;
