//! SIGKILL under load, a hundred times: what was acknowledged is there. `ATTACHE_KILLS` says how often, for a longer run by
//! hand.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use suite::call::Caller;
use suite::host::component;
use suite::operator::Operator;
use suite::world::World;

#[derive(Default)]
struct Acknowledged {
    workloads: Mutex<HashSet<String>>,
    suspended: Mutex<HashSet<String>>,
    sends: Mutex<HashSet<String>>,
    /// Sends that were looked up.
    found: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_survives_a_hundred_kills() -> Result<()> {
    let mut world = World::start().await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    let token = world.token_with(json!({ "user": "alice", "expires_in": 7200 })).await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;

    let acknowledged = Arc::new(Acknowledged::default());
    let numbers = Arc::new(AtomicUsize::new(0));
    let kills = match std::env::var("ATTACHE_KILLS") {
        Ok(text) => text.parse().context("`ATTACHE_KILLS` is a number")?,
        Err(_) => 100,
    };
    for round in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let before = acknowledged.count();
        let mut load = Vec::new();
        for worker in 0..6 {
            let (stop, acknowledged, numbers) = (stop.clone(), acknowledged.clone(), numbers.clone());
            let (operator, caller) = (Operator::new(&world.host.data()), Caller::new(&world.host.url));
            let (token, saas) = (token.clone(), world.bed.saas.issuer());
            load.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // The connection breaks when the host dies: what was not answered was not acknowledged.
                    let _ = one(worker, &operator, &caller, &numbers, &acknowledged, &token, &saas).await;
                }
            }));
        }
        // One of each must be acknowledged in this life; then the kill comes at a different moment each time.
        let more = |(workloads, sends): (usize, usize)| workloads > before.0 && sends > before.1;
        world.until("something is acknowledged", async || Ok(more(acknowledged.count()))).await?;
        tokio::time::sleep(Duration::from_millis((round as u64 * 7) % 60)).await;
        world.host.kill();
        stop.store(true, Ordering::Relaxed);
        for worker in load {
            worker.await?;
        }
        world.host.restart().with_context(|| format!("after kill {round}"))?;
        // The trail shows ten thousand records at once.
        if round % 50 == 49 {
            all_there(&world, &acknowledged)?;
        }
    }
    all_there(&world, &acknowledged)?;
    let (workloads, sends) = acknowledged.count();
    ensure!(sends >= 100 && workloads >= 100, "there was load: {sends} sends, {workloads} workloads");
    eprintln!("{kills} kills, {sends} sends and {workloads} workloads that were acknowledged");
    Ok(())
}

async fn one(
    worker: usize,
    operator: &Operator,
    caller: &Caller,
    numbers: &AtomicUsize,
    acknowledged: &Acknowledged,
    token: &str,
    saas: &str,
) -> Result<()> {
    if worker < 3 {
        let path = format!("send?provider=google-calendar&scope=calendar.read&url={saas}/whose");
        let reply = caller.probe("probe", token, &path).await?;
        ensure!(reply.status == 200 && reply.text().starts_with("200 "), "{} {}", reply.status, reply.text());
        let id = reply.headers.get("attache-invocation-id").context("an invocation id")?.to_str()?.to_owned();
        acknowledged.sends.lock().unwrap().insert(id);
        return Ok(());
    }
    let name = format!("by-hand-{}", numbers.fetch_add(1, Ordering::Relaxed));
    let new = json!({ "name": name, "publisher": "tests.example", "allowed_return_urls": [] });
    let reply = operator.send(Method::POST, "/v1/workloads", new.to_string()).await?;
    ensure!(reply.status.is_success(), "{} {}", reply.status, reply.text());
    acknowledged.workloads.lock().unwrap().insert(name.clone());
    let reply = operator.send(Method::POST, &format!("/v1/agents/{name}/suspend"), "").await?;
    ensure!(reply.status.is_success(), "{} {}", reply.status, reply.text());
    acknowledged.suspended.lock().unwrap().insert(name);
    Ok(())
}

impl Acknowledged {
    fn count(&self) -> (usize, usize) {
        (self.workloads.lock().unwrap().len(), self.sends.lock().unwrap().len() + self.found.load(Ordering::Relaxed))
    }
}

fn all_there(world: &World, acknowledged: &Acknowledged) -> Result<()> {
    let agents = world.host.json(&["agents"])?;
    let agents = agents.as_array().context("a list")?;
    let names: HashSet<&str> = agents.iter().filter_map(|a| a["name"].as_str()).collect();
    let suspended: HashSet<&str> =
        agents.iter().filter(|a| a["state"] == "suspended").filter_map(|a| a["name"].as_str()).collect();
    for name in acknowledged.workloads.lock().unwrap().iter() {
        ensure!(names.contains(name.as_str()), "workload identity `{name}` was acknowledged and is gone");
    }
    for name in acknowledged.suspended.lock().unwrap().iter() {
        ensure!(suspended.contains(name.as_str()), "`{name}` was suspended and is not");
    }
    let audit = world.host.json(&["audit", "--action", "credential.send", "--limit", "10000"])?;
    let sent: HashSet<&str> =
        audit.as_array().context("a list")?.iter().filter_map(|e| e["invocation"].as_str()).collect();
    let mut sends = acknowledged.sends.lock().unwrap();
    for id in sends.drain() {
        ensure!(
            sent.contains(id.as_str()),
            "a credential was released in invocation {id}, and the trail does not say so"
        );
        acknowledged.found.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
