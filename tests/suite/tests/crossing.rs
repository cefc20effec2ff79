//! Two users × two agents × two providers: nobody's token is ever used for another.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use suite::call::Caller;
use suite::host::component;
use suite::world::World;

const INVOCATIONS: usize = 10_000;
const CONNECTIONS: usize = 24;

/// One combination, and the hash of the one token that may be used for it.
struct Triple {
    agent: &'static str,
    provider: &'static str,
    user: &'static str,
    token: String,
    expect: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_interleaved_invocations_never_cross() -> Result<()> {
    let world = World::start_with(|spec| {
        for agent in ["probe", "twin"] {
            spec.agents.retain(|a| a.name != agent);
            let scopes = suite::world::SCOPES.map(str::to_owned).to_vec();
            spec.agents.push(suite::host::AgentSpec {
                name: agent.into(),
                providers: ["google-calendar", "team-calendar"].map(|p| (p.to_owned(), scopes.clone())).to_vec(),
                claims: Vec::new(),
                egress: Vec::new(),
                return_urls: Vec::new(),
                reveal: false,
            });
        }
    })
    .await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    for agent in ["probe", "twin"] {
        world.host.deploy(agent, &component("probe")?, "tests.example")?;
    }

    let whose = format!("{}/whose", world.bed.saas.issuer());
    let mut triples = Vec::new();
    for user in ["alice", "bob"] {
        let mut person = world.person(user).await?;
        let token = world.token_with(json!({ "user": user, "expires_in": 7200 })).await?;
        for agent in ["probe", "twin"] {
            for provider in ["google-calendar", "team-calendar"] {
                world.grant(&mut person, agent, &format!("acquire?provider={provider}&scope=calendar.read")).await?;
                let path = format!("send?provider={provider}&scope=calendar.read&url={whose}");
                let reply = world.caller.probe(agent, &token, &path).await?;
                let expect = reply.text().lines().nth(1).with_context(|| reply.text())?.to_owned();
                ensure!(expect.starts_with(&format!("{user} ")), "{agent} at {provider} for {user}: {expect}");
                triples.push(Triple { agent, provider, user, token: token.clone(), expect });
            }
        }
    }
    let distinct: HashSet<&str> = triples.iter().map(|t| t.expect.as_str()).collect();
    ensure!(distinct.len() == 8, "each combination has a token of its own: {distinct:?}");
    let canaries = world.canaries().await?;
    ensure!(canaries.len() >= 8, "the third party knows which tokens it issued");

    let (triples, next) = (Arc::new(triples), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for worker in 0..CONNECTIONS {
        let (triples, next, whose) = (triples.clone(), next.clone(), whose.clone());
        let (caller, canaries) = (Caller::new(&world.host.url), canaries.clone());
        workers.push(tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= INVOCATIONS {
                    return anyhow::Ok(());
                }
                // A walk that puts different combinations beside each other on different connections.
                let triple = &triples[(n.wrapping_mul(2_654_435_761) ^ worker) % triples.len()];
                let path = format!("send?provider={}&scope=calendar.read&url={whose}", triple.provider);
                let reply = caller.probe(triple.agent, &triple.token, &path).await?;
                let text = reply.text();
                ensure!(
                    reply.status == 200 && text.lines().nth(1) == Some(triple.expect.as_str()),
                    "invocation {n}: {} at {} for {} got {} {text}",
                    triple.agent,
                    triple.provider,
                    triple.user,
                    reply.status
                );
                ensure!(
                    !canaries.iter().any(|c| text.contains(c.as_str())),
                    "invocation {n}: a token reached the caller"
                );
            }
        }));
    }
    for worker in workers {
        worker.await??;
    }
    no_canary_at_rest(&world, &canaries)
}

/// Nothing that the host wrote holds a token: log, database, write-ahead log, keys.
fn no_canary_at_rest(world: &World, canaries: &[String]) -> Result<()> {
    let log = world.host.log()?;
    for canary in canaries {
        ensure!(!log.contains(canary.as_str()), "a token stands in the log");
    }
    let mut files = 0;
    for entry in std::fs::read_dir(world.host.data())? {
        let path = entry?.path();
        if path.is_file() {
            files += 1;
            let bytes = std::fs::read(&path)?;
            for canary in canaries {
                let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
                ensure!(!found, "a token stands in `{}`", path.display());
            }
        }
    }
    ensure!(files >= 3, "database, key ring and host key were looked at");
    Ok(())
}
