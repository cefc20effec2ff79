//! Waits for two things of which neither comes.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::poll;

pub(crate) fn run(_arrival: Arrival) {
    let one = monotonic_clock::subscribe_duration(u64::MAX);
    let other = monotonic_clock::subscribe_duration(u64::MAX / 2);
    poll(&[&one, &other]);
}
