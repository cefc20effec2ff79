//! Calls the host again and again, and waits for nothing.

use super::Arrival;
use crate::bindings::attache::identity::identity;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        std::hint::black_box(identity::workload());
    }
}
