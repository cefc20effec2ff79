//! Consent sessions: a code is exchanged in front of the user who started it, once, or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::audit::{Decision as Decision_, codes};
use attache::consent::{Callback, ConsentError, Landing, Question, Stage, Started};
use attache::directory::Deployment;
use attache::identity::Binding;
use attache::ids::{AgentName, ConsentId, Digest, ProviderName};
use attache::oauth::{Endpoints, Server};
use attache::providers::{CredentialProvider, Providers};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::third_party::{Decision, ThirdParty};
use support::{Bench, RETURN_URL, eventually, query, scopes, session_uri, text};

/// To read, at `google`.
async fn ask(bench: &Bench, who: &Arc<Binding>, return_url: Option<&str>) -> Result<Started, ConsentError> {
    let wanted = scopes("read").into();
    let question = Question { wanted: &wanted, return_url, custom_state: None, force: false };
    bench.consents.start(who, &bench.provider("google"), &question).await
}

/// A session of this user with agent `calendar` at `google`.
async fn start(bench: &Bench, user: &str, return_url: Option<&str>) -> (ConsentId, Started) {
    let who = bench.bind("calendar", user).await;
    let started = ask(bench, &who, return_url).await.unwrap();
    (ConsentId::from_session_uri(&started.session_uri).unwrap(), started)
}

fn google() -> ProviderName {
    ProviderName::parse("google").unwrap()
}

fn nothing_is_stored(bench: &Bench) {
    assert!(bench.rows.rows.lock().unwrap().is_empty());
    assert!(bench.vault.grants().is_empty());
    assert_eq!(bench.saas.exchanges(), 0, "no code left the host");
}

/// The last refusal at this step: who was there, and why.
fn refusal(bench: &Bench, action: &str) -> (Option<String>, String) {
    let record = bench.records(action).pop().unwrap();
    let outcome = record.outcome.unwrap();
    assert_eq!(outcome.decision, Decision_::Refused);
    (record.actor.user.map(|user| user.subject.to_string()), outcome.reason)
}

#[tokio::test]
async fn a_user_agrees_and_her_agent_gets_her_token() {
    let bench = Bench::new().await;
    let (id, started) = start(&bench, "alice", None).await;
    assert_eq!(started.authorization_url, format!("https://attache.example/consent/{id}"));
    assert!(!bench.consents.is_for_app(id).await.unwrap());
    assert_eq!(bench.consents.agent_of(id).await.unwrap().as_str(), "calendar");
    let alice = bench.user("alice").await;
    let view = bench.consents.view(id, &alice).await.unwrap();
    assert_eq!((view.agent.as_str(), view.publisher.as_str()), ("calendar", "calendar makers"));
    assert_eq!((view.scopes, view.stage), (vec!["read".to_owned()], Stage::Started));
    assert!(view.hosts.iter().any(|host| host.contains("/api/")), "{:?}", view.hosts);

    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    assert_eq!(query(&url, "redirect_uri"), "https://attache.example/oauth2/callback/google");
    assert!(matches!(bench.consents.proceed(id, None).await, Err(ConsentError::SignInNeeded)));
    // A later token of the same human is the same user.
    let alice = bench.user("alice").await;
    let landing = bench.consents.callback(&google(), bench.answer(&url), Some(&alice)).await.unwrap();
    assert!(matches!(landing, Landing::Stored(view) if view.stage == Stage::Completed));
    assert_eq!(bench.sessions.stage(id), Stage::Completed);

    let who = bench.bind("calendar", "alice").await;
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-x0");
    for (agent, user) in [("calendar", "bob"), ("rogue", "alice")] {
        let who = bench.bind(agent, user).await;
        assert!(bench.token(&who, "google", &scopes("read")).await.is_err());
    }
    let record = bench.records(codes::CONSENT_COMPLETE).pop().unwrap();
    assert_eq!(record.outcome.unwrap().decision, Decision_::Allowed);
    assert_eq!(record.actor.user.unwrap().subject.as_str(), "alice");
}

