//! Uses a handle that it has given back.

use super::Arrival;
use crate::bindings::attache::identity::credentials::Credential;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let credential = host::credential("any").expect("a credential");
    let handle = credential.handle();
    drop(credential);
    // It is no handle of ours any more; that is the crime.
    let again = unsafe { Credential::from_handle(handle) };
    arrival.answer(&again.provider());
}
