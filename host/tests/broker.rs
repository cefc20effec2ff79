//! The broker over real rooms: what is released, and what keeps it from being released.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::audit::{Decision, codes};
use attache::broker::{Acquire, Broker, Desk, DeskParts, Flow, Guest, Kind, Outbound, Refusal, Seat, Wishes};
use attache::directory::{BoundProvider, State};
use attache::egress::{Client, ClientConfig};
use attache::identity::WatTable;
use attache::ids::{AgentName, CredentialId, ProviderName};
use http_body_util::{BodyExt as _, Empty};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{Bench, scopes, tokens};

fn desk(bench: &Bench) -> Desk {
    Desk::new(DeskParts {
        vault: bench.vault.clone(),
        consents: bench.consents.clone(),
        providers: bench.providers.clone(),
        client: Client::new(&ClientConfig::development()).ok().unwrap(),
        trail: bench.trail.clone(),
        directory: bench.directory.clone(),
        wats: WatTable::new(bench.clock.clone()),
        lifetime: Duration::from_secs(60),
    })
}

/// An invocation of `calendar` for alice, who granted it `read` at `google`.
async fn seated(bench: &Bench, desk: &Desk) -> (Guest, Seat) {
    let who = bench.bind("calendar", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("canary", None)).await;
    desk.seat(&who, None)
}

fn ask(provider: &str) -> Acquire {
    let kind = Kind::Oauth2 { scopes: vec!["read".into()], flow: Flow::UserFederation, wishes: Wishes::default() };
    Acquire { provider: provider.into(), kind }
}

async fn send(bench: &Bench, desk: &Desk, guest: &Guest, id: CredentialId) -> Result<u16, Refusal> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::get(format!("{}/api/events", bench.saas.url)).body(body).unwrap();
    let outbound = Outbound {
        credential: Some(id),
        request,
        connect_timeout: None,
        first_byte_timeout: None,
        between_bytes_timeout: None,
    };
    desk.send(&guest.wat, outbound).await.map(|response| response.status().as_u16())
}

fn calls(bench: &Bench) -> Vec<String> {
    bench.saas.state.calls.lock().unwrap().clone()
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    let held = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    bench.journal.full.store(true, Ordering::SeqCst);
    let refused = send(&bench, &desk, &guest, held.id).await;
    assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{refused:?}");
    assert!(calls(&bench).is_empty(), "no request left");
    bench.journal.full.store(false, Ordering::SeqCst);
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(calls(&bench), ["Bearer canary"]);
}

#[tokio::test]
async fn a_suspended_agent_gets_nothing_more_in_an_invocation_that_runs() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    let held = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    let calendar = AgentName::parse("calendar").unwrap();
    bench.directory.set_state(&calendar, State::Suspended).await.unwrap();
    assert!(matches!(send(&bench, &desk, &guest, held.id).await, Err(Refusal::Denied(_))));
    assert!(matches!(desk.acquire(&guest.wat, ask("google")).await, Err(Refusal::Denied(_))));
    assert!(calls(&bench).is_empty(), "no request left");
    let refused = bench.records(codes::SEND);
    assert!(refused.iter().any(|record| record.outcome.as_ref().is_some_and(|o| o.decision == Decision::Refused)));
    bench.directory.set_state(&calendar, State::Active).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
}

#[tokio::test]
async fn an_unbound_provider_is_refused_at_the_next_call_of_an_invocation_that_runs() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let rogue = AgentName::parse("rogue").unwrap();
    let google = BoundProvider { provider: ProviderName::parse("google").unwrap(), scopes: scopes("read") };
    let who = bench.bind("rogue", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("canary", None)).await;
    let (guest, _seat) = desk.seat(&who, None);
    assert!(matches!(desk.acquire(&guest.wat, ask("google")).await, Err(Refusal::Denied(_))));
    bench.directory.bind(&rogue, google.clone()).await.unwrap();
    let held = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(calls(&bench).len(), 1);

    bench.directory.bind(&rogue, BoundProvider { scopes: scopes("write"), ..google.clone() }).await.unwrap();
    assert!(matches!(send(&bench, &desk, &guest, held.id).await, Err(Refusal::Denied(_))), "other scopes");
    bench.directory.unbind(&rogue, &google.provider).await.unwrap();
    assert!(matches!(send(&bench, &desk, &guest, held.id).await, Err(Refusal::Denied(_))));
    assert!(matches!(desk.acquire(&guest.wat, ask("google")).await, Err(Refusal::Denied(_))));
    assert_eq!(calls(&bench).len(), 1, "no further request left");
    assert_eq!(bench.outcomes(codes::SEND).iter().filter(|outcome| outcome.starts_with("Refused")).count(), 2);
}

#[tokio::test]
async fn a_handle_too_many_stands_as_refused_in_the_trail() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    let mut granted = 0;
    while desk.acquire(&guest.wat, ask("google")).await.is_ok() {
        granted += 1;
    }
    let outcomes = bench.outcomes(codes::ACQUIRE);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.starts_with("Allowed")).count(), granted);
    assert!(outcomes.last().unwrap().starts_with("Refused"), "{outcomes:?}");
}

#[tokio::test]
async fn what_is_refused_in_a_loop_is_written_down_so_often_and_no_more() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    for n in 0..1000 {
        // Consents that are asked for in a loop count as well.
        let provider = if n % 2 == 0 { "nobody" } else { "slack" };
        assert!(desk.acquire(&guest.wat, ask(provider)).await.is_err());
    }
    let outcomes = bench.outcomes(codes::ACQUIRE);
    assert_eq!(outcomes.len(), 64);
    assert!(outcomes.last().unwrap().contains("unwritten"), "{outcomes:?}");
    assert!(bench.sessions.0.lock().unwrap().len() <= 32);
    // It is this invocation that is not listened to: another of the same agent and user is.
    let (other, _seat) = seated(&bench, &desk).await;
    assert!(desk.acquire(&other.wat, ask("google")).await.is_ok());
}
