//! Puts a megabyte into method, authority and path of a request.

use super::Arrival;
use crate::bindings::wasi::http::types::{Method, Scheme};
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let request = host::request("https://any.example/");
    let long = "X".repeat(900_000);
    let method = request.set_method(&Method::Other(long.clone())).is_err();
    let authority = request.set_authority(Some(&long)).is_err();
    let path = request.set_path_with_query(Some(&format!("/{long}"))).is_err();
    let scheme = request.set_scheme(Some(&Scheme::Other(long))).is_err();
    arrival.answer(&format!("refused: {method} {authority} {path} {scheme}"));
}
