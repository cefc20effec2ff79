//! Figures over HTTP: the whole host against the same component on the same engine without it, in turns.

use crate::load::{Target, rate};
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use suite::host::{component, free_port};
use suite::world::World;

/// One credential read: the guest asks for a credential and answers with what it got.
const ASK: &str = "acquire?provider=google-calendar&scope=calendar.read";

/// A process that is stopped when this is dropped.
pub(crate) struct Stopped(pub(crate) Child);
impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("over HTTP");
    let world = World::start_with(|spec| spec.extra.push_str(crate::NO_RATE)).await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    world.host.deploy("probe", &component("probe")?, "bench.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", ASK).await?;
    let token = world.token_with(json!({ "user": "alice", "expires_in": 7200 })).await?;
    let host = |path: &str| Target {
        address: world.host.url.trim_start_matches("http://").to_owned(),
        path: format!("/agents/probe/invocations/{path}"),
        token: Some(token.clone()),
    };

    let port = free_port()?;
    let bare = Command::new(std::env::current_exe()?)
        .arg("bare")
        .arg(port.to_string())
        .arg(component("probe")?)
        .stdin(Stdio::null())
        .spawn()?;
    let (host_id, bare_id) = (world.host.pid().context("a running host")?, bare.id());
    let _bare = Stopped(bare);
    let bare = |path: &str| Target { address: format!("127.0.0.1:{port}"), path: format!("/{path}"), token: None };
    up(&bare("")).await?;

    let wasmtime = wasmtime_serve()?;
    let (rounds, time) = if report.quick { (3, Duration::from_millis(700)) } else { (7, Duration::from_secs(2)) };
    for connections in [1, 32] {
        let (mut full, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut full_cpu, mut without_cpu, mut cpu_ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut against: Vec<Vec<f64>> = wasmtime.iter().map(|_| Vec::new()).collect();
        // Warm both, then take turns: the machine's speed drifts, the ratio of neighbours does not.
        rate(&host(ASK), connections, Duration::from_millis(300)).await?;
        rate(&bare(ASK), connections, Duration::from_millis(300)).await?;
        for _ in 0..rounds {
            let (ours, our_cpu) = timed(host_id, &host(ASK), connections, time).await?;
            let (theirs, their_cpu) = timed(bare_id, &bare(ASK), connections, time).await?;
            full_cpu.push(our_cpu);
            without_cpu.push(their_cpu);
            cpu_ratios.push(their_cpu / our_cpu);
            for (serve, ratios) in wasmtime.iter().zip(&mut against) {
                ratios.push(ours / rate(&serve.target, connections, time).await?);
            }
            full.push(ours);
            without.push(theirs);
            ratios.push(ours / theirs);
        }
        let many = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
        report.add(&format!("bound, verified, audited, one credential; {many}"), "requests/s", &mut full, None);
        report.add(&format!("the same component and engine without us; {many}"), "requests/s", &mut without, None);
        report.add(&format!("with us / without us; {many}"), "×", &mut ratios, Some("≥ 0.8"));
        report.add(&format!("processor time of a request with us; {many}"), "µs", &mut full_cpu, None);
        report.add(&format!("processor time of a request without us; {many}"), "µs", &mut without_cpu, None);
        report.add(&format!("processor time without us / with us; {many}"), "×", &mut cpu_ratios, Some("≥ 0.8"));
        for (serve, mut ratios) in wasmtime.iter().zip(against) {
            report.add(
                &format!("with us / {}; {many}", serve.name),
                "×",
                &mut ratios,
                Some("≥ 1 with the same pool flags"),
            );
        }
    }
    if wasmtime.is_empty() {
        eprintln!("  no `wasmtime` on the path: not compared with `wasmtime serve`");
    }
    Ok(())
}

/// Requests per second, and the server's processor time of one in microseconds: what other programs on the machine do
/// changes the first more than the second.
async fn timed(process: u32, target: &Target, connections: usize, time: Duration) -> Result<(f64, f64)> {
    let before = processor_time(process)?;
    let per_second = rate(target, connections, time).await?;
    let spent = processor_time(process)? - before;
    Ok((per_second, spent * 1e6 / (per_second * time.as_secs_f64())))
}

/// Seconds that a process has spent, in itself and in the kernel (proc(5): fields 14 and 15, in hundredths).
pub(crate) fn processor_time(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("a name")?.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

struct Serve {
    name: &'static str,
    target: Target,
    _process: Stopped,
}

/// `wasmtime serve` over the smallest example, with its defaults and with our pool flags, where that binary is present.
fn wasmtime_serve() -> Result<Vec<Serve>> {
    let found = Command::new("wasmtime").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    let ours = ["-O", "pooling-allocator=y", "-O", "pooling-max-memory-size=67108864", "-W", "concurrency-support=n"];
    for (name, flags) in [("wasmtime serve, its defaults", &[][..]), ("wasmtime serve, our pool flags", &ours[..])] {
        let port = free_port()?;
        let process = Command::new("wasmtime")
            .args(["serve", "-Scli", "--addr", &format!("127.0.0.1:{port}")])
            .args(flags)
            .arg(component("plain")?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("wasmtime serve")?;
        let target = Target { address: format!("127.0.0.1:{port}"), path: "/".into(), token: None };
        all.push(Serve { name, target, _process: Stopped(process) });
    }
    std::thread::sleep(Duration::from_secs(1));
    Ok(all)
}

pub(crate) async fn up(target: &Target) -> Result<()> {
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(&target.address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(false, "nothing answers at {}", target.address);
    Ok(())
}
