//! A renewal that is cut off at every step: a working grant, or an honest "consent needed", and the trail says why.

use crate::support::stores::Fault;
use crate::support::{Bench, eventually, scopes, text, tokens};
use attache::audit::codes;
use attache::ids::GrantId;
use attache::vault::{GrantStatus, VaultError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Alice's grant, whose token is over; the provider rotates refresh tokens, or does not.
async fn over(rotates: bool) -> (Arc<Bench>, GrantId) {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.saas.state.keep_refresh.store(!rotates, Ordering::SeqCst);
    let id = bench.keep(&who, "google", scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    (bench, id)
}

/// The host dies at this write of a renewal.
async fn die(bench: &Arc<Bench>, write: &'static str, fault: Fault) {
    let who = bench.bind("calendar", "alice").await;
    let struck = bench.rows.struck.load(Ordering::SeqCst);
    *bench.rows.fault.lock().unwrap() = Some((write, fault));
    let caller = tokio::spawn({
        let bench = bench.clone();
        async move { bench.token(&who, "google", scopes("read")).await.map(|_| ()) }
    });
    eventually("the fault", || bench.rows.struck.load(Ordering::SeqCst) > struck).await;
    assert!(!caller.is_finished(), "nobody heard of it");
    caller.abort();
    *bench.rows.fault.lock().unwrap() = None;
}

/// What a host that starts anew on the same rows gives to alice, and to nobody else.
async fn after(bench: &Bench) -> Result<String, VaultError> {
    let vault = bench.restart().await.unwrap();
    for (agent, user) in [("calendar", "bob"), ("rogue", "alice")] {
        let who = bench.bind(agent, user).await;
        assert!(matches!(bench.token_of(&vault, &who, "google", scopes("read")).await, Err(VaultError::Missing)));
    }
    let who = bench.bind("calendar", "alice").await;
    let result = bench.token_of(&vault, &who, "google", scopes("read")).await.map(|token| text(&token));
    let status = vault.status(&who, &bench.provider("google"), &scopes("read").into());
    assert_eq!(matches!(status, GrantStatus::Granted { .. }), result.is_ok(), "what is told is what is so");
    result
}

#[tokio::test]
async fn a_host_that_dies_before_the_request_renews_with_the_same_token() {
    for rotates in [true, false] {
        for fault in [Fault::DiesBefore, Fault::DiesAfter] {
            let (bench, _) = over(rotates).await;
            die(&bench, "renewing", fault).await;
            assert_eq!(bench.saas.refreshes(), 0, "nothing leaves before the mark is durable");
            assert_eq!(after(&bench).await.unwrap(), "access-r0", "{rotates} {fault:?}");
            assert_eq!(bench.rows.rows.lock().unwrap()[0].renewing_since, None, "and the mark is gone");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_ends_in_a_working_grant_or_an_honest_refusal() {
    // A provider that keeps the refresh token: nothing is lost.
    let (bench, _) = over(false).await;
    die(&bench, "replace", Fault::DiesBefore).await;
    assert_eq!(after(&bench).await.unwrap(), "access-r1");

    // One that rotates it: the answer is gone, and the record says so.
    let (bench, _) = over(true).await;
    die(&bench, "replace", Fault::DiesBefore).await;
    assert!(bench.rows.rows.lock().unwrap()[0].renewing_since.is_some(), "the row knows");
    assert!(matches!(after(&bench).await, Err(VaultError::GrantGone)));
    assert_eq!(bench.saas.refreshes(), 2);
    let told = bench.outcomes(codes::REFRESH).pop().unwrap();
    assert!(told.starts_with("Refused") && told.contains("never arrived"), "{told}");
    assert!(bench.rows.rows.lock().unwrap().is_empty(), "consent is needed, and can be given");
    assert!(matches!(after(&bench).await, Err(VaultError::Missing)));
}

#[tokio::test]
async fn an_answer_that_is_durable_is_used_though_nobody_heard_of_it() {
    for rotates in [true, false] {
        let (bench, _) = over(rotates).await;
        die(&bench, "replace", Fault::DiesAfter).await;
        assert_eq!(after(&bench).await.unwrap(), "access-r0", "{rotates}");
        assert_eq!(bench.saas.refreshes(), 1, "nothing is asked for twice");
    }
}

#[tokio::test]
async fn a_store_that_fails_loses_nothing() {
    for (write, refreshes) in [("renewing", 0), ("replace", 1)] {
        let (bench, _) = over(true).await;
        let who = bench.bind("calendar", "alice").await;
        *bench.rows.fault.lock().unwrap() = Some((write, Fault::Fails));
        for _ in 0..3 {
            let failed = bench.token(&who, "google", scopes("read")).await;
            assert!(matches!(failed, Err(VaultError::Rows(_))), "{write}");
        }
        assert_eq!(bench.saas.refreshes(), refreshes, "{write}");
        *bench.rows.fault.lock().unwrap() = None;
        assert_eq!(text(&bench.token(&who, "google", scopes("read")).await.unwrap()), "access-r0", "{write}");
        assert_eq!(after(&bench).await.unwrap(), "access-r0", "{write}");
        assert_eq!(bench.saas.refreshes(), 1);
    }
}

/// A mark of a renewal whose answer never came stays until the next answer, and does not outlive it.
#[tokio::test]
async fn a_mark_is_there_as_long_as_something_is_unknown() {
    let marked = |bench: &Bench| bench.rows.rows.lock().unwrap()[0].renewing_since;
    let (bench, _) = over(true).await;
    let who = bench.bind("calendar", "alice").await;
    let began = bench.clock.now();
    bench.saas.set_down(true);
    assert!(matches!(bench.token(&who, "google", scopes("read")).await, Err(VaultError::Provider(_))));
    assert_eq!(marked(&bench), Some(began), "a provider that answers `503` may have renewed it");
    bench.clock.advance(HOUR);
    assert!(bench.token(&who, "google", scopes("read")).await.is_err());
    assert_eq!(marked(&bench), Some(began), "since the first of them");
    bench.saas.set_down(false);
    bench.token(&who, "google", scopes("read")).await.unwrap();
    assert_eq!(marked(&bench), None);
}

/// The old row is gone in the same write that brings the new one; a consent that was given anew replaces both.
#[tokio::test]
async fn a_new_consent_mends_what_a_crash_left_behind() {
    let (bench, id) = over(true).await;
    die(&bench, "replace", Fault::DiesBefore).await;
    let vault = bench.restart().await.unwrap();
    let who = bench.bind("calendar", "alice").await;
    let attempt = bench.attempt(&who);
    let written = attempt.written().await.unwrap();
    let fresh = tokens("fresh", None);
    let again = vault.keep(&written, &bench.provider("google"), &scopes("read").into(), fresh, None).await.unwrap();
    assert_eq!(again, id, "the same grant");
    assert_eq!(bench.rows.rows.lock().unwrap()[0].renewing_since, None);
    assert_eq!(text(&bench.token_of(&vault, &who, "google", scopes("read")).await.unwrap()), "fresh");
}

/// Killed while a consent is kept: it is there whole, or it is not there.
#[tokio::test]
async fn a_host_that_dies_while_a_consent_is_kept_has_it_whole_or_not_at_all() {
    for (fault, there) in [(Fault::DiesBefore, false), (Fault::DiesAfter, true)] {
        let bench = Arc::new(Bench::new().await);
        let who = bench.bind("calendar", "alice").await;
        *bench.rows.fault.lock().unwrap() = Some(("put", fault));
        let keeping = tokio::spawn({
            let (bench, who) = (bench.clone(), who.clone());
            async move { bench.keep(&who, "google", scopes("read"), tokens("kept", None)).await }
        });
        eventually("the fault", || bench.rows.struck.load(Ordering::SeqCst) == 1).await;
        keeping.abort();
        *bench.rows.fault.lock().unwrap() = None;
        assert_eq!(after(&bench).await.ok(), there.then(|| "kept".to_owned()));
    }
}
