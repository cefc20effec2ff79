//! Gives its one way to answer away twice.

use super::Arrival;
use crate::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

pub(crate) fn run(arrival: Arrival) {
    let handle = arrival.out.take_handle();
    for _ in 0..2 {
        // The first use gives it away; the second is the crime.
        let again = unsafe { ResponseOutparam::from_handle(handle) };
        ResponseOutparam::set(again, Ok(OutgoingResponse::new(Fields::new())));
    }
}
