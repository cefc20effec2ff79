//! Refused: E0624: associated function `check` is private

use attache::directory::RegisteredAgent;

pub fn forge() {
    let _ = RegisteredAgent::check;
}
