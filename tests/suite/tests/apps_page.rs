//! An app with a page of its own: the browser comes back to the app, and the app says who is there.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::json;
use suite::browser::Browser;
use suite::host::component;
use suite::story::{consent_of, grants, meeting};
use suite::world::World;

const BACK: &str = "http://127.0.0.1:9/consented";

#[tokio::test(flavor = "multi_thread")]
async fn the_completion_call_stores_a_grant_for_its_own_user_only() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("calendar", &component("calendar")?, "acme.example")?;
    let (alice, mallory) = (world.token("alice").await?, world.token("mallory").await?);

    // mallory starts, alice's browser consents, mallory completes: alice's token would be mallory's.
    let theirs = started(&world, &mallory).await?;
    let session = at_the_apps_page(&theirs, "alice").await?;
    let reply = complete(&world, &session, &alice).await?;
    ensure!(reply.status == 403, "alice does not complete what mallory started: {} {}", reply.status, reply.text());
    ensure!(grants(&world)?.is_empty(), "nothing is stored for anybody");
    let reply = complete(&world, &session, &mallory).await?;
    ensure!(!reply.status.is_success(), "nor does it wait for mallory: {} {}", reply.status, reply.text());
    ensure!(grants(&world)?.is_empty(), "nothing is stored for anybody");

    // alice starts, consents and completes; a fresh token of the same human is fine.
    let hers = started(&world, &alice).await?;
    let session = at_the_apps_page(&hers, "alice").await?;
    ensure!(grants(&world)?.is_empty(), "nothing is stored before the app says who is there");
    let reply = complete(&world, &session, &world.token("alice").await?).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    ensure!(grants(&world)?.len() == 1);
    let again = complete(&world, &session, &alice).await?;
    ensure!(!again.status.is_success(), "a session is completed once");
    let reply = world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    Ok(())
}

async fn started(world: &World, token: &str) -> Result<String> {
    let headers = [("content-type", "application/json"), ("attache-return-url", BACK)];
    let body = meeting(world, "Lunch").to_string();
    let reply = world.caller.send(Method::POST, "/agents/calendar/invocations", Some(token), &headers, body).await?;
    Ok(consent_of(&reply)?.url)
}

/// Goes through the provider's pages in a new browser; the session URI that the app's page is called with.
async fn at_the_apps_page(link: &str, user: &str) -> Result<String> {
    let mut browser = Browser::new().stopping_at(BACK);
    let page = browser.get(link).await?;
    let page = browser.as_user(page, user).await?;
    ensure!(page.url.as_str().starts_with(BACK), "the browser is back at the app: {} {}", page.url, page.body);
    page.parameter("session_id").context("a session URI")
}

async fn complete(world: &World, session: &str, token: &str) -> Result<suite::call::Reply> {
    let headers = [("content-type", "application/json")];
    let body = json!({ "session_uri": session }).to_string();
    world.caller.send(Method::POST, "/consent/complete", Some(token), &headers, body).await
}
