//! Grants: who gets which token, what happens when it is renewed, and that revoked means revoked.

use crate::support::stores::Fault;
use crate::support::third_party::ThirdParty;
use crate::support::{Bench, eventually, scopes, text, tokens};
use attache::audit::{Actor, Decision, codes};
use attache::egress::Destinations;
use attache::ids::Scopes;
use attache::oauth::{Endpoints, Server};
use attache::seal::SealError;
use attache::vault::{GrantRow, GrantStatus, VaultError};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_grant_is_reached_by_its_agent_and_user_at_its_provider_only() {
    let bench = Bench::new().await;
    let wanted = scopes("read");
    let whom = [("calendar", "alice"), ("calendar", "bob"), ("rogue", "alice"), ("rogue", "bob")];
    for (agent, user) in whom {
        for provider in ["google", "slack"] {
            let who = bench.bind(agent, user).await;
            assert_eq!(bench.vault.status(&who, &bench.provider(provider), &(&wanted).into()), GrantStatus::Missing);
            assert!(matches!(bench.token(&who, provider, &wanted).await, Err(VaultError::Missing)));
            bench.keep(&who, provider, &wanted, tokens(&format!("{agent} {user} {provider}"), None)).await;
        }
    }
    for vault in [bench.vault.clone(), bench.restart().await.unwrap()] {
        for (agent, user) in whom {
            for provider in ["google", "slack"] {
                let who = bench.bind(agent, user).await;
                let token = bench.token_of(&vault, &who, provider, &wanted).await.unwrap();
                assert_eq!(text(&token), format!("{agent} {user} {provider}"));
            }
        }
    }
    assert_eq!(bench.vault.grants().len(), 8);
    assert_eq!(bench.vault.grants_of(bench.user("alice").await.id()).len(), 4);
}

/// Every pair of rows swapped by hand, in the two ways in which somebody who writes to the store could: the ciphertext
/// alone, and everything but the columns by which a row is found.
#[tokio::test]
async fn a_row_copied_over_another_does_not_open() {
    let bench = Bench::new().await;
    let mut whose = Vec::new();
    for (agent, user) in [("calendar", "alice"), ("calendar", "bob"), ("rogue", "alice")] {
        for provider in ["google", "slack"] {
            for asked in ["read", "write"] {
                let who = bench.bind(agent, user).await;
                let id = bench.keep(&who, provider, &scopes(asked), tokens(&format!("{agent}{user}"), None)).await;
                whose.push((id, who, provider, scopes(asked)));
            }
        }
    }
    let honest = bench.rows.rows.lock().unwrap().clone();
    let row = |id| honest.iter().find(|row: &&GrantRow| row.id == id).unwrap().clone();
    let mut pairs = 0;
    for (from, ..) in &whose {
        for (to, who, provider, asked) in &whose {
            if from == to {
                continue;
            }
            let (source, target) = (row(*from), row(*to));
            let ciphertext = GrantRow { sealed: source.sealed.clone(), ..target.clone() };
            let whole = GrantRow {
                workload: target.workload.clone(),
                user: target.user.clone(),
                provider: target.provider.clone(),
                client: target.client.clone(),
                asked: target.asked.clone(),
                granted: target.granted.clone(),
                ..source
            };
            for forged in [ciphertext, whole] {
                *bench.rows.rows.lock().unwrap() = vec![forged];
                let vault = bench.restart().await.unwrap();
                let opened = bench.token_of(&vault, who, provider, asked).await;
                assert!(matches!(opened, Err(VaultError::Seal(SealError::DoesNotOpen))));
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 2 * 12 * 11);
}

#[tokio::test]
async fn a_column_changed_by_hand_is_noticed() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let mut few = tokens("token", None);
    few.scopes = Some(scopes("read"));
    bench.keep(&who, "google", &scopes("read write"), few).await;
    let honest = bench.rows.rows.lock().unwrap()[0].clone();
    let later = honest.updated_at.plus(HOUR);
    let changes: [fn(&mut GrantRow, attache::clock::Timestamp); 7] = [
        |row, _| row.destinations.push_str(" https://evil.example"),
        |row, _| row.granted = scopes("read write"),
        |row, _| row.asked = scopes("read"),
        |row, at| row.expires_at = Some(at.plus(HOUR)),
        |row, at| row.created_at = at,
        |row, _| row.generation += 1,
        |row, _| row.id = attache::ids::GrantId::random(),
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let mut row = honest.clone();
        change(&mut row, later);
        *bench.rows.rows.lock().unwrap() = vec![row];
        let vault = bench.restart().await.unwrap();
        let opened = bench.token_of(&vault, &who, "google", &scopes("read")).await;
        assert!(matches!(opened, Err(VaultError::Seal(SealError::DoesNotOpen))), "change {nth}");
    }
    *bench.rows.rows.lock().unwrap() = vec![honest];
    let vault = bench.restart().await.unwrap();
    assert_eq!(text(&bench.token_of(&vault, &who, "google", &scopes("read")).await.unwrap()), "token");
}

#[tokio::test]
async fn a_vault_does_not_start_with_another_key_ring() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("token", None)).await;
    let other = Bench::new().await;
    *other.rows.rows.lock().unwrap() = bench.rows.rows.lock().unwrap().clone();
    assert!(matches!(other.restart().await.err(), Some(VaultError::Seal(SealError::UnknownKey(_)))));
}

