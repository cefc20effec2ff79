//! Tokens that nobody is asked for: the agent's own, and those on behalf of a user.

use crate::support::{Bench, eventually, scopes, text};
use attache::audit::codes;
use attache::oauth::{Delegation, Endpoints, More, Provider, Server};
use attache::vault::{GrantFilter, Mint, VaultError, Wanted};
use base64::Engine as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn machine(text: &str) -> Mint {
    Mint::Machine(scopes(text).into())
}

fn behalf(text: &str) -> Mint {
    Mint::OnBehalfOf(scopes(text).into())
}

#[tokio::test]
async fn an_agents_own_token_is_the_workloads_whoever_it_serves() {
    let bench = Bench::new().await;
    let alone = bench.bind_alone("calendar");
    let first = text(&bench.minted(&alone, "google", &machine("read")).await.unwrap());
    for who in
        [bench.bind("calendar", "alice").await, bench.bind("calendar", "bob").await, bench.bind_alone("calendar")]
    {
        assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), first);
    }
    assert_eq!(bench.saas.mints(), 1);
    assert_eq!(bench.saas.asked("grant_type"), ["client_credentials"]);
    assert_eq!(bench.saas.asked("scope"), ["read"]);
    assert_eq!(bench.outcomes(codes::MINT), ["Allowed"]);
}

#[tokio::test]
async fn what_differs_in_anything_is_another_token() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    let with = |change: fn(&mut More)| {
        let mut more = More::default();
        change(&mut more);
        Mint::Machine(Wanted::new(scopes("read"), more).unwrap())
    };
    let mints = [
        machine("read"),
        machine("write"),
        machine("read write"),
        with(|more| more.resources.push("https://a.example/".into())),
        with(|more| more.resources.push("https://b.example/".into())),
        with(|more| more.resources.extend(["https://a.example/".into(), "https://b.example/".into()])),
        with(|more| more.audiences.push("https://a.example/".into())),
        with(|more| more.parameters.push(("a".into(), "b".into()))),
        with(|more| more.parameters.push(("ab".into(), "x".into()))),
    ];
    let mut all = std::collections::HashSet::new();
    for provider in ["google", "slack"] {
        for mint in &mints {
            let token = text(&bench.minted(&who, provider, mint).await.unwrap());
            assert_eq!(text(&bench.minted(&who, provider, mint).await.unwrap()), token, "and the same again");
            all.insert(token);
        }
    }
    for other in [bench.bind_alone("rogue"), bench.bind_elsewhere(None).await] {
        all.insert(text(&bench.minted(&other, "google", &machine("read")).await.unwrap()));
    }
    assert_eq!(all.len(), 2 * mints.len() + 2);
    assert_eq!(bench.saas.mints(), all.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_mint_one_token() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind_alone("calendar");
    bench.saas.close_gate();
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (bench, who) = (bench.clone(), who.clone());
            tokio::spawn(async move { text(&bench.minted(&who, "google", &machine("read")).await.unwrap()) })
        })
        .collect();
    eventually("the token request", || bench.saas.mints() == 1).await;
    bench.saas.open_gate();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "access-m0");
    }
    assert_eq!(bench.saas.mints(), 1);
}

/// A provider that is slow to answer may be gone by then, and its name another's.
#[tokio::test]
async fn a_token_on_its_way_is_not_for_another_client_of_the_providers_name() {
    let mut bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    bench.saas.close_gate();
    let slow = {
        let (vault, provider, who) = (bench.vault.clone(), bench.provider("google"), who.clone());
        tokio::spawn(async move { vault.mint(&who, &provider, &machine("read")).await })
    };
    eventually("the token request", || bench.saas.mints() == 1).await;
    bench.replace_provider("google", |provider| provider.client_id = "another".into());
    let vault = bench.vault.clone();
    let (provider, other) = (bench.provider("google"), who.clone());
    let fresh = tokio::spawn(async move { vault.mint(&other, &provider, &machine("read")).await });
    eventually("a request of its own", || bench.saas.mints() == 2).await;
    bench.saas.open_gate();
    assert!(slow.await.unwrap().is_ok() && fresh.await.unwrap().is_ok());
    let token = text(&bench.minted(&who, "google", &machine("read")).await.unwrap());
    assert_eq!(bench.saas.asked("client_id").last().unwrap(), "another");
    assert_eq!(token, "access-m1");
}

