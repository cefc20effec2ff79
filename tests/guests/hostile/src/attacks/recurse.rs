//! Calls itself until the stack ends.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    arrival.answer(&deeper(0).to_string());
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth) + 1))
}