#[tokio::test]
async fn scopes_are_covered_by_what_was_asked_and_granted() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let google = bench.provider("google");
    let mut wide = tokens("wide", None);
    wide.scopes = Some(scopes("read write admin"));
    bench.keep(&who, "google", &scopes("read write share"), wide).await;
    bench.keep(&who, "google", &scopes("read"), tokens("narrow", None)).await;
    let granted = |text, expires_at| GrantStatus::Granted { scopes: scopes(text), expires_at };
    let at = Some(bench.clock.now().plus(HOUR));
    // The one with the fewest scopes.
    assert_eq!(bench.vault.status(&who, &google, &scopes("read").into()), granted("read", at));
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "narrow");
    assert_eq!(bench.vault.status(&who, &google, &scopes("write").into()), granted("read write", at));
    assert_eq!(text(&bench.token(&who, "google", &scopes("write")).await.unwrap()), "wide");
    // Asked and not granted; granted and never asked; neither.
    assert_eq!(
        bench.vault.status(&who, &google, &scopes("write share").into()),
        GrantStatus::Short { missing: scopes("share") }
    );
    assert!(
        matches!(bench.token(&who, "google", &scopes("share")).await, Err(VaultError::Short(m)) if m == scopes("share"))
    );
    assert_eq!(bench.vault.status(&who, &google, &scopes("admin").into()), GrantStatus::Missing);
    assert_eq!(bench.vault.status(&who, &google, &scopes("delete").into()), GrantStatus::Missing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_make_one_token_request() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    bench.saas.close_gate();
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (bench, who) = (bench.clone(), who.clone());
            tokio::spawn(async move { text(&bench.token(&who, "google", &scopes("read")).await.unwrap()) })
        })
        .collect();
    eventually("the token request", || bench.saas.refreshes() == 1).await;
    bench.saas.open_gate();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "access-r0");
    }
    assert_eq!(bench.saas.refreshes(), 1);
    assert_eq!(bench.outcomes(codes::REFRESH), ["Allowed"]);
    assert_eq!(bench.vault.grants().len(), 1);
}

