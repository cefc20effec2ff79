//! An agent that is confined: which provider it uses first decides, and nothing reaches another place after that.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::audit::codes;
use attache::broker::{Acquire, Body, Broker, Desk, DeskParts, Flow, Guest, Kind, Outbound, Refusal, Wishes};
use attache::egress::{Client, ClientConfig};
use attache::identity::WatTable;
use attache::ids::CredentialId;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use proptest::prelude::*;
use std::time::Duration;
use support::{Bench, eventually, scopes, tokens};

const NAMES: [&str; 2] = ["google", "slack"];

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

fn ask(provider: &str) -> Acquire {
    let kind = Kind::Oauth2 { scopes: vec!["read".into()], flow: Flow::UserFederation, wishes: Wishes::default() };
    Acquire { provider: provider.into(), kind }
}

/// A bench where alice granted an agent both providers.
async fn granted(agent: &str) -> (Bench, Desk) {
    let bench = Bench::new().await;
    let who = bench.bind(agent, "alice").await;
    for name in NAMES {
        bench.keep(&who, name, &scopes("read"), tokens(&format!("token-of-{name}"), None)).await;
    }
    let desk = desk(&bench);
    (bench, desk)
}

fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn outbound(method: &str, url: String, credential: Option<CredentialId>, body: Body) -> Outbound {
    Outbound {
        credential,
        request: http::Request::builder().method(method).uri(url).body(body).unwrap(),
        connect_timeout: None,
        first_byte_timeout: None,
        between_bytes_timeout: None,
    }
}

async fn send(bench: &Bench, desk: &Desk, guest: &Guest, id: CredentialId) -> Result<(), Refusal> {
    let request = outbound("GET", format!("{}/api/events", bench.saas.url), Some(id), nothing());
    desk.send(&guest.wat, request).await.map(drop)
}

async fn post_elsewhere(bench: &Bench, desk: &Desk, guest: &Guest, body: Body) -> Result<(), Refusal> {
    let request = outbound("POST", format!("{}/elsewhere", bench.saas.url), None, body);
    desk.send(&guest.wat, request).await.map(drop)
}

fn denied(result: &Result<(), Refusal>) -> bool {
    matches!(result, Err(Refusal::Denied(why)) if why.contains("`confine`"))
}

#[tokio::test]
async fn an_invocation_that_used_one_provider_reaches_no_other_place() {
    let (bench, desk) = granted("confined").await;
    let (guest, _seat) = desk.seat(&bench.bind("confined", "alice").await, None);
    let [google, slack] = NAMES.map(|name| desk.acquire(&guest.wat, ask(name)));
    let (google, slack) = (google.await.unwrap(), slack.await.unwrap());
    assert!(post_elsewhere(&bench, &desk, &guest, nothing()).await.is_ok(), "nothing is decided yet");
    assert!(send(&bench, &desk, &guest, google.id).await.is_ok());
    assert!(send(&bench, &desk, &guest, google.id).await.is_ok(), "and again");
    for result in [
        send(&bench, &desk, &guest, slack.id).await,
        post_elsewhere(&bench, &desk, &guest, nothing()).await,
        desk.acquire(&guest.wat, ask("slack")).await.map(drop),
        desk.reveal(&guest.wat, slack.id).await.map(drop),
    ] {
        assert!(denied(&result), "{result:?}");
    }
    // The provider's own hosts are reached without a credential, too.
    let plain = outbound("GET", format!("{}/api/events", bench.saas.url), None, nothing());
    assert!(desk.send(&guest.wat, plain).await.is_ok());
    assert!(
        bench.outcomes(codes::EGRESS).iter().any(|outcome| outcome.contains("`confine`")),
        "and it is written down"
    );
    // Another invocation decides for itself, and agents that are not confined go on as before.
    let (other, _seat) = desk.seat(&bench.bind("confined", "alice").await, None);
    let slack = desk.acquire(&other.wat, ask("slack")).await.unwrap();
    assert!(send(&bench, &desk, &other, slack.id).await.is_ok());
    assert_eq!(bench.saas.state.calls.lock().unwrap().last().unwrap(), "Bearer token-of-slack");
}

#[tokio::test]
async fn bytes_that_were_revealed_are_not_carried_elsewhere() {
    let (bench, desk) = granted("confined").await;
    let (guest, _seat) = desk.seat(&bench.bind("confined", "alice").await, None);
    let google = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    assert!(desk.reveal(&guest.wat, google.id).await.is_ok());
    assert!(denied(&post_elsewhere(&bench, &desk, &guest, nothing()).await));
}

#[tokio::test]
async fn an_agent_that_is_not_confined_uses_both() {
    let (bench, desk) = granted("calendar").await;
    let (guest, _seat) = desk.seat(&bench.bind("calendar", "alice").await, None);
    for name in NAMES {
        let held = desk.acquire(&guest.wat, ask(name)).await.unwrap();
        assert!(send(&bench, &desk, &guest, held.id).await.is_ok());
    }
}