#[tokio::test]
async fn a_minted_token_is_renewed_ahead_of_time_and_never_used_after_its_end() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), "access-m0");
    bench.clock.advance(Duration::from_secs(2879));
    assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), "access-m0");
    bench.saas.set_down(true);
    bench.clock.advance(Duration::from_secs(1));
    for _ in 0..5 {
        assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), "access-m0");
    }
    assert_eq!(bench.saas.mints(), 2, "a provider that failed is left alone for a while");
    bench.clock.advance(Duration::from_secs(720));
    assert!(matches!(bench.minted(&who, "google", &machine("read")).await, Err(VaultError::Provider(_))));
    bench.saas.set_down(false);
    assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), "access-m3");
    // One whose life is not told is not kept for long.
    *bench.saas.state.expires_in.lock().unwrap() = None;
    assert_eq!(text(&bench.minted(&who, "slack", &machine("read")).await.unwrap()), "access-m4");
    bench.clock.advance(Duration::from_secs(300));
    assert_eq!(text(&bench.minted(&who, "slack", &machine("read")).await.unwrap()), "access-m5");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_minted() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    bench.journal.full.store(true, Ordering::SeqCst);
    let provider = bench.provider("google");
    assert!(matches!(bench.vault.mint(&who, &provider, &machine("read")).await, Err(VaultError::Unwritable(_))));
    assert_eq!(bench.saas.mints(), 0);
}

#[tokio::test]
async fn what_is_forgotten_is_minted_anew_and_what_is_on_its_way_is_not_kept() {
    let bench = Arc::new(Bench::new().await);
    let (who, other) = (bench.bind_alone("calendar"), bench.bind_alone("rogue"));
    bench.minted(&who, "google", &machine("read")).await.unwrap();
    bench.minted(&who, "slack", &machine("read")).await.unwrap();
    bench.minted(&other, "google", &machine("read")).await.unwrap();
    let filter = GrantFilter { agent: Some("calendar".parse().unwrap()), ..GrantFilter::default() };
    assert_eq!(bench.vault.forget_minted(&filter), 2);
    assert_eq!(text(&bench.minted(&other, "google", &machine("read")).await.unwrap()), "access-m2");
    bench.saas.close_gate();
    let caller = tokio::spawn({
        let (bench, who) = (bench.clone(), who.clone());
        async move { text(&bench.minted(&who, "google", &machine("read")).await.unwrap()) }
    });
    eventually("the token request", || bench.saas.mints() == 4).await;
    bench.vault.forget_minted(&filter);
    bench.saas.open_gate();
    assert_eq!(caller.await.unwrap(), "access-m3");
    assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), "access-m4");
}

/// A provider of the same name that was changed meanwhile may send its tokens elsewhere.
#[tokio::test]
async fn a_flight_that_began_before_a_change_brings_nothing_to_whoever_comes_after() {
    let bench = Arc::new(Bench::new().await);
    let who = bench.bind_alone("calendar");
    bench.saas.close_gate();
    let ask = |provider: Arc<Provider>| {
        let (bench, who) = (bench.clone(), who.clone());
        tokio::spawn(async move {
            let attempt = bench.attempt(&who);
            let written = attempt.written().await.unwrap();
            text(&bench.vault.minted(&written, &provider, &machine("read")).await.unwrap())
        })
    };
    let before = ask(bench.provider("google"));
    eventually("the token request", || bench.saas.mints() == 1).await;
    let after = ask(Arc::new((*bench.provider("google")).clone()));
    eventually("a request of its own", || bench.saas.mints() == 2).await;
    bench.saas.open_gate();
    assert_ne!(before.await.unwrap(), after.await.unwrap());
}

/// Whoever reads an actor's token could show it to whom it is for.
#[tokio::test]
async fn an_actor_is_named_to_the_issuer_of_an_assertion_and_to_nobody_else() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let idp = |issuer: &str| {
        let mut server = bench.provider("google").as_ref().clone();
        server.name = "corp".parse().unwrap();
        let Endpoints::Static(there) = &server.endpoints else { panic!("google has endpoints of its own") };
        let there = Server { issuer: Some(issuer.parse().unwrap()), ..Server::clone(there) };
        server.endpoints = Endpoints::Static(Arc::new(there));
        Arc::new(server)
    };
    let mut provider = bench.provider("orders-jwt").as_ref().clone();
    let behalf = provider.on_behalf_of.as_mut().unwrap();
    behalf.grant = Delegation::IdJag { identity_provider: idp("https://idp.example"), audience: Some("x".into()) };
    let attempt = bench.attempt(&who);
    let written = attempt.written().await.unwrap();
    // What the assertion is worth is another matter: what was sent is looked at.
    let _ = bench.vault.minted(&written, &Arc::new(provider), &self::behalf("read")).await;
    let actor = bench.saas.asked("actor_token").remove(0);
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(actor.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "https://idp.example");
}

