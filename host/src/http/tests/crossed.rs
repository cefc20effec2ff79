//! A provider that somebody makes while the host runs, in order to get what belongs to another.

use super::api::done;
use super::{Browser, World, path};
use crate::consent::{Question, Started};
use crate::directory::BoundProvider;
use crate::ids::{ProviderName, Scopes};
use axum::Router;
use axum::routing::any;
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A token endpoint of somebody's own, which counts what comes.
async fn thief() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let came = Arc::new(AtomicUsize::new(0));
    let count = came.clone();
    let router = Router::new().fallback(any(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { axum::Json(json!({ "access_token": "stolen", "token_type": "Bearer", "expires_in": 60 })) }
    }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, came)
}

impl World {
    /// A provider that sends users to the honest one's authorization server, as this client, and codes to `token`.
    async fn make(&self, name: &str, client: &str, token: &str) {
        let key = self.key(&["*"], &["*"]).await;
        let idp = &self.issuer.url;
        let described = json!({
            "name": name,
            "credentialProviderVendor": "CustomOauth2",
            "oauth2ProviderConfigInput": { "customOauth2ProviderConfig": {
                "oauthDiscovery": { "authorizationServerMetadata": {
                    "issuer": idp,
                    "authorizationEndpoint": format!("{idp}/authorize"),
                    "tokenEndpoint": format!("{token}/token"),
                } },
                "clientId": client,
                "clientSecret": "a-secret",
            } },
        });
        done(&self.call(&key, "/identities/CreateOauth2CredentialProvider", described).await, 201);
        let bound =
            BoundProvider { provider: name.parse().unwrap(), scopes: Scopes::parse(["calendar.read"]).unwrap() };
        self.host.directory.bind(&super::agent(), bound).await.unwrap();
    }

    async fn asks(&self, user: &str, provider: &str) -> Started {
        let who = self.binding(user).await;
        let provider = self.host.providers.oauth2(&ProviderName::parse(provider).unwrap()).unwrap();
        let wanted = Scopes::parse(["calendar.read"]).unwrap().into();
        let question = Question { wanted: &wanted, return_url: None, custom_state: None, force: false };
        self.host.consents.start(&who, &provider, &question).await.unwrap()
    }

    /// Alice opens the link and agrees on the host's own page: where she is sent from there.
    async fn proceeds(&self, browser: &mut Browser, started: &Started) -> super::Reply {
        let link = path(&started.authorization_url).to_owned();
        let page = browser.get(self, &link).await;
        browser.post(self, &link, &[("form_token", page.form_token())]).await
    }
}

/// COAT and CORF: the honest server cannot tell the two apart but by the redirect URI, and not all compare that well.
#[tokio::test]
async fn a_provider_that_borrows_anothers_client_gets_no_code_of_its_users() {
    let world = World::start().await;
    let (url, came) = thief().await;
    world.make("evil", "host", &url).await;
    let mut alice = Browser::of(&world, "alice").await;
    let started = world.asks("alice", "evil").await;
    let refused = world.proceeds(&mut alice, &started).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.body);
    let trail = world.trail("consent.proceed").await;
    let why = &trail[0].record.outcome.as_ref().unwrap().reason;
    assert!(why.contains("the client of provider `google`"), "{why}");
    assert_eq!(came.load(Ordering::SeqCst), 0);
    // The honest one goes on as ever.
    let started = world.asks("alice", "google").await;
    let done = alice.agrees(&world, &started).await;
    assert!(done.body.contains("may now use your Google Calendar"), "{}", done.body);
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_of_its_own_or_the_same_token_endpoint_borrows_nothing() {
    let world = World::start().await;
    let (url, _) = thief().await;
    world.make("other-client", "another", &url).await;
    let honest = world.issuer.url.clone();
    world.make("same-place", "host", &honest).await;
    let mut alice = Browser::of(&world, "alice").await;
    for provider in ["other-client", "same-place"] {
        let started = world.asks("alice", provider).await;
        let away = world.proceeds(&mut alice, &started).await;
        assert!(away.location().starts_with(&world.issuer.url), "{provider}: {} {}", away.status, away.body);
    }
}

/// Even if one were sent there, an answer comes back to an address that is the provider's own.
#[tokio::test]
async fn an_answer_at_anothers_address_ends_the_session_and_goes_nowhere() {
    let world = World::start().await;
    let (url, came) = thief().await;
    world.make("evil", "another", &url).await;
    let mut alice = Browser::of(&world, "alice").await;
    for (asked, answered) in [("google", "evil"), ("evil", "google")] {
        let started = world.asks("alice", asked).await;
        let away = world.proceeds(&mut alice, &started).await;
        assert!(away.asked("redirect_uri").ends_with(&format!("/oauth2/callback/{asked}")), "{}", away.location());
        let code = world.issuer.code("alice", "");
        let state = away.asked("state");
        for place in [answered, asked] {
            let back = alice.callback(&world, &format!("/oauth2/callback/{place}"), &state, &code);
            let landed = alice.get(&world, &back).await;
            assert!(landed.status.is_client_error(), "{asked} at {place}: {} {}", landed.status, landed.body);
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0, "no code left the host");
    assert!(world.host.vault.grants().is_empty());
}
