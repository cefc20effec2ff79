//! Sends a thousand requests and lets go of each at once.

use super::Arrival;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let credential = host::credential("any").expect("a credential");
    for _ in 0..500 {
        drop(host::send("https://never.example/"));
        // The host lets go when it comes to it, which may be later.
        while credential.send(host::request("https://never.example/"), None).is_err() {
            monotonic_clock::subscribe_duration(100_000).block();
        }
    }
    arrival.answer("all let go");
}
