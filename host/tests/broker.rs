//! The broker over real rooms: what is released, and what keeps it from being released.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::audit::{Decision, codes};
use attache::broker::{
    Acquire, Broker, Desk, DeskParts, Flow, Guest, Kind, Outbound, Refusal, Released, Seat, TokenType, Wishes,
};
use attache::consent::SessionStatus;
use attache::directory::{BoundProvider, State, Tags};
use attache::egress::{Client, ClientConfig};
use attache::identity::WatTable;
use attache::ids::{Account, AgentName, CredentialId, Digest, ProviderName};
use attache::providers::{Builder, CredentialProvider, Managed, Oauth2Input, Oauth2Settings, Providers, SecretInput};
use attache::secret::Secret;
use attache::store::Store;
use http_body_util::{BodyExt as _, Empty};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{Bench, RETURN_URL, eventually, scopes, tokens};

fn desk(bench: &Bench) -> Desk {
    Desk::new(parts(bench))
}

fn parts(bench: &Bench) -> DeskParts {
    DeskParts {
        vault: bench.vault.clone(),
        consents: bench.consents.clone(),
        providers: bench.providers.clone(),
        client: Client::new(&ClientConfig::development()).ok().unwrap(),
        trail: bench.trail.clone(),
        directory: bench.directory.clone(),
        wats: WatTable::new(bench.clock.clone()),
        lifetime: Duration::from_secs(60),
    }
}

/// An invocation of `calendar` for alice, who granted it `read` at `google`.
async fn seated(bench: &Bench, desk: &Desk) -> (Guest, Seat) {
    let who = bench.bind("calendar", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("canary", None)).await;
    desk.seat(&who, None)
}

fn ask(provider: &str) -> Acquire {
    ask_by(Flow::UserFederation, provider, Wishes::default())
}

fn ask_by(flow: Flow, provider: &str, wishes: Wishes) -> Acquire {
    Acquire { provider: provider.into(), kind: Kind::Oauth2 { scopes: vec!["read".into()], flow, wishes } }
}

fn api_key(provider: &str) -> Acquire {
    Acquire { provider: provider.into(), kind: Kind::ApiKey }
}

fn secret(released: &Released) -> &str {
    released.secret.expose_text().unwrap()
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

/// Whoever changes a provider's hosts gets no credential that was on its way when they were others.
#[tokio::test]
async fn a_credential_does_not_go_where_its_provider_was_moved_meanwhile() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let managed = Managed {
        rows: Store::open(&folder.path().join("a.db")).unwrap(),
        sealer: bench.sealer.clone(),
        account: Account::parse("default").unwrap(),
        builder: Builder { oauth: bench.oauth.clone(), folder: None },
    };
    let url = "https://attache.example/".parse().unwrap();
    let configured: [CredentialProvider; 0] = [];
    let providers = Providers::load(configured, managed, url, bench.clock.clone()).await.unwrap();
    let input = |host: &str| Oauth2Input {
        settings: Oauth2Settings {
            vendor: "CustomOauth2".into(),
            client_id: "attache".into(),
            authentication: None,
            tenant: None,
            issuer: None,
            authorization_endpoint: Some(format!("{}/authorize", bench.saas.url)),
            token_endpoint: Some(format!("{}/token", bench.saas.url)),
            discovery: None,
            on_behalf_of: None,
            hosts: Some(vec![host.into()]),
        },
        secret: SecretInput::Managed(Secret::from_text("secret".into())),
    };
    providers.create_oauth2("moving", input("api.example"), Tags::default()).await.unwrap();
    let name: AgentName = "elsewhere".parse().unwrap();
    let moving = BoundProvider { provider: "moving".parse().unwrap(), scopes: scopes("read") };
    let who = bench.bind_elsewhere(None).await;
    bench.directory.bind(&name, moving).await.unwrap();
    let desk = Desk::new(DeskParts { providers: providers.clone(), ..parts(&bench) });
    bench.saas.close_gate();
    let asking = tokio::spawn({
        let (desk, who) = (desk.clone(), who.clone());
        async move { desk.release(&who, None, ask_by(Flow::MachineToMachine, "moving", Wishes::default())).await.err() }
    });
    eventually("the token request", || bench.saas.mints() == 1).await;
    providers.update_oauth2("moving", input("evil.example")).await.unwrap();
    bench.saas.open_gate();
    let refused = asking.await.unwrap();
    assert!(matches!(refused, Some(Refusal::Unavailable(_))), "{refused:?}");
    assert!(desk.release(&who, None, ask_by(Flow::MachineToMachine, "moving", Wishes::default())).await.is_ok());
}