#[tokio::test]
async fn mallory_opening_alices_link_learns_nothing_and_spoils_nothing() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let mallory = bench.user("mallory").await;
    assert!(matches!(bench.consents.view(id, &mallory).await, Err(ConsentError::NotYours)));
    assert_eq!(refusal(&bench, codes::CONSENT_VIEW).0.as_deref(), Some("mallory"));
    assert!(matches!(bench.consents.proceed(id, Some(&mallory)).await, Err(ConsentError::NotYours)));
    assert_eq!(refusal(&bench, codes::CONSENT_PROCEED).0.as_deref(), Some("mallory"));
    assert!(matches!(bench.consents.complete(id, &mallory.clone().into()).await, Err(ConsentError::NotYours)));
    assert_eq!(refusal(&bench, codes::CONSENT_COMPLETE).0.as_deref(), Some("mallory"));
    nothing_is_stored(&bench);

    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    bench.consents.callback(&google(), bench.answer(&url), Some(&alice)).await.unwrap();
    assert_eq!(bench.vault.grants().len(), 1);
}

#[tokio::test]
async fn alice_finishing_what_mallory_started_stores_nothing_for_anybody() {
    for there in [Some("alice"), None] {
        let bench = Bench::new().await;
        let (id, _) = start(&bench, "mallory", None).await;
        let mallory = bench.user("mallory").await;
        let url = bench.consents.proceed(id, Some(&mallory)).await.unwrap();
        let callback = bench.answer(&url);
        let (state, code) = (callback.state.clone(), callback.code.clone());
        let there = match there {
            Some(name) => Some(bench.user(name).await),
            None => None,
        };
        let result = bench.consents.callback(&google(), callback, there.as_ref()).await;
        assert!(matches!(result, Err(ConsentError::NotYours | ConsentError::SignInNeeded)));
        assert_eq!(refusal(&bench, codes::CONSENT_COMPLETE).0.as_deref(), there.map(|_| "alice"));
        assert_eq!(bench.sessions.stage(id), Stage::Failed);
        // Nor does mallory, once she has the code.
        let again = Callback { state, code, iss: Some(bench.saas.url.clone()), error: None, error_description: None };
        let result = bench.consents.callback(&google(), again, Some(&mallory)).await;
        assert!(matches!(result, Err(ConsentError::Over)));
        nothing_is_stored(&bench);
    }
}

/// Whoever changes a provider does not get the codes of those who are at the one before.
#[tokio::test]
async fn a_code_and_its_verifier_go_to_no_provider_that_was_changed_since() {
    let bench = Bench::new().await;
    let alice = bench.user("alice").await;
    let (id, _) = start(&bench, "alice", None).await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let callback = bench.answer(&url);
    let mut changed = bench.provider("google").as_ref().clone();
    changed.client_id = "another".into();
    let providers = Providers::configured([CredentialProvider::Oauth2(Arc::new(changed))]);
    let consents = bench.restarted_consents_with(&providers);
    let result = consents.callback(&google(), callback, Some(&alice)).await;
    assert!(matches!(result, Err(ConsentError::AnotherProvider(_))), "{result:?}");
    assert!(bench.saas.asked("code").is_empty());
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

/// What is wrong with an answer.
type Spoil = fn(&Bench, &mut Callback, &mut ProviderName);

#[tokio::test]
async fn an_answer_that_is_wrong_in_any_way_ends_the_session_and_stores_nothing() {
    let cases: [(&str, Spoil); 8] = [
        ("another provider", |_, _, provider| *provider = ProviderName::parse("slack").unwrap()),
        ("expired", |bench, _, _| bench.clock.advance(Duration::from_secs(600))),
        ("configured issuer", |_, callback, _| callback.iss = Some("https://evil.example".into())),
        ("`access_denied`", |_, callback, _| (callback.error, callback.code) = (Some("access_denied".into()), None)),
        // An error beside a code is an error.
        ("`server_error`", |_, callback, _| callback.error = Some("server_error".into())),
        ("no authorization code", |_, callback, _| callback.code = None),
        ("no authorization code", |_, callback, _| callback.code = Some(String::new())),
        ("no authorization code", |_, callback, _| callback.code = Some("x".repeat(10_000))),
    ];
    for (reason, spoil) in cases {
        let bench = Bench::new().await;
        let (id, _) = start(&bench, "alice", None).await;
        let alice = bench.user("alice").await;
        let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
        let (mut callback, mut provider) = (bench.answer(&url), google());
        spoil(&bench, &mut callback, &mut provider);
        let good = Callback { state: callback.state.clone(), ..bench.answer(&url) };
        let alice = bench.user("alice").await;
        let error = bench.consents.callback(&provider, callback, Some(&alice)).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(refusal(&bench, codes::CONSENT_COMPLETE).1.contains(reason));
        assert_eq!(bench.sessions.stage(id), Stage::Failed, "{reason}");
        let after = bench.consents.callback(&google(), good, Some(&alice)).await;
        assert!(matches!(after, Err(ConsentError::Over)), "{reason}");
        nothing_is_stored(&bench);
    }
}

#[tokio::test]
async fn a_state_that_is_unknown_missing_or_used_is_refused() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let first = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let second = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    // The state of the first tab is void once the second went on.
    for state in [None, Some("made up".to_owned()), Some(String::new()), Some(query(&first, "state"))] {
        let callback = Callback { state, ..bench.answer(&first) };
        let result = bench.consents.callback(&google(), callback, Some(&alice)).await;
        assert!(matches!(result, Err(ConsentError::State)));
        assert!(refusal(&bench, codes::CONSENT_COMPLETE).1.contains("state"));
        nothing_is_stored(&bench);
    }
    bench.consents.callback(&google(), bench.answer(&second), Some(&alice)).await.unwrap();
    let replay = bench.consents.callback(&google(), bench.answer(&second), Some(&alice)).await;
    assert!(matches!(replay, Err(ConsentError::Over)));
    assert_eq!(bench.saas.exchanges(), 1);
    assert_eq!(bench.sessions.stage(id), Stage::Completed, "a replay spoils nothing");
    assert!(matches!(bench.consents.proceed(id, Some(&alice)).await, Err(ConsentError::Over)));
}

