//! How a user is asked: what goes with their browser, what comes back, and what they are asked again.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use suite::browser::{Browser, Page};
use suite::flows::{self, Written};
use suite::story::grants;
use suite::testbed::Service;
use suite::walk;
use suite::world::{Person, World, quoted};

const READ: &str = "provider=saas&scope=calendar.read";
const PROMPT: &str = "offline_scope = \"offline_access\"\nauthorize_parameters = { prompt = \"consent\" }";
const BACK: &str = "http://127.0.0.1:9/consented";

async fn with(client: &str, lines: &str) -> Result<World> {
    flows::world(vec![Written::saas("saas", client, &format!("{PROMPT}\n{lines}"))]).await
}

/// The first page of the provider's, not opened: with what the host sends the browser there.
async fn at_the_provider(world: &World, alice: &Person, link: &str) -> Result<Page> {
    let mut browser = Browser::new().stopping_at(format!("{}/auth?", world.bed.saas.issuer()));
    let page = walk::open(&mut browser, link, &alice.name).await?;
    ensure!(page.url.path() == "/auth", "{} {}", page.url, page.body);
    Ok(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_pushed_where_that_is_offered_and_the_browser_carries_its_name_only() -> Result<()> {
    let world = with("attache", "").await?;
    let mut alice = world.person("alice").await?;
    let link = world.link(&alice.token, READ).await?;
    let page = at_the_provider(&world, &alice, &link).await?;
    let names: Vec<String> = page.url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["client_id", "request_uri"], "{}", page.url);
    assert_eq!(world.bed.saas.requests("pushed_authorization_request").await?, 1);
    world.agree(&mut alice, READ).await?;
    assert_eq!(world.about(&alice.token, READ).await?["user"], "alice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_requests_must_be_pushed_works_and_one_that_never_pushes_is_refused() -> Result<()> {
    let never = format!("{PROMPT}\npushed_authorization = \"never\"");
    let world =
        flows::world(vec![Written::saas("saas", "attache-par", PROMPT), Written::saas("never", "attache-par", &never)])
            .await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, READ).await?;
    assert_eq!(world.about(&alice.token, READ).await?["client"], "attache-par");
    let link = world.link(&alice.token, "provider=never&scope=calendar.read").await?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    ensure!(!page.body.contains("may now use"), "{}", page.body);
    assert_eq!(grants(&world)?.len(), 1, "the one before");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_requires_pushed_requests_gets_them() -> Result<()> {
    let world = with("attache", "pushed_authorization = \"always\"").await?;
    world.saas_settings(json!({"par": "required"})).await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, READ).await?;
    assert_eq!(world.about(&alice.token, READ).await?["user"], "alice");
    assert_eq!(world.bed.saas.requests("pushed_authorization_request").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_for_the_resource_that_was_asked_for_and_for_no_other() -> Result<()> {
    let world = with("attache", "").await?;
    let mut alice = world.person("alice").await?;
    let tasks = "provider=saas&scope=tasks.read&resource=https://tasks.test/";
    world.agree(&mut alice, tasks).await?;
    let about = world.about(&alice.token, tasks).await?;
    assert_eq!((&about["audience"], &about["scope"]), (&json!("https://tasks.test/"), &json!("tasks.read")));
    world.link(&alice.token, "provider=saas&scope=tasks.read").await?;
    world.link(&alice.token, READ).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_names_another_issuer_or_none_stores_nothing() -> Result<()> {
    let liar = Service::start(json!({"mode": "liar"})).await?;
    let table = |name: &str, lies: &[&str]| {
        let lines = format!(
            "issuer = {:?}\nclient_id = \"attache\"\nclient_secret = {{ file = \"{name}.key\" }}",
            liar.lying(lies)
        );
        Written::oauth2(name, &lines).file(&format!("{name}.key"), "a-secret-a-secret-a-secret")
    };
    let written = vec![table("wrong", &["wrong-iss"]), table("absent", &["no-iss"]), table("honest", &[])];
    let world = flows::world(written).await?;
    let mut alice = world.person("alice").await?;
    for name in ["wrong", "absent"] {
        let link = world.link(&alice.token, &format!("provider={name}&scope=calendar.read")).await?;
        let page = walk::open(&mut alice.browser, &link, "alice").await?;
        ensure!(!page.status.is_success(), "{name}: {} {}", page.status, page.body);
        ensure!(grants(&world)?.is_empty(), "{name}: nothing is stored");
    }
    world.agree(&mut alice, "provider=honest&scope=calendar.read").await?;
    assert_eq!(grants(&world)?.len(), 1, "the same without a lie");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_parameters_go_with_the_browser_and_custom_state_comes_back_to_the_app() -> Result<()> {
    let world = with("attache", "pushed_authorization = \"never\"").await?;
    let alice = world.person("alice").await?;
    let rest = format!(
        "acquire?{READ}&parameter=login_hint:alice%2Bwork@example.test&parameter=prompt:none&state=the-apps%20own"
    );
    let path = format!("/agents/probe/invocations/{rest}");
    let headers = [("attache-return-url", BACK)];
    let reply = world.caller.send(Method::GET, &path, Some(&alice.token), &headers, Bytes::new()).await?;
    let link = quoted(&reply.text(), "authorization-url: ").with_context(|| reply.text())?;

    let page = at_the_provider(&world, &alice, &link).await?;
    assert_eq!(page.parameter("login_hint").as_deref(), Some("alice+work@example.test"));
    assert_eq!(page.parameter("prompt").as_deref(), Some("consent"), "what the operator wrote is not overridden");
    assert_ne!(page.parameter("state").as_deref(), Some("the-apps own"), "nor is the host's own state");
    assert_eq!(page.url.query_pairs().filter(|(name, _)| name == "state").count(), 1);

    let reply = world.caller.send(Method::GET, &path, Some(&alice.token), &headers, Bytes::new()).await?;
    let link = quoted(&reply.text(), "authorization-url: ").with_context(|| reply.text())?;
    let mut browser = Browser::new().stopping_at(BACK);
    let back = walk::open(&mut browser, &link, "alice").await?;
    ensure!(back.url.as_str().starts_with(BACK), "{} {}", back.url, back.body);
    assert_eq!(back.parameter("state").as_deref(), Some("the-apps own"));
    ensure!(back.parameter("session_id").is_some(), "{}", back.url);
    ensure!(back.parameter("code").is_none(), "no code ever comes to the app: {}", back.url);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_the_hosts_is_refused() -> Result<()> {
    let world = with("attache", "").await?;
    let alice = world.token("alice").await?;
    for name in ["state", "redirect_uri", "client_id", "code_challenge", "scope", "request_uri"] {
        let text = world.ask(&alice, &format!("acquire?{READ}&parameter={name}:evil")).await?;
        ensure!(text.contains("is set by the host"), "{name}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forcing_forgets_the_grant_at_once_and_the_user_signs_in_again() -> Result<()> {
    let world = with("attache", "pushed_authorization = \"never\"").await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, READ).await?;
    let before = world.about(&alice.token, READ).await?;
    let link = world.link(&alice.token, &format!("{READ}&force=yes")).await?;
    ensure!(grants(&world)?.is_empty(), "forgotten at once");
    world.link(&alice.token, READ).await?;
    let page = at_the_provider(&world, &alice, &link).await?;
    assert_eq!(page.parameter("prompt").as_deref(), Some("login"), "{}", page.url);

    let link = world.link(&alice.token, &format!("{READ}&force=yes")).await?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    ensure!(page.status == 200, "{} {}", page.url, page.body);
    let after = world.about(&alice.token, READ).await?;
    assert_eq!(after["user"], "alice");
    assert_ne!(before["hash"], after["hash"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_scopes_are_asked_for_when_they_are_needed_and_the_first_keep_working() -> Result<()> {
    let world = with("attache", "").await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, READ).await?;
    assert_eq!(world.about(&alice.token, READ).await?["scope"], "calendar.read");
    let both = "provider=saas&scope=calendar.read&scope=calendar.write";
    world.link(&alice.token, both).await?;
    assert_eq!(world.about(&alice.token, READ).await?["user"], "alice", "asking for more takes nothing away");
    world.agree(&mut alice, both).await?;
    let about = world.about(&alice.token, both).await?;
    ensure!(about["scope"].as_str().is_some_and(|scope| scope.contains("calendar.write")), "{about}");
    assert_eq!(world.about(&alice.token, READ).await?["user"], "alice");
    Ok(())
}
