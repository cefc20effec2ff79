//! Faults in the middle of its answer.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    let (_body, stream) = arrival.begin();
    stream.blocking_write_and_flush(b"some").expect("somebody reads");
    panic!("as asked");
}
