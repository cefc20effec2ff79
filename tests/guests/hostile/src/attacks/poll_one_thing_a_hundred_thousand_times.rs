//! Waits for one thing, and names it a hundred thousand times in one call.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::poll;

pub(crate) fn run(arrival: Arrival) {
    let one = monotonic_clock::subscribe_duration(0);
    let ready = poll(&vec![&one; 100_000]);
    arrival.answer(&ready.len().to_string());
}
