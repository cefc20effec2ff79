//! Sends requests whose bodies never end, and then faults.

use super::Arrival;
use crate::bindings::wasi::http::outgoing_handler;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    for _ in 0..20 {
        let request = host::request("https://any.example/");
        let body = request.body().expect("the body is taken once");
        let stream = body.write().expect("the stream is taken once");
        let future = outgoing_handler::handle(request, None).expect("it is sent");
        stream.blocking_write_and_flush(b"some").expect("somebody reads");
        std::mem::forget((future, body, stream));
    }
    panic!("as asked");
}
