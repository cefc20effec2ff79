//! A panic in every function that a guest reaches: it ends that invocation with a reason, is told nobody, and whoever
//! comes next is served. Only with the feature `failpoints`, which `cargo xtask test` turns on.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code, reason = "tests")]

#[path = "hostile/bed.rs"]
mod bed;
#[path = "runtime/guests.rs"]
mod guests;
#[path = "hostile/scripted.rs"]
mod scripted;
mod support;

use attache::audit::codes;
use attache::broker::{Broker, Desk, DeskParts};
use attache::egress::{Client, ClientConfig};
use attache::identity::WatTable;
use attache::runtime::{EngineConfig, InvokeError};
use bed::Bed;
use fail::FailScenario;
use guests::guest;
use http_body_util::BodyExt as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Bench, scopes, tokens};

/// Each place, and what a guest does to come there. The first are served by a broker of the tests' own.
const OF_THE_ENGINE: &[(&str, &str)] = &[
    ("runtime.calls.workload", "/whoami"),
    ("runtime.calls.user", "/whoami"),
    ("runtime.calls.claim", "/whoami"),
    ("runtime.calls.oauth2", ACQUIRE),
    ("runtime.calls.api-key", "/acquire?provider=any&flow=api-key"),
    ("runtime.calls.provider", ACQUIRE),
    ("runtime.calls.scopes", ACQUIRE),
    ("runtime.calls.expires-at", ACQUIRE),
    ("runtime.calls.drop", ACQUIRE),
    ("runtime.calls.send", "/send?provider=any&url=https://any.example/"),
    ("runtime.calls.reveal", REVEAL),
    ("runtime.heads.set", "/get?url=https://any.example/"),
    ("runtime.limits.memory", "/"),
    ("runtime.limits.table", "/"),
    ("runtime.log.write", "/log?line=x"),
    ("runtime.outgoing.answer", "/get?url=https://late.any.example/"),
    ("runtime.outgoing.send", "/get?url=https://any.example/"),
];

/// And these by a real desk over a real vault.
const OF_THE_BROKER: &[(&str, &str)] = &[
    ("broker.acquire", ACQUIRE),
    ("broker.release", ACQUIRE),
    ("broker.reveal", REVEAL),
    ("broker.seat.hold", ACQUIRE),
    ("broker.send", SEND),
    ("broker.send.written", SEND),
];

const ACQUIRE: &str = "/acquire?provider=google&scope=read";
/// The address of the third party follows.
const SEND: &str = "/send?provider=google&scope=read&url=";
const REVEAL: &str = "reveal";

/// Panics once, at this place.
fn once(place: &str) {
    fail::cfg(place, "1*panic(on purpose)").expect("the place is named as it should be");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_host_call_ends_one_invocation_and_no_other() {
    let scenario = FailScenario::setup();
    let config = EngineConfig { max_instances: 2, ..EngineConfig::default() };
    let bed = Bed::new(config).await;
    let probe = bed.engine.load(&guest("probe")).unwrap();
    let revealing = bed.engine.load(&guest("reveal-probe")).unwrap();
    for (place, target) in OF_THE_ENGINE {
        let (loaded, target) = if *target == REVEAL { (&revealing, "/") } else { (&probe, *target) };
        once(place);
        assert_eq!(bed.invoke(loaded, target).await.map(drop), Err(InvokeError::Host), "{place}");
        assert_eq!(bed.left_behind().await, None, "after {place}");
        let next = bed.invoke(loaded, target).await.unwrap_or_else(|error| panic!("after {place}: {error}"));
        assert!(next.into_body().collect().await.is_ok(), "after {place}");
        assert_eq!(bed.left_behind().await, None, "after {place} and the next");
    }
    scenario.teardown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_broker_ends_one_invocation_and_its_records_are_closed() {
    let scenario = FailScenario::setup();
    let bench = Bench::new().await;
    let wats = WatTable::new(bench.clock.clone());
    let desk = Desk::new(DeskParts {
        vault: bench.vault.clone(),
        consents: bench.consents.clone(),
        providers: bench.providers.clone(),
        client: Client::new(&ClientConfig::development()).ok().unwrap(),
        trail: bench.trail.clone(),
        directory: bench.directory.clone(),
        wats: wats.clone(),
        lifetime: Duration::from_secs(60),
    });
    let who = bench.bind("calendar", "alice").await;
    bench.keep(&who, "google", &scopes("read"), tokens("canary", None)).await;
    bench.keep(&who, "google", &scopes("read write"), tokens("canary", None)).await;
    let bed = Bed::new(EngineConfig { max_instances: 2, ..EngineConfig::default() }).await;
    let probe = bed.engine.load(&guest("probe")).unwrap();
    let revealing = bed.engine.load(&guest("reveal-probe")).unwrap();
    let invoke = async |target: &str| {
        let who = bench.bind("calendar", "alice").await;
        let (guest, _seat) = desk.seat(&who, None);
        let broker: Arc<dyn Broker> = Arc::new(desk.clone());
        let (loaded, target) = match target {
            REVEAL => (&revealing, "/google".to_owned()),
            SEND => (&probe, format!("{SEND}{}/api/events", bench.saas.url)),
            other => (&probe, other.to_owned()),
        };
        let request = http::Request::get(target).body(bed::empty()).unwrap();
        let response = bed.engine.invoke(loaded, guest, broker, request).await?;
        Ok::<_, InvokeError>(response.into_body().collect().await.expect("a whole body").to_bytes())
    };
    for (place, target) in OF_THE_BROKER {
        once(place);
        assert_eq!(invoke(target).await.map(drop), Err(InvokeError::Host), "{place}");
        assert_eq!(bed.left_behind().await, None, "after {place}");
        assert!(wats.is_empty(), "after {place}: its token died with it");
        let next = invoke(target).await.unwrap_or_else(|error| panic!("after {place}: {error}"));
        let text = String::from_utf8_lossy(&next).into_owned();
        match *target {
            SEND => assert!(text.starts_with("200 "), "after {place}: {text}"),
            REVEAL => assert_eq!(text, "canary", "after {place}"),
            _ => assert!(text.starts_with("google read"), "after {place}: {text}"),
        }
    }
    for action in [codes::SEND, codes::REVEAL] {
        let records = bench.records(action);
        let opened = records.iter().filter(|record| record.outcome.is_none()).count();
        assert!(opened > 0 && records.len() == 2 * opened, "each that was opened is closed: {action}");
    }
    scenario.teardown();
}

/// A place that nobody comes to would show nothing.
#[test]
fn every_place_stands_in_a_table() {
    let mut places = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let named = text.split("fault_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                places.extend(named.map(str::to_owned));
            }
        }
    }
    let ours = places.iter().filter(|place| place.starts_with("runtime.") || place.starts_with("broker."));
    let listed: BTreeSet<&str> = OF_THE_ENGINE.iter().chain(OF_THE_BROKER).map(|(place, _)| *place).collect();
    assert_eq!(ours.map(String::as_str).collect::<BTreeSet<_>>(), listed);
}
