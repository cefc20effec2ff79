//! Agents for themselves: client credentials (RFC 6749 §4.4).

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use suite::flows::{self, Written};
use suite::glewlwyd::Glewlwyd;
use suite::testbed::ATTACHE_SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn one_token_request_serves_two_invocations_whoever_calls() -> Result<()> {
    let world = flows::world(vec![Written::saas("saas", "attache", "")]).await?;
    let (alice, bob) = (world.token("alice").await?, world.token("bob").await?);
    let query = "provider=saas&flow=machine&scope=calendar.read";
    let (first, second) = (world.about(&alice, query).await?, world.about(&bob, query).await?);
    assert_eq!((&first["user"], &first["client"]), (&Value::Null, &json!("attache")), "a user has no part in it");
    assert_eq!(first["scope"], "calendar.read");
    assert_eq!(first["hash"], second["hash"], "the same token");
    assert_eq!(world.tokens_of("client_credentials").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machines_token_is_for_the_resource_that_it_names() -> Result<()> {
    let world = flows::world(vec![Written::saas("saas", "attache", "")]).await?;
    let token = world.token("alice").await?;
    let tasks = "provider=saas&flow=machine&scope=tasks.read&resource=https://tasks.test/";
    assert_eq!(world.about(&token, tasks).await?["audience"], "https://tasks.test/");
    let calendar = "provider=saas&flow=machine&scope=calendar.read";
    assert_eq!(world.about(&token, calendar).await?["audience"], "https://calendar.test/");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_bound_to_fewer_scopes_gets_no_others() -> Result<()> {
    let world = flows::world(vec![Written::saas("saas", "attache", "").bound_to(&["calendar.read"])]).await?;
    let token = world.token("alice").await?;
    let text = world.ask(&token, "acquire?provider=saas&flow=machine&scope=calendar.write").await?;
    ensure!(text.contains("Denied"), "{text}");
    assert_eq!(world.bed.saas.requests("token").await?, 0, "the provider was not even asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_another_make_gives_machines_tokens() -> Result<()> {
    let Some(second) = Glewlwyd::start(300).await? else {
        eprintln!(
            "SKIPPED: there is no `glewlwyd`; install it (`apt-get install glewlwyd sqlite3`) and run this again"
        );
        return Ok(());
    };
    let lines =
        format!("issuer = {:?}\nclient_id = \"attache\"\nclient_secret = {{ file = \"second.key\" }}", second.issuer());
    let written = Written::oauth2("second", &lines).file("second.key", ATTACHE_SECRET).bound_to(&["calendar.read"]);
    let world = flows::world(vec![written]).await?;
    second.client("attache", ATTACHE_SECRET, &["http://127.0.0.1:9/unused"]).await?;
    let token = world.token("alice").await?;
    let text = world.ask(&token, "acquire?provider=second&flow=machine&scope=calendar.read").await?;
    ensure!(text.starts_with("second calendar.read Some("), "{text}");
    Ok(())
}
