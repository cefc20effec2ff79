//! Faults when it has begun to answer.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    let _begun = arrival.begin();
    panic!("as asked");
}
