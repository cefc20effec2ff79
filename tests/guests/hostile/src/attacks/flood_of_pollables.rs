//! Takes handles to things to wait for.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        std::mem::forget(monotonic_clock::subscribe_duration(u64::MAX));
    }
}
