//! Refused: E0308: mismatched types

use attache::directory::RegisteredAgent;
use attache::identity::Binding;
use attache::ids::{HostId, SessionId, UserId};
use std::sync::Arc;

pub fn forge(agent: Arc<RegisteredAgent>, user: Arc<UserId>, session: SessionId, host: &HostId) -> Arc<Binding> {
    Binding::bind(agent, Some(user), session, host)
}
