//! Sessions of callers with agents: whose each is, and what runs in it.
//!
//! An instance lives for one invocation, so a session holds no state of a guest. What it holds is its owner: an id that one
//! user chose is refused to another, for as long as the session lives. In memory; a restart ends every session.

use super::OperationError;
use crate::clock::{Clock, Steady};
use crate::config::SessionLimits;
use crate::ids::{AgentName, Digest, InvocationId, SessionId, UserId};
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
    swept_at: Option<Steady>,
}

struct Session {
    owner: Option<UserId>,
    begun_at: Steady,
    used_at: Steady,
    running: HashMap<InvocationId, Running>,
}

struct Running {
    digest: Option<Digest>,
    stop: watch::Sender<Option<Stopped>>,
}

/// An invocation's place in its session. Dropping it gives the place up.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    key: Key,
    invocation: InvocationId,
    stopped: watch::Receiver<Option<Stopped>>,
}

/// Why an invocation was stopped while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its session was.
    Session,
    /// Its agent may not run any more: it was suspended, or is being deleted.
    Agent,
}

/// As it stands in the audit trail, and in the log of whoever reads the body.
impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Session => "the session was stopped",
            Self::Agent => "the agent was suspended or deleted, or its version stopped",
        })
    }
}

impl Place {
    /// Resolves when the invocation is stopped; never otherwise.
    pub(super) fn stopped(&self) -> impl Future<Output = Stopped> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            let why = stopped.wait_for(Option::is_some).await.ok().and_then(|why| *why);
            match why {
                Some(why) => why,
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.sessions.clock.steady();
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
        digest: Option<Digest>,
    ) -> Result<Place, OperationError> {
        let now = self.clock.steady();
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
        let (sender, stopped) = watch::channel(None);
        session.used_at = now;
        session.running.insert(invocation, Running { digest, stop: sender });
        Ok(Place { sessions: self.clone(), key, invocation, stopped })
    }

    /// Ends a session: what runs in it is stopped. Gives how many ran; none where there is no such session of theirs.
    pub(super) fn stop(&self, agent: &AgentName, id: &SessionId, user: Option<Option<&UserId>>) -> Option<usize> {
        let now = self.clock.steady();
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
        for Running { stop, .. } in session.running.values() {
            // Whoever ran may have ended meanwhile.
            let _ended = stop.send(Some(Stopped::Session));
        }
        Some(session.running.len())
    }

    /// Stops what runs of an agent, in every session. Gives how many ran.
    pub(super) fn stop_agent(&self, agent: &AgentName) -> usize {
        let table = self.lock();
        let of_agent = table.sessions.iter().filter(|((name, _), _)| name == agent);
        let running = of_agent.flat_map(|(_, session)| session.running.values());
        // Whoever ran may have ended meanwhile.
        running.filter(|running| running.stop.send(Some(Stopped::Agent)).is_ok()).count()
    }

    /// Stops what runs of these bytes, under whatever name. Gives how many ran.
    pub(super) fn stop_component(&self, digest: Digest) -> usize {
        let table = self.lock();
        let running = table.sessions.values().flat_map(|session| session.running.values());
        let of_them = running.filter(|running| running.digest == Some(digest));
        of_them.filter(|running| running.stop.send(Some(Stopped::Agent)).is_ok()).count()
    }

    fn over(&self, session: &Session, now: Steady) -> bool {
        now.since(session.used_at) >= self.limits.idle || now.since(session.begun_at) >= self.limits.life
    }

