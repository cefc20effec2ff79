//! Computes, and never ends.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}
