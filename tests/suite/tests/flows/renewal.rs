//! Renewing at a provider that takes each refresh token once (RFC 9700 §4.14.2), and what can happen in the middle.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;
use suite::call::Caller;
use suite::flows::{self, Written};
use suite::story::grants;
use suite::testbed::ATTACHE_SECRET;
use suite::world::{Person, World};

const ASK: &str = "provider=saas&scope=calendar.read";
const LONG: u64 = 300;

/// alice's grant, whose token is over, at a provider whose next one lives long.
async fn over() -> Result<(World, Person)> {
    let lines = "offline_scope = \"offline_access\"\nauthorize_parameters = { prompt = \"consent\" }";
    let world = flows::world(vec![Written::saas("saas", "attache", lines)]).await?;
    let alice = over_again(&world, world.person("alice").await?).await?;
    Ok((world, alice))
}

async fn over_again(world: &World, mut alice: Person) -> Result<Person> {
    world.saas_settings(flows::short_lived()).await?;
    world.agree(&mut alice, ASK).await?;
    world.until_expired().await?;
    world.saas_settings(json!({"access_token_ttl": LONG})).await?;
    Ok(alice)
}

fn fault(when: &str, what: Value) -> Value {
    json!({"route": "token", "grant": "refresh_token", "when": when, "what": what})
}

