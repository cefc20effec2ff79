//! Refused: E0451: fields

use attache::directory::{RegisteredAgent, Terms, WorkloadIdentity};
use attache::ids::Digest;
use std::sync::Arc;

pub fn forge(entry: Arc<WorkloadIdentity>, digest: Digest, terms: Arc<Terms>) -> RegisteredAgent {
    RegisteredAgent { entry, digest: Some(digest), terms }
}
