//! Reads both clocks again and again, and tells whether they are finer than they say.

use super::Arrival;
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};

pub(crate) fn run(arrival: Arrival) {
    let mut finer = false;
    for _ in 0..2000 {
        let wall = u64::from(wall_clock::now().nanoseconds);
        finer |= !monotonic_clock::now().is_multiple_of(1_000_000) || !wall.is_multiple_of(1_000_000);
    }
    let resolution = monotonic_clock::resolution();
    arrival.answer(&format!("{resolution} ns, finer than told: {finer}"));
}
