//! Calls of agents, up to where a guest would run; and the operators' API.

use super::{World, agent, guests::guest};
use crate::audit::Decision;
use crate::directory::State;
use axum::body::Body;
use http::header::WWW_AUTHENTICATE;
use http::{Request, StatusCode};
use serde_json::json;

const HERE: &str = "/agents/calendar/invocations";
const NOWHERE: &str = "/agents/nowhere/invocations";

#[tokio::test]
async fn a_caller_whom_nobody_knows_learns_of_no_agent() {
    let world = World::start().await;
    for header in [None, Some("Bearer nonsense"), Some("Basic YTpi")] {
        let mut told = Vec::new();
        for path in [HERE, NOWHERE, "/agents/NO%20NAME/invocations"] {
            let mut request = Request::builder().method("POST").uri(path).body(Body::empty()).unwrap();
            if let Some(header) = header {
                request.headers_mut().insert("authorization", header.parse().unwrap());
            }
            let reply = world.send(request).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(reply.headers.contains_key(WWW_AUTHENTICATE));
            told.push(reply.body);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }
    let rejects = world.trail("user.reject").await;
    assert_eq!(rejects.len(), 3, "a token that was refused leaves a record; a missing one does not");
    assert!(rejects.iter().all(|entry| entry.record.outcome.as_ref().unwrap().decision == Decision::Refused));
}

#[tokio::test]
async fn the_challenge_leads_to_the_identity_provider() {
    let world = World::start().await;
    let reply = world.send(Request::builder().method("POST").uri(HERE).body(Body::empty()).unwrap()).await;
    let challenge = reply.headers[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    let metadata = challenge.split("resource_metadata=\"").nth(1).unwrap().trim_end_matches('"');
    let found = world.send(Request::get(super::path(metadata)).body(Body::empty()).unwrap()).await;
    assert_eq!(found.json()["authorization_servers"], json!([world.issuer.url]));
    assert_eq!(found.json()["resource"], "https://agents.example.com/agents/calendar");
}

#[tokio::test]
async fn a_flood_of_bad_tokens_does_not_fill_the_trail() {
    let world = World::start().await;
    for _ in 0..200 {
        assert_eq!(world.with_token("nonsense", "POST", HERE, "").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.trail("user.reject").await.len(), 50);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said_before_anything_runs() {
    let world = World::start().await;
    let unknown = world.as_user("alice", "POST", NOWHERE, "").await;
    assert_eq!(
        (unknown.status, &unknown.json()["type"]),
        (StatusCode::NOT_FOUND, &"urn:attache:problem:unknown-agent".into())
    );
    let large = world.as_user("alice", "POST", HERE, "x".repeat(1001)).await;
    assert_eq!(
        (large.status, &large.json()["type"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &"urn:attache:problem:too-large".into())
    );
    for (name, value) in [("attache-return-url", "https://evil.example/"), ("attache-session-id", "short")] {
        let token = world.issuer.token("alice", "attache", world.clock.now());
        let request = Request::post(HERE).header("authorization", format!("Bearer {token}")).header(name, value);
        assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::BAD_REQUEST, "{name}");
    }
    world.host.directory.set_state(&agent(), State::Suspended).await.unwrap();
    let suspended = world.as_user("alice", "POST", HERE, "").await;
    assert_eq!(
        (suspended.status, &suspended.json()["type"]),
        (StatusCode::FORBIDDEN, &"urn:attache:problem:suspended".into())
    );
    let trail = world.trail("agent.invoke").await;
    assert_eq!(trail.len(), 2, "unknown and suspended are refused in writing");
}

/// It is suspended where nothing stops what runs: that comes a moment later, and a guest can end in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_answers_after_it_was_suspended_is_not_passed_on() {
    let world = World::start().await;
    let deployed = world.as_operator("POST", "/v1/agents/calendar/deploy?publisher=acme.example", guest("probe")).await;
    assert_eq!(deployed.status, StatusCode::OK, "{}", deployed.body);
    let path = format!("{HERE}/sleep?ms=300");
    assert_eq!(world.as_user("alice", "GET", &path, "").await.body, "awake");
    let suspending = async {
        while world.trail("agent.invoke").await.len() < 2 {}
        world.host.directory.set_state(&agent(), State::Suspended).await.unwrap();
    };
    let (reply, ()) = tokio::join!(world.as_user("alice", "GET", &path, ""), suspending);
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);
    let trail = world.trail("agent.invoke").await;
    let last =
        trail.iter().filter_map(|entry| entry.record.outcome.as_ref()).find(|of| of.decision != Decision::Allowed);
    let last = last.expect("it did not end well");
    assert!(last.reason.contains("suspended"), "{last:?}");
}

#[tokio::test]
async fn a_token_for_somebody_else_opens_nothing() {
    let world = World::start().await;
    let token = world.issuer.token("alice", "another-app", world.clock.now());
    for (method, path) in [("POST", HERE), ("GET", "/grants"), ("POST", "/consent/complete")] {
        let body =
            json!({ "session_uri": "urn:ietf:params:oauth:request_uri:0123456789abcdef0123456789abcdef" }).to_string();
        assert_eq!(world.with_token(&token, method, path, body).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_operator_sees_who_can_do_what() {
    let world = World::start().await;
    let agents = world.as_operator("GET", "/v1/agents", "").await.json();
    assert_eq!(agents.as_array().unwrap().len(), 1);
    let calendar = &agents[0];
    assert_eq!(calendar["name"], "calendar");
    assert_eq!(calendar["origin"], "runtime");
    assert_eq!(calendar["publisher"], "acme.example");
    assert_eq!(calendar["users"], 0);
    assert_eq!(calendar["providers"][0]["name"], "google");
    assert_eq!(calendar["providers"][0]["scopes"], json!(["calendar.read"]));
    assert!(calendar["providers"][0]["hosts"][0].as_str().unwrap().starts_with("https://www.googleapis.com/calendar"));
    let providers = world.as_operator("GET", "/v1/providers", "").await.json();
    assert_eq!(providers[0]["redirect_uri"], "https://agents.example.com/oauth2/callback/google");
    assert_eq!(world.as_operator("GET", "/v1/status", "").await.json()["public_url"], "https://agents.example.com");
}

#[tokio::test]
async fn what_an_operator_changes_is_written_down_with_their_account() {
    let world = World::start().await;
    assert_eq!(world.as_operator("POST", "/v1/agents/calendar/suspend", "").await.json()["state"], "suspended");
    assert_eq!(world.as_operator("POST", "/v1/agents/calendar/resume", "").await.json()["state"], "active");
    let made = world
        .as_operator("POST", "/v1/workloads", json!({ "name": "by-hand", "publisher": "acme.example" }).to_string())
        .await;
    assert_eq!(
        (&made.json()["origin"], &made.json()["created_by"]),
        (&"manual".into(), &super::operator().caller().to_string().into())
    );
    let again = world
        .as_operator("POST", "/v1/workloads", json!({ "name": "by-hand", "publisher": "acme.example" }).to_string())
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let unknown = world.as_operator("POST", "/v1/agents/nowhere/suspend", "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for (action, decisions) in [
        ("agent.suspend", &[Decision::Refused, Decision::Allowed][..]),
        ("agent.resume", &[Decision::Allowed]),
        ("workload.create", &[Decision::Refused, Decision::Allowed]),
    ] {
        let trail = world.trail(action).await;
        assert!(
            trail.iter().all(|entry| entry.record.actor.operator == Some(super::operator().caller().to_string())),
            "{trail:?}"
        );
        let found: Vec<_> = trail.iter().map(|entry| entry.record.outcome.as_ref().unwrap().decision).collect();
        assert_eq!(found, decisions, "{action}");
    }
}

#[tokio::test]
async fn a_component_that_cannot_run_is_never_registered() {
    let world = World::start().await;
    let core = b"\0asm\x01\0\0\0".to_vec();
    let refused = world.as_operator("POST", "/v1/agents/calendar/deploy?publisher=acme.example", core).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert!(refused.json()["detail"].as_str().unwrap().contains("wasm32-wasip2"), "{}", refused.body);
    let nothing = world.as_operator("POST", "/v1/agents/fresh/deploy?publisher=acme.example", "no wasm").await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", nothing.body);
    assert_eq!(world.host.directory.list().len(), 1);
    let trail = world.trail("agent.deploy").await;
    assert!(
        trail.iter().all(|entry| entry.record.outcome.as_ref().unwrap().decision == Decision::Refused)
            && trail.len() == 2
    );
}

#[tokio::test]
async fn the_trail_is_filtered_and_a_wrong_filter_is_named() {
    let world = World::start().await;
    world.as_operator("POST", "/v1/agents/calendar/suspend", "").await;
    world.trail("agent.suspend").await;
    let found =
        world.as_operator("GET", "/v1/audit?action=agent.suspend&decision=allowed&since=0&limit=5", "").await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(
        (&found[0]["operator"], &found[0]["decision"]),
        (&super::operator().caller().to_string().into(), &"allowed".into())
    );
    for bad in ["decision=maybe", "since=yesterday", "who=alice"] {
        assert_eq!(
            world.as_operator("GET", &format!("/v1/audit?{bad}"), "").await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}