/// A token of a wider grant could do more than the agent may now, whatever it asks for.
#[tokio::test]
async fn what_was_granted_beyond_what_is_bound_now_is_not_used() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let rogue = AgentName::parse("rogue").unwrap();
    let bound = |text: &str| BoundProvider { provider: ProviderName::parse("google").unwrap(), scopes: scopes(text) };
    let who = bench.bind("rogue", "alice").await;
    bench.keep(&who, "google", &scopes("read write"), tokens("canary", None)).await;
    bench.directory.bind(&rogue, bound("read write")).await.unwrap();
    let (guest, _seat) = desk.seat(&who, None);
    let held = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);

    bench.directory.bind(&rogue, bound("read")).await.unwrap();
    let sent = send(&bench, &desk, &guest, held.id).await;
    assert!(matches!(sent, Err(Refusal::ConsentRequired { .. })), "{sent:?}");
    assert!(matches!(desk.acquire(&guest.wat, ask("google")).await, Err(Refusal::ConsentRequired { .. })));
    assert_eq!(calls(&bench), ["Bearer canary"], "no further request left");
    // What the user agrees to within it is used, and the wider one again when it may be.
    bench.keep(&who, "google", &scopes("read"), tokens("narrow", None)).await;
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(calls(&bench)[1], "Bearer narrow");
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

#[tokio::test]
async fn every_flow_goes_through_the_same_door() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    for (ask, expect) in [
        (ask("google"), "Bearer canary"),
        (ask_by(Flow::MachineToMachine, "google", Wishes::default()), "Bearer access-m0"),
        (ask_by(Flow::OnBehalfOf, "orders", Wishes::default()), "Bearer access-m1"),
    ] {
        let held = desk.acquire(&guest.wat, ask).await.unwrap();
        assert_eq!(held.scopes, ["read"]);
        assert!(held.expires_at.is_some());
        assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
        assert_eq!(calls(&bench).last().unwrap(), expect);
    }
    let held = desk.acquire(&guest.wat, api_key("weather")).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(bench.saas.state.keys.lock().unwrap().last().unwrap(), "the-first-weather-key");
    // Rotated after it was acquired.
    std::fs::write(bench.weather_key(), "the-second-weather-key").unwrap();
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(bench.saas.state.keys.lock().unwrap().last().unwrap(), "the-second-weather-key");
    assert_eq!(bench.outcomes(codes::MINT), ["Allowed", "Allowed"]);
}

