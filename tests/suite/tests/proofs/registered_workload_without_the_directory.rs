//! Refused: E0624: associated function `elsewhere` is private

use attache::directory::RegisteredAgent;

pub fn forge() {
    let _ = RegisteredAgent::elsewhere;
}
