//! Takes randomness without an end.

use super::Arrival;
use crate::bindings::wasi::random::random::get_random_bytes;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        std::hint::black_box(get_random_bytes(64 << 10));
    }
}