/// What is asked, and what is said to it.
#[tokio::test]
async fn what_cannot_be_had_in_a_way_is_refused_with_the_reason() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    let (alone, _seat) = desk.seat(&bench.bind_alone("calendar"), None);
    let parameter = |name: &str| Wishes { custom_parameters: vec![(name.into(), "bob".into())], ..Wishes::default() };
    let wide = |ask: Acquire| match ask.kind {
        Kind::Oauth2 { flow, wishes, .. } => {
            Acquire { kind: Kind::Oauth2 { scopes: vec!["admin".into()], flow, wishes }, ..ask }
        }
        Kind::ApiKey => ask,
    };
    let audience = Wishes { audiences: vec!["https://a.example/".into()], ..Wishes::default() };
    let forced = Wishes { force_authentication: true, ..Wishes::default() };
    let resource = Wishes { resources: vec!["no URI".into()], ..Wishes::default() };
    let cases = [
        (&guest, api_key("google"), "has no API key"),
        (&guest, ask("weather"), "gives an API key"),
        (&guest, ask_by(Flow::OnBehalfOf, "google", Wishes::default()), "on_behalf_of"),
        (&guest, ask_by(Flow::MachineToMachine, "nobody", Wishes::default()), "is not bound to agent `calendar`"),
        (&guest, wide(ask_by(Flow::MachineToMachine, "google", Wishes::default())), "scopes `admin`"),
        (&guest, wide(ask_by(Flow::OnBehalfOf, "orders", Wishes::default())), "scopes `admin`"),
        (&guest, ask_by(Flow::MachineToMachine, "google", parameter("requested_subject")), "another principal"),
        (&guest, ask_by(Flow::OnBehalfOf, "orders", parameter("requestedSubject")), "another principal"),
        (&guest, ask_by(Flow::MachineToMachine, "google", parameter("client_id")), "client_id"),
        (&guest, ask_by(Flow::UserFederation, "google", parameter("state")), "set by the host"),
        (&guest, ask_by(Flow::UserFederation, "google", audience), "name a resource"),
        (&guest, ask_by(Flow::MachineToMachine, "google", forced), "nobody is asked"),
        (&guest, ask_by(Flow::UserFederation, "google", resource), "no resource"),
        (&alone, ask("google"), "serves no user"),
        (&alone, ask_by(Flow::OnBehalfOf, "orders", Wishes::default()), "serves no user"),
    ];
    for (who, ask, reason) in cases {
        let shown = format!("{ask:?}");
        let refused = desk.acquire(&who.wat, ask).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{shown}: {refused}");
    }
    assert_eq!(bench.saas.mints(), 0);
    // And an agent that was invoked for itself has its own.
    assert!(desk.acquire(&alone.wat, ask_by(Flow::MachineToMachine, "google", Wishes::default())).await.is_ok());
}

#[tokio::test]
async fn a_user_whose_token_is_over_is_sent_to_sign_in() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let who = bench.bind("calendar", "alice").await;
    let (guest, _seat) = desk.seat(&who, None);
    let held = desk.acquire(&guest.wat, ask_by(Flow::OnBehalfOf, "orders", Wishes::default())).await.unwrap();
    let alice = who.user().unwrap().verified().unwrap();
    let elsewhere = bench.bind_elsewhere(Some("alice")).await;
    bench.clock.advance(alice.expires_at().since(bench.clock.now()));
    let over = desk.release(&elsewhere, None, ask_by(Flow::OnBehalfOf, "orders", Wishes::default())).await.err();
    assert!(matches!(over, Some(Refusal::SignInRequired(_))), "{over:?}");
    // The invocation itself ended long before; what it held is worth nothing.
    assert!(send(&bench, &desk, &guest, held.id).await.is_err());
    assert!(calls(&bench).is_empty());
}

#[tokio::test]
async fn where_nobody_can_be_asked_anew_nothing_is_given_up() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let who = bench.bind_elsewhere(Some("alice")).await;
    bench.keep(&who, "google", &scopes("read"), tokens("kept", None)).await;
    let return_url = Some("https://stranger.example/".into());
    let forced = Wishes { force_authentication: true, return_url, ..Wishes::default() };
    let refused = desk.release(&who, None, ask_by(Flow::UserFederation, "google", forced)).await.err();
    assert!(matches!(refused, Some(Refusal::Denied(_))), "{refused:?}");
    let released = desk.release(&who, None, ask("google")).await.ok().unwrap();
    assert_eq!(secret(&released), "kept");
}

