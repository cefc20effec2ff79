//! Refused: E0308: mismatched types

use attache::identity::{Binding, VerifiedUser};
use attache::ids::{AgentName, HostId, SessionId};
use std::sync::Arc;

pub fn forge(agent: Arc<AgentName>, user: Arc<VerifiedUser>, session: SessionId, host: &HostId) -> Arc<Binding> {
    Binding::bind(agent, Some(user.into()), session, host)
}
