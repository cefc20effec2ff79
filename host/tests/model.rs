//! Refresh and consent as one state machine: a model that fits on two pages says what every step must come to, and a vault
//! with its consents, at a third party where refresh tokens work once, is held against it over random walks.
//!
//! After each step the number of requests that reached the third party is compared too: a refresh token shown once more, or
//! a code exchanged that should not be, is a difference.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::audit::Actor;
use attache::consent::{Callback, ConsentError, Question};
use attache::ids::{ConsentId, ProviderName};
use attache::vault::VaultError;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::stores::Fault;
use support::{Bench, query, scopes, text};
use tokio::runtime::Runtime;
use url::Url;

const AGENTS: [&str; 2] = ["calendar", "elsewhere"];
const USERS: [&str; 2] = ["alice", "bob"];
/// Seconds that a token lives.
const LIFE: u64 = 3600;
/// Seconds that a session lives.
const SESSION: u64 = 600;

/// An agent and a user, by their places above.
type Who = (usize, usize);

#[derive(Clone, Debug)]
enum Step {
    /// The agent asks, and there is a link.
    Ask(Who),
    /// This user opens the link of a session.
    Proceed(usize, usize),
    /// The browser of this user comes back from the provider with an answer.
    Answer {
        session: usize,
        user: usize,
        agreed: bool,
    },
    /// The agent wants the token.
    Use(Who),
    /// The user takes the grant back.
    Revoke(Who),
    /// The provider forgets the grant.
    Forget(Who),
    Wait(u64),
    Down(bool),
    /// The store refuses writes.
    Broken(bool),
    /// The store refuses the one write of a renewed token.
    Unsavable(bool),
    /// The host starts anew.
    Restart,
}

/// What a use comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Token(String),
    Missing,
    GrantGone,
    Provider,
    Store,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Started,
    Provider,
    Over,
}

#[derive(Clone, Debug)]
struct Session {
    who: Who,
    at: At,
    until: u64,
}

#[derive(Clone, Debug)]
struct Grant {
    /// `x3`: of the fourth code; `r3`: of the fourth refresh.
    serial: String,
    since: u64,
    /// Not asked again before, while the token is good.
    rests_until: u64,
    /// Whether the provider takes the refresh token that is on disk.
    honoured: bool,
    /// Whether it is written on disk that a refresh may be under way.
    marked: bool,
    /// Renewed at the provider, and not written.
    unsaved: Option<(String, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    down: bool,
    broken: bool,
    unsavable: bool,
    sessions: Vec<Session>,
    grants: BTreeMap<Who, Grant>,
    exchanges: usize,
    refreshes: usize,
    /// What the last step came to, where it was a use or a step of a session.
    told: Option<Told>,
    went: bool,
}

#[derive(PartialEq)]
enum Age {
    Fresh,
    Due,
    Over,
}

impl Model {
    fn age(since: u64, now: u64) -> Age {
        match now - since {
            age if age >= LIFE - 5 => Age::Over,
            age if age >= LIFE - LIFE / 5 => Age::Due,
            _ => Age::Fresh,
        }
    }

    fn used(&mut self, who: Who) -> Told {
        // A renewal that had been made long ago and was written only now may be over itself: then once more.
        for _ in 0..3 {
            let Some(grant) = self.grants.get_mut(&who) else { return Told::Missing };
            let age = Self::age(grant.since, self.now);
            let token = Told::Token(format!("access-{}", grant.serial));
            if age == Age::Fresh || (age == Age::Due && self.now < grant.rests_until) {
                return token;
            }
            match self.renew(who) {
                Ok(()) => {}
                Err(Told::GrantGone) => return Told::GrantGone,
                Err(_) if age == Age::Due => return token,
                Err(told) => return told,
            }
        }
        unreachable!("a token that was asked for just now is fresh")
    }