/// Nobody is held back here, so that some look the grant up just before a flight lands and ask for one just after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_around_a_landing_do_not_spend_the_refresh_token_again() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    for round in 1..=300 {
        bench.clock.advance(HOUR);
        let callers = (0..16).map(|_| {
            let (bench, who) = (bench.clone(), who.clone());
            tokio::spawn(async move {
                while bench.saas.refreshes() < round {
                    bench.token(&who, "google", &scopes("read")).await.unwrap();
                }
                text(&bench.token(&who, "google", &scopes("read")).await.unwrap())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), format!("access-r{}", round - 1));
        }
        assert_eq!(bench.saas.refreshes(), round);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_rotated_token() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    bench.saas.close_gate();
    let caller = tokio::spawn({
        let (bench, who) = (bench.clone(), who.clone());
        async move { bench.token(&who, "google", &scopes("read")).await.map(|_| ()) }
    });
    eventually("the token request", || bench.saas.refreshes() == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    bench.saas.open_gate();
    eventually("the new row", || bench.rows.rows.lock().unwrap()[0].generation == 2).await;
    let vault = bench.restart().await.unwrap();
    assert_eq!(text(&bench.token_of(&vault, &who, "google", &scopes("read")).await.unwrap()), "access-r0");
    assert_eq!(bench.saas.refreshes(), 1);
}

#[tokio::test]
async fn a_rotated_token_is_durable_before_it_is_used_and_never_asked_for_twice() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    bench.rows.broken.store(true, Ordering::SeqCst);
    assert!(matches!(bench.token(&who, "google", &scopes("read")).await, Err(VaultError::Rows(_))));
    assert!(matches!(bench.token(&who, "google", &scopes("read")).await, Err(VaultError::Rows(_))));
    bench.rows.broken.store(false, Ordering::SeqCst);
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-r0");
    assert_eq!(bench.saas.refreshes(), 1);
    let vault = bench.restart().await.unwrap();
    assert_eq!(text(&bench.token_of(&vault, &who, "google", &scopes("read")).await.unwrap()), "access-r0");
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_time_and_rotation_goes_on() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(Duration::from_secs(2879));
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "old");
    for nth in 0..5 {
        bench.clock.advance(Duration::from_secs(2880));
        // A machine that is slow today may get the old one once.
        bench.token(&who, "google", &scopes("read")).await.unwrap();
        eventually("the new row", || bench.rows.rows.lock().unwrap()[0].generation == nth + 2).await;
        assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), format!("access-r{nth}"));
    }
    assert_eq!(bench.saas.refreshes(), 5);
}

#[tokio::test]
async fn while_the_provider_is_down_a_valid_token_is_used_and_an_expired_one_is_not() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.saas.set_down(true);
    bench.clock.advance(Duration::from_secs(3000));
    for _ in 0..10 {
        assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "old");
    }
    assert_eq!(bench.saas.refreshes(), 1, "a provider that failed is left alone for a while");
    bench.clock.advance(Duration::from_secs(600));
    assert!(matches!(bench.token(&who, "google", &scopes("read")).await, Err(VaultError::Provider(_))));
    bench.saas.set_down(false);
    assert!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()).starts_with("access-r"));
    assert!(bench.outcomes(codes::REFRESH)[0].starts_with("Failed"), "{:?}", bench.outcomes(codes::REFRESH));
}

#[tokio::test]
async fn a_grant_that_the_provider_ended_is_removed() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some("never issued"))).await;
    bench.keep(&who, "slack", &scopes("read"), tokens("old", None)).await;
    bench.clock.advance(HOUR);
    for provider in ["google", "slack"] {
        assert!(matches!(bench.token(&who, provider, &scopes("read")).await, Err(VaultError::GrantGone)));
        assert!(matches!(bench.token(&who, provider, &scopes("read")).await, Err(VaultError::Missing)));
        let status = bench.vault.status(&who, &bench.provider(provider), &scopes("read").into());
        assert_eq!(status, GrantStatus::Missing);
    }
    assert!(bench.rows.rows.lock().unwrap().is_empty());
    assert!(bench.rows.queue.lock().unwrap().is_empty(), "there is nothing left to revoke");
    assert_eq!(bench.outcomes(codes::REFRESH).len(), 2);
    assert!(bench.outcomes(codes::REFRESH).iter().all(|outcome| outcome.starts_with("Refused")));
}

