//! What people do in a browser.

use super::{Browser, PUBLIC, RETURN_URL, Reply, World, path};
use crate::consent::Started;
use axum::body::Body;
use http::header::{LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use std::time::Duration;

impl Browser {
    /// Opens the link, agrees there and at the provider, and comes back.
    pub(super) async fn agrees(&mut self, world: &World, started: &Started) -> Reply {
        let link = path(&started.authorization_url).to_owned();
        let page = self.get(world, &link).await;
        let at_provider = self.post(world, &link, &[("form_token", page.form_token())]).await;
        let code = world.issuer.code("whoever", "");
        let back = self.callback(world, "/oauth2/callback/google", &at_provider.asked("state"), &code);
        let landed = self.get(world, &back).await;
        assert_eq!((landed.status, landed.location()), (StatusCode::SEE_OTHER, link.as_str()), "{}", landed.body);
        self.get(world, &link).await
    }
}

#[tokio::test]
async fn a_user_signs_in_agrees_looks_and_revokes() {
    let world = World::start().await;
    let started = world.consent("alice", None).await;
    let link = path(&started.authorization_url).to_owned();
    let mut browser = Browser::default();
    let away = browser.get(&world, &link).await;
    assert_eq!((away.status, away.location()), (StatusCode::SEE_OTHER, format!("/sign-in?return={link}").as_str()));
    let back = browser.signs_in(&world, "alice", &format!("/sign-in?return={link}")).await;
    assert_eq!((back.status, back.location()), (StatusCode::SEE_OTHER, link.as_str()), "{}", back.body);

    let page = browser.get(&world, &link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for shown in [
        "calendar",
        "acme.example",
        "sha256:",
        "calendar.read",
        "www.googleapis.com",
        "Google Calendar",
        "alice the user",
        "10 more minutes",
    ] {
        assert!(page.body.contains(shown), "`{shown}` is not shown: {}", page.body);
    }
    let done = browser.agrees(&world, &started).await;
    assert!(done.status.is_success() && done.body.contains("may now use your Google Calendar"), "{}", done.body);

    let me = browser.get(&world, "/me").await;
    let grant = world.host.vault.grants()[0].id;
    assert!(me.body.contains("calendar uses Google Calendar") && me.body.contains(&grant.to_string()), "{}", me.body);
    let revoked = browser.post(&world, &format!("/me/grants/{grant}/revoke"), &[("form_token", me.form_token())]).await;
    assert_eq!((revoked.status, revoked.location()), (StatusCode::SEE_OTHER, "/me?revoked=1"), "{}", revoked.body);
    assert!(world.host.vault.grants().is_empty());
    let me = browser.get(&world, "/me?revoked=1").await;
    assert!(me.body.contains("Revoked.") && me.body.contains("No agent may use"), "{}", me.body);
}

#[tokio::test]
async fn a_page_never_promises_what_the_agent_is_not_held_to() {
    for (more, reads) in [("", false), ("reveal = true", true)] {
        let world = World::start_with(more).await;
        let link = path(&world.consent("alice", None).await.authorization_url).to_owned();
        let page = Browser::of(&world, "alice").await.get(&world, &link).await;
        assert_eq!(page.body.contains("can read the token itself"), reads, "{}", page.body);
        assert_eq!(page.body.contains("never gets your password or a token"), !reads, "{}", page.body);
    }
}

#[tokio::test]
async fn a_workload_elsewhere_is_said_to_get_the_token_itself() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let made = world.call(&key, "/identities/CreateWorkloadIdentity", serde_json::json!({ "name": "elsewhere" })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let workload = world.host.directory.resolve_elsewhere(&"elsewhere".parse().unwrap()).unwrap();
    let started = world.consent_to(workload, "alice", None).await;
    let link = path(&started.authorization_url).to_owned();
    let page = Browser::of(&world, "alice").await.get(&world, &link).await;
    assert!(page.body.contains("can read the token itself"), "{}", page.body);
    for promise in ["never gets your password or a token", "It may use this only at"] {
        assert!(!page.body.contains(promise), "`{promise}` is promised: {}", page.body);
    }
}

#[tokio::test]
async fn an_answer_in_another_browser_signs_nobody_in() {
    let world = World::start().await;
    let mut mallory = Browser::default();
    let away = mallory.get(&world, "/sign-in").await;
    let code = world.issuer.code("mallory", &away.asked("nonce"));
    let link = mallory.callback(&world, "/sign-in/callback", &away.asked("state"), &code);
    // Mallory sends the link to alice, whose browser was never sent away, or was for a sign-in of its own.
    for mut alice in [Browser::default(), {
        let mut other = Browser::default();
        other.get(&world, "/sign-in").await;
        other
    }] {
        let reply = alice.get(&world, &link).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);
        assert!(!reply.headers.contains_key(SET_COOKIE));
    }
    assert_eq!(mallory.get(&world, &link).await.status, StatusCode::FORBIDDEN, "and it is used up for mallory as well");
    let trail = world.trail("user.sign-in").await;
    assert_eq!(trail.len(), 1, "a `state` that is unknown is not worth a record");
    assert!(trail[0].record.outcome.as_ref().unwrap().reason.contains("another browser"), "{trail:?}");
}

#[tokio::test]
async fn a_sign_in_is_refused_for_any_answer_but_its_own() {
    let world = World::start().await;
    for (what, change) in [
        ("another nonce", 0),
        ("another issuer", 1),
        ("no issuer", 2),
        ("an error", 3),
        ("no code", 4),
        ("a code twice", 5),
        ("too late", 6),
    ] {
        let mut browser = Browser::default();
        let away = browser.get(&world, "/sign-in").await;
        let (state, iss) = (away.asked("state"), &world.issuer.url);
        let code = world.issuer.code("alice", if change == 0 { "another" } else { "" });
        let query = match change {
            1 => format!("state={state}&code={code}&iss=https://evil.example"),
            2 => format!("state={state}&code={code}"),
            3 => format!("state={state}&iss={iss}&error=access_denied"),
            4 => format!("state={state}&iss={iss}"),
            5 => format!("state={state}&iss={iss}&code={code}&code=another"),
            _ => format!("state={state}&iss={iss}&code={code}"),
        };
        if change == 6 {
            world.clock.advance(Duration::from_secs(600));
        }
        let reply = browser.get(&world, &format!("/sign-in/callback?{query}")).await;
        assert!(reply.status.is_client_error(), "{what}: {} {}", reply.status, reply.body);
        assert!(!browser.cookies.contains_key("__Host-attache-session"), "{what}");
        assert_eq!(browser.get(&world, "/me").await.status, StatusCode::SEE_OTHER, "{what}");
    }
}

#[tokio::test]
async fn a_visit_ends_by_itself_and_by_signing_out() {
    let world = World::start().await;
    let mut browser = Browser::of(&world, "alice").await;
    let cookie = browser.cookies.clone();
    let page = browser.get(&world, "/me").await;
    let left = browser.post(&world, "/sign-out", &[("form_token", page.form_token())]).await;
    assert_eq!(left.location(), "/signed-out", "{}", left.body);
    browser.cookies = cookie;
    assert_eq!(browser.get(&world, "/me").await.status, StatusCode::SEE_OTHER, "the cookie is worth nothing any more");

    let mut browser = Browser::of(&world, "alice").await;
    world.clock.advance(Duration::from_secs(8 * 3600));
    assert_eq!(browser.get(&world, "/me").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn signing_in_as_somebody_else_asks_who_is_there() {
    let world = World::start().await;
    let link = path(&world.consent("alice", None).await.authorization_url).to_owned();
    let mut browser = Browser::of(&world, "mallory").await;
    let refused = browser.get(&world, &link).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(!refused.body.contains("action=\"/consent/"), "there is nothing to go on with: {}", refused.body);
    let fields = [("form_token", refused.form_token()), ("return", link.as_str())];
    let next = browser.post(&world, "/sign-out", &fields).await;
    assert_eq!(next.location(), format!("/sign-in?return={link}&anew=1"));
    assert_eq!(browser.get(&world, next.location()).await.asked("prompt"), "login");
}

#[tokio::test]
async fn a_form_without_the_token_of_its_visit_does_nothing() {
    let world = World::start().await;
    let mut alice = Browser::of(&world, "alice").await;
    let link = path(&world.consent("alice", None).await.authorization_url).to_owned();
    let mut other = Browser::of(&world, "alice").await;
    let others = other.get(&world, "/me").await.form_token().to_owned();
    for fields in [&[][..], &[("form_token", "")], &[("form_token", others.as_str())]] {
        for place in [link.as_str(), "/sign-out", "/me/grants/0123456789abcdef0123456789abcdef/revoke"] {
            let reply = alice.post(&world, place, fields).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{place} {fields:?}");
        }
    }
    let mine = alice.get(&world, "/me").await.form_token().to_owned();
    let request = Request::builder().method("POST").uri(&link).header("origin", "https://evil.example");
    let reply = alice.send(&world, request.body(Body::from(format!("form_token={mine}"))).unwrap()).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "another site that knew the token");
    assert!(world.trail("consent.proceed").await.is_empty());
}

#[tokio::test]
async fn a_session_of_an_app_goes_on_to_the_provider_and_back_to_the_app() {
    let world = World::start().await;
    let started = world.consent("alice", Some(RETURN_URL)).await;
    let mut browser = Browser::default();
    let away = browser.get(&world, path(&started.authorization_url)).await;
    assert!(away.location().starts_with(&world.issuer.url), "{} {}", away.status, away.body);
    assert_eq!(away.asked("redirect_uri"), format!("{PUBLIC}/oauth2/callback/google"));
    let code = world.issuer.code("whoever", "");
    let back = browser.callback(&world, "/oauth2/callback/google", &away.asked("state"), &code);
    let to_app = browser.get(&world, &back).await;
    assert!(to_app.headers[LOCATION].to_str().unwrap().starts_with(RETURN_URL), "{}", to_app.body);
    let body = format!("{{\"session_uri\":\"{}\"}}", to_app.asked("session_id"));
    assert!(world.host.vault.grants().is_empty(), "nothing is stored before the app says who was there");
    let done = world.as_user("alice", "POST", "/consent/complete", body.clone()).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!((&done.json()["agent"], &done.json()["stage"]), (&"calendar".into(), &"completed".into()));
    assert_eq!(world.host.vault.grants().len(), 1);
    assert_eq!(world.as_user("alice", "POST", "/consent/complete", body).await.status, StatusCode::NOT_FOUND, "once");
}

#[tokio::test]
async fn an_app_cannot_complete_for_another_user() {
    let world = World::start().await;
    let started = world.consent("mallory", Some(RETURN_URL)).await;
    let mut alice = Browser::default();
    let away = alice.get(&world, path(&started.authorization_url)).await;
    let code = world.issuer.code("alice", "");
    let back = alice.callback(&world, "/oauth2/callback/google", &away.asked("state"), &code);
    let landed = alice.get(&world, &back).await;
    let body = format!("{{\"session_uri\":\"{}\"}}", landed.asked("session_id"));
    let refused = world.as_user("alice", "POST", "/consent/complete", body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert!(world.host.vault.grants().is_empty(), "nothing is stored for anybody");
}