    fn renew(&mut self, who: Who) -> Result<(), Told> {
        let grant = self.grants.get_mut(&who).unwrap();
        grant.rests_until = 0;
        if let Some((serial, since)) = grant.unsaved.clone() {
            if self.broken || self.unsavable {
                return Err(Told::Store);
            }
            *grant = Grant { serial, since, rests_until: 0, honoured: true, marked: false, unsaved: None };
            return Ok(());
        }
        if !grant.marked && self.broken {
            return Err(Told::Store);
        }
        grant.marked = true;
        let serial = format!("r{}", self.refreshes);
        self.refreshes += 1;
        if self.down {
            grant.rests_until = self.now + 30;
            return Err(Told::Provider);
        }
        if !grant.honoured {
            if self.broken {
                return Err(Told::Store);
            }
            self.grants.remove(&who);
            return Err(Told::GrantGone);
        }
        if self.broken || self.unsavable {
            grant.unsaved = Some((serial, self.now));
            return Err(Told::Store);
        }
        *grant = Grant { serial, since: self.now, rests_until: 0, honoured: true, marked: false, unsaved: None };
        Ok(())
    }

    fn answered(&mut self, nth: usize, user: usize, agreed: bool) -> bool {
        let session = &mut self.sessions[nth];
        if session.at != At::Provider {
            return false;
        }
        session.at = At::Over;
        if session.who.1 != user || self.now >= session.until || !agreed {
            return false;
        }
        let serial = format!("x{}", self.exchanges);
        self.exchanges += 1;
        if self.down || self.broken {
            return false;
        }
        let grant = Grant { serial, since: self.now, rests_until: 0, honoured: true, marked: false, unsaved: None };
        self.grants.insert(session.who, grant);
        true
    }
}

fn anybody() -> impl Strategy<Value = Who> {
    (0..AGENTS.len(), 0..USERS.len())
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let sessions = state.sessions.len();
        let mut steps = vec![
            (3, anybody().prop_map(Step::Ask).boxed()),
            (2, anybody().prop_map(Step::Use).boxed()),
            (1, anybody().prop_map(Step::Revoke).boxed()),
            (8, prop_oneof![Just(20_u64), Just(60), Just(700), Just(2900), Just(3595)].prop_map(Step::Wait).boxed()),
            (2, prop::bool::weighted(0.4).prop_map(Step::Down).boxed()),
            (2, prop::bool::weighted(0.4).prop_map(Step::Broken).boxed()),
            (2, prop::bool::weighted(0.4).prop_map(Step::Unsavable).boxed()),
            (1, Just(Step::Restart).boxed()),
        ];
        let granted: Vec<Who> = state.grants.keys().copied().collect();
        if !granted.is_empty() {
            steps.push((16, prop::sample::select(granted.clone()).prop_map(Step::Use).boxed()));
            steps.push((1, prop::sample::select(granted).prop_map(Step::Forget).boxed()));
        }
        if sessions > 0 {
            // Mostly the latest, mostly by whoever it is for: walks that never get anywhere show little.
            let which = prop_oneof![9 => Just(sessions - 1), 1 => 0..sessions];
            let owners: Vec<usize> = state.sessions.iter().map(|session| session.who.1).collect();
            let whose = (which, prop::bool::weighted(0.1), prop::bool::weighted(0.9));
            let whose = whose.prop_map(move |(nth, other, agreed)| (nth, owners[nth] ^ usize::from(other), agreed));
            steps.push((6, whose.clone().prop_map(|(nth, user, _)| Step::Proceed(nth, user)).boxed()));
            let answer = whose.prop_map(|(session, user, agreed)| Step::Answer { session, user, agreed });
            steps.push((6, answer.boxed()));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            // Who never was at the provider has nothing to come back with.
            Step::Answer { session, .. } => state.sessions.get(*session).is_some_and(|one| one.at != At::Started),
            Step::Proceed(session, _) => *session < state.sessions.len(),
            _ => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        (state.told, state.went) = (None, true);
        match step {
            Step::Ask(who) => {
                state.sessions.push(Session { who: *who, at: At::Started, until: state.now + SESSION });
            }
            Step::Proceed(nth, user) => {
                let now = state.now;
                let session = &mut state.sessions[*nth];
                state.went = session.who.1 == *user && session.at != At::Over && now < session.until;
                if state.went {
                    session.at = At::Provider;
                }
            }
            Step::Answer { session, user, agreed } => state.went = state.answered(*session, *user, *agreed),
            Step::Use(who) => state.told = Some(state.used(*who)),
            Step::Revoke(who) => {
                state.went = state.grants.contains_key(who) && !state.broken;
                if state.went {
                    state.grants.remove(who);
                }
            }
            Step::Forget(who) => {
                if let Some(grant) = state.grants.get_mut(who) {
                    // What was renewed and not written is another token, and the provider goes on honouring that.
                    grant.honoured = false;
                }
            }
            Step::Wait(seconds) => state.now += seconds,
            Step::Down(down) => state.down = *down,
            Step::Broken(broken) => state.broken = *broken,
            Step::Unsavable(unsavable) => state.unsavable = *unsavable,
            Step::Restart => {
                for grant in state.grants.values_mut() {
                    grant.rests_until = 0;
                    // The answer is lost, and its refresh token is spent.
                    if grant.unsaved.take().is_some() {
                        grant.honoured = false;
                    }
                }
            }
        }
        state
    }
}

struct System {
    runtime: Arc<Runtime>,
    bench: Bench,
    /// The sessions' ids, and where their browsers were sent last.
    sessions: Vec<(ConsentId, Option<Url>)>,
    /// The refresh token that each grant has, as far as the model's steps tell.
    serials: BTreeMap<Who, String>,
}

impl System {
    async fn bind(&self, who: Who) -> Arc<attache::identity::Binding> {
        match AGENTS[who.0] {
            "elsewhere" => self.bench.bind_elsewhere(Some(USERS[who.1])).await,
            agent => self.bench.bind(agent, USERS[who.1]).await,
        }
    }

