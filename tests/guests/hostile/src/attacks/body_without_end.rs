//! Answers with a body that never ends.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    let (_body, stream) = arrival.begin();
    while stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok() {}
}
