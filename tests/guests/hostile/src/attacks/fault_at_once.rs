//! Faults before it answers.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {
    panic!("as asked");
}
