//! What one caller and one agent may take of a host: so many invocations at once, and so many a second.
//!
//! Asked before a place is waited for and before anything is written down, so that whoever is refused costs next to nothing. A
//! share that is taken is refused at once instead of waited for: those who wait would stand in the way of others.
//!
//! There is no share per address: many people sit behind one, and one who means harm has many. Who has no valid token takes
//! no place at all.

use super::OperationError;
use crate::audit::Actor;
use crate::clock::Clock;
use crate::config::Limits;
use crate::identity::User;
use crate::ids::{AgentName, UserId};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many times what a second gives may come at once.
const BURST: u32 = 10;
/// More rates at once than this are not remembered: those that are new share one. A million callers in ten seconds.
const MOST: usize = 1 << 20;

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Taker {
    /// A user whose token was verified.
    User(UserId),
    /// Whoever else calls: an access key, an operator. A user whom it merely names has no share of their own: it could name
    /// any number of them.
    Caller(String),
    /// An agent, whoever calls it.
    Agent(AgentName),
}

impl Taker {
    /// Who calls.
    pub(super) fn calling(user: Option<&User>, caller: &Actor) -> Self {
        match user.and_then(User::verified) {
            Some(user) => Self::User(user.id().clone()),
            None => Self::Caller(caller.caller.clone().or_else(|| caller.operator.clone()).unwrap_or_default()),
        }
    }
}

/// The shares of one host.
pub(super) struct Quotas {
    limits: Limits,
    /// Only of those who have something running.
    running: Mutex<HashMap<Taker, u32>>,
    callers: Rate,
    agents: Rate,
}

/// Part of two shares: of a caller's, and of an agent's. Dropping it gives it back.
pub(super) struct Share {
    quotas: Arc<Quotas>,
    takers: [Taker; 2],
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut running = self.quotas.running();
        for taker in &self.takers {
            if let Some(count) = running.get_mut(taker) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    running.remove(taker);
                }
            }
        }
    }
}

impl Quotas {
    pub(super) fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        let callers = Rate::new(limits.caller_rate, clock.clone());
        let agents = Rate::new(limits.agent_rate, clock);
        Arc::new(Self { limits, running: Mutex::default(), callers, agents })
    }

    /// Takes a part of the caller's share and of the agent's, for one invocation.
    ///
    /// # Errors
    /// [`OperationError::Throttled`] names the limit.
    pub(super) fn take(self: &Arc<Self>, caller: Taker, agent: &AgentName) -> Result<Share, OperationError> {
        let takers = [caller, Taker::Agent(agent.clone())];
        let most = [self.limits.caller_invocations, self.limits.agent_invocations];
        let names = ["caller_invocations", "agent_invocations"];
        let mut running = self.running();
        for ((taker, most), name) in takers.iter().zip(most).zip(names) {
            if running.get(taker).is_some_and(|count| *count >= most) {
                return Err(throttled(taker, &format!("{most} invocations at once (`{name}`)"), 1));
            }
        }
        for (taker, rate, name) in
            [(&takers[0], &self.callers, "caller_rate"), (&takers[1], &self.agents, "agent_rate")]
        {
            rate.take(taker)
                .map_err(|wait| throttled(taker, &format!("{} invocations a second (`{name}`)", rate.rate), wait))?;
        }
        for taker in &takers {
            *running.entry(taker.clone()).or_default() += 1;
        }
        drop(running);
        Ok(Share { quotas: self.clone(), takers })
    }

    /// A panic while the lock was held leaves counts that are still whole.
    fn running(&self) -> MutexGuard<'_, HashMap<Taker, u32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn throttled(taker: &Taker, limit: &str, retry_after: u32) -> OperationError {
    let whose = match taker {
        Taker::User(_) | Taker::Caller(_) => "you have".to_owned(),
        Taker::Agent(name) => format!("agent `{name}` has"),
    };
    let message = format!("{whose} reached the limit of {limit}; wait for some to end and try again");
    OperationError::Throttled { message, retry_after }
}

/// One rate for each of many takers (GCRA). A taker that was idle is not remembered: nobody could tell it from a new one.
struct Rate {
    rate: NonZeroU32,
    limiter: RateLimiter<u64, DefaultKeyedStateStore<u64>, Ours, NoOpMiddleware<Duration>>,
    clock: Ours,
    /// Takers by a hash that nobody outside can steer, so that each costs a few bytes.
    hasher: RandomState,
}

impl Rate {
    fn new(rate: NonZeroU32, clock: Clock) -> Self {
        let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1)));
        let clock = Ours(clock);
        let limiter = RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock.clone());
        Self { rate, limiter, clock, hasher: RandomState::new() }
    }

    /// Or in how many seconds to try again.
    fn take(&self, taker: &Taker) -> Result<(), u32> {
        let mut key = self.hasher.hash_one(taker);
        if self.limiter.len() >= MOST {
            self.limiter.retain_recent();
            if self.limiter.len() >= MOST {
                key = 0;
            }
        }
        self.limiter.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }
}

