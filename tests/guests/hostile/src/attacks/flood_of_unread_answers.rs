//! Sends requests, waits for each answer, and reads none.

use super::Arrival;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let mut held = Vec::new();
    while held.len() < 1000 {
        let future = host::send("https://endless.example/");
        future.subscribe().block();
        match future.get() {
            Some(Ok(Ok(response))) => held.push(response),
            other => return arrival.answer(&format!("after {}: {other:?}", held.len())),
        }
    }
    arrival.answer("never refused");
}
