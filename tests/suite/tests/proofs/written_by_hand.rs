//! Refused: E0451: field `attempt` of struct `Written` is private

use attache::audit::{Attempt, Written};

pub fn forge(attempt: &Attempt) -> Written<'_> {
    Written { attempt }
}
