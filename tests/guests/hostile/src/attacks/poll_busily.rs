//! Waits for what is there already, again and again.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        monotonic_clock::subscribe_duration(0).block();
    }
}
