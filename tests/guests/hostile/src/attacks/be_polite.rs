//! Says hello, as an honest agent does: for whoever wants to know whether others are still served.

use super::Arrival;
pub(crate) fn run(arrival: Arrival) {
    arrival.answer("hello");
}
