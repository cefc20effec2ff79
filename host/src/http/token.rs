//! From a request to a verified user.

use super::metadata;
use super::problem::Problem;
use super::site::Site;
use crate::audit::{Action, Actor, Outcome, codes};
use crate::identity::{Authorizer, Bearer, Rejected, VerifiedUser};
use crate::ids::AgentName;
use http::request::Parts;
use serde_json::json;
use std::sync::Arc;

/// Whom a token is for: an agent that may be called, or the host's own API.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// This agent, or one of the host's that has a name such as this.
    Agent(Option<&'a AgentName>),
    /// The user's own grants.
    Host,
}

impl Site {
    /// The user whose token this request carries.
    ///
    /// A caller whose token nobody accepts gets the same answer whether or not the agent exists: an agent that is not
    /// configured is judged by the default authorizer, like one that is configured without its own.
    pub(super) async fn user(&self, head: &Parts, whom: For<'_>) -> Result<Arc<VerifiedUser>, Problem> {
        let default = self.host.settings.default_authorizer.as_ref();
        let (authorizer, name) = match whom {
            For::Agent(Some(name)) => (self.authorizer(name), Some(name)),
            For::Agent(None) | For::Host => (default, None),
        };
        match self.verify(head, authorizer.map(Arc::as_ref)).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Problem::nobody_let_in().challenging(&metadata::url(&self.origin, name))),
            Err(rejected) => {
                self.note(head, name, &rejected);
                Err(Problem::rejected(&rejected, &metadata::url(&self.origin, name)))
            }
        }
    }

    async fn verify(
        &self,
        head: &Parts,
        authorizer: Option<&Authorizer>,
    ) -> Result<Option<Arc<VerifiedUser>>, Rejected> {
        let bearer = Bearer::from_header(&head.headers)?;
        match authorizer {
            Some(authorizer) => self.host.verifier.verify(&bearer, authorizer).await.map(Some),
            None => Ok(None),
        }
    }

    /// A token that was refused leaves a record. Anybody can cause these, so a flood is counted instead.
    fn note(&self, head: &Parts, name: Option<&AgentName>, rejected: &Rejected) {
        if matches!(rejected, Rejected::Missing) {
            return;
        }
        let Some(left_out) = self.rejects.take() else { return };
        let caller = self.caller(head);
        tracing::info!(caller, agent = name.map(AgentName::as_str), reason = %rejected, left_out, "a token was refused");
        let mut action = Action::new(codes::REJECT, name.map_or("host", AgentName::as_str));
        action.detail = json!({ "caller": caller });
        if left_out > 0 {
            action.detail["left_out"] = left_out.into();
        }
        let outcome = match rejected.is_unavailable() {
            true => Outcome::failed(rejected.to_string()),
            false => Outcome::refused(rejected.to_string()),
        };
        // Nothing is released by it, and the caller is refused anyway.
        if let Err(error) = self.host.trail.note(Actor::default(), action, outcome) {
            tracing::error!(%error, "a refused token could not be written down");
        }
    }
}