#[tokio::test]
async fn forced_authentication_leaves_nothing_of_the_old_grant() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let (guest, _seat) = seated(&bench, &desk).await;
    let held = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    let forced = Wishes { force_authentication: true, custom_state: Some("mine".into()), ..Wishes::default() };
    let asked = desk.acquire(&guest.wat, ask_by(Flow::UserFederation, "google", forced)).await;
    assert!(matches!(asked, Err(Refusal::ConsentRequired { .. })), "{asked:?}");
    assert!(bench.rows.rows.lock().unwrap().is_empty(), "it is gone before anybody agrees again");
    assert!(matches!(send(&bench, &desk, &guest, held.id).await, Err(Refusal::ConsentRequired { .. })));
    assert!(calls(&bench).is_empty());
    assert_eq!(bench.outcomes(codes::GRANT_REVOKE), ["Allowed 1 forgotten"]);
    assert!(bench.saas.revoked().is_empty(), "a provider that is told late could end the new grant, too");
    let stored = format!("{:?}", bench.sessions.0.lock().unwrap());
    assert!(!stored.contains("mine"), "a state may be secret to the app");
}

#[tokio::test]
async fn a_workload_elsewhere_gets_bytes_and_an_agent_here_does_not() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let here = bench.bind("calendar", "alice").await;
    bench.keep(&here, "google", scopes("read"), tokens("canary", None)).await;
    for ask in [ask("google"), ask_by(Flow::MachineToMachine, "google", Wishes::default()), api_key("weather")] {
        let refused = desk.release(&here, Some("key:AKAT"), ask).await.err();
        assert!(matches!(&refused, Some(Refusal::Denied(why)) if why.contains("runs here")), "{refused:?}");
    }
    assert_eq!(bench.saas.mints(), 0);
    assert!(bench.outcomes(codes::REVEAL).iter().all(|outcome| outcome.starts_with("Refused")));

    let who = bench.bind_elsewhere(Some("alice")).await;
    let machine = desk.release(&who, Some("key:AKAT"), ask_by(Flow::MachineToMachine, "google", Wishes::default()));
    let machine = machine.await.ok().unwrap();
    assert_eq!((secret(&machine), machine.token_type), ("access-m0", TokenType::Bearer));
    assert_eq!(machine.scopes, ["read"]);
    assert_eq!(machine.expires_at, Some(bench.clock.now().secs() + 3600));
    let key = desk.release(&who, Some("key:AKAT"), api_key("weather")).await.ok().unwrap();
    assert_eq!((secret(&key), key.token_type), ("the-first-weather-key", TokenType::ApiKey));
    let record = bench.records(codes::REVEAL).pop().unwrap();
    assert_eq!(record.actor.agent.unwrap().name, "elsewhere");
    assert_eq!(record.actor.user.unwrap().subject.as_str(), "alice");
    assert_eq!(record.actor.caller.as_deref(), Some("key:AKAT"));

    // Nothing of it is for anybody else, and nothing leaves that cannot be written down.
    let digest = Digest::of(b"calendar");
    assert_eq!(here.agent().digest(), Some(digest));
    let refused = desk.release(&who, None, ask("google")).await.err();
    assert!(matches!(refused, Some(Refusal::ConsentRequired { .. })), "what calendar was granted is calendar's");
    bench.journal.full.store(true, Ordering::SeqCst);
    for ask in [api_key("weather"), ask_by(Flow::MachineToMachine, "google", Wishes::default())] {
        assert!(matches!(desk.release(&who, None, ask).await, Err(Refusal::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_workload_elsewhere_asks_waits_and_gets_the_users_token() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let who = bench.bind_elsewhere(Some("alice")).await;
    let wishes = || Wishes {
        return_url: Some(RETURN_URL.into()),
        custom_state: Some("the app's own".into()),
        custom_parameters: vec![("access_type".into(), "offline".into())],
        resources: vec!["https://a.example/".into()],
        ..Wishes::default()
    };
    let ask = || ask_by(Flow::UserFederation, "google", wishes());
    let Some(Refusal::ConsentRequired { session_uri, .. }) = desk.release(&who, None, ask()).await.err() else {
        panic!("nobody agreed yet")
    };
    assert!(session_uri.starts_with("urn:ietf:params:oauth:request_uri:"), "{session_uri}");
    assert_eq!(desk.session_status(&who, &session_uri).await.unwrap(), SessionStatus::InProgress);
    for other in [
        bench.bind_elsewhere(Some("bob")).await,
        bench.bind("calendar", "alice").await,
        bench.bind_elsewhere(None).await,
    ] {
        assert!(desk.session_status(&other, &session_uri).await.is_err(), "it is not theirs to know");
    }

    let id = attache::ids::ConsentId::from_session_uri(&session_uri).unwrap();
    let url = bench.consents.proceed(id, None).await.unwrap();
    assert_eq!(support::query(&url, "access_type"), "offline");
    assert_eq!(support::query(&url, "resource"), "https://a.example/");
    assert_ne!(support::query(&url, "state"), "the app's own", "the provider's state is the host's");
    let callback = attache::consent::Callback {
        state: Some(support::query(&url, "state")),
        code: Some(bench.saas.agree(&url)),
        iss: Some(bench.saas.url.clone()),
        error: None,
        error_description: None,
    };
    let landing = bench.consents.callback(&"google".parse().unwrap(), callback, None).await.unwrap();
    let attache::consent::Landing::ReturnToApp { url } = &landing else { panic!("{landing:?}") };
    assert_eq!(support::query(url, "state"), "the app's own");
    assert_eq!(desk.session_status(&who, &session_uri).await.unwrap(), SessionStatus::InProgress);
    let returned = support::session_uri(&landing);
    assert!(desk.session_status(&who, &returned.session_uri()).await.is_err(), "the browser's is for completing alone");
    // Another token of the same user completes.
    bench.consents.complete(returned, &bench.user("alice").await.into()).await.unwrap();
    assert_eq!(desk.session_status(&who, &session_uri).await.unwrap(), SessionStatus::Done);
    let released = desk.release(&who, None, ask()).await.ok().unwrap();
    assert_eq!(secret(&released), "access-x0");
    // For another resource it is another question.
    let other = desk.release(&who, None, ask_by(Flow::UserFederation, "google", Wishes::default())).await.err();
    assert!(matches!(other, Some(Refusal::ConsentRequired { .. })));
}

/// Each of these takes the next use of what is held already.
#[tokio::test]
async fn what_an_operator_takes_away_is_gone_at_the_next_call() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let who = bench.bind_elsewhere(None).await;
    let ask = || ask_by(Flow::MachineToMachine, "google", Wishes::default());
    assert!(desk.release(&who, None, ask()).await.is_ok());
    let name: AgentName = "elsewhere".parse().unwrap();
    bench.directory.set_state(&name, State::Suspended).await.unwrap();
    assert!(matches!(desk.release(&who, None, ask()).await, Err(Refusal::Denied(_))));
    bench.directory.set_state(&name, State::Active).await.unwrap();
    assert!(desk.release(&who, None, ask()).await.is_ok());
    assert_eq!(bench.saas.mints(), 1);
}

/// A key for each grant and each minted token, which stays with the host: sealed beside the token, and the same after a
/// renewal and a restart.
#[tokio::test]
async fn a_token_that_is_bound_to_a_key_leaves_with_proofs_of_that_key_alone() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let who = bench.bind("calendar", "alice").await;
    let wanted = scopes("read").into();
    let question = attache::consent::Question { wanted: &wanted, return_url: None, custom_state: None, force: false };
    let started = bench.consents.start(&who, &bench.provider("bound"), &question).await.unwrap();
    let id = attache::ids::ConsentId::from_session_uri(&started.session_uri).unwrap();
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let callback = attache::consent::Callback {
        state: Some(support::query(&url, "state")),
        code: Some(bench.saas.agree(&url)),
        iss: Some(bench.saas.url.clone()),
        error: None,
        error_description: None,
    };
    bench.consents.callback(&"bound".parse().unwrap(), callback, Some(&alice)).await.unwrap();

    let (guest, _seat) = desk.seat(&who, None);
    let proofs = || bench.saas.state.proofs.lock().unwrap().clone();
    let held = desk.acquire(&guest.wat, ask("bound")).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, held.id).await.unwrap(), 200);
    assert_eq!(calls(&bench), ["DPoP access-x0"]);
    let seen = proofs();
    assert_eq!((seen.len(), &seen[0]), (2, &seen[1]), "the key of the exchange is the key of the call");
    // The agent's own has another.
    let own = desk.acquire(&guest.wat, ask_by(Flow::MachineToMachine, "bound", Wishes::default())).await.unwrap();
    assert_eq!(send(&bench, &desk, &guest, own.id).await.unwrap(), 200);
    let seen = proofs();
    assert_eq!(calls(&bench)[1], "DPoP access-m0");
    assert_eq!(seen[2], seen[3]);
    assert_ne!(seen[0], seen[2]);
    // Its bytes are worth nothing, and nobody gets them.
    assert!(matches!(desk.reveal(&guest.wat, held.id).await.err(), Some(Refusal::NotConfigured(_))));

    bench.clock.advance(Duration::from_secs(3600));
    let vault = bench.restart().await.unwrap();
    let who = bench.bind("calendar", "alice").await;
    let token = bench.token_of(&vault, &who, "bound", scopes("read")).await.unwrap();
    assert_eq!(support::text(&token), "access-r0");
    assert_eq!(proofs()[4], seen[0], "renewed with the key that it was bound to");
    let prover = token.prover.unwrap();
    let uri = "https://api.example/".parse().unwrap();
    let proof = prover.header(&http::Method::GET, &uri, Some(&token.secret)).unwrap();
    assert_eq!(support::third_party::key_of(proof.to_str().unwrap()), seen[0]);
}

