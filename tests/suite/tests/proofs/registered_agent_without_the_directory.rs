//! Refused: E0624: associated function `here` is private

use attache::directory::RegisteredAgent;

pub fn forge() {
    let _ = RegisteredAgent::here;
}
