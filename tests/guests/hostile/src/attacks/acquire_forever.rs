//! Asks for a credential that never comes.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    let _never = host::credential("never");
}
