//! Fills one header map until it is stopped.

use super::Arrival;
use crate::bindings::wasi::http::types::Fields;

pub(crate) fn run(arrival: Arrival) {
    let fields = Fields::new();
    let mut n = 0u32;
    while n < 1_000_000 && fields.append(&format!("x-{n}"), b"1").is_ok() {
        n += 1;
    }
    arrival.answer(if n < 1000 { "refused" } else { "taken" });
}