#[tokio::test]
async fn a_provider_may_keep_the_refresh_token_shrink_scopes_and_name_no_expiry() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.saas.state.keep_refresh.store(true, Ordering::SeqCst);
    *bench.saas.state.expires_in.lock().unwrap() = None;
    bench.keep(&who, "google", &scopes("read write"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-r0");
    assert_eq!(bench.vault.grants()[0].expires_at, None);
    *bench.saas.state.scope.lock().unwrap() = Some("read".into());
    bench.clock.advance(HOUR);
    // Unknown expiry: renewed after an hour, with the refresh token that there always was.
    bench.token(&who, "google", &scopes("read")).await.unwrap();
    eventually("the new row", || bench.rows.rows.lock().unwrap()[0].generation == 3).await;
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-r1");
    assert!(
        matches!(bench.token(&who, "google", &scopes("write")).await, Err(VaultError::Short(m)) if m == scopes("write"))
    );
    assert_eq!(bench.vault.grants()[0].granted, scopes("read"));
    assert!(bench.outcomes(codes::REFRESH)[1].contains("`write`"));
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_renewed_or_revoked() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    let attempt = bench.attempt(&who);
    let written = attempt.written().await.unwrap();
    bench.clock.advance(HOUR);
    bench.journal.full.store(true, Ordering::SeqCst);
    let google = bench.provider("google");
    assert!(matches!(
        bench.vault.token(&written, &google, &scopes("read").into()).await,
        Err(VaultError::Unwritable(_))
    ));
    assert_eq!(bench.saas.refreshes(), 0);
    let revoked = bench.vault.revoke(id, Actor::operator("ops"), None).await;
    assert!(matches!(revoked, Err(VaultError::Unwritable(_))));
    assert_eq!(bench.rows.rows.lock().unwrap().len(), 1);
    assert!(bench.saas.revoked().is_empty());
}

/// A renewal that could not be written is written as soon as that goes; by then its token may be over as well.
#[tokio::test]
async fn a_renewal_that_was_written_too_late_is_made_once_more() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    *bench.rows.fault.lock().unwrap() = Some(("replace", Fault::Fails));
    assert!(matches!(bench.token(&who, "google", &scopes("read")).await, Err(VaultError::Rows(_))));
    *bench.rows.fault.lock().unwrap() = None;
    bench.clock.advance(HOUR);
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-r1");
}