/// Agents × users × providers, every token with every handle: only the diagonal opens, and with nobody's credential but its own.
#[tokio::test]
async fn a_handle_is_of_use_in_its_own_invocation_and_nowhere_else() {
    let bench = Bench::new().await;
    let desk = desk(&bench);
    let mut seated = Vec::new();
    for agent in ["calendar", "confined"] {
        for user in ["alice", "bob"] {
            for provider in ["google", "slack"] {
                let who = bench.bind(agent, user).await;
                let token = format!("{agent}-{user}-{provider}");
                bench.keep(&who, provider, &scopes("read"), tokens(&token, None)).await;
                let (guest, seat) = desk.seat(&who, None);
                let held = desk.acquire(&guest.wat, ask(provider)).await.unwrap();
                seated.push((guest, seat, held.id, token));
            }
        }
    }
    for (at, (guest, ..)) in seated.iter().enumerate() {
        for (of, (.., id, token)) in seated.iter().enumerate() {
            let before = calls(&bench).len();
            let sent = send(&bench, &desk, guest, *id).await;
            let revealed = desk.reveal(&guest.wat, *id).await.map(|revealed| revealed.0);
            assert_eq!((sent.is_ok(), revealed.is_ok()), (at == of, at == of), "{at} {of}");
            let seen = calls(&bench).split_off(before);
            match at == of {
                true => {
                    assert_eq!((seen, revealed.ok()), (vec![format!("Bearer {token}")], Some(token.clone().into())))
                }
                false => assert!(seen.is_empty(), "no request left"),
            }
        }
    }
    // Once its seat is given up, a token means nothing, its own handle included.
    for (guest, seat, id, _) in seated {
        drop(seat);
        assert!(matches!(send(&bench, &desk, &guest, id).await, Err(Refusal::NotBound)));
    }
}
