//! Access keys at the operators' socket.

use super::{World, operator};
use crate::audit::Decision;
use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::{Request, StatusCode};
use serde_json::{Value, json};

fn wanted(name: &str, operations: &[&str], workloads: &[&str]) -> String {
    json!({ "name": name, "operations": operations, "workloads": workloads }).to_string()
}

#[tokio::test]
async fn a_secret_is_told_once_and_what_is_done_to_keys_is_written_down() {
    let world = World::start().await;
    let made = world.as_operator("POST", "/v1/keys", wanted("ci", &["runtime"], &["team-*"])).await;
    assert_eq!(made.headers[CACHE_CONTROL], "no-store");
    let made = made.json();
    let (id, secret) = (made["access_key_id"].as_str().unwrap(), made["secret_access_key"].as_str().unwrap());
    assert_eq!((id.len(), secret.len()), (20, 40));
    assert_eq!(made["environment"]["AWS_ACCESS_KEY_ID"], id);
    assert_eq!(made["environment"]["AWS_SECRET_ACCESS_KEY"], secret);
    assert_eq!(made["environment"]["AWS_ENDPOINT_URL_BEDROCK_AGENTCORE"], "https://agents.example.com");
    assert_eq!(made["created_by"], operator().caller().to_string());

    let listed = world.as_operator("GET", "/v1/keys", "").await;
    assert!(!listed.body.contains(secret), "{}", listed.body);
    let listed = listed.json();
    assert_eq!((&listed[0]["access_key_id"], &listed[0]["disabled"]), (&id.into(), &false.into()));
    let disabled = world.as_operator("POST", &format!("/v1/keys/{id}/disable"), "").await.json();
    assert_eq!(disabled["disabled"], true);
    assert_eq!(world.as_operator("DELETE", &format!("/v1/keys/{id}"), "").await.status, StatusCode::OK);
    assert_eq!(world.as_operator("DELETE", &format!("/v1/keys/{id}"), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.as_operator("GET", "/v1/keys", "").await.json(), json!([]));

    for (action, decisions) in [
        ("key.create", &[Decision::Allowed][..]),
        ("key.disable", &[Decision::Allowed]),
        ("key.delete", &[Decision::Refused, Decision::Allowed]),
    ] {
        let trail = world.trail(action).await;
        let found: Vec<_> = trail.iter().map(|entry| entry.record.outcome.as_ref().unwrap().decision).collect();
        assert_eq!(found, decisions, "{action}");
        for entry in trail {
            assert_eq!(entry.record.actor.operator, Some(operator().caller().to_string()));
            assert_eq!(entry.record.action.resource, id);
            assert!(!entry.record.action.detail.to_string().contains(secret));
        }
    }
}

#[tokio::test]
async fn a_key_that_would_make_no_sense_is_refused_with_what_would() {
    let world = World::start().await;
    let check = async |body: String, why: &str| {
        let reply = world.as_operator("POST", "/v1/keys", body).await;
        assert!(reply.status == StatusCode::BAD_REQUEST && reply.body.contains(why), "{why}: {}", reply.body);
    };
    check(wanted("ci", &["Fetch*"], &["*"]), "such as `GetResourceOauth2Token`").await;
    check(wanted("ci", &[], &["*"]), "name 1 to 64 operations").await;
    check(wanted("ci", &["*"], &[]), "name 1 to 64 workloads").await;
    check(wanted("", &["*"], &["*"]), "a key's name must be").await;
    check(json!({ "name": "ci", "operations": ["*"] }).to_string(), "missing field `workloads`").await;
    let extra: Value = json!({ "name": "ci", "operations": ["*"], "workloads": ["*"], "secret": "mine" });
    check(extra.to_string(), "unknown field `secret`").await;
    let public = Request::post("/v1/keys").body(Body::from(wanted("ci", &["*"], &["*"]))).unwrap();
    assert_eq!(world.send(public).await.status, StatusCode::NOT_FOUND);
}
