//! What operators change about workloads.

use super::World;
use crate::audit::Decision;
use crate::identity::{Binding, PresentedWat};
use crate::ids::{AgentName, ProviderName, SessionId};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

async fn ok(world: &World, method: &str, path: &str, body: Value) -> Value {
    let reply = world.as_operator(method, path, body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{method} {path}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

async fn refused(world: &World, method: &str, path: &str, body: Value) -> (u16, String) {
    let reply = world.as_operator(method, path, body.to_string()).await;
    let problem: Value = serde_json::from_str(&reply.body).unwrap();
    (reply.status.as_u16(), problem["detail"].as_str().unwrap_or_default().to_owned())
}

async fn batch(world: &World) {
    let new = json!({ "name": "batch", "publisher": "acme.example", "tags": { "team": "a" } });
    let made = ok(world, "POST", "/v1/workloads", new).await;
    assert_eq!((made["origin"].as_str(), made["tags"]["team"].as_str()), (Some("manual"), Some("a")));
}

#[tokio::test]
async fn providers_are_bound_and_unbound_while_the_host_runs() {
    let world = World::start().await;
    batch(&world).await;
    let place = "/v1/agents/batch/providers/google";
    let bound = ok(&world, "PUT", place, json!({ "scopes": ["calendar.read"] })).await;
    assert_eq!(bound["providers"][0]["scopes"], json!(["calendar.read"]));
    assert_eq!(bound["providers"][0]["at_run_time"], true);
    assert_eq!(
        refused(&world, "PUT", place, json!({ "scopes": ["drive"] })).await,
        (400, "provider `google` does not offer `drive`; bind what it offers".into())
    );
    assert_eq!(
        refused(&world, "PUT", "/v1/agents/batch/providers/goggle", json!({})).await,
        (400, "there is no credential provider `goggle`; `attache providers` lists those that are".into())
    );
    let unbound = ok(&world, "DELETE", place, Value::Null).await;
    assert_eq!(unbound["providers"], json!([]));
    assert_eq!(refused(&world, "DELETE", place, Value::Null).await.0, 404);
    let configured = refused(&world, "DELETE", "/v1/agents/calendar/providers/google", Value::Null).await;
    assert_eq!(configured.0, 409, "{}", configured.1);

    let trail = world.trail("workload.bind").await;
    assert_eq!(trail.len(), 3, "what was refused is written down as well");
    let refusals = trail
        .iter()
        .filter(|entry| entry.record.outcome.as_ref().is_some_and(|outcome| outcome.decision == Decision::Refused));
    assert_eq!(refusals.count(), 2);
}

#[tokio::test]
async fn return_urls_and_tags_are_changed_by_operators() {
    let world = World::start().await;
    batch(&world).await;
    let urls = json!({ "allowed_return_urls": ["com.example.app:/done"] });
    let changed = ok(&world, "PATCH", "/v1/agents/batch", urls).await;
    assert_eq!(changed["allowed_return_urls"], json!(["com.example.app:/done"]));
    let scripts = json!({ "allowed_return_urls": ["javascript:alert(1)"] });
    assert_eq!(refused(&world, "PATCH", "/v1/agents/batch", scripts).await.0, 400);
    let tagged = ok(&world, "PUT", "/v1/agents/batch/tags", json!({ "stage": "test" })).await;
    assert_eq!(tagged["tags"], json!({ "stage": "test", "team": "a" }));
    let untagged = ok(&world, "DELETE", "/v1/agents/batch/tags?key=team&key=unknown", Value::Null).await;
    assert_eq!(untagged["tags"], json!({ "stage": "test" }));
    assert_eq!(refused(&world, "DELETE", "/v1/agents/batch/tags", Value::Null).await.0, 400);
    assert_eq!(refused(&world, "PUT", "/v1/agents/batch/tags", json!({ "": "x" })).await.0, 400);
}

/// The next of the same name is somebody else.
#[tokio::test]
async fn a_deleted_workload_leaves_no_grant_and_no_token_behind() {
    let world = World::start().await;
    batch(&world).await;
    let mut alice = super::Browser::of(&world, "alice").await;
    let granted = world.consent("alice", None).await;
    alice.agrees(&world, &granted).await;
    assert_eq!(world.host.vault.grants().len(), 1);

    let name = AgentName::parse("batch").unwrap();
    let workload = world.host.directory.resolve_elsewhere(&name).unwrap();
    let binding = Binding::bind(workload, None, SessionId::random(), world.host.trail.host());
    let (token, _) = world.host.issued.mint(binding, "test", Duration::from_secs(60)).unwrap();
    let token = PresentedWat::parse(token.expose_text().unwrap()).unwrap();
    let deleted = ok(&world, "DELETE", "/v1/agents/batch", Value::Null).await;
    assert_eq!(deleted["revoked_tokens"], 1);
    assert!(world.host.issued.resolve(&token).is_none());
    assert_eq!(world.host.vault.grants().len(), 1, "those of others stand");

    let deleted = ok(&world, "DELETE", "/v1/agents/calendar", Value::Null).await;
    assert_eq!(deleted["revoked_grants"], 1);
    assert!(world.host.vault.grants().is_empty());
    assert_eq!(refused(&world, "DELETE", "/v1/agents/calendar", Value::Null).await.0, 404);
    assert_eq!(world.trail("workload.delete").await.len(), 3);
    batch(&world).await;
    let google = ProviderName::parse("google").unwrap();
    assert!(world.host.directory.terms(&name).provider(&google).is_none());
}