#[tokio::test]
async fn a_revoked_grant_gives_no_token_and_the_provider_is_told() {
    let bench = Bench::new().await;
    let (alice, bob) = (bench.user("alice").await, bench.user("bob").await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    let other = bench.keep(&who, "slack", &scopes("read"), tokens("no refresh", None)).await;

    let refused = bench.vault.revoke(id, Actor::user(&bob), Some(bob.id())).await;
    assert!(matches!(refused, Err(VaultError::NotYours)));
    assert_eq!(bench.outcomes(codes::GRANT_REVOKE), ["Refused the grant belongs to another user"]);

    let grant = bench.vault.revoke(id, Actor::user(&alice), Some(alice.id())).await.unwrap();
    assert_eq!((grant.agent.as_str(), grant.user.subject.as_str()), ("calendar", "alice"));
    assert!(matches!(bench.token(&who, "google", &scopes("read")).await, Err(VaultError::Missing)));
    assert!(matches!(bench.vault.revoke(id, Actor::user(&alice), None).await, Err(VaultError::Missing)));
    eventually("the revocation", || bench.saas.revoked() == [("refresh_token".into(), "first".into())]).await;
    bench.vault.revoke(other, Actor::operator("ops"), None).await.unwrap();
    eventually("the second", || bench.saas.revoked().len() == 2).await;
    assert_eq!(bench.saas.revoked()[1], ("access_token".into(), "no refresh".into()));
    eventually("an empty queue", || bench.rows.queue.lock().unwrap().is_empty()).await;
    assert!(bench.vault.grants().is_empty());
    assert!(bench.restart().await.unwrap().grants().is_empty());
    assert_eq!(bench.outcomes(codes::PROVIDER_REVOKE), ["Allowed", "Allowed"]);
    let told = &bench.records(codes::PROVIDER_REVOKE)[0];
    assert_eq!(told.actor.user.as_ref().map(|user| user.subject.as_str()), Some("alice"));
    assert_eq!(told.action.detail["grant"], json!(id));
}

#[tokio::test]
async fn a_revoked_grant_is_not_brought_back_by_a_refresh_in_flight() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.clock.advance(HOUR);
    bench.saas.close_gate();
    let caller = tokio::spawn({
        let (bench, who) = (bench.clone(), who.clone());
        async move { bench.token(&who, "google", &scopes("read")).await.map(|_| ()) }
    });
    eventually("the token request", || bench.saas.refreshes() == 1).await;
    bench.vault.revoke(id, Actor::operator("ops"), None).await.unwrap();
    bench.saas.open_gate();
    assert!(matches!(caller.await.unwrap(), Err(VaultError::GrantGone)));
    assert!(bench.rows.rows.lock().unwrap().is_empty());
    assert!(bench.vault.grants().is_empty());
    // Both the token that the vault knew and the one that came too late are given back.
    eventually("both revocations", || {
        let revoked: Vec<_> = bench.saas.revoked().into_iter().map(|(_, token)| token).collect();
        revoked.contains(&"first".to_owned()) && revoked.contains(&"refresh-r0".to_owned())
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_told_again() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    bench.saas.set_down(true);
    bench.vault.revoke(id, Actor::operator("ops"), None).await.unwrap();
    let attempts = |bench: &Bench| bench.rows.queue.lock().unwrap().first().map(|pending| pending.attempts);
    eventually("the first attempt", || attempts(&bench) == Some(1)).await;
    assert_eq!(bench.vault.revoke_due().await.unwrap(), 0, "not before its time");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.vault.revoke_due().await.unwrap(), 1);
    assert_eq!(attempts(&bench), Some(2));
    // A host that was restarted knows it still.
    let vault = bench.restart().await.unwrap();
    bench.saas.set_down(false);
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(vault.revoke_due().await.unwrap(), 1);
    assert_eq!(attempts(&bench), None);
    assert_eq!(bench.saas.revoked(), [("refresh_token".to_owned(), "first".to_owned())]);
    let decisions: Vec<_> =
        bench.records(codes::PROVIDER_REVOKE).iter().filter_map(|r| r.outcome.as_ref().map(|o| o.decision)).collect();
    assert_eq!(decisions, [Decision::Failed, Decision::Failed, Decision::Allowed]);
}

/// What a user granted at one is not for another that has its name: no token, no refresh token, no revocation.
#[tokio::test]
async fn tokens_go_to_no_other_provider_of_the_same_name() {
    let mut bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    let thief = ThirdParty::start().await;
    let honest = bench.providers.clone();
    bench.replace_provider("google", |provider| {
        let url = |path: &str| format!("{}{path}", thief.url).parse().unwrap();
        let server = Server { revocation: Some(url("/revoke")), ..Server::new(Some(url("/authorize")), url("/token")) };
        provider.endpoints = Endpoints::Static(Arc::new(server));
    });
    bench.vault = bench.restart().await.unwrap();
    for age in [Duration::ZERO, HOUR * 2] {
        bench.clock.advance(age);
        assert!(matches!(bench.token(&who, "google", scopes("read")).await, Err(VaultError::Missing)));
    }
    bench.vault.revoke(id, Actor::operator("ops"), None).await.unwrap();
    eventually("the first attempt", || !bench.outcomes(codes::PROVIDER_REVOKE).is_empty()).await;
    assert!(thief.state.asked.lock().unwrap().is_empty() && thief.revoked().is_empty());

    bench.providers = honest;
    let vault = bench.restart().await.unwrap();
    bench.clock.advance(HOUR);
    assert_eq!(vault.revoke_due().await.unwrap(), 1);
    assert_eq!(bench.saas.revoked(), [("refresh_token".to_owned(), "first".to_owned())], "the one it is of is told");
}

/// What the user read on the page is where their tokens go: a host that an operator adds later is asked about.
#[tokio::test]
async fn a_token_goes_only_where_its_user_was_told_that_it_goes() {
    let mut bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let hosts = |texts: &[&str]| Destinations::parse(texts.iter().copied()).ok().unwrap();
    let told = hosts(&["https://api.example/calendar/", "https://more.example"]);
    bench.replace_provider("google", |provider| provider.destinations = told.clone());
    bench.keep(&who, "google", &scopes("read"), tokens("told", None)).await;
    for (now, given) in [
        (&["https://more.example", "https://api.example/calendar/"][..], true),
        (&["https://api.example/calendar/"], true),
        (&["https://api.example/calendar/v3/", "https://more.example/x"], true),
        (&[], true),
        (&["https://api.example/"], false),
        (&["https://api.example/calendars/"], false),
        (&["https://api.example:8443/calendar/"], false),
        (&["https://api.example/calendar/", "https://evil.example"], false),
        (&["https://api.example.evil/calendar/"], false),
    ] {
        bench.replace_provider("google", |provider| provider.destinations = hosts(now));
        let token = bench.token(&who, "google", scopes("read")).await;
        assert_eq!(token.is_ok(), given, "{now:?}");
        let status = bench.vault.status(&who, &bench.provider("google"), &scopes("read").into());
        assert_eq!(matches!(status, GrantStatus::Granted { .. }), given, "{now:?}");
    }
    // They agree to the wider one, and it is the grant from then on.
    bench.replace_provider("google", |provider| provider.destinations = hosts(&["https://api.example/"]));
    bench.keep(&who, "google", &scopes("read"), tokens("wider", None)).await;
    assert_eq!(text(&bench.token(&who, "google", scopes("read")).await.unwrap()), "wider");
    assert_eq!(bench.vault.grants().len(), 1);
}

#[tokio::test]
async fn a_provider_is_given_up_after_twenty_attempts() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let id = bench.keep(&who, "google", &scopes("read"), tokens("old", None)).await;
    bench.saas.set_down(true);
    bench.vault.revoke(id, Actor::operator("ops"), None).await.unwrap();
    let tried = |bench: &Bench| bench.outcomes(codes::PROVIDER_REVOKE).len();
    eventually("the first attempt", || bench.rows.queue.lock().unwrap()[0].attempts == 1).await;
    for _ in 0..40 {
        bench.clock.advance(HOUR);
        bench.vault.revoke_due().await.unwrap();
    }
    assert_eq!(tried(&bench), 20);
    assert!(bench.rows.queue.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_new_consent_replaces_the_tokens_of_the_same_question() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let first = bench.keep(&who, "google", &scopes("read"), tokens("one", None)).await;
    let second = bench.keep(&who, "google", &scopes("read"), tokens("two", None)).await;
    assert_eq!(first, second);
    assert_eq!(bench.vault.grants().len(), 1);
    for vault in [bench.vault.clone(), bench.restart().await.unwrap()] {
        assert_eq!(text(&bench.token_of(&vault, &who, "google", &scopes("read")).await.unwrap()), "two");
    }
    assert!(matches!(bench.token(&who, "google", &Scopes::default()).await, Ok(token) if text(&token) == "two"));
}
