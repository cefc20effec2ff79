//! Asks with a hundred thousand scopes of one letter.

use super::Arrival;
use crate::bindings::attache::identity::credentials;
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let mut ask = host::ask("any");
    ask.scopes = vec!["x".to_owned(); 100_000];
    drop(credentials::oauth2(&ask));
    arrival.answer("taken");
}
