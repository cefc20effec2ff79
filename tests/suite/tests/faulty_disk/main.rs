//! A disk that hangs and a disk that fails, under a whole host: what is not on disk has not happened, for anybody, and the
//! host goes on by itself once the disk does.
//!
//! The faults come from `disk.c`, which stands before the C library's functions in the host's process: SQLite meets the
//! errors where it would meet those of a real disk.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use suite::host::{binary, component};
use suite::world::{Person, World};

/// The host, with a disk whose faults are files in a folder.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let library = folder.path().join("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faulty_disk/disk.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        ensure!(
            compiled.context("a C compiler is needed, as for the host itself")?.success(),
            "disk.c does not compile"
        );
        let program = folder.path().join("attache");
        let script = format!(
            "#!/bin/sh\nLD_PRELOAD={} FAULTY_DISK={} exec {} \"$@\"\n",
            library.display(),
            folder.path().display(),
            binary()?.display()
        );
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    async fn world(&self) -> Result<World> {
        let program = self.folder.path().join("attache");
        World::start_with(|spec| spec.program = Some(program)).await
    }

    fn set(&self, fault: &str, on: bool) -> Result<()> {
        let path = self.folder.path().join(fault);
        if on {
            fs::write(path, "")?
        } else {
            fs::remove_file(path)?
        }
        Ok(())
    }

    fn has(&self, what: &str) -> bool {
        self.folder.path().join(what).exists()
    }
}

/// alice has granted her calendar; what asks for it, and how many requests the third party saw.
async fn granted(world: &World) -> Result<(Person, String)> {
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let send = format!("send?provider=google-calendar&scope=calendar.read&url={url}");
    ensure!(world.caller.probe("probe", &alice.token, &send).await?.text().starts_with("200 "));
    Ok((alice, send))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_takes_two_seconds_to_sync_nothing_is_told_or_sent() -> Result<()> {
    let disk = Disk::new()?;
    let world = disk.world().await?;
    let (alice, send) = granted(&world).await?;
    let before = world.stats().await?["requests"].clone();

    disk.set("hold", true)?;
    let calls = futures_util::future::join_all((0..8).map(|_| world.caller.probe("probe", &alice.token, &send)));
    let mut calls = Box::pin(calls);
    let early = tokio::time::timeout(Duration::from_secs(2), &mut calls).await;
    ensure!(early.is_err(), "answered before it was on disk: {early:?}");
    ensure!(disk.has("held"), "nobody waited for the disk: the test tests nothing");
    ensure!(world.stats().await?["requests"] == before, "something was sent that was not on disk");
    // What needs no disk goes on.
    let alive = world.caller.send(Method::GET, "/healthz", None, &[], "").await?;
    ensure!(alive.status == 200, "{alive:?}");

    disk.set("hold", false)?;
    for reply in calls.await {
        let reply = reply?;
        ensure!(reply.text().starts_with("200 "), "{reply:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_disk_fails_nothing_is_told_or_sent_and_it_goes_on_by_itself() -> Result<()> {
    let disk = Disk::new()?;
    let mut world = disk.world().await?;
    let (alice, send) = granted(&world).await?;

    for fault in ["fail-sync", "fail-write"] {
        let before = world.stats().await?["requests"].clone();
        disk.set(fault, true)?;
        // The first to come may find out; its guest is told so, and everybody after it gets 503.
        let first = world.caller.probe("probe", &alice.token, &send).await?;
        ensure!(!first.text().starts_with("200 "), "{fault}: {first:?}");
        for _ in 0..3 {
            let refused = world.caller.probe("probe", &alice.token, &send).await?;
            ensure!(refused.status == 503, "{fault}: {refused:?}");
        }
        ensure!(world.stats().await?["requests"] == before, "{fault}: something was sent that was not written down");
        disk.set(fault, false)?;
        world
            .until("the host goes on", async || {
                Ok(world.caller.probe("probe", &alice.token, &send).await?.text().starts_with("200 "))
            })
            .await?;
    }

    // What cannot be read is an error, and no empty answer.
    disk.set("fail-read", true)?;
    let listed = world.host.json(&["audit", "--limit", "1000"]);
    disk.set("fail-read", false)?;
    if let Ok(listed) = listed {
        // It may have been in memory.
        ensure!(listed.as_array().is_some_and(|entries| !entries.is_empty()), "an empty trail: {listed}");
    }

    // And all of it is there after the next start.
    world.host.restart()?;
    ensure!(world.caller.probe("probe", &alice.token, &send).await?.text().starts_with("200 "));
    let sent = world.host.json(&["audit", "--action", "credential.send", "--limit", "1000"])?;
    let sent = sent.as_array().context("a list")?;
    // A sending is on disk before it is made; how it ended may have met the fault, and then a gap says so.
    ensure!(sent.len() >= 4, "{} records of four sendings that were answered: {sent:#?}", sent.len());
    if sent.iter().any(|entry| entry["closed_at"].is_null()) {
        let gaps = world.host.json(&["audit", "--action", "audit.gap"])?;
        ensure!(gaps.as_array().is_some_and(|gaps| !gaps.is_empty()), "nothing tells of the records that are missing");
    }
    Ok(())
}
