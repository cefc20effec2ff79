//! Waits for the end of time.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;

pub(crate) fn run(_arrival: Arrival) {
    monotonic_clock::subscribe_instant(u64::MAX).block();
}
