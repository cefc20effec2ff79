//! One call of an agent that runs here, in a straight line; for whoever may call it is decided before.

use super::closing::{Closing, Overflow};
use super::quota::Taker;
use super::sessions::Stopped;
use super::{OperationError, Operations};
use crate::audit::{Action, Actor, Outcome, codes};
use crate::broker::Body;
use crate::directory::RegisteredAgent;
use crate::identity::{Binding, User};
use crate::ids::{AgentName, InvocationId, SessionId};
use http::Method;
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// What is to be called, for whom, and with what.
pub struct Invocation {
    /// The agent, as it is registered now.
    pub agent: Arc<RegisteredAgent>,
    /// For whom; none where it acts for itself.
    pub user: Option<User>,
    /// The caller's session.
    pub session: SessionId,
    /// Where the browser goes after a consent that this invocation starts.
    pub return_url: Option<String>,
    /// As the guest will see it: headers that are not for guests are gone.
    pub request: http::Request<Body>,
    /// Whether the request's body turned out to be over the host's cap while it was read.
    pub overflow: Overflow,
    /// Who calls, besides the user: an access key, for the record.
    pub caller: Actor,
}

/// What came of it.
pub struct Invoked {
    /// The guest's response. Its end closes the record; dropping it stops the guest.
    pub response: http::Response<Body>,
    /// The session, to go on with.
    pub session: SessionId,
    /// By which it stands in the audit trail.
    pub invocation: InvocationId,
}

impl Operations {
    /// Calls an agent: bind, enter the session, open the record, seat, run in an instance of its own.
    ///
    /// # Errors
    /// [`OperationError`], when there is no response to begin with.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Invoked, OperationError> {
        let host = &self.host;
        let Invocation { agent, user, session, return_url, request, overflow, caller } = invocation;
        let max = host.settings.max_body_bytes;
        let name = agent.name().clone();
        // First of all: who asks for more than a share costs nobody else anything, the trail included.
        let share = self.quotas.take(Taker::calling(user.as_ref(), &caller), &name).inspect_err(|error| {
            let user = user.as_ref().map(|user| user.id().clone());
            let actor = self.about(Actor { user, ..caller.clone() }, &name);
            self.note_refused(actor, Action::new(codes::INVOKE, name.as_str()), &error.to_string());
        })?;
        let gone = || OperationError::NotFound(format!("agent `{name}` has nothing deployed here"));
        let ready = host.ready(agent.digest().ok_or_else(gone)?).await.map_err(OperationError::NotRunnable)?;

        let binding = Binding::bind(agent, user, session, host.trail.host());
        let action = Action::new(codes::INVOKE, resource(request.method(), request.uri()));
        let user = binding.user().map(User::id);
        let place =
            match self.sessions.enter(&name, binding.session(), user, binding.invocation(), binding.agent().digest()) {
                Ok(place) => place,
                Err(error) => {
                    host.trail.note_for(&binding, action, error.outcome())?;
                    return Err(error);
                }
            };
        // Once more, now that whoever suspends it finds this invocation to stop: it could have slipped between.
        if host.directory.current_terms(binding.agent()).is_err() {
            let error = stopped_agent(&name);
            host.trail.note_for(&binding, action, error.outcome())?;
            return Err(error);
        }
        let attempt = host.trail.open_called(&caller, &binding, action)?;
        let (guest, seat) = host.desk.seat(&binding, return_url);
        let unread = request.method() == Method::HEAD;
        let invoked = tokio::select! {
            invoked = host.run(&ready, guest, self.broker.clone(), request) => invoked,
            why = place.stopped() => {
                attempt.close(Outcome::failed(why.to_string()));
                return Err(match why {
                    Stopped::Session => OperationError::Conflict(format!("{why} while the agent ran; begin another")),
                    Stopped::Agent => stopped_agent(&name),
                });
            }
        };
        // It may have learned of its suspension by a refused call before it was stopped: its answer goes to nobody either.
        if host.directory.current_terms(binding.agent()).is_err() {
            attempt.close(Outcome::failed(Stopped::Agent.to_string()));
            return Err(stopped_agent(&name));
        }
        let response = match invoked {
            Ok(response) if !overflow.happened() => response,
            Ok(_) => {
                attempt.close(Outcome::refused("the body is too large"));
                return Err(OperationError::TooLarge(max));
            }
            Err(error) => {
                attempt.close(Outcome::failed(error.to_string()));
                return Err(if overflow.happened() { OperationError::TooLarge(max) } else { error.into() });
            }
        };
        let (session, invocation) = (binding.session().clone(), binding.invocation());
        let status = response.status();
        let response =
            response.map(|body| Closing::new(body, attempt, (seat, place, share), status, unread).boxed_unsync());
        Ok(Invoked { response, session, invocation })
    }
}

fn stopped_agent(name: &AgentName) -> OperationError {
    OperationError::Denied(format!(
        "agent `{name}` was suspended or deleted while it was called; its operator can tell"
    ))
}

/// As it stands in the audit trail: without the query, and not endless.
fn resource(method: &Method, uri: &http::Uri) -> String {
    let path: String = uri.path().chars().take(256).collect();
    format!("{method} {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_has_no_query() {
        assert_eq!(resource(&Method::POST, &"/x?token=secret".parse().unwrap()), "POST /x");
    }
}
