//! What everybody may do: bind two proofs, and read what they prove.

use attache::directory::RegisteredAgent;
use attache::identity::{Binding, VerifiedUser};
use attache::ids::{HostId, SessionId};
use std::sync::Arc;

pub fn bind(agent: Arc<RegisteredAgent>, user: Arc<VerifiedUser>, session: SessionId, host: &HostId) -> String {
    let binding = Binding::bind(agent, Some(user.into()), session, host);
    format!("{} {:?}", binding.agent().name(), binding.user().map(|user| user.id().clone()))
}
