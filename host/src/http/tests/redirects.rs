//! No text that a stranger can bring leads a browser, or a credential's user, off to a stranger's page.

use super::{Browser, PUBLIC, RETURN_URL, World, agent, path};
use crate::consent::ConsentError;
use crate::http::sign_in::ReturnTo;
use axum::body::Body;
use http::Request;
use std::collections::BTreeSet;
use url::Url;

/// Every string of the lists, and what attackers make of one: behind what a careless comparison would look for, and encoded
/// once more.
fn payloads() -> BTreeSet<String> {
    let lists = [
        include_str!("../../../../tests/vectors/payloads/open_redirect_wordlist.txt"),
        include_str!("../../../../tests/vectors/payloads/Open-Redirect-payloads.txt"),
        include_str!("../../../../tests/vectors/payloads/openredirects.txt"),
    ];
    let texts: BTreeSet<String> =
        lists.iter().flat_map(|list| list.lines()).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    assert!(texts.len() > 250, "{}", texts.len());
    let ours = ["/me", "/consent/0123456789abcdef0123456789abcdef", PUBLIC, RETURN_URL];
    let own = ["https://evil.example", "javascript:alert(1)", "/me\r\nlocation: https://evil.example"];
    let mut all = texts.clone();
    for text in texts.into_iter().chain(own.map(str::to_owned)) {
        all.extend(ours.map(|before| format!("{before}{text}")));
        all.insert(url::form_urlencoded::byte_serialize(text.as_bytes()).collect());
        all.insert(text);
    }
    all
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Where a browser that is at one of our pages would go.
fn leads_to(location: &str) -> Url {
    Url::parse(PUBLIC).unwrap().join(location).unwrap_or_else(|error| panic!("`{location}`: {error}"))
}

fn stays(location: &str, because_of: &str) {
    let url = leads_to(location);
    assert_eq!(url.origin().ascii_serialization(), PUBLIC, "`{because_of}` leads to {url}");
    assert!(!url.path().starts_with("//"), "`{because_of}` leads to {url}");
}

#[tokio::test]
async fn after_a_sign_in_nothing_leads_off_this_host() {
    let world = World::start().await;
    let mut signed_in = 0;
    for (n, text) in payloads().into_iter().enumerate() {
        assert_eq!(ReturnTo::parse(&text), None, "`{text}`");
        // The whole way with some of each kind: there are six of each text.
        if n % 7 != 0 {
            continue;
        }
        let mut browser = Browser::default();
        let back = browser.signs_in(&world, "alice", &format!("/sign-in?return={}", encoded(&text))).await;
        stays(back.location(), &text);
        assert_eq!(back.location(), "/me", "what is no page of ours is forgotten: `{text}`");
        signed_in += 1;
    }
    assert!(signed_in > 200, "{signed_in}");
}

#[tokio::test]
async fn signing_out_leads_to_pages_of_this_host() {
    let world = World::start().await;
    for text in payloads().into_iter().step_by(13) {
        let mut browser = Browser::of(&world, "alice").await;
        let page = browser.get(&world, "/me").await;
        let fields = [("form_token", page.form_token()), ("return", text.as_str())];
        let left = browser.post(&world, "/sign-out", &fields).await;
        assert_eq!(left.location(), "/signed-out", "`{text}`");
    }
}

#[tokio::test]
async fn a_path_that_looks_like_another_host_is_no_redirect_to_it() {
    let world = World::start().await;
    let mut asked = 0;
    for text in payloads() {
        let Ok(uri) = text.parse::<http::Uri>() else { continue };
        let Ok(request) = Request::get(uri).body(Body::empty()) else { continue };
        let reply = world.send(request).await;
        asked += 1;
        if !reply.location().is_empty() {
            stays(reply.location(), &text);
        }
    }
    assert!(asked > 200, "{asked}");
}

#[tokio::test]
async fn an_app_gets_its_users_back_at_no_address_but_its_own() {
    let world = World::start().await;
    let agent = world.host.directory.resolve(&agent()).unwrap();
    let token = world.issuer.token("alice", "attache", world.clock.now());
    for text in payloads() {
        if text == RETURN_URL {
            continue;
        }
        assert_eq!(agent.return_url(text.as_bytes()), None, "`{text}`");
        // As an app's request says it, where it can be said in a header at all.
        let request = Request::post("/agents/calendar/invocations")
            .header("authorization", format!("Bearer {token}"))
            .header("attache-return-url", text.as_bytes())
            .body(Body::empty());
        if let Ok(request) = request {
            let reply = world.send(request).await;
            assert_eq!(reply.status, 400, "`{text}`: {}", reply.body);
            assert!(reply.body.contains("return-url"), "`{text}`: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_question_with_a_return_url_that_nobody_allowed_is_not_asked() {
    let world = World::start().await;
    let who = world.binding("alice").await;
    let provider = world.host.providers.oauth2(&"google".parse().unwrap()).unwrap();
    let wanted = crate::ids::Scopes::parse(["calendar.read"]).unwrap().into();
    for text in payloads() {
        let question =
            crate::consent::Question { wanted: &wanted, return_url: Some(&text), custom_state: None, force: false };
        let asked = world.host.consents.start(&who, &provider, &question).await;
        assert!(matches!(asked, Err(ConsentError::ReturnUrl(_))), "`{text}`");
    }
    assert!(world.trail("consent.start").await.is_empty());
}

/// What stands on the list is where browsers go. Whoever may write it may name any page, but none that is no page.
#[tokio::test]
async fn a_list_of_return_urls_holds_whole_addresses_that_every_reader_reads_alike() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let mut taken = 0;
    for text in payloads().into_iter().step_by(3) {
        let body = serde_json::json!({ "name": "elsewhere", "allowedResourceOauth2ReturnUrls": [text] });
        let made = world.call(&key, "/identities/CreateWorkloadIdentity", body).await;
        if made.status != 201 {
            continue;
        }
        taken += 1;
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
        let loopback =
            url.host_str().is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."));
        assert!(url.scheme() == "https" || url.scheme().contains('.') || loopback, "`{text}`");
        assert!(url.username().is_empty() && url.password().is_none(), "`{text}`");
        assert!(!text.contains(['\\', '\t', '\r', '\n', ' ']), "`{text}`");
        let name = serde_json::json!({ "name": "elsewhere" });
        assert_eq!(world.call(&key, "/identities/DeleteWorkloadIdentity", name).await.status, 204);
    }
    assert!(taken > 0, "some are addresses like any other");
}

#[tokio::test]
async fn what_the_provider_sends_back_does_not_choose_where_the_browser_goes() {
    let world = World::start().await;
    for text in payloads().into_iter().step_by(29) {
        let started = world.consent("alice", Some(RETURN_URL)).await;
        let mut browser = Browser::default();
        let away = browser.get(&world, path(&started.authorization_url)).await;
        let code = world.issuer.code("whoever", "");
        let back = browser.callback(&world, "/oauth2/callback/google", &away.asked("state"), &code);
        // Whatever else stands in the answer, and whatever the state of the app says.
        let back = format!("{back}&redirect_uri={0}&return={0}&next={0}&session_id={0}", encoded(&text));
        let to_app = browser.get(&world, &back).await;
        let url = Url::parse(to_app.location()).unwrap_or_else(|error| panic!("{error}: {}", to_app.body));
        assert_eq!(format!("{}{}", url.origin().ascii_serialization(), url.path()), RETURN_URL, "`{text}`");
    }
}
