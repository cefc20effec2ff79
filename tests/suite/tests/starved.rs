//! A host that runs out of file descriptors: it refuses or waits, loses nothing, and goes on by itself.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use suite::host::component;
use suite::world::World;

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_file_descriptors_nothing_is_lost_and_it_goes_on_by_itself() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let send = format!("send?provider=google-calendar&scope=calendar.read&url={}", encoded(&url));
    ensure!(world.caller.probe("probe", &alice.token, &send).await?.text().starts_with("200 "));

    // A few more than it has open now, and a crowd that takes them all and says nothing.
    let pid = world.host.pid().context("it runs")?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let limit = format!("--nofile={}:", open + 8);
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().context("prlimit")?;
    ensure!(limited.success(), "prlimit ended with {limited}");
    let address = world.host.url.trim_start_matches("http://").to_owned();
    let crowd: Vec<TcpStream> = (0..64).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    ensure!(crowd.len() > 16, "the kernel takes connections that the host cannot: {}", crowd.len());
    let mut answered = 0;
    for _ in 0..8 {
        let call = world.caller.probe("probe", &alice.token, &send);
        if let Ok(Ok(reply)) = tokio::time::timeout(Duration::from_secs(2), call).await {
            // A connection that was there before may still be of use; what cannot be had is told.
            let text = reply.text();
            ensure!(!text.contains("panic"), "{} {text}", reply.status);
            answered += usize::from(text.starts_with("200 "));
        }
    }
    eprintln!("{answered} of 8 were served meanwhile");
    ensure!(world.host.pid() == Some(pid), "it is still the same process");

    // The crowd goes; the limit stays.
    drop(crowd);
    world
        .until("the host goes on", async || {
            let call = world.caller.probe("probe", &alice.token, &send);
            let reply = tokio::time::timeout(Duration::from_secs(3), call).await;
            Ok(reply.is_ok_and(|reply| reply.is_ok_and(|reply| reply.text().starts_with("200 "))))
        })
        .await?;
    let grants = world.caller.send(Method::GET, "/grants", Some(&alice.token), &[], "").await?.json();
    ensure!(grants.as_array().is_some_and(|grants| grants.len() == 1), "the grant stands: {grants}");
    // Every sending that was allowed has its record, open ones included.
    let sent = world.host.json(&["audit", "--action", "credential.send", "--limit", "1000"])?;
    let allowed = sent.as_array().context("a list")?.iter().filter(|entry| entry["decision"] == "allowed").count();
    ensure!(allowed > answered, "{allowed} records of {answered} answers and more");
    Ok(())
}
