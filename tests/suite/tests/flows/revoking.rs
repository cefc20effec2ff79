//! Revoking: here at once, and at the provider however long it takes (RFC 7009).

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::json;
use suite::flows::{self, Written};
use suite::world::{Person, World};

const ASK: &str = "provider=saas&scope=calendar.read";

async fn granted() -> Result<(World, Person)> {
    let lines = "offline_scope = \"offline_access\"\nauthorize_parameters = { prompt = \"consent\" }";
    let world = flows::world(vec![Written::saas("saas", "attache", lines)]).await?;
    let mut alice = world.person("alice").await?;
    world.agree(&mut alice, ASK).await?;
    Ok((world, alice))
}

async fn revoke(world: &World, alice: &Person) -> Result<()> {
    let mine = world.caller.send(Method::GET, "/grants", Some(&alice.token), &[], "").await?.json();
    let id = mine[0]["id"].as_str().with_context(|| format!("a grant: {mine}"))?;
    let gone = world.caller.send(Method::DELETE, &format!("/grants/{id}"), Some(&alice.token), &[], "").await?;
    ensure!(gone.status.is_success(), "{} {}", gone.status, gone.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_down_learns_of_a_revocation_after_the_host_was_killed() -> Result<()> {
    let (mut world, alice) = granted().await?;
    world.saas_settings(json!({"down": true})).await?;
    revoke(&world, &alice).await?;
    world
        .until("telling it failed", async || {
            Ok(world.trail("provider.revoke")?.iter().any(|entry| entry["decision"] == "failed"))
        })
        .await?;
    world.host.kill();
    world.saas_settings(json!({"down": false})).await?;
    assert_eq!(world.stats().await?["revocations"], json!([]), "nobody told it yet");
    world.host.restart()?;
    world
        .until("it is told", async || Ok(!world.stats().await?["revocations"].as_array().is_none_or(Vec::is_empty)))
        .await?;
    world.link(&alice.token, ASK).await?;
    let tokens = world.canaries().await?;
    ensure!(!tokens.is_empty(), "there are tokens to be tried");
    for token in tokens {
        let caller = suite::call::Caller::new(&world.bed.saas.issuer());
        let reply = caller.send(Method::GET, "/about", Some(&token), &[], "").await?;
        assert_eq!(reply.status, 401, "no token of the grant is good any more");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_instance_is_denied_at_its_next_call_after_a_revocation() -> Result<()> {
    let (world, alice) = granted().await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let rest = format!("send-until-refused?{ASK}&count=2000&url={url}");
    let (caller, token) = (world.caller.clone(), alice.token.clone());
    let running = tokio::spawn(async move { anyhow::Ok(caller.probe("probe", &token, &rest).await?.text()) });
    let served = async || anyhow::Ok(world.stats().await?["requests"]["alice"].as_u64().unwrap_or_default());
    world.until("it sends", async || Ok(served().await? > 2)).await?;
    revoke(&world, &alice).await?;
    let after = served().await?;
    let text = running.await??;
    ensure!(text.contains("the user has not granted this yet"), "{text}");
    ensure!(
        served().await? <= after + 1,
        "what was on its way arrived, nothing more: {} after {after}",
        served().await?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_instance_is_stopped_when_its_agent_is_suspended() -> Result<()> {
    let (world, alice) = granted().await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let rest = format!("send-until-refused?{ASK}&count=2000&url={url}");
    let (caller, token) = (world.caller.clone(), alice.token.clone());
    let running = tokio::spawn(async move { caller.probe("probe", &token, &rest).await });
    let served = async || anyhow::Ok(world.stats().await?["requests"]["alice"].as_u64().unwrap_or_default());
    world.until("it sends", async || Ok(served().await? > 2)).await?;
    world.host.attache(&["agents", "suspend", "probe"])?;
    let reply = running.await??;
    ensure!(reply.status.as_u16() >= 400 && reply.text().contains("suspended"), "{} {}", reply.status, reply.text());
    let after = served().await?;
    ensure!(after < 2000, "it went on to its end");
    let records = world.host.json(&["audit", "--agent", "probe", "--action", "agent.invoke"])?;
    let why = records[0]["reason"].as_str().unwrap_or_default();
    ensure!(why.contains("suspended"), "the record says why: {records}");
    Ok(())
}