#[tokio::test]
async fn of_many_that_bring_the_same_code_one_exchanges_it() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let (state, code) = (query(&url, "state"), bench.saas.agree(&url));
    let provider = google();
    let all = (0..20).map(|_| {
        let (state, code, iss) = (Some(state.clone()), Some(code.clone()), Some(bench.saas.url.clone()));
        let callback = Callback { state, code, iss, error: None, error_description: None };
        bench.consents.callback(&provider, callback, Some(&alice))
    });
    let results = futures_util::future::join_all(all).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(bench.saas.exchanges(), 1);
}

#[tokio::test]
async fn an_app_completes_with_the_uri_that_came_back_with_the_browser() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", Some(RETURN_URL)).await;
    assert!(bench.consents.is_for_app(id).await.unwrap());
    let alice = bench.user("alice").await;
    assert!(matches!(bench.consents.complete(id, &alice.clone().into()).await, Err(ConsentError::NotAnswered)));
    let url = bench.consents.proceed(id, None).await.unwrap();
    let callback = bench.answer(&url);
    let code = callback.code.clone().unwrap();
    let landing = bench.consents.callback(&google(), callback, None).await.unwrap();
    let Landing::ReturnToApp { url } = &landing else { panic!("{landing:?}") };
    assert!(url.as_str().starts_with(&format!("{RETURN_URL}&session_id=urn")), "{url}");
    nothing_is_stored(&bench);
    let stored = format!("{:?}", bench.sessions.0.lock().unwrap());
    assert!(!stored.contains(&code), "the code rests sealed");

    let returned = session_uri(&landing);
    assert_eq!(bench.consents.agent_of(returned).await.unwrap().as_str(), "calendar");
    // Whoever knows the URI that the agent gave, even its user, does not overtake the app.
    assert!(matches!(bench.consents.complete(id, &alice.clone().into()).await, Err(ConsentError::NotFromBrowser)));
    assert_eq!(bench.sessions.stage(id), Stage::AwaitingCompletion);
    let alice = bench.user("alice").await;
    assert_eq!(bench.consents.complete(returned, &alice.clone().into()).await.unwrap().stage, Stage::Completed);
    assert!(matches!(bench.consents.complete(returned, &alice.clone().into()).await, Err(ConsentError::Over)));
    let who = bench.bind("calendar", "alice").await;
    assert_eq!(text(&bench.token(&who, "google", &scopes("read")).await.unwrap()), "access-x0");
}

