//! Writes over most of the memory there may be, in one instruction, again and again.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {
    let mut all = vec![0u8; 48 << 20];
    for n in (0..=u8::MAX).cycle() {
        std::hint::black_box(&mut all).fill(n);
    }
}
