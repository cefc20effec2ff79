//! Begins requests, writes to their bodies what goes in, and never sends one.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        let request = host::request("https://any.example/");
        let body = request.body().expect("the body is taken once");
        let stream = body.write().expect("the stream is taken once");
        while let Ok(room @ 1..) = stream.check_write() {
            stream.write(&vec![1; room as usize]).expect("there is room");
        }
        std::mem::forget((request, body, stream));
    }
}
