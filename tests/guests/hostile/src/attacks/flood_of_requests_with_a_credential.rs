//! Sends requests with one credential, and reads no answer.

use super::Arrival;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let credential = host::credential("any").expect("a credential");
    let mut held = Vec::new();
    while held.len() < 1000 {
        match credential.send(host::request("https://never.example/"), None) {
            Ok(future) => held.push(future),
            Err(error) => return arrival.answer(&format!("after {}: {error:?}", held.len())),
        }
    }
    arrival.answer("never refused");
}