    async fn used(&self, who: Who) -> Told {
        let binding = self.bind(who).await;
        match self.bench.token(&binding, "google", &scopes("read")).await {
            Ok(token) => Told::Token(text(&token)),
            Err(VaultError::Missing) => Told::Missing,
            Err(VaultError::GrantGone) => Told::GrantGone,
            Err(VaultError::Provider(_)) => Told::Provider,
            Err(VaultError::Rows(_)) => Told::Store,
            Err(error) => panic!("{error}"),
        }
    }

    async fn step(&mut self, step: Step, model: &Model) {
        let google = ProviderName::parse("google").unwrap();
        match step {
            Step::Ask(who) => {
                let (binding, wanted) = (self.bind(who).await, scopes("read").into());
                // A workload elsewhere has to name where the browser ends; the host's own page completes all the same where
                // none is named, so both kinds go the same way here.
                let question = Question { wanted: &wanted, return_url: None, custom_state: None, force: false };
                let started = self.bench.consents.start(&binding, &self.bench.provider("google"), &question).await;
                let id = ConsentId::from_session_uri(&started.unwrap().session_uri).unwrap();
                self.sessions.push((id, None));
            }
            Step::Proceed(nth, user) => {
                let user = self.bench.user(USERS[user]).await;
                let result = self.bench.consents.proceed(self.sessions[nth].0, Some(&user)).await;
                assert_eq!(result.is_ok(), model.went, "{result:?}");
                if let Ok(url) = result {
                    self.sessions[nth].1 = Some(url);
                }
            }
            Step::Answer { session, user, agreed } => {
                let url = self.sessions[session].1.as_ref().unwrap();
                let callback = Callback {
                    state: Some(query(url, "state")),
                    code: agreed.then(|| self.bench.saas.agree(url)),
                    iss: Some(self.bench.saas.url.clone()),
                    error: (!agreed).then(|| "access_denied".into()),
                    error_description: None,
                };
                let user = self.bench.user(USERS[user]).await;
                let result = self.bench.consents.callback(&google, callback, Some(&user)).await;
                assert_eq!(result.is_ok(), model.went, "{result:?}");
                assert!(!matches!(result, Err(ConsentError::State)), "its state is known");
            }
            Step::Use(who) => {
                let told = model.told.clone().unwrap();
                // Where all must come to the same, three ask at once.
                let at_once = if matches!(told, Told::Token(_)) && !model.broken && !model.unsavable { 3 } else { 1 };
                for got in join_all((0..at_once).map(|_| self.used(who))).await {
                    assert_eq!(got, told);
                }
            }
            Step::Revoke(who) => {
                let binding = self.bind(who).await;
                let agent = binding.agent().name().to_string();
                let grants = self.bench.vault.grants_of(binding.user().unwrap().id());
                let grant = grants.into_iter().find(|grant| grant.agent == agent);
                let went = match grant {
                    Some(grant) => self.bench.vault.revoke(grant.id, Actor::default(), None).await.is_ok(),
                    None => false,
                };
                assert_eq!(went, model.went);
            }
            Step::Forget(who) => {
                if let Some(serial) = self.serials.get(&who) {
                    self.bench.saas.forget(&format!("refresh-{serial}"));
                }
            }
            Step::Wait(seconds) => self.bench.clock.advance(Duration::from_secs(seconds)),
            Step::Down(down) => self.bench.saas.set_down(down),
            Step::Broken(broken) => self.bench.rows.broken.store(broken, Ordering::SeqCst),
            Step::Unsavable(unsavable) => {
                *self.bench.rows.fault.lock().unwrap() = unsavable.then_some(("replace", Fault::Fails));
            }
            Step::Restart => {
                self.bench.vault = self.bench.restart().await.unwrap();
                self.bench.consents = self.bench.restarted_consents();
            }
        }
    }
}

/// How often the walks came to what.
static SEEN: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());

