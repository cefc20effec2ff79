//! Takes more randomness than one call gives.

use super::Arrival;
use crate::bindings::wasi::random::random::get_random_bytes;

pub(crate) fn run(arrival: Arrival) {
    arrival.answer(&get_random_bytes(u64::MAX).len().to_string());
}
