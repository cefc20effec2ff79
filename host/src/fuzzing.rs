//! What reads bytes from outside, each as one function that panics where a promise is broken. Only in builds for fuzzing
//! and for tests (feature `fuzzing`).
//!
//! None panics for bytes that are merely refused. `tests/fuzz` drives them with coverage (`cargo xtask fuzz`), and
//! `tests/suite/tests/fuzz.rs` in bounded runs and with every finding that there has been.

use crate::{access, audit, config, egress, http, identity, oauth, oci, runtime, vet, workers};

/// One function that takes whatever a stranger sends.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("token", identity::fuzzing::token),
    ("claims", identity::fuzzing::claims),
    ("jwks", identity::fuzzing::keys),
    ("discovery", oauth::fuzzing::discovery),
    ("token-answer", oauth::fuzzing::answer),
    ("callback", http::fuzzing::callback),
    ("signed-request", access::fuzzing::request),
    ("config", config::fuzzing::file),
    ("component", runtime::fuzzing::component),
    ("audit-record", audit::fuzzing::record),
    ("worker-message", workers::fuzzing::message),
    ("destination", egress::fuzzing::destination),
    ("evidence", vet::fuzzing::evidence),
    ("trust-file", vet::fuzzing::trust),
    ("registry", oci::fuzzing::registry),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