#[tokio::test]
async fn an_app_that_finds_another_user_burns_the_code() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "mallory", Some(RETURN_URL)).await;
    let url = bench.consents.proceed(id, None).await.unwrap();
    // It is alice whose browser comes back, and the app says so.
    let landing = bench.consents.callback(&google(), bench.answer(&url), None).await.unwrap();
    let (alice, mallory) = (bench.user("alice").await, bench.user("mallory").await);
    assert!(matches!(bench.consents.complete(id, &mallory.clone().into()).await, Err(ConsentError::NotFromBrowser)));
    let returned = session_uri(&landing);
    assert!(matches!(bench.consents.complete(returned, &alice.clone().into()).await, Err(ConsentError::NotYours)));
    assert_eq!(refusal(&bench, codes::CONSENT_COMPLETE).0.as_deref(), Some("alice"));
    assert!(matches!(bench.consents.complete(returned, &mallory.clone().into()).await, Err(ConsentError::Over)));
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

#[tokio::test]
async fn a_return_url_must_be_on_the_workloads_list() {
    let bench = Bench::new().await;
    let who = bench.bind("calendar", "alice").await;
    for url in ["https://evil.example/", "https://app.example/done", "https://app.example/done?from=attache#x", "", "x"]
    {
        let result = ask(&bench, &who, Some(url)).await;
        assert!(matches!(result, Err(ConsentError::ReturnUrl(_))), "{url}");
    }
    assert!(bench.sessions.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_lives_ten_minutes_and_its_reason_is_told_after() {
    let bench = Bench::new().await;
    let (id, started) = start(&bench, "alice", None).await;
    assert_eq!(started.expires_at, bench.clock.now().plus(Duration::from_secs(600)));
    let who = bench.bind("calendar", "alice").await;
    bench.clock.advance(Duration::from_secs(600));
    let alice = bench.user("alice").await;
    assert!(matches!(bench.consents.view(id, &alice).await, Err(ConsentError::Expired)));
    assert!(matches!(bench.consents.proceed(id, Some(&alice)).await, Err(ConsentError::Expired)));
    bench.clock.advance(Duration::from_secs(25 * 3600));
    // Starting one sweeps those that are long gone.
    ask(&bench, &who, None).await.unwrap();
    assert!(matches!(bench.consents.proceed(id, None).await, Err(ConsentError::NotFound)));
}

#[tokio::test]
async fn a_session_does_not_outlive_a_clock_that_is_turned_back() {
    let bench = Bench::new().await;
    let alice = bench.user("alice").await;
    let (id, _) = start(&bench, "alice", None).await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let answer = bench.answer(&url);
    // Nine minutes later somebody turns it back by an hour: it would have an hour and a minute to live.
    bench.clock.advance(Duration::from_secs(9 * 60));
    bench.clock.set(bench.clock.now().minus(Duration::from_secs(3600)));
    assert!(matches!(bench.consents.view(id, &alice).await, Err(ConsentError::Expired)));
    assert!(matches!(bench.consents.callback(&google(), answer, Some(&alice)).await, Err(ConsentError::Expired)));
    nothing_is_stored(&bench);
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_fails() {
    let bench = Bench::new().await;
    let (first, _) = start(&bench, "alice", None).await;
    let (second, _) = start(&bench, "alice", None).await;
    let (bobs, _) = start(&bench, "bob", None).await;
    for _ in 0..31 {
        start(&bench, "alice", None).await;
    }
    assert_eq!(bench.sessions.stage(first), Stage::Failed);
    assert_eq!(bench.sessions.stage(second), Stage::Started);
    assert_eq!(bench.sessions.stage(bobs), Stage::Started);
}

#[tokio::test]
async fn a_suspended_agent_gets_no_grant() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let name = attache::ids::AgentName::parse("calendar").unwrap();
    bench.directory.set_state(&name, attache::directory::State::Suspended).await.ok().unwrap();
    let result = bench.consents.callback(&google(), bench.answer(&url), Some(&alice)).await;
    assert!(matches!(result, Err(ConsentError::Agent(_))));
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

/// Whoever makes a workload of that name later finds nothing of the one before.
#[tokio::test]
async fn a_workload_that_is_deleted_while_the_provider_answers_leaves_no_grant() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    let answer = bench.answer(&url);
    bench.saas.close_gate();
    let (consents, user) = (bench.consents.clone(), alice.clone());
    let callback = tokio::spawn(async move { consents.callback(&google(), answer, Some(&user)).await });
    eventually("the code is exchanged", || bench.saas.exchanges() == 1).await;
    delete_calendar(&bench).await;
    deploy_calendar(&bench).await;
    bench.saas.open_gate();
    assert!(matches!(callback.await.unwrap(), Err(ConsentError::Agent(_))));
    assert!(bench.vault.grants().is_empty() && bench.rows.rows.lock().unwrap().is_empty());
    eventually("the provider is told", || !bench.saas.revoked().is_empty()).await;
    let who = bench.bind("calendar", "alice").await;
    assert!(bench.token(&who, "google", &scopes("read")).await.is_err());
}

#[tokio::test]
async fn what_a_deleted_workload_began_is_not_finished_for_the_next_of_its_name() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    delete_calendar(&bench).await;
    bench.clock.advance(Duration::from_secs(1));
    deploy_calendar(&bench).await;
    let result = bench.consents.callback(&google(), bench.answer(&url), Some(&alice)).await;
    assert!(matches!(result, Err(ConsentError::Agent(_))));
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

/// Whoever has a provider's name later, by another configuration or another client, gets nothing of what was asked before:
/// no browser, no code, and not the verifier that goes with it.
#[tokio::test]
async fn what_was_asked_of_a_provider_goes_to_no_other_of_its_name() {
    for app in [None, Some(RETURN_URL)] {
        for client in ["attache", "another"] {
            let mut bench = Bench::new().await;
            let (opened, _) = start(&bench, "alice", app).await;
            let (left, _) = start(&bench, "alice", app).await;
            let alice = bench.user("alice").await;
            let url = bench.consents.proceed(left, Some(&alice)).await.unwrap();
            let answer = Callback { iss: None, ..bench.answer(&url) };
            let thief = ThirdParty::start().await;
            bench.replace_provider("google", |provider| {
                // The client alone is another one too: tokens belong to it.
                provider.client_id = client.into();
                if client == "attache" {
                    let url = |path: &str| format!("{}{path}", thief.url).parse().unwrap();
                    let server = Server::new(Some(url("/authorize")), url("/token"));
                    provider.endpoints = Endpoints::Static(Arc::new(server));
                } else if let Endpoints::Static(server) = &mut provider.endpoints {
                    Arc::make_mut(server).issuer = None;
                }
            });
            let changed = |result: Result<_, ConsentError>| match result {
                Err(ConsentError::AnotherProvider(name)) => assert_eq!(name, google()),
                Err(other) => panic!("{other}"),
                Ok(()) => panic!("it went on"),
            };
            changed(bench.consents.proceed(opened, Some(&alice)).await.map(drop));
            let there = app.is_none().then_some(&alice);
            changed(bench.consents.callback(&google(), answer, there).await.map(drop));
            assert_eq!(bench.sessions.stage(left), Stage::Failed);
            assert_eq!(thief.exchanges(), 0);
            nothing_is_stored(&bench);
        }
    }
    let mut bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    let alice = bench.user("alice").await;
    bench.consents.begin_device(id, &alice).await.unwrap();
    bench.replace_provider("tv", |provider| provider.client_id = "another".into());
    bench.consents.begin_device(id, &alice).await.unwrap();
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 1);
    assert_eq!(bench.saas.state.device_polls.load(Ordering::SeqCst), 0, "the device code stays here");
}

async fn delete_calendar(bench: &Bench) {
    let retired = bench.directory.retire(&AgentName::parse("calendar").unwrap()).await.unwrap();
    bench.directory.remove(retired).await.unwrap();
}

async fn deploy_calendar(bench: &Bench) {
    let deployment = Deployment {
        name: AgentName::parse("calendar").unwrap(),
        digest: Digest::of(b"calendar"),
        publisher: "somebody else".into(),
        by: "operator".into(),
        allowed_return_urls: None,
        source: None,
        authority: attache::directory::Authority::none(),
    };
    bench.directory.deploy(deployment).await.unwrap();
}

#[tokio::test]
async fn no_code_leaves_before_it_is_written_down() {
    let bench = Bench::new().await;
    let (id, _) = start(&bench, "alice", None).await;
    let alice = bench.user("alice").await;
    let url = bench.consents.proceed(id, Some(&alice)).await.unwrap();
    bench.journal.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let result = bench.consents.callback(&google(), bench.answer(&url), Some(&alice)).await;
    assert!(matches!(result, Err(ConsentError::Unwritable(_))));
    nothing_is_stored(&bench);
}

/// A session of this user with agent `calendar` at `tv`, which asks its users on another device.
async fn start_device(bench: &Bench, user: &str) -> ConsentId {
    let who = bench.bind("calendar", user).await;
    let wanted = scopes("read").into();
    // A return URL has no part in it: the browser never comes back.
    let question = Question { wanted: &wanted, return_url: Some(RETURN_URL), custom_state: None, force: false };
    let started = bench.consents.start(&who, &bench.provider("tv"), &question).await.unwrap();
    ConsentId::from_session_uri(&started.session_uri).unwrap()
}

const INTERVAL: Duration = Duration::from_secs(5);

/// A device code works once: of two who ask at the same time, one would be told that there is no such code.
#[tokio::test]
async fn a_provider_that_is_slow_is_not_asked_twice_at_once() {
    let bench = Arc::new(Bench::new().await);
    let id = start_device(&bench, "alice").await;
    let alice = bench.user("alice").await;
    bench.consents.begin_device(id, &alice).await.unwrap();
    bench.clock.advance(INTERVAL);
    bench.saas.close_gate();
    bench.saas.state.decisions.lock().unwrap().push_back(Decision::Granted);
    let mut asking = Box::pin(bench.consents.ask_devices());
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    // Her page looks how far it got.
    bench.consents.view(id, &alice).await.unwrap();
    bench.clock.advance(INTERVAL);
    let mut again = Box::pin(bench.consents.ask_devices());
    assert!(matches!(futures_util::poll!(again.as_mut()), std::task::Poll::Ready(0)));
    bench.saas.open_gate();
    assert_eq!(asking.await, 1);
    assert_eq!(bench.sessions.stage(id), Stage::Completed);
}

#[tokio::test]
async fn a_user_types_a_code_on_another_device_and_her_agent_gets_her_token() {
    let bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    assert!(!bench.consents.is_for_app(id).await.unwrap());
    let alice = bench.user("alice").await;
    assert!(bench.consents.view(id, &alice).await.unwrap().by_device);
    let codes = bench.consents.begin_device(id, &alice).await.unwrap();
    assert_eq!((codes.user_code.as_str(), codes.interval), ("WDJB-MJHT", 5));
    assert_eq!(bench.consents.begin_device(id, &alice).await.unwrap(), codes, "the same codes in another tab");
    assert_eq!(bench.consents.view(id, &alice).await.unwrap().device, Some(codes));
    let stored = format!("{:?}", bench.sessions.0.lock().unwrap());
    assert!(!stored.contains("WDJB") && !stored.contains("the-device-code"), "the codes rest sealed");

    assert_eq!(bench.consents.ask_devices().await, 0, "not before the interval");
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 1);
    bench.saas.state.decisions.lock().unwrap().extend([Decision::Says("slow_down"), Decision::Granted]);
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 1);
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 0, "five seconds slower from now on");
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 1);
    assert_eq!(bench.sessions.stage(id), Stage::Completed);
    bench.clock.advance(INTERVAL * 4);
    assert_eq!(bench.consents.ask_devices().await, 0, "and it is over");

    let who = bench.bind("calendar", "alice").await;
    assert_eq!(text(&bench.token(&who, "tv", scopes("read")).await.unwrap()), "access-d2");
    for (agent, user) in [("calendar", "bob"), ("rogue", "alice")] {
        let who = bench.bind(agent, user).await;
        assert!(bench.token(&who, "tv", scopes("read")).await.is_err());
    }
    let record = bench.records(codes::CONSENT_COMPLETE).pop().unwrap();
    assert_eq!(record.outcome.unwrap().decision, Decision_::Allowed);
    assert_eq!(record.actor.user.unwrap().subject.as_str(), "alice");
}

