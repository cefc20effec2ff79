//! Sends requests that nobody answers, and lets go of none.

use super::Arrival;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let mut held = Vec::new();
    while held.len() < 1000 {
        let future = host::send("https://never.example/");
        if let Some(Ok(Err(error))) = future.get() {
            return arrival.answer(&format!("after {}: {error:?}", held.len()));
        }
        // What is refused is known when somebody looks, and not before.
        future.subscribe().ready();
        if let Some(Ok(Err(error))) = future.get() {
            return arrival.answer(&format!("after {}: {error:?}", held.len()));
        }
        held.push(future);
    }
    arrival.answer("never refused");
}