fn count(model: &Model) {
    let mut seen = SEEN.lock().unwrap();
    let told = match &model.told {
        Some(Told::Token(serial)) if serial.starts_with("access-x") => "the first token",
        Some(Told::Token(_)) => "a renewed token",
        Some(Told::Missing) => "no grant",
        Some(Told::GrantGone) => "a grant that the provider ended",
        Some(Told::Provider) => "a provider that is down",
        Some(Told::Store) => "a store that is down",
        None => "another step",
    };
    *seen.entry(told).or_default() += 1;
    if model.grants.values().any(|grant| grant.unsaved.is_some()) {
        *seen.entry("a renewal that waits to be written").or_default() += 1;
    }
}

struct Held;

impl StateMachineTest for Held {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(_: &Model) -> System {
        let runtime = Arc::new(Runtime::new().unwrap());
        let bench = runtime.block_on(Bench::new());
        System { runtime, bench, sessions: Vec::new(), serials: BTreeMap::new() }
    }

    fn apply(mut system: System, model: &Model, step: Step) -> System {
        system.runtime.clone().block_on(system.step(step, model));
        count(model);
        system.serials = model.grants.iter().map(|(who, grant)| (*who, grant.serial.clone())).collect();
        assert_eq!(system.bench.saas.exchanges(), model.exchanges, "codes that left the host");
        assert_eq!(system.bench.saas.refreshes(), model.refreshes, "refresh tokens that left the host");
        assert_eq!(system.bench.vault.grants().len(), model.grants.len(), "grants");
        system
    }
}

#[test]
fn refresh_and_consent_do_what_the_model_says_over_random_walks() {
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((initial, steps, seen) in Model::sequential_strategy(40..100))| {
        Held::test_sequential(ProptestConfig::default(), initial, steps, seen);
    });
    // Walks that never get anywhere would prove nothing.
    let seen = SEEN.lock().unwrap();
    eprintln!("{seen:?}");
    assert!(seen.len() == 8 && seen.values().all(|times| *times >= 10), "{seen:?}");
}