#[tokio::test]
async fn nobody_but_the_user_it_belongs_to_sees_a_code() {
    let bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    let (alice, mallory) = (bench.user("alice").await, bench.user("mallory").await);
    for begun in [false, true] {
        if begun {
            bench.consents.begin_device(id, &alice).await.unwrap();
        }
        assert!(matches!(bench.consents.begin_device(id, &mallory).await, Err(ConsentError::NotYours)));
        assert_eq!(refusal(&bench, codes::CONSENT_PROCEED).0.as_deref(), Some("mallory"));
        assert!(matches!(bench.consents.view(id, &mallory).await, Err(ConsentError::NotYours)));
    }
    // And the browser way of the same session is shut.
    let (other, _) = start(&bench, "alice", None).await;
    assert!(matches!(bench.consents.begin_device(other, &alice).await, Err(ConsentError::NotByDevice(_))));
}

#[tokio::test]
async fn a_code_that_is_refused_or_too_old_stores_nothing() {
    for (says, reason) in
        [("access_denied", "access_denied"), ("expired_token", "expired"), ("invalid_client", "provider")]
    {
        let bench = Bench::new().await;
        let id = start_device(&bench, "alice").await;
        bench.consents.begin_device(id, &bench.user("alice").await).await.unwrap();
        bench.saas.state.decisions.lock().unwrap().push_back(Decision::Says(says));
        bench.clock.advance(INTERVAL);
        assert_eq!(bench.consents.ask_devices().await, 1);
        assert_eq!(bench.sessions.stage(id), Stage::Failed, "{says}");
        assert!(refusal(&bench, codes::CONSENT_COMPLETE).1.contains(reason), "{says}");
        nothing_is_stored(&bench);
    }
    let bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    bench.consents.begin_device(id, &bench.user("alice").await).await.unwrap();
    bench.saas.state.decisions.lock().unwrap().push_back(Decision::Granted);
    // The provider said that the codes live five minutes.
    bench.clock.advance(Duration::from_secs(300));
    bench.consents.ask_devices().await;
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

/// A provider that cannot be reached is asked again, and an answer that cannot be written down is not kept.
#[tokio::test]
async fn a_device_is_asked_about_until_it_is_known_and_written_down() {
    let bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    bench.consents.begin_device(id, &bench.user("alice").await).await.unwrap();
    bench.saas.set_down(true);
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.consents.ask_devices().await, 1);
    bench.saas.set_down(false);
    bench.journal.full.store(true, std::sync::atomic::Ordering::SeqCst);
    bench.saas.state.decisions.lock().unwrap().push_back(Decision::Granted);
    bench.clock.advance(INTERVAL * 2);
    assert_eq!(bench.consents.ask_devices().await, 1);
    assert_eq!(bench.sessions.stage(id), Stage::Failed);
    nothing_is_stored(&bench);
}

