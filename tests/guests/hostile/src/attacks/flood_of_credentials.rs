//! Takes credentials and gives none back.

use super::Arrival;
use crate::host;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        std::mem::forget(host::credential("any"));
    }
}
