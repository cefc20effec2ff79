//! Refused: E0616: field `digest` of struct `RegisteredAgent` is private

use attache::directory::RegisteredAgent;
use attache::ids::Digest;

pub fn forge(agent: &mut RegisteredAgent) {
    agent.digest = Some(Digest::of(b"other"));
}
