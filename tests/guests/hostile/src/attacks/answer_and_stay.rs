//! Answers, and runs on.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    arrival.answer("whole");
    loop {
        std::hint::black_box(0);
    }
}
