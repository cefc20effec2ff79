//! The table of routes, walked as nobody and as another user.

use super::super::access::{ADMIN, API, PAGES, Route, Who};
use super::{Browser, World, path};
use axum::body::Body;
use http::header::WWW_AUTHENTICATE;
use http::{Request, StatusCode};

/// Every row's method, path with its places filled in, and who may call it.
fn walk<S>(routes: &[Route<S>], consent: &str, grant: &str) -> Vec<(&'static str, String, Who)> {
    let fill = |route: &Route<S>| {
        let id = if route.path.contains("grants") { grant } else { consent };
        let path = route.path.replace("{id}", id).replace("{name}", "calendar").replace("{provider}", "google");
        let method = if route.method == "*" { "PUT" } else { route.method };
        (method, path.replace("{*rest}", "a/b"), route.who)
    };
    routes.iter().map(fill).collect()
}

const SOME_ID: &str = "0123456789abcdef0123456789abcdef";

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn nobody_gets_only_what_is_for_anybody() {
    let world = World::start().await;
    let mut public = walk(API, SOME_ID, SOME_ID);
    public.extend(walk(PAGES, SOME_ID, SOME_ID));
    assert!(public.len() > 15, "the table was not found");
    for (method, path, who) in public {
        let reply = world.send(request(method, &path)).await;
        let seen = format!("{method} {path}: {} {}", reply.status, reply.body);
        match who {
            Who::Anybody => {
                assert!(reply.status != StatusCode::UNAUTHORIZED && !reply.status.is_server_error(), "{seen}")
            }
            Who::Token => {
                assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{seen}");
                let challenge = reply.headers[WWW_AUTHENTICATE].to_str().unwrap();
                assert!(
                    challenge.starts_with("Bearer resource_metadata=\"https://agents.example.com/.well-known/"),
                    "{challenge}"
                );
            }
            Who::Visitor => {
                assert_eq!(reply.status, StatusCode::SEE_OTHER, "{seen}");
                assert!(reply.location().starts_with("/sign-in?return=/"), "{}", reply.location());
            }
            Who::Operator => panic!("an operator's route is served in public: {seen}"),
        }
    }
}

#[tokio::test]
async fn the_operators_routes_are_nowhere_but_at_the_socket() {
    let world = World::start().await;
    for (method, path, who) in walk(ADMIN, SOME_ID, SOME_ID) {
        assert_eq!(who, Who::Operator);
        assert_eq!(world.as_user("alice", method, &path, Body::empty()).await.status, StatusCode::NOT_FOUND, "{path}");
        let unmarked = super::reply(world.admin.clone(), request(method, &path)).await;
        assert_eq!(unmarked.status, StatusCode::NOT_FOUND, "{path}");
        let operator = world.as_operator(method, &path, Body::empty()).await;
        assert!(
            operator.status != StatusCode::UNAUTHORIZED && !operator.status.is_server_error(),
            "{path}: {}",
            operator.body
        );
    }
}

#[tokio::test]
async fn another_user_sees_and_changes_nothing_of_mine() {
    let world = World::start().await;
    let mut alice = Browser::of(&world, "alice").await;
    let granted = world.consent("alice", None).await;
    alice.agrees(&world, &granted).await;
    let grant = world.host.vault.grants()[0].clone();
    let open = world.consent("alice", None).await;
    let consent = path(&open.authorization_url).trim_start_matches("/consent/").to_owned();

    let mut mallory = Browser::of(&world, "mallory").await;
    let form_token = mallory.get(&world, "/me").await.form_token().to_owned();
    let mut rows = walk(API, &consent, &grant.id.to_string());
    rows.extend(walk(PAGES, &consent, &grant.id.to_string()));
    for (method, path, who) in rows {
        if path == "/sign-out" || who == Who::Anybody && !path.starts_with("/consent/") {
            continue;
        }
        let reply = match (who, method) {
            (Who::Token, _) => {
                let body = format!("{{\"session_uri\":\"{}\"}}", open.session_uri);
                world
                    .as_user("mallory", method, &path, if path == "/consent/complete" { body } else { String::new() })
                    .await
            }
            (_, "POST") => mallory.post(&world, &path, &[("form_token", &form_token)]).await,
            _ => mallory.get(&world, &path).await,
        };
        let seen = format!("{method} {path}: {} {}", reply.status, reply.body);
        for secret in ["alice", "calendar.read", "acme.example", "sha256:"] {
            assert!(!reply.body.contains(secret), "`{secret}` is told: {seen}");
        }
        let expect: &[u16] = match path.as_str() {
            "/grants" | "/me" => &[200],
            path if path.contains("grants") => &[404],
            path if path.contains("consent") => &[403],
            // The agent has nothing to run here; what matters is that it is reached as mallory.
            _ => &[503],
        };
        assert!(expect.contains(&reply.status.as_u16()), "{seen}");
    }
    assert_eq!(world.host.vault.grants(), [grant], "what alice granted stands, and nothing else");
    assert!(
        world
            .trail("consent.view")
            .await
            .iter()
            .any(|entry| { entry.record.actor.user.as_ref().is_some_and(|user| user.subject.as_str() == "mallory") })
    );
}

/// Not even those whose token it is, and not operators.
#[tokio::test]
async fn nobody_is_shown_a_token() {
    let world = World::start().await;
    let mut alice = Browser::of(&world, "alice").await;
    let granted = world.consent("alice", None).await;
    alice.agrees(&world, &granted).await;
    let grant = world.host.vault.grants()[0].clone();
    let open = world.consent("alice", None).await;
    let consent = path(&open.authorization_url).trim_start_matches("/consent/").to_owned();
    let form_token = alice.get(&world, "/me").await.form_token().to_owned();

    let mut rows = walk(ADMIN, &consent, &grant.id.to_string());
    rows.extend(walk(API, &consent, &grant.id.to_string()));
    rows.extend(walk(PAGES, &consent, &grant.id.to_string()));
    // What only looks comes first, so that there is something to see.
    // And last what deletes the agent, without which the others would have nothing to do.
    let deletes = |method: &str, path: &str| method == "DELETE" && path == "/v1/agents/calendar";
    rows.sort_by_key(|(method, path, _)| (*method != "GET", deletes(method, path), path == "/sign-out"));
    for (method, path, who) in rows {
        let reply = match (who, method) {
            (Who::Operator, _) => world.as_operator(method, &path, Body::empty()).await,
            (Who::Token, _) => world.as_user("alice", method, &path, Body::empty()).await,
            (_, "POST") => alice.post(&world, &path, &[("form_token", &form_token)]).await,
            _ => alice.get(&world, &path).await,
        };
        let seen = format!("{method} {path}: {} {:?} {}", reply.status, reply.headers, reply.body);
        for token in ["token-of-alice", "refresh-of-alice"] {
            assert!(!seen.contains(token), "{seen}");
        }
    }
}

#[tokio::test]
async fn a_page_has_its_headers_whatever_it_says() {
    let world = World::start().await;
    for path in ["/signed-out", "/consent/nonsense", "/oauth2/callback/google", "/sign-in/callback", "/me"] {
        let reply = world.send(request("GET", path)).await;
        for (name, value) in
            [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(reply.headers[name], value, "{path}");
        }
        assert!(reply.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"), "{path}");
        assert!(reply.headers.contains_key("strict-transport-security"), "{path}");
    }
    let style = world.send(request("GET", "/style.css")).await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
}
