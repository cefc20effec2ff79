//! Writes more zeros than there are bytes in the world.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    let (_body, stream) = arrival.begin();
    drop(stream.write_zeroes(u64::MAX));
}
