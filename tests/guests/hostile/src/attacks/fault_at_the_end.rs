//! Faults when it has answered.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    arrival.answer("whole");
    panic!("as asked");
}
