//! Answers with an error that has a megabyte of text.

use super::Arrival;
use crate::bindings::wasi::http::types::{ErrorCode, ResponseOutparam};

pub(crate) fn run(arrival: Arrival) {
    let text = format!("\u{1b}[31m{}", "x".repeat(900_000));
    ResponseOutparam::set(arrival.out, Err(ErrorCode::InternalError(Some(text))));
}