    fn sweep(&self, table: &mut Table, now: Steady) {
        if table.swept_at.is_none_or(|at| now.since(at) >= SWEEP) {
            table.swept_at = Some(now);
            table.sessions.retain(|_, session| !session.running.is_empty() || !self.over(session, now));
        }
        if table.sessions.len() >= MOST {
            // A quarter at once, so that a host that is full does not look through all of them for each newcomer.
            let idle = table.sessions.iter().filter(|(_, session)| session.running.is_empty());
            let mut idle: Vec<(Steady, Key)> = idle.map(|(key, session)| (session.used_at, key.clone())).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const LIMITS: SessionLimits = SessionLimits { idle: Duration::from_secs(900), life: Duration::from_secs(3600) };

    fn sessions() -> (Arc<Sessions>, Clock) {
        let clock = Clock::held(Timestamp::from_secs(1_000));
        (Sessions::new(LIMITS, clock.clone()), clock)
    }

    fn user(name: &str) -> UserId {
        UserId { issuer: "https://id.example.com".parse().unwrap(), subject: name.parse().unwrap() }
    }

    fn enter(sessions: &Arc<Sessions>, agent: &str, user: Option<&UserId>) -> Result<Place, OperationError> {
        let (agent, id) = (agent.parse().unwrap(), "s".repeat(33).parse().unwrap());
        sessions.enter(&agent, &id, user, InvocationId::random(), None)
    }

    fn stop(sessions: &Sessions, user: Option<Option<&UserId>>) -> Option<usize> {
        sessions.stop(&"calendar".parse().unwrap(), &"s".repeat(33).parse().unwrap(), user)
    }

    #[test]
    fn a_session_is_its_users_for_as_long_as_it_lives() {
        let (sessions, clock) = sessions();
        let (alice, mallory) = (user("alice"), user("mallory"));
        let first = enter(&sessions, "calendar", Some(&alice)).unwrap();
        for other in [Some(&mallory), None] {
            assert!(matches!(enter(&sessions, "calendar", other), Err(OperationError::Denied(_))));
        }
        assert!(enter(&sessions, "calendar", Some(&alice)).is_ok());
        assert!(enter(&sessions, "another", Some(&mallory)).is_ok(), "the same id at another agent is another session");
        drop(first);
        clock.advance(Duration::from_secs(899));
        assert!(matches!(enter(&sessions, "calendar", Some(&mallory)), Err(OperationError::Denied(_))));
        clock.advance(Duration::from_secs(1));
        assert!(enter(&sessions, "calendar", Some(&mallory)).is_ok(), "nothing of alice's is left in it");
    }

    #[test]
    fn a_session_in_use_is_not_idle_and_ends_with_its_life() {
        let (sessions, clock) = sessions();
        let alice = user("alice");
        let place = enter(&sessions, "calendar", Some(&alice)).unwrap();
        clock.advance(Duration::from_secs(3599));
        assert!(enter(&sessions, "calendar", Some(&alice)).is_ok());
        assert!(matches!(enter(&sessions, "calendar", Some(&user("mallory"))), Err(OperationError::Denied(_))));
        clock.advance(Duration::from_secs(1));
        assert!(matches!(enter(&sessions, "calendar", Some(&alice)), Err(OperationError::Denied(_))));
        drop(place);
        assert!(enter(&sessions, "calendar", Some(&alice)).is_ok(), "another begins under its id");
    }

    #[test]
    fn stopping_ends_what_runs_and_is_the_owners_own() {
        let (sessions, _clock) = sessions();
        let (alice, mallory) = (user("alice"), user("mallory"));
        assert_eq!(stop(&sessions, None), None);
        let places = [(); 2].map(|()| enter(&sessions, "calendar", Some(&alice)).unwrap());
        assert_eq!(stop(&sessions, Some(Some(&mallory))), None);
        let mut waiting = places.each_ref().map(|place| Box::pin(place.stopped()));
        for stopped in &mut waiting {
            assert!(futures_util::FutureExt::now_or_never(stopped).is_none());
        }
        assert_eq!(stop(&sessions, Some(Some(&alice))), Some(2));
        for stopped in waiting {
            assert!(futures_util::FutureExt::now_or_never(stopped).is_some());
        }
        assert!(enter(&sessions, "calendar", Some(&mallory)).is_ok());
        drop(places);
    }

    #[test]
    fn what_runs_of_an_agent_stops_with_it_whoever_it_serves() {
        let (sessions, _clock) = sessions();
        let place = |agent: &str, user: &UserId| {
            let id = SessionId::random();
            sessions.enter(&agent.parse().unwrap(), &id, Some(user), InvocationId::random(), None).ok().unwrap()
        };
        let stopped = |place: &Place| futures_util::FutureExt::now_or_never(Box::pin(place.stopped()));
        let (alices, bobs) = (place("calendar", &user("alice")), place("calendar", &user("bob")));
        let anothers = place("another", &user("alice"));
        assert_eq!(sessions.stop_agent(&"calendar".parse().unwrap()), 2);
        assert_eq!((stopped(&alices), stopped(&bobs)), (Some(Stopped::Agent), Some(Stopped::Agent)));
        assert_eq!(stopped(&anothers), None);
    }

    #[test]
    fn a_flood_of_sessions_pushes_out_the_idle_and_no_running_one() {
        let (sessions, _clock) = sessions();
        let alice = user("alice");
        let running = enter(&sessions, "calendar", Some(&alice)).unwrap();
        let agent: AgentName = "calendar".parse().unwrap();
        for _ in 0..MOST + 10 {
            drop(sessions.enter(&agent, &SessionId::random(), Some(&alice), InvocationId::random(), None).unwrap());
        }
        assert!(sessions.lock().sessions.len() <= MOST);
        assert!(matches!(enter(&sessions, "calendar", Some(&user("mallory"))), Err(OperationError::Denied(_))));
        drop(running);
    }
}
