//! What an instance is bound to.

use super::User;
use crate::directory::RegisteredAgent;
use crate::ids::{HostId, InvocationId, SessionId};
use std::sync::Arc;

/// (workload, user or none, session, host): fixed before the first guest instruction, for one invocation; or, for a workload
/// that runs elsewhere, for the life of one workload access token.
///
/// Made only by [`Binding::bind`], from two proofs with one origin each. Share it with [`Arc`]; it cannot be cloned,
/// changed or read from bytes.
pub struct Binding {
    agent: Arc<RegisteredAgent>,
    user: Option<User>,
    session: SessionId,
    invocation: InvocationId,
    host: HostId,
}

impl Binding {
    /// The one place where a binding is made.
    pub fn bind(agent: Arc<RegisteredAgent>, user: Option<User>, session: SessionId, host: &HostId) -> Arc<Self> {
        Arc::new(Self { agent, user, session, invocation: InvocationId::random(), host: host.clone() })
    }

    /// Which agent.
    pub fn agent(&self) -> &Arc<RegisteredAgent> {
        &self.agent
    }

    /// Whom it serves; none when it was invoked for itself.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The caller's session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// This invocation.
    pub fn invocation(&self) -> InvocationId {
        self.invocation
    }

    /// The machine it runs on.
    pub fn host(&self) -> &HostId {
        &self.host
    }
}