#[tokio::test]
async fn an_agent_that_makes_parameters_up_fills_its_own_part_only() {
    let bench = Bench::new().await;
    let (who, other) = (bench.bind_alone("rogue"), bench.bind_alone("calendar"));
    bench.minted(&other, "google", &machine("read")).await.unwrap();
    for nth in 0..200 {
        let more = More { parameters: vec![("nth".into(), nth.to_string())], ..More::default() };
        let mint = Mint::Machine(Wanted::new(scopes("read"), more).unwrap());
        bench.minted(&who, "google", &mint).await.unwrap();
    }
    let rogue = GrantFilter { agent: Some("rogue".parse().unwrap()), ..GrantFilter::default() };
    assert_eq!(bench.vault.forget_minted(&rogue), 64);
    assert_eq!(bench.vault.forget_minted(&GrantFilter::default()), 1);
}

#[tokio::test]
async fn a_token_on_behalf_of_a_user_is_had_for_her_own_token_and_ends_with_it() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    let alice = who.user().unwrap().verified().unwrap().clone();
    let first = text(&bench.minted(&who, "orders", &behalf("read")).await.unwrap());
    assert_eq!(bench.saas.asked("subject_token"), [alice.token().expose_text().unwrap()]);
    assert!(bench.saas.asked("actor_token").is_empty());
    assert_eq!(text(&bench.minted(&who, "orders", &behalf("read")).await.unwrap()), first);
    // Another token of the same user's is another subject token.
    let again = bench.bind("calendar", "alice").await;
    let bob = bench.bind("calendar", "bob").await;
    let rogue = bench.bind("rogue", "alice").await;
    let mut all = vec![first];
    for who in [&again, &bob, &rogue] {
        all.push(text(&bench.minted(who, "orders", &behalf("read")).await.unwrap()));
    }
    all.sort();
    all.dedup();
    assert_eq!((all.len(), bench.saas.mints()), (4, 4));

    // The provider's token lives an hour; hers may end before.
    let left = alice.expires_at().since(bench.clock.now());
    assert!(left < HOUR, "as the issuer of these tests signs them");
    bench.clock.advance(left);
    let error = bench.minted(&who, "orders", &behalf("read")).await.err().unwrap();
    assert!(matches!(error, VaultError::SignInAgain(_)), "{error}");
    assert!(error.to_string().contains("sign in again"), "{error}");
    assert_eq!(bench.saas.mints(), 4);
}

#[tokio::test]
async fn the_actor_is_who_the_providers_configuration_says() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    bench.minted(&who, "orders-own", &behalf("read")).await.unwrap();
    assert_eq!(bench.saas.asked("actor_token"), ["access-m0"], "the agent's own token of the same provider");
    assert_eq!(bench.saas.asked("actor_token_type"), ["urn:ietf:params:oauth:token-type:access_token"]);
    bench.minted(&who, "orders-jwt", &behalf("read")).await.unwrap();
    let actor = bench.saas.asked("actor_token").remove(0);
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(actor.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], "spiffe://example.org/agent/calendar");
    assert_eq!(claims["aud"], bench.saas.url);
    assert_eq!(claims["urn:attache:digest"], who.agent().digest().unwrap().to_string());
    assert_eq!(bench.saas.asked("actor_token_type"), ["urn:ietf:params:oauth:token-type:jwt"]);
}

#[tokio::test]
async fn nothing_is_had_on_behalf_of_nobody() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    let error = bench.minted(&who, "orders", &behalf("read")).await.err().unwrap();
    assert!(matches!(error, VaultError::NoUserToken(_)), "{error}");
    assert_eq!(bench.saas.mints(), 0);
}

/// Rotated while the host runs: the next use has the new key, and a file that is wrong gives none.
#[tokio::test]
async fn an_api_key_is_read_when_it_is_used() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    let provider = bench.providers.find(&"weather".parse().unwrap()).unwrap();
    let attache::providers::CredentialProvider::ApiKey(provider) = provider else { panic!("it has a key") };
    let attempt = bench.attempt(&who);
    let written = attempt.written().await.unwrap();
    assert_eq!(text(&bench.vault.api_key(&written, &provider).unwrap()), "the-first-weather-key");
    std::fs::write(bench.weather_key(), "the-second-weather-key").unwrap();
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(text(&bench.vault.api_key(&written, &provider).unwrap()), "the-second-weather-key");
    std::fs::write(bench.weather_key(), "").unwrap();
    bench.clock.advance(Duration::from_secs(10));
    assert!(matches!(bench.vault.api_key(&written, &provider).err(), Some(VaultError::ApiKey(_))));
}

#[tokio::test]
async fn a_minted_token_lives_no_longer_for_a_clock_that_is_turned_back() {
    let bench = Bench::new().await;
    let who = bench.bind_alone("calendar");
    let first = text(&bench.minted(&who, "google", &machine("read")).await.unwrap());
    bench.clock.set(bench.clock.now().minus(10 * HOUR));
    assert_eq!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), first);
    bench.clock.advance(HOUR);
    assert_ne!(text(&bench.minted(&who, "google", &machine("read")).await.unwrap()), first);
}
