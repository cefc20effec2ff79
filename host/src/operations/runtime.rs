//! Agents that run here, called and stopped by programs: AgentCore's `InvokeAgentRuntime` and `StopRuntimeSession`.

use super::closing::Overflow;
use super::{Invocation, Invoked, OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, Actor, codes};
use crate::broker::Body;
use crate::directory::RegisteredAgent;
use crate::identity::{AssertedUser, User, VerifiedUser};
use crate::ids::{AgentName, SessionId};
use serde_json::json;
use std::sync::Arc;

/// A call of an agent, as a program makes it.
pub struct RuntimeCall {
    /// Which agent.
    pub agent: AgentName,
    /// The session to go on with, or one that the caller chose.
    pub session: Option<SessionId>,
    /// For whom, by the caller's word alone; needs a right of its own, and the operator's trust in this agent.
    pub user_id: Option<String>,
    /// As the guest will see it.
    pub request: http::Request<Body>,
}

impl Operations {
    /// Calls an agent for a program, which signed the request.
    ///
    /// # Errors
    /// [`OperationError`], when there is no response to begin with.
    pub async fn invoke_runtime(&self, caller: &Arc<Caller>, call: RuntimeCall) -> Result<Invoked, OperationError> {
        let RuntimeCall { agent: name, session, user_id, request } = call;
        let _permitted = self.permit(caller, Operation::InvokeAgentRuntime, Some(&name))?;
        let for_user = match &user_id {
            Some(_) => Some(self.permit(caller, Operation::InvokeAgentRuntimeForUser, Some(&name))?),
            None => None,
        };
        let prepared = self.callee(&name).and_then(|agent| {
            let user = match (for_user, &user_id) {
                (Some(_), Some(id)) => Some(User::from(AssertedUser::on_the_word_of(&agent, id)?)),
                _ => None,
            };
            Ok((agent, user))
        });
        let (agent, user) = prepared.inspect_err(|error| {
            let actor = self.about(caller.actor(), &name);
            self.note_refused(actor, Action::new(codes::INVOKE, name.as_str()), &error.to_string());
        })?;
        self.invoke(Invocation {
            agent,
            user,
            session: session.unwrap_or_else(SessionId::random),
            return_url: None,
            request,
            overflow: Overflow::default(),
            caller: caller.actor(),
        })
        .await
    }

    /// Ends a session, whoever owns it: what runs in it is stopped.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] where there is no such session.
    pub async fn stop_session(
        &self,
        caller: &Arc<Caller>,
        agent: &AgentName,
        session: &SessionId,
    ) -> Result<(), OperationError> {
        let permitted = self.permit(caller, Operation::StopRuntimeSession, Some(agent))?;
        self.stop(self.about(permitted.actor(), agent), agent, session, None).await
    }

    /// Ends a session of this user's own. Anybody else's is as if there were none.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] where there is no such session of theirs.
    pub async fn stop_own_session(
        &self,
        user: &VerifiedUser,
        agent: &AgentName,
        session: &SessionId,
    ) -> Result<(), OperationError> {
        self.stop(self.about(Actor::user(user), agent), agent, session, Some(user)).await
    }

    async fn stop(
        &self,
        actor: Actor,
        agent: &AgentName,
        session: &SessionId,
        only_of: Option<&VerifiedUser>,
    ) -> Result<(), OperationError> {
        let action = Action::new(codes::SESSION_STOP, agent.as_str()).with(json!({ "session": session }));
        let deed = async {
            let owner = only_of.map(|user| Some(user.id()));
            match self.sessions.stop(agent, session, owner) {
                Some(_) => Ok(()),
                None => {
                    let message =
                        format!("there is no session `{session}` with agent `{agent}`; it may have ended by itself");
                    Err(OperationError::NotFound(message))
                }
            }
        };
        self.written(actor, action, deed).await
    }

    fn callee(&self, name: &AgentName) -> Result<Arc<RegisteredAgent>, OperationError> {
        Ok(self.host.directory.resolve(name)?)
    }
}
