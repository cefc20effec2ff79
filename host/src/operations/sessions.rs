//! Sessions of callers with agents: whose each is, and what runs in it.
//!
//! An instance lives for one invocation, so a session holds no state of a guest. What it holds is its owner: an id that one
//! user chose is refused to another, for as long as the session lives. In memory; a restart ends every session.

use super::OperationError;
use crate::clock::{Clock, Timestamp};
use crate::config::SessionLimits;
use crate::ids::{AgentName, InvocationId, SessionId, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// More sessions at once than this, and those that were idle longest are forgotten.
const MOST: usize = 65_536;
/// How often the idle ones are swept, at most.
const SWEEP: Duration = Duration::from_secs(30);

type Key = (AgentName, SessionId);

/// All sessions of a host.
pub(super) struct Sessions {
    limits: SessionLimits,
    clock: Clock,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Key, Session>,
    swept_at: Option<Timestamp>,
}

struct Session {
    owner: Option<UserId>,
    begun_at: Timestamp,
    used_at: Timestamp,
    running: HashMap<InvocationId, watch::Sender<bool>>,
}

/// An invocation's place in its session. Dropping it gives the place up.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    key: Key,
    invocation: InvocationId,
    stopped: watch::Receiver<bool>,
}

impl Place {
    /// Resolves when the session is stopped; never otherwise.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        let mut table = self.sessions.lock();
        if let Some(session) = table.sessions.get_mut(&self.key) {
            session.running.remove(&self.invocation);
            session.used_at = now;
        }
    }
}

impl Sessions {
    pub(super) fn new(limits: SessionLimits, clock: Clock) -> Arc<Self> {
        Arc::new(Self { limits, clock, table: Mutex::default() })
    }

    /// Takes a place for one invocation. The first one begins the session and owns it.
    ///
    /// # Errors
    /// [`OperationError::Denied`] where the session is somebody else's. Whose is not said.
    pub(super) fn enter(
        self: &Arc<Self>,
        agent: &AgentName,
        id: &SessionId,
        user: Option<&UserId>,
        invocation: InvocationId,
    ) -> Result<Place, OperationError> {
        let now = self.clock.now();
        let key = (agent.clone(), id.clone());
        let mut table = self.lock();
        self.sweep(&mut table, now);
        let begin = || Session { owner: user.cloned(), begun_at: now, used_at: now, running: HashMap::new() };
        let session = table.sessions.entry(key.clone()).or_insert_with(begin);
        if self.over(session, now) && session.running.is_empty() {
            *session = begin();
        }
        if session.owner.as_ref() != user {
            return Err(OperationError::Denied(
                "this session belongs to somebody else; begin another with an id of your own".into(),
            ));
        }
        if now.since(session.begun_at) >= self.limits.life {
            return Err(OperationError::Denied(
                "this session has lived as long as a session may; begin another".into(),
            ));
        }
        let (sender, stopped) = watch::channel(false);
        session.used_at = now;
        session.running.insert(invocation, sender);
        Ok(Place { sessions: self.clone(), key, invocation, stopped })
    }

    /// Ends a session: what runs in it is stopped. Gives how many ran; none where there is no such session of theirs.
    pub(super) fn stop(&self, agent: &AgentName, id: &SessionId, user: Option<Option<&UserId>>) -> Option<usize> {
        let now = self.clock.now();
        let key = (agent.clone(), id.clone());
        let mut table = self.lock();
        let session = table.sessions.get(&key)?;
        if user.is_some_and(|user| session.owner.as_ref() != user) {
            return None;
        }
        if self.over(session, now) && session.running.is_empty() {
            table.sessions.remove(&key);
            return None;
        }
        let session = table.sessions.remove(&key)?;
        for stop in session.running.values() {
            // Whoever ran may have ended meanwhile.
            let _ended = stop.send(true);
        }
        Some(session.running.len())
    }

    fn over(&self, session: &Session, now: Timestamp) -> bool {
        now.since(session.used_at) >= self.limits.idle || now.since(session.begun_at) >= self.limits.life
    }

    fn sweep(&self, table: &mut Table, now: Timestamp) {
        if table.swept_at.is_none_or(|at| now.since(at) >= SWEEP) {
            table.swept_at = Some(now);
            table.sessions.retain(|_, session| !session.running.is_empty() || !self.over(session, now));
        }
        if table.sessions.len() >= MOST {
            // A quarter at once, so that a host that is full does not look through all of them for each newcomer.
            let idle = table.sessions.iter().filter(|(_, session)| session.running.is_empty());
            let mut idle: Vec<(Timestamp, Key)> = idle.map(|(key, session)| (session.used_at, key.clone())).collect();
            idle.sort_unstable_by_key(|(used_at, _)| *used_at);
            for (_, key) in idle.into_iter().take(MOST / 4) {
                table.sessions.remove(&key);
            }
        }
    }

    /// A panic while the lock was held leaves a table that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
