//! The host as an issuer: what it says of a workload is checked as anybody would check it.

use super::{World, agent};
use crate::directory::RegisteredAgent;
use crate::identity::{Authorizer, Bearer, Binding, DIGEST_CLAIM, IssuerRule, Rejected, Verifier};
use crate::ids::{Digest, SessionId};
use crate::jose::SigningAlgorithm;
use axum::body::Body;
use http::{HeaderMap, Request};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

const AUDIENCE: &str = "https://sts.example";

/// A host that is really served, at the address that it names as its own.
async fn served() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::start_at(&format!("http://{}", listener.local_addr().unwrap()), "").await;
    let public = world.public.clone();
    tokio::spawn(async move { axum::serve(listener, public).await });
    world
}

/// Somebody else's verifier: it knows nothing but the issuer's name.
fn stranger(world: &World, audience: &str) -> (Arc<Verifier>, Authorizer) {
    let client = crate::egress::Client::new(&crate::egress::ClientConfig::development()).unwrap();
    let issuer = world.host.issuer.issuer().parse().unwrap();
    let rule = IssuerRule { audiences: vec![audience.into()], ..IssuerRule::new(issuer) };
    (Verifier::new(client, world.clock.clone()), Authorizer::new("sts", vec![rule]).unwrap())
}

fn token(world: &World, algorithm: SigningAlgorithm) -> Bearer {
    let registered: Arc<RegisteredAgent> = world.host.directory.resolve(&agent()).unwrap();
    let workload = Binding::bind(registered, None, SessionId::random(), world.host.trail.host()).workload();
    let life = Duration::from_secs(600);
    let token = world.host.issuer.assert(&workload, AUDIENCE, algorithm, life, &Map::new(), world.clock.now());
    let value = format!("Bearer {}", token.unwrap().expose_text().unwrap());
    Bearer::from_header(&HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())])).unwrap()
}

#[tokio::test]
async fn anybody_can_check_what_the_host_says_of_a_workload() {
    let world = served().await;
    let (verifier, authorizer) = stranger(&world, AUDIENCE);
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let verified = verifier.verify(&token(&world, algorithm), &authorizer).await.unwrap();
        assert_eq!(verified.id().subject.as_str(), "spiffe://attache.test/agent/calendar");
        assert_eq!(verified.id().issuer.as_str(), world.host.issuer.issuer());
        let digest = Digest::of(b"not run here").to_string();
        assert_eq!(verified.claim(DIGEST_CLAIM).and_then(Value::as_str), Some(digest.as_str()));
        assert_eq!(verified.claim("act"), None);
    }
}

#[tokio::test]
async fn what_the_host_says_is_for_one_audience_and_its_time() {
    let world = served().await;
    let (verifier, elsewhere) = stranger(&world, "https://other.example");
    let given = token(&world, SigningAlgorithm::Es256);
    assert!(matches!(verifier.verify(&given, &elsewhere).await, Err(Rejected::Audience)));
    let (verifier, authorizer) = stranger(&world, AUDIENCE);
    verifier.verify(&given, &authorizer).await.unwrap();
    world.clock.advance(Duration::from_secs(700));
    assert!(verifier.verify(&given, &authorizer).await.is_err());
}

#[tokio::test]
async fn a_workloads_token_opens_nothing_of_a_user() {
    let world = served().await;
    let given = token(&world, SigningAlgorithm::Es256);
    let users = world.host.settings.default_authorizer.as_ref().unwrap();
    assert!(matches!(world.host.verifier.verify(&given, users).await, Err(Rejected::Issuer(_))));
}

#[tokio::test]
async fn both_documents_may_be_kept_for_a_while() {
    let world = World::start().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let reply = world.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.headers["cache-control"], "public, max-age=300");
        assert_eq!(reply.headers["content-type"], "application/json");
    }
    let discovery = world.send(Request::get("/.well-known/openid-configuration").body(Body::empty()).unwrap()).await;
    assert_eq!(discovery.json()["issuer"], super::PUBLIC);
    assert_eq!(discovery.json()["jwks_uri"], format!("{}/.well-known/jwks.json", super::PUBLIC));
}
