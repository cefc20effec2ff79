//! Reads an upstream that never ends, and keeps all of it.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    let body = host::response(host::send("https://endless.example/"));
    let stream = body.stream().expect("the stream is taken once");
    let mut kept = Vec::new();
    while let Ok(bytes) = stream.blocking_read(u64::MAX) {
        kept.push(bytes);
    }
}
