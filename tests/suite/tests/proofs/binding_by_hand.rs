//! Refused: E0451: fields

use attache::directory::RegisteredAgent;
use attache::identity::Binding;
use attache::ids::{HostId, InvocationId, SessionId};
use std::sync::Arc;

pub fn forge(agent: Arc<RegisteredAgent>, session: SessionId, host: HostId) -> Binding {
    Binding { agent, user: None, session, invocation: InvocationId::random(), host }
}
