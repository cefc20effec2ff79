//! What the second wall costs: a host with worker processes against one without, in turns.

use crate::load::{Target, rate};
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};
use suite::host::component;
use suite::world::World;

const ASK: &str = "acquire?provider=google-calendar&scope=calendar.read";

struct Side {
    world: World,
    token: String,
}

impl Side {
    async fn start(isolation: &str) -> Result<Self> {
        let engine = format!("\n[engine]\nisolation = {isolation:?}\n");
        let world = World::start_with(|spec| spec.extra.push_str(&format!("{engine}{}", crate::NO_RATE))).await?;
        world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
        world.host.deploy("probe", &component("probe")?, "bench.example")?;
        let mut alice = world.person("alice").await?;
        world.grant(&mut alice, "probe", ASK).await?;
        let token = world.token_with(json!({ "user": "alice", "expires_in": 7200 })).await?;
        Ok(Self { world, token })
    }

    fn target(&self, path: &str) -> Target {
        Target {
            address: self.world.host.url.trim_start_matches("http://").to_owned(),
            path: format!("/agents/probe/invocations/{path}"),
            token: Some(self.token.clone()),
        }
    }
}

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("the second wall");
    let (without, with) = (Side::start("sandbox").await?, Side::start("process").await?);
    let (rounds, time) = if report.quick { (3, Duration::from_millis(700)) } else { (7, Duration::from_secs(2)) };
    for (path, what) in [("", "no credential"), (ASK, "one credential")] {
        for connections in [1, 32] {
            let (inside, apart) = (without.target(path), with.target(path));
            rate(&inside, connections, Duration::from_millis(300)).await?;
            rate(&apart, connections, Duration::from_millis(300)).await?;
            let (mut insides, mut aparts, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..rounds {
                let one = rate(&inside, connections, time).await?;
                let other = rate(&apart, connections, time).await?;
                insides.push(one);
                aparts.push(other);
                ratios.push(other / one);
            }
            let many = format!("{what}, {connections} connection{}", if connections == 1 { "" } else { "s" });
            report.add(&format!("in the host's process; {many}"), "requests/s", &mut insides, None);
            report.add(&format!("in a worker process; {many}"), "requests/s", &mut aparts, None);
            report.add(&format!("in a worker / in the host's process; {many}"), "×", &mut ratios, None);
        }
    }
    let mut idle: Vec<f64> = Vec::new();
    for pid in with.world.host.workers()? {
        idle.push(proportional(pid)?);
    }
    ensure!(!idle.is_empty(), "workers wait for more to do");
    report.add("memory of a worker that waits, its share of what is shared", "MiB", &mut idle, None);

    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for pid in with.world.host.workers()? {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("a process")?;
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        }
        while !with.world.host.workers()?.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Until the host has seen it too: a call that meets a worker's death is told so, and is not tried again.
        tokio::time::sleep(Duration::from_millis(50)).await;
        first.push(once(&with).await?);
        later.push(once(&with).await?);
    }
    report.add("first call, which starts a worker", "ms", &mut first, None);
    report.add("a call that finds one", "ms", &mut later, None);
    Ok(())
}

async fn once(side: &Side) -> Result<f64> {
    let began = Instant::now();
    let reply = side.world.caller.probe("probe", &side.token, "").await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// MiB, with the pages that processes share divided among them (proc(5), `smaps_rollup`).
fn proportional(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find(|line| line.starts_with("Pss:")).context("a size")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<f64>()? / 1024.0)
}
