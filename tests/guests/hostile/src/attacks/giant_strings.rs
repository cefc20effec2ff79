//! Hands two megabytes to a function of ours: to which, the query says.

use super::Arrival;
use crate::bindings::attache::identity::{credentials, identity};
use crate::host;

pub(crate) fn run(arrival: Arrival) {
    let long = || "x".repeat(2 << 20);
    let mut ask = host::ask("any");
    match arrival.query.as_str() {
        "provider" => ask.provider = long(),
        "scope" => ask.scopes = vec![long()],
        "resource" => ask.resources = vec![long()],
        "audience" => ask.audiences = vec![long()],
        "parameter-name" => ask.custom_parameters = vec![(long(), String::new())],
        "parameter-value" => ask.custom_parameters = vec![(String::new(), long())],
        "state" => ask.custom_state = Some(long()),
        "api-key" => drop(credentials::api_key(&long())),
        "claim" => drop(identity::claim(&long())),
        other => panic!("no such function: `{other}`"),
    }
    drop(credentials::oauth2(&ask));
    arrival.answer("taken");
}
