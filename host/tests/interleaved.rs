//! The files whose whole point is in which order threads meet, run as they are under a scheduler that goes through orders
//! (shuttle): one flight per key, the table of workload access tokens, the seats.
//!
//! The scheduler's locks and tasks stand in for the host's. What shuttle cannot see is a race below the locks; there is no
//! `unsafe` and no atomic in these files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

macro_rules! fault_point {
    ($name:literal) => {};
}

mod sync {
    pub(crate) use shuttle::future::spawn;
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, RwLock};
    pub(crate) use std::sync::PoisonError;
}

mod identity {
    pub(crate) use crate::wat::Live;
}

/// Stands in for what a seat carries and does not look into.
mod policy {
    pub(crate) type Permit = &'static str;
}

mod confined {
    use attache::broker::Refusal;
    use attache::ids::ProviderName;

    pub(crate) struct Confinement;
    pub(crate) struct Watch;

    impl Confinement {
        pub(crate) fn none() -> Self {
            Self
        }
        pub(crate) fn confine(&self, _: &ProviderName) -> Result<(), Refusal> {
            Ok(())
        }
        pub(crate) fn admits(&self, _: &ProviderName) -> Result<(), Refusal> {
            Ok(())
        }
        pub(crate) fn watch(&self) -> Watch {
            Watch
        }
    }
}

#[path = "../src/vault/flight.rs"]
mod flight;
#[path = "../src/broker/seat.rs"]
#[allow(dead_code, unreachable_pub, reason = "not all of it matters here, and it is public elsewhere")]
mod seat;
mod support;
#[path = "../src/identity/wat.rs"]
#[allow(dead_code, unreachable_pub, reason = "not all of it matters here, and it is public elsewhere")]
mod wat;

use attache::broker::Refusal;
use attache::clock::{self, Clock};
use attache::identity::Binding;
use attache::ids::{self, CredentialId, InvocationId};
use flight::Flights;
use seat::Seats;
use shuttle::future::block_on;
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;
use std::time::Duration;
use wat::WatTable;

/// Orders at random, and orders with few changes of thread at the places where it hurts most (PCT).
fn through_orders(run: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(run.clone(), 3000);
    shuttle::check_pct(run, 3000, 3);
}

/// A grant at a provider where a refresh token works once: it is named by its generation.
#[derive(Default)]
struct Grant {
    generation: Mutex<u64>,
    shown: Mutex<Vec<u64>>,
}

impl Grant {
    async fn renew(self: Arc<Self>, from: u64) -> u64 {
        self.shown.lock().unwrap().push(from);
        shuttle::future::yield_now().await;
        *self.generation.lock().unwrap() = from + 1;
        from + 1
    }

    fn is(&self, generation: u64) -> bool {
        *self.generation.lock().unwrap() == generation
    }

    fn none_was_shown_twice(&self) {
        let mut shown = self.shown.lock().unwrap().clone();
        shown.sort_unstable();
        let all = shown.len();
        shown.dedup();
        assert_eq!(shown.len(), all, "a refresh token was shown twice");
    }
}

/// As the vault asks: whether the grant is still as it was looked up, under the lock of the flights.
fn renewed(grant: &Arc<Grant>, flights: &Arc<Flights<u8, u64>>) -> u64 {
    let seen = *grant.generation.lock().unwrap();
    let prepare = || if grant.is(seen) { Ok(grant.clone().renew(seen)) } else { Err(()) };
    match flights.board(1, prepare) {
        Ok(flight) => {
            let next = block_on(flight);
            // The same only where it looked between the renewal and the landing: the vault looks once more.
            assert!(next >= seen, "whoever waited has no older token");
            next
        }
        Err(()) => *grant.generation.lock().unwrap(),
    }
}

#[test]
fn a_refresh_token_is_shown_once_in_whatever_order_callers_come_and_go() {
    through_orders(|| {
        let (grant, flights) = (Arc::new(Grant::default()), Flights::new(|| 0));
        let callers = [0; 3].map(|_| {
            let (grant, flights) = (grant.clone(), flights.clone());
            thread::spawn(move || renewed(&grant, &flights))
        });
        // One that goes away as soon as the flight is on its way.
        let gone = {
            let (grant, flights) = (grant.clone(), flights.clone());
            thread::spawn(move || {
                let seen = *grant.generation.lock().unwrap();
                let prepare = || if grant.is(seen) { Ok(grant.clone().renew(seen)) } else { Err(()) };
                drop(flights.board(1, prepare));
            })
        };
        let reached = callers.map(|caller| caller.join().unwrap());
        gone.join().unwrap();
        grant.none_was_shown_twice();
        assert!(reached.iter().all(|generation| *generation >= 1));
        // Nothing is left in the air for the next one to wait for; at most one flight, of whoever went away.
        let before = *grant.generation.lock().unwrap();
        assert!((0..2).any(|_| renewed(&grant, &flights) > before), "no new flight takes off");
        grant.none_was_shown_twice();
    });
}

