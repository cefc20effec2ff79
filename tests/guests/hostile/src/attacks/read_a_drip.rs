//! Reads an upstream that sends a byte a second.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    let body = host::response(host::send("https://drip.example/"));
    let stream = body.stream().expect("the stream is taken once");
    while stream.blocking_read(1 << 20).is_ok() {}
}
