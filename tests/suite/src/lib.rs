//! What the tests of the whole stand on.

pub mod browser;
pub mod html;
pub mod testbed;
