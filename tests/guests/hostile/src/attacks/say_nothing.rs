//! Returns without an answer.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {}