/// The host's time, as the limiter reads it.
#[derive(Clone)]
struct Ours(Clock);

impl governor::clock::Clock for Ours {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn caller(name: &str) -> Taker {
        Taker::Caller(name.to_owned())
    }

    fn agent(name: &str) -> AgentName {
        AgentName::parse(name).unwrap()
    }

    fn quotas(limits: Limits) -> (Arc<Quotas>, Clock) {
        let clock = Clock::held(Timestamp::from_secs(1_000));
        (Quotas::new(limits, clock.clone()), clock)
    }

    #[test]
    fn shares_of_the_host_are_given_back_and_nobody_takes_more() {
        let (quotas, _clock) = quotas(Limits { caller_invocations: 2, agent_invocations: 3, ..Limits::of(8) });
        let a = agent("calendar");
        let one = quotas.take(caller("alice"), &a).ok().unwrap();
        let _two = quotas.take(caller("alice"), &a).ok().unwrap();
        let error = quotas.take(caller("alice"), &agent("other")).err().unwrap();
        assert!(matches!(&error, OperationError::Throttled { message, .. } if message.contains("caller_invocations")));
        let _three = quotas.take(caller("bob"), &a).ok().unwrap();
        let error = quotas.take(caller("bob"), &a).err().unwrap();
        assert!(matches!(&error, OperationError::Throttled { message, .. } if message.contains("agent_invocations")));
        drop(one);
        assert!(quotas.take(caller("bob"), &a).is_ok());
        assert!(quotas.take(caller("alice"), &agent("other")).is_ok());
        drop((_two, _three));
        assert!(quotas.running().is_empty(), "nothing is remembered of those who have nothing running");
    }

    #[test]
    fn a_rate_refuses_says_when_and_forgets_who_is_idle() {
        let rate = NonZeroU32::new(2).unwrap();
        let (quotas, clock) = quotas(Limits { caller_rate: rate, ..Limits::of(200) });
        let a = agent("calendar");
        let mut taken = 0;
        let error = loop {
            match quotas.take(caller("alice"), &a) {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(taken, 20, "ten seconds' worth at once");
        assert!(matches!(error, OperationError::Throttled { retry_after: 1, .. }), "{error}");
        assert!(quotas.take(caller("bob"), &a).is_ok(), "another's rate is another");
        clock.advance(Duration::from_millis(500));
        assert!(quotas.take(caller("alice"), &a).is_ok() && quotas.take(caller("alice"), &a).is_err());
        for n in 0..10_000 {
            assert!(quotas.take(caller(&format!("user {n}")), &a).is_ok());
            clock.advance(Duration::from_millis(1));
        }
        clock.advance(Duration::from_secs(3600));
        quotas.callers.limiter.retain_recent();
        assert!(quotas.callers.limiter.is_empty());
    }

    /// By counts: one with a thousand calls in the queue at all times, and ten who make one after the other.
    #[test]
    fn one_abuser_takes_a_share_and_the_polite_are_served_alike() {
        const PLACES: usize = 8;
        let (quotas, _clock) = quotas(Limits::of(PLACES as u32));
        let polite: Vec<String> = (0..10).map(|n| format!("polite {n}")).collect();
        let (mut served, mut abused) = (vec![0u32; polite.len()], 0u32);
        let mut running: std::collections::VecDeque<Share> = std::collections::VecDeque::new();
        for round in 0..1_000 {
            // The abuser asks first each time, for the whole host and more.
            for _ in 0..1_000 {
                if running.len() < PLACES
                    && let Ok(share) = quotas.take(caller("abuser"), &agent(&format!("a{}", abused % 4)))
                {
                    abused += 1;
                    running.push_back(share);
                }
            }
            for n in 0..polite.len() {
                let n = (n + round) % polite.len();
                if running.len() < PLACES
                    && let Ok(share) = quotas.take(caller(&polite[n]), &agent("calendar"))
                {
                    served[n] += 1;
                    running.push_back(share);
                }
            }
            // Half of what runs ends.
            running.drain(..running.len() / 2);
        }
        let (sum, squares) = served.iter().fold((0.0, 0.0), |(s, q), &n| (s + f64::from(n), q + f64::from(n).powi(2)));
        let jain = sum * sum / (served.len() as f64 * squares);
        assert!(served.iter().all(|&n| n > 0) && jain >= 0.9, "{served:?} {jain}");
        assert!(sum >= f64::from(abused) * 0.5, "the polite got {sum}, the abuser {abused}");
    }
}
