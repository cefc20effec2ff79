//! Refused: E0451: fields

use attache::directory::{Authority, RegisteredAgent, Terms, WorkloadIdentity};
use attache::ids::Digest;
use std::sync::Arc;

pub fn forge(
    entry: Arc<WorkloadIdentity>,
    digest: Option<Digest>,
    authority: Authority,
    terms: Arc<Terms>,
    making: u64,
) -> RegisteredAgent {
    RegisteredAgent { entry, digest, authority, terms, making }
}