#[test]
fn flights_of_two_keys_do_not_meet() {
    through_orders(|| {
        let flights: Arc<Flights<u8, u64>> = Flights::new(|| 0);
        let callers = [1_u8, 2, 1, 2].map(|key| {
            let flights = flights.clone();
            thread::spawn(move || {
                let told = flights.board(key, || Ok::<_, ()>(async move { u64::from(key) }));
                assert_eq!(block_on(told.unwrap()), u64::from(key), "the flight of another");
            })
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

/// What the tests above are worth: the same callers, looking before the lock instead of under it.
#[test]
#[should_panic(expected = "a refresh token was shown twice")]
fn looking_at_the_grant_before_the_lock_would_be_found_out() {
    through_orders(|| {
        let (grant, flights) = (Arc::new(Grant::default()), Flights::new(|| 0));
        let callers = [0; 3].map(|_| {
            let (grant, flights) = (grant.clone(), flights.clone());
            thread::spawn(move || {
                let seen = *grant.generation.lock().unwrap();
                let flight = flights.board(1, || Ok::<_, ()>(grant.clone().renew(seen)));
                block_on(flight.unwrap())
            })
        });
        for caller in callers {
            let _generation = caller.join().unwrap();
        }
        grant.none_was_shown_twice();
    });
}

/// The bindings of alice, bob and carol. Made before a scheduler takes over.
fn bindings() -> Vec<std::sync::Arc<Binding>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bench = support::Bench::new().await;
        let mut all = Vec::new();
        for user in ["alice", "bob", "carol"] {
            all.push(bench.bind("calendar", user).await);
        }
        all
    })
}

#[test]
fn a_token_stands_for_its_own_binding_while_it_lives_and_for_none_after() {
    let bindings = bindings();
    through_orders(move || {
        let table = WatTable::new(Clock::held(clock::Timestamp::from_secs(1)));
        let invocations: Vec<_> = bindings
            .iter()
            .map(|binding| {
                let (table, binding) = (table.clone(), binding.clone());
                thread::spawn(move || {
                    let (token, live) = table.mint(binding.clone(), Duration::from_secs(60));
                    let token = Arc::new(token);
                    // A straggler, or a thief: it asks while the invocation goes.
                    let late = {
                        let (table, token, binding) = (table.clone(), token.clone(), binding.clone());
                        thread::spawn(move || {
                            let found = table.resolve(&token);
                            assert!(found.is_none_or(|found| Arc::ptr_eq(&found, &binding)), "somebody else's binding");
                        })
                    };
                    assert!(Arc::ptr_eq(&table.resolve(&token).expect("it lives"), &binding));
                    drop(live);
                    assert!(table.resolve(&token).is_none(), "it outlived its invocation");
                    late.join().unwrap();
                })
            })
            .collect();
        invocations.into_iter().for_each(|invocation| invocation.join().unwrap());
        assert!(table.is_empty());
    });
}

#[test]
fn a_handle_is_of_its_own_seat_and_nothing_is_held_after_it() {
    let bindings = bindings();
    through_orders(move || {
        let table = WatTable::new(Clock::held(clock::Timestamp::from_secs(1)));
        let seats = Seats::new();
        let ids = [0; 2].map(|_| (InvocationId::random(), CredentialId::random()));
        let whose = ["alice's", "bob's"];
        let invocations: Vec<_> = (0..2)
            .map(|nth| {
                let (table, seats, binding) = (table.clone(), seats.clone(), bindings[nth].clone());
                thread::spawn(move || {
                    let ((me, mine), (_, other)) = (ids[nth], ids[1 - nth]);
                    let (token, live) = table.mint(binding, Duration::from_secs(60));
                    let seat = seats.take(me, None, live);
                    // A call that was under way when the invocation ended.
                    let late = {
                        let seats = seats.clone();
                        thread::spawn(move || match seats.hold(me, mine, whose[nth]) {
                            Ok(()) | Err(Refusal::NotBound) => {}
                            Err(refusal) => panic!("{refusal}"),
                        })
                    };
                    match seats.held(me, mine) {
                        Ok(permit) => assert_eq!(permit, whose[nth]),
                        Err(refusal) => assert!(matches!(refusal, Refusal::InvalidRequest(_))),
                    }
                    assert!(seats.held(me, other).is_err(), "another's handle");
                    drop(seat);
                    assert!(table.resolve(&token).is_none());
                    assert!(matches!(seats.held(me, mine), Err(Refusal::NotBound)));
                    late.join().unwrap();
                    assert!(matches!(seats.held(me, mine), Err(Refusal::NotBound)), "a late call brought it back");
                })
            })
            .collect();
        invocations.into_iter().for_each(|invocation| invocation.join().unwrap());
    });
}
