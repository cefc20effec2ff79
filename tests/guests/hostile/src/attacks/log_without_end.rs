//! Prints without an end, and without the end of a line.

use super::Arrival;
pub(crate) fn run(_arrival: Arrival) {
    loop {
        print!("{}", "x".repeat(4096));
    }
}