/// A body that was opened before the first use, to be filled with what is read after it.
#[tokio::test]
async fn a_body_still_open_elsewhere_breaks_off_at_the_first_use() {
    let (bench, desk) = granted("confined").await;
    let (guest, _seat) = desk.seat(&bench.bind("confined", "alice").await, None);
    let google = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    let (writer, reader) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let frames = futures_util::stream::unfold(reader, |mut reader| async {
        reader.recv().await.map(|data| (Ok(Frame::data(data)), reader))
    });
    let body = StreamBody::new(frames).boxed_unsync();
    let url = format!("{}/elsewhere", bench.saas.url);
    let open = tokio::spawn(desk.send(&guest.wat, outbound("POST", url, None, body)));
    writer.send(Bytes::from_static(b"before;")).unwrap();
    let arrived = || bench.saas.state.elsewhere.lock().unwrap().clone();
    eventually("the first piece", || arrived() == b"before;").await;
    assert!(send(&bench, &desk, &guest, google.id).await.is_ok());
    // Whether it still listens or not: nothing more arrives.
    let _gone = writer.send(Bytes::from_static(b"what was read;"));
    assert!(open.await.unwrap().is_err(), "the request broke off");
    assert_eq!(arrived(), b"before;");
}

/// What an upstream repeats streams after the head, and is counted in the record that stands for the sending.
#[tokio::test]
async fn what_an_answer_repeats_is_counted_in_the_trail() {
    let (bench, desk) = granted("calendar").await;
    let (guest, _seat) = desk.seat(&bench.bind("calendar", "alice").await, None);
    let google = desk.acquire(&guest.wat, ask("google")).await.unwrap();
    let request = outbound("GET", format!("{}/api/echo", bench.saas.url), Some(google.id), nothing());
    // The bench keeps its grants by attempts of the same name.
    let sendings = || bench.outcomes(codes::SEND).split_off(NAMES.len());
    let answer = desk.send(&guest.wat, request).await.unwrap();
    assert_eq!(answer.headers()["x-you-said"], "Bearer ***************");
    assert!(sendings().is_empty(), "it is not over yet");
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "you said Bearer ***************, and once more Bearer ***************");
    assert_eq!(sendings(), ["Allowed status 200; the answer repeated the credential, covered 3 times"]);
    // Where nobody reads on, what was seen until then is written down.
    let request = outbound("GET", format!("{}/api/echo", bench.saas.url), Some(google.id), nothing());
    drop(desk.send(&guest.wat, request).await.unwrap());
    assert!(sendings()[1].ends_with("covered 1 times"));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Acquire(usize),
    Reveal(usize),
    Elsewhere,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2usize).prop_map(Step::Send),
        1 => (0..2usize).prop_map(Step::Acquire),
        1 => (0..2usize).prop_map(Step::Reveal),
        2 => Just(Step::Elsewhere),
    ];
    prop::collection::vec(step, 2..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// All steps at once, which meet wherever they wait: one provider at most sees its token.
    #[test]
    fn no_interleaving_reaches_two_providers(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (seen, won) = runtime.block_on(async {
            let (bench, desk) = granted("confined").await;
            let (guest, _seat) = desk.seat(&bench.bind("confined", "alice").await, None);
            let mut held = Vec::new();
            for name in NAMES {
                held.push(desk.acquire(&guest.wat, ask(name)).await.unwrap().id);
            }
            let barrier = tokio::sync::Barrier::new(steps.len());
            let run = |step: Step| {
                let (bench, desk, guest, held, barrier) = (&bench, &desk, &guest, &held, &barrier);
                async move {
                    barrier.wait().await;
                    match step {
                        Step::Send(n) => send(bench, desk, guest, held[n]).await.is_ok().then_some(n),
                        Step::Acquire(n) => desk.acquire(&guest.wat, ask(NAMES[n])).await.ok().and(None),
                        Step::Reveal(n) => desk.reveal(&guest.wat, held[n]).await.is_ok().then_some(n),
                        Step::Elsewhere => post_elsewhere(bench, desk, guest, nothing()).await.ok().and(None),
                    }
                }
            };
            let won = futures_util::future::join_all(steps.iter().copied().map(run)).await;
            let seen: std::collections::BTreeSet<String> = bench.saas.state.calls.lock().unwrap().iter().cloned().collect();
            (seen, won.into_iter().flatten().collect::<std::collections::BTreeSet<usize>>())
        });
        prop_assert!(seen.len() <= 1 && won.len() <= 1, "{seen:?} {won:?}");
        let used = steps.iter().any(|step| matches!(step, Step::Send(_) | Step::Reveal(_)));
        prop_assert_eq!(won.len(), usize::from(used), "one of them wins");
    }
}
