use super::*;
use crate::clock::{Clock, Timestamp};
use crate::egress::ClientConfig;
use crate::egress::testing::{Upstream, response};
use crate::jose::DpopKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use url::Url;

const WANTS: &str = r#"{"error":"use_dpop_nonce"}"#;

fn prover() -> DpopProver {
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    DpopProver::new(Arc::new(DpopKey::generate().unwrap()), Arc::default(), clock)
}

/// The claims of the proof in a raw request.
fn proof(request: &str) -> Value {
    let line = request.lines().find_map(|line| line.strip_prefix("dpop: ")).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(line.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn ask(upstream: &Upstream, prover: Option<&DpopProver>) -> (u16, usize) {
    let client = Client::new(&ClientConfig::development()).unwrap();
    let url = Url::parse(&upstream.url("/token?x=1")).unwrap();
    let made = AtomicUsize::new(0);
    let make = || {
        let serial = made.fetch_add(1, Ordering::SeqCst).to_string();
        Ok(Fetch::post_form(url.clone(), &[("client_assertion", serial.as_str())]))
    };
    let fetched = fetch(&client, prover, make).await.unwrap();
    (fetched.status.as_u16(), made.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_server_that_wants_a_nonce_is_asked_once_more_with_everything_new() {
    let upstream = Upstream::answering(|request| match proof(request)["nonce"].as_str() {
        Some("n-1") => response("200 OK", "", "{}"),
        _ => response("400 Bad Request", "dpop-nonce: n-1\r\n", WANTS),
    })
    .await;
    let prover = prover();
    assert_eq!(ask(&upstream, Some(&prover)).await, (200, 2));
    let requests = upstream.requests();
    let [first, second] = &requests[..] else { panic!("{requests:?}") };
    assert!(first.ends_with("client_assertion=0") && second.ends_with("client_assertion=1"));
    assert_eq!(proof(first)["htu"], upstream.url("/token"));
    assert_eq!(proof(first).get("nonce"), None);
    assert_ne!(proof(first)["jti"], proof(second)["jti"]);
    // It is known from now on.
    assert_eq!(ask(&upstream, Some(&prover)).await, (200, 1));
}

#[tokio::test]
async fn a_server_that_is_never_content_is_not_asked_for_ever() {
    let count = AtomicUsize::new(0);
    let always_another = Upstream::answering(move |_| {
        let nonce = format!("dpop-nonce: n-{}\r\n", count.fetch_add(1, Ordering::SeqCst));
        response("400 Bad Request", &nonce, WANTS)
    })
    .await;
    assert_eq!(ask(&always_another, Some(&prover())).await, (400, 2));
    let never_one = Upstream::answering(|_| response("400 Bad Request", "", WANTS)).await;
    assert_eq!(ask(&never_one, Some(&prover())).await, (400, 1));
}

#[tokio::test]
async fn a_refusal_of_another_kind_is_final() {
    for (status, body) in [
        ("400 Bad Request", r#"{"error":"invalid_grant"}"#),
        ("400 Bad Request", "use_dpop_nonce"),
        ("500 Internal Server Error", WANTS),
        ("200 OK", WANTS),
    ] {
        let upstream = Upstream::answering(move |_| response(status, "dpop-nonce: n\r\n", body)).await;
        assert_eq!(ask(&upstream, Some(&prover())).await.1, 1, "{status} {body}");
    }
}

#[tokio::test]
async fn without_a_key_there_is_no_proof() {
    let upstream = Upstream::answering(|_| response("400 Bad Request", "dpop-nonce: n\r\n", WANTS)).await;
    assert_eq!(ask(&upstream, None).await, (400, 1));
    assert!(!upstream.requests()[0].contains("dpop"));
}
