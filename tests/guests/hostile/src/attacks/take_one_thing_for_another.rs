//! Passes a header map off as a credential.

use super::Arrival;
use crate::bindings::attache::identity::credentials::Credential;
use crate::bindings::wasi::http::types::Fields;

pub(crate) fn run(arrival: Arrival) {
    let fields = Fields::new();
    // It is a handle of ours, of another kind.
    let credential = unsafe { Credential::from_handle(fields.take_handle()) };
    arrival.answer(&credential.provider());
}
