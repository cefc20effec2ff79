//! Tokens that are bound to a key (RFC 9449), from the consent to the resource.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::json;
use suite::call::Caller;
use suite::flows::{self, Written};
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
    for token in world.canaries().await? {
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
