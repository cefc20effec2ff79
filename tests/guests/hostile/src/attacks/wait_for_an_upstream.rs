//! Asks an upstream that never answers.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    host::send("https://never.example/").subscribe().block();
}
