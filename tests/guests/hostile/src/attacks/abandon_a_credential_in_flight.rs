//! Lets go of a credential while its request is on its way, and reads the answer all the same.

use super::Arrival;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let credential = host::credential("any").expect("a credential");
    let future = credential.send(host::request("https://any.example/"), None).expect("it is sent");
    drop(credential);
    let body = host::response(future);
    let stream = body.stream().expect("the stream is taken once");
    while stream.blocking_read(1 << 16).is_ok() {}
    drop((stream, body));
    arrival.answer("read");
}
