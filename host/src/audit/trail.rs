//! Opening and closing attempts.

use super::record::{Action, Actor, AgentRef, Outcome, Phase, Record};
use super::{Journal, Ticket, Unwritable};
use crate::clock::Clock;
use crate::identity::{Binding, VerifiedUser};
use crate::ids::{AttemptId, HostId};
use std::sync::Arc;

/// The audit trail of this host. Cheap to clone.
#[derive(Clone)]
pub struct Trail {
    journal: Arc<dyn Journal>,
    host: HostId,
    clock: Clock,
}

impl Trail {
    /// Over this journal; every record names this host.
    pub fn new(journal: Arc<dyn Journal>, host: HostId, clock: Clock) -> Self {
        Self { journal, host, clock }
    }

    /// The journal, to query.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// This host, as it stands in every record.
    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// Opens an attempt of a bound agent.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub fn open(&self, who: &Arc<Binding>, action: Action) -> Result<Attempt, Unwritable> {
        let deed = self.open_deed(actor_of(who), action)?;
        Ok(Attempt { deed, binding: who.clone() })
    }

    /// As [`Trail::open`], where somebody asks for it over the API: `caller` is the [`Actor::caller`] or
    /// [`Actor::operator`] of their own actor, and stands beside agent and user.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub fn open_called(&self, caller: &Actor, who: &Arc<Binding>, action: Action) -> Result<Attempt, Unwritable> {
        let actor = Actor { caller: caller.caller.clone(), operator: caller.operator.clone(), ..actor_of(who) };
        Ok(Attempt { deed: self.open_deed(actor, action)?, binding: who.clone() })
    }

    /// Opens a deed of somebody who is not a bound agent: an operator, a user at a page, nobody.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub fn open_deed(&self, actor: Actor, action: Action) -> Result<Deed, Unwritable> {
        let record = Record {
            attempt: AttemptId::random(),
            phase: Phase::Opened,
            at: self.clock.now(),
            host: self.host.clone(),
            actor,
            action,
            outcome: None,
        };
        let ticket = self.journal.append(record.clone())?;
        Ok(Deed { trail: self.clone(), record: Some(record), ticket })
    }

    /// Writes an attempt that releases nothing in one record: a refusal, a handle given out. Does not wait.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub fn note(&self, actor: Actor, action: Action, outcome: Outcome) -> Result<Ticket, Unwritable> {
        self.journal.append(Record {
            attempt: AttemptId::random(),
            phase: Phase::Whole,
            at: self.clock.now(),
            host: self.host.clone(),
            actor,
            action,
            outcome: Some(outcome),
        })
    }

    /// As [`Trail::note`], for a bound agent.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub fn note_for(&self, who: &Binding, action: Action, outcome: Outcome) -> Result<Ticket, Unwritable> {
        self.note(actor_of(who), action, outcome)
    }
}

/// Who stands in the records of a binding.
fn actor_of(who: &Binding) -> Actor {
    Actor {
        agent: Some(AgentRef::of(who.agent())),
        user: who.user().map(|user| user.id().clone()),
        caller: None,
        operator: None,
        session: Some(who.session().to_string()),
        invocation: Some(who.invocation().to_string()),
    }
}

impl Actor {
    /// A user at one of the host's pages.
    pub fn user(user: &VerifiedUser) -> Self {
        Self { user: Some(user.id().clone()), ..Self::default() }
    }

    /// An operator account.
    pub fn operator(name: impl Into<String>) -> Self {
        Self { operator: Some(name.into()), ..Self::default() }
    }

    /// With an agent named, where one is concerned but not acting.
    pub fn about(mut self, agent: &crate::directory::RegisteredAgent) -> Self {
        self.agent = Some(AgentRef::of(agent));
        self
    }
}

impl AgentRef {
    /// As it is registered.
    pub fn of(agent: &crate::directory::RegisteredAgent) -> Self {
        Self { name: agent.name().to_string(), digest: agent.digest().map(|digest| digest.to_string()) }
    }
}

/// An audited action of a bound agent, in flight.
#[must_use = "an attempt is closed with its outcome"]
pub struct Attempt {
    deed: Deed,
    binding: Arc<Binding>,
}

impl Attempt {
    /// For whom.
    pub fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    /// Waits until the opening record is durable. What releases a credential takes the result.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub async fn written(&self) -> Result<Written<'_>, Unwritable> {
        self.deed.written().await?;
        Ok(Written { attempt: self })
    }

    /// Writes how it ended. Does not wait; a failure to write shows at the next opening.
    pub fn close(self, outcome: Outcome) {
        self.deed.close(outcome);
    }
}

/// The proof that an attempt is durably written down.
pub struct Written<'a> {
    attempt: &'a Attempt,
}

impl Written<'_> {
    /// For whom. Vault keys derive from this.
    pub fn binding(&self) -> &Arc<Binding> {
        self.attempt.binding()
    }
}

/// An audited action of somebody who is not a bound agent, in flight. Releases no credential.
#[must_use = "a deed is closed with its outcome"]
pub struct Deed {
    trail: Trail,
    record: Option<Record>,
    ticket: Ticket,
}

impl Deed {
    /// Waits until the opening record is durable.
    ///
    /// # Errors
    /// [`Unwritable`]: then it must not be done.
    pub async fn written(&self) -> Result<(), Unwritable> {
        self.trail.journal.durable(self.ticket).await
    }

    /// Writes how it ended. Does not wait.
    pub fn close(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(mut record) = self.record.take() else { return };
        record.phase = Phase::Closed;
        record.at = self.trail.clock.now();
        record.outcome = Some(outcome);
        if let Err(error) = self.trail.journal.append(record) {
            tracing::error!(%error, "an attempt could not be closed in the audit trail");
        }
    }
}

/// Dropped without an outcome: the caller went away, or the guest was stopped.
impl Drop for Deed {
    fn drop(&mut self) {
        self.finish(Outcome::failed("abandoned before it ended"));
    }
}