#[tokio::test(flavor = "multi_thread")]
async fn two_invocations_that_find_a_token_over_renew_it_once() -> Result<()> {
    let (world, alice) = over().await?;
    let before = world.bed.saas.requests("token").await?;
    world.bed.saas.fault(fault("before", json!("hold"))).await?;
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let (caller, token) = (world.caller.clone(), alice.token.clone());
            let rest = format!("send?{ASK}&url={}/whose", world.bed.saas.issuer());
            tokio::spawn(async move { anyhow::Ok(caller.probe("probe", &token, &rest).await?.text()) })
        })
        .collect();
    world.until("the renewal is asked for", async || Ok(world.bed.saas.requests("token").await? > before)).await?;
    // The consent's invocation, and these two.
    world.until("both invocations run", async || Ok(world.trail("agent.invoke")?.len() >= 3)).await?;
    ensure!(asking.iter().all(|one| !one.is_finished()), "both wait for it");
    world.bed.saas.control("release", json!({})).await?;
    let mut answers = Vec::new();
    for one in asking {
        answers.push(one.await??);
    }
    ensure!(answers[0].contains("alice ") && answers[0] == answers[1], "{answers:?}");
    assert_eq!(world.bed.saas.requests("token").await?, before + 1);
    assert_eq!(world.tokens_of("refresh_token").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_the_rotation_costs_one_call_and_not_the_grant() -> Result<()> {
    let (world, alice) = over().await?;
    world.bed.saas.fault(fault("before", json!(503))).await?;
    let text = world.ask(&alice.token, &format!("send?{ASK}&url={}/whose", world.bed.saas.issuer())).await?;
    ensure!(text.contains("Unavailable"), "{text}");
    let about = world.about(&alice.token, ASK).await?;
    assert_eq!(about["user"], "alice");
    assert_eq!(grants(&world)?.len(), 1);
    Ok(())
}

/// What is found when the answer to a renewal got lost after the provider had rotated: consent is asked, the record says
/// why, and after it everything works. Never a token of somebody else's.
async fn honestly_asked_again(world: &World, mut alice: Person) -> Result<()> {
    let text = world.ask(&alice.token, &format!("send?{ASK}&url={}/whose", world.bed.saas.issuer())).await?;
    ensure!(text.contains("the user has not granted this yet"), "{text}");
    world.link(&alice.token, ASK).await?;
    ensure!(grants(world)?.is_empty(), "the dead grant is gone");
    let renewals = world.trail("token.refresh")?;
    let reasons: Vec<&str> = renewals.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    ensure!(reasons.iter().any(|reason| reason.contains("never arrived here")), "the record says why: {renewals:?}");
    world.agree(&mut alice, ASK).await?;
    assert_eq!(world.about(&alice.token, ASK).await?["user"], "alice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_rotation_ends_in_consent_and_says_why() -> Result<()> {
    for what in [json!(503), json!("cut")] {
        let (world, alice) = over().await?;
        world.bed.saas.fault(fault("after", what)).await?;
        let text = world.ask(&alice.token, &format!("send?{ASK}&url={}/whose", world.bed.saas.issuer())).await?;
        ensure!(text.contains("Unavailable"), "{text}");
        honestly_asked_again(&world, alice).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_between_the_rotation_and_the_commit_asks_for_consent_and_says_why() -> Result<()> {
    let (mut world, alice) = over().await?;
    world.bed.saas.fault(fault("after", json!("hold"))).await?;
    let (caller, token) = (world.caller.clone(), alice.token.clone());
    let rest = format!("send?{ASK}&url={}/whose", world.bed.saas.issuer());
    let asking = tokio::spawn(async move { caller.probe("probe", &token, &rest).await });
    world.until("the provider has rotated", async || Ok(world.tokens_of("refresh_token").await? == 1)).await?;
    world.host.kill();
    ensure!(asking.await?.is_err(), "nobody answers");
    world.bed.saas.control("release", json!({})).await?;
    world.host.restart()?;
    honestly_asked_again(&world, alice).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_at_any_moment_of_renewing_never_mixes_users_up() -> Result<()> {
    let lines = "offline_scope = \"offline_access\"\nauthorize_parameters = { prompt = \"consent\" }";
    let mut world = flows::world(vec![Written::saas("saas", "attache", lines)]).await?;
    // Each use is soon a renewal.
    world.saas_settings(json!({"access_token_ttl": 1})).await?;
    let mut people = [world.person("alice").await?, world.person("bob").await?];
    let url = format!("{}/whose", world.bed.saas.issuer());
    let mut renewed = 0;
    for round in 0..12_u64 {
        for person in &mut people {
            let text = world.ask(&person.token, &format!("acquire?{ASK}")).await?;
            if text.contains("ConsentRequired") {
                world.agree(person, ASK).await?;
            }
        }
        let load: Vec<_> = people
            .iter()
            .map(|person| {
                let (caller, name, token) = (Caller::new(&world.host.url), person.name.clone(), person.token.clone());
                let rest = format!("send?{ASK}&url={url}");
                // Until the connection breaks with the host.
                tokio::spawn(async move {
                    while let Ok(reply) = caller.probe("probe", &token, &rest).await {
                        let text = reply.text();
                        if text.starts_with("200 ") {
                            ensure!(text.contains(&format!("\n{name} ")), "{name} got a token of another's: {text}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let before = world.tokens_of("refresh_token").await?;
        world.until("something is renewed", async || Ok(world.tokens_of("refresh_token").await? > before)).await?;
        tokio::time::sleep(Duration::from_millis((round * 37) % 250)).await;
        world.host.kill();
        for one in load {
            one.await??;
        }
        renewed += world.tokens_of("refresh_token").await? - before;
        world.host.restart().with_context(|| format!("after kill {round}"))?;
    }
    ensure!(renewed >= 12, "there were renewals to be killed in: {renewed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_somebody_else_used_ends_the_grant_and_is_recognised() -> Result<()> {
    let (world, mut alice) = over().await?;
    let tokens = world.bed.saas.control("tokens", json!({})).await?;
    let stolen = tokens.as_array().and_then(|all| all.iter().rev().find(|token| token["kind"] == "RefreshToken"));
    let stolen = stolen.and_then(|token| token["value"].as_str()).context("a refresh token")?;
    let thief = Caller::new(&world.bed.saas.issuer());
    // The client authenticates by its header; whoever stole the token stole its secret too.
    let basic = format!("Basic {}", STANDARD.encode(format!("attache:{ATTACHE_SECRET}")));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", basic.as_str())];
    let form = format!("grant_type=refresh_token&refresh_token={stolen}");
    let reply = thief.send(http::Method::POST, "/token", None, &headers, form).await?;
    ensure!(reply.status == 200, "{}", reply.text());
    let taken = reply.json();
    let taken = taken["access_token"].as_str().context("a token")?;

    let text = world.ask(&alice.token, &format!("send?{ASK}&url={}/whose", world.bed.saas.issuer())).await?;
    ensure!(text.contains("the user has not granted this yet"), "{text}");
    world.link(&alice.token, ASK).await?;
    ensure!(grants(&world)?.is_empty(), "the grant is gone here");
    let entry = world.trail("token.refresh")?;
    ensure!(entry[0]["reason"].as_str().is_some_and(|r| r.contains("no longer honours the grant")), "{entry:?}");
    let reply = thief.send(http::Method::GET, "/about", Some(taken), &[], "").await?;
    ensure!(reply.status == 401, "and the thief's tokens are over too: {}", reply.text());
    world.agree(&mut alice, ASK).await?;
    assert_eq!(world.about(&alice.token, ASK).await?["user"], "alice");
    Ok(())
}
