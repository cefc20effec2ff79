//! Grows its memory, and touches it.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}
