//! Lets go of a request, its body and its stream in the middle, in every order.

use super::Arrival;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::OutgoingBody;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    for order in 0..3 {
        let request = host::request("https://never.example/");
        let body = request.body().expect("the body is taken once");
        let stream = body.write().expect("the stream is taken once");
        let _room = stream.check_write();
        stream.write(b"some").expect("there is room");
        let future = outgoing_handler::handle(request, None).expect("it is sent");
        match order {
            0 => {
                drop(future);
                drop(stream);
                drop(body);
            }
            1 => {
                drop(stream);
                drop(body);
                drop(future);
            }
            _ => {
                drop(stream);
                drop(future);
                drop(OutgoingBody::finish(body, None));
            }
        }
    }
    arrival.answer("all let go");
}
