//! Tokens that are bound to a key (RFC 9449), from the consent to the resource.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;
use suite::call::Caller;
use suite::flows::{self, Written};
use suite::glewlwyd::Glewlwyd;
use suite::story::grants;
use suite::testbed::ATTACHE_SECRET;
use suite::walk;
use suite::world::World;

const ASK: &str = "provider=saas&scope=calendar.read";

async fn bound() -> Result<World> {
    flows::world(vec![Written::saas(
        "saas",
        "attache-dpop",
        "dpop = \"always\"\noffline_scope = \"offline_access\"\nauthorize_parameters = { prompt = \"consent\" }",
    )])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_grant_is_proven_at_the_resource_and_its_token_alone_opens_nothing() -> Result<()> {
    let world = bound().await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, ASK).await?;
    let about = world.about(&alice.token, ASK).await?;
    assert_eq!((&about["user"], &about["bound"]), (&json!("alice"), &json!(true)));
    let tokens = world.canaries().await?;
    ensure!(!tokens.is_empty(), "there are tokens to be tried");
    for token in tokens {
        let reply = Caller::new(&world.bed.saas.issuer())
            .send(http::Method::GET, "/about", Some(&token), &[], Bytes::new())
            .await?;
        assert_eq!(reply.status, 401, "whoever only has the token has nothing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_answered_at_the_token_endpoint_and_at_the_resource_each_time_it_changes() -> Result<()> {
    let world = bound().await?;
    world.saas_settings(json!({"dpop_nonce": true})).await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, ASK).await?;
    let first = world.about(&alice.token, ASK).await?;
    assert_eq!(first["bound"], true);
    world.bed.saas.control("nonce", json!({})).await?;
    assert_eq!(world.about(&alice.token, ASK).await?["hash"], first["hash"], "the same token, another proof");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_grant_outlives_its_tokens_and_the_host() -> Result<()> {
    let mut world = bound().await?;
    world.saas_settings(flows::short_lived()).await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, ASK).await?;
    world.until_expired().await?;
    world.saas_settings(json!({"access_token_ttl": 300})).await?;
    world.host.restart()?;
    let about = world.about(&alice.token, ASK).await?;
    assert_eq!((&about["user"], &about["bound"]), (&json!("alice"), &json!(true)));
    assert_eq!(world.tokens_of("refresh_token").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_and_exchanged_tokens_are_bound_too() -> Result<()> {
    let lines = "dpop = \"always\"\non_behalf_of = { grant = \"token-exchange\" }";
    let world = flows::world(vec![Written::saas("saas", "attache-dpop", lines)]).await?;
    let alice = world.token("alice").await?;
    for flow in ["machine", "behalf"] {
        let about = world.about(&alice, &format!("{ASK}&flow={flow}")).await?;
        ensure!(about["bound"] == true, "{flow}: {about}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_another_make_binds_its_tokens_and_takes_the_proofs() -> Result<()> {
    // So short that each use renews it.
    let Some(second) = Glewlwyd::start(5).await? else {
        eprintln!(
            "SKIPPED: there is no `glewlwyd`; install it (`apt-get install glewlwyd sqlite3`) and run this again"
        );
        return Ok(());
    };
    let lines = format!(
        "issuer = {:?}\nclient_id = \"attache\"\nclient_secret = {{ file = \"second.key\" }}\ndpop = \"always\"\n\
         offline_scope = \"offline_access\"",
        second.issuer()
    );
    let written = Written::oauth2("second", &lines)
        .file("second.key", ATTACHE_SECRET)
        .bound_to(&["calendar.read"])
        .sent_to(&second.url);
    let world = flows::world(vec![written]).await?;
    second.client("attache", ATTACHE_SECRET, &[&format!("{}/oauth2/callback/second", world.host.url)]).await?;
    let mut alice = world.person("alice").await?;
    let query = "provider=second&scope=calendar.read";
    let link = world.link(&alice.token, query).await?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    let page = second.agree(&mut alice.browser, page, "alice").await?;
    ensure!(page.status == 200 && page.url.as_str().starts_with(&world.host.url), "{} {}", page.url, page.body);
    for _ in 0..2 {
        let text = world.ask(&alice.token, &format!("send?{query}&url={}/api/oidc/userinfo", second.url)).await?;
        ensure!(text.starts_with("200 "), "{text}");
    }
    assert_eq!(grants(&world)?.len(), 1, "the grant outlives its tokens");
    Ok(())
}