/// The page's next look, with the proof of who she is, takes it up again.
#[tokio::test]
async fn after_a_restart_the_user_takes_it_up_again() {
    let bench = Bench::new().await;
    let id = start_device(&bench, "alice").await;
    let alice = bench.user("alice").await;
    bench.consents.begin_device(id, &alice).await.unwrap();
    let again = bench.restarted_consents();
    bench.clock.advance(INTERVAL);
    assert_eq!(again.ask_devices().await, 0, "nobody is there who could be bound");
    assert!(again.view(id, &bench.user("mallory").await).await.is_err());
    assert!(again.view(id, &alice).await.unwrap().device.is_some());
    bench.saas.state.decisions.lock().unwrap().push_back(Decision::Granted);
    bench.clock.advance(INTERVAL);
    assert_eq!(again.ask_devices().await, 1);
    assert_eq!(bench.sessions.stage(id), Stage::Completed);
}

/// Deleted and made again under the same name while the user was reading: she agreed to another one.
#[tokio::test]
async fn a_workload_that_was_made_anew_gets_nothing_of_an_earlier_question() {
    let bench = Bench::new().await;
    let who = bench.bind_elsewhere(Some("alice")).await;
    let started = ask(&bench, &who, Some(RETURN_URL)).await.unwrap();
    let id = ConsentId::from_session_uri(&started.session_uri).unwrap();
    let url = bench.consents.proceed(id, None).await.unwrap();
    let landing = bench.consents.callback(&google(), bench.answer(&url), None).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    bench.remake_elsewhere().await;
    let result = bench.consents.complete(session_uri(&landing), &bench.user("alice").await.into()).await;
    assert!(matches!(result, Err(ConsentError::Agent(_))), "{result:?}");
    nothing_is_stored(&bench);
}
