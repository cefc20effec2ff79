//! A host and its test bed, left running for any outside client.

use crate::run;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

fn folder() -> PathBuf {
    run::checkout().join(".cache/up")
}

/// Starts them and prints how to reach them, as `NAME=value` lines. They are also in `.cache/up/env`.
pub(crate) fn up() -> Result<()> {
    let folder = folder();
    if let Some(process) = running() {
        bail!("it is up already, as process {process}; see `.cache/up/env`, or run `cargo xtask down`");
    }
    let built = crate::prepare()?;
    fs::create_dir_all(&folder)?;
    let log = folder.join("log");
    let mut process = run::command(run::built("up"))
        .env("ATTACHE_GUESTS", built)
        .into_inner()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?)
        .spawn()
        .context("the test bed does not start")?;
    fs::write(folder.join("pid"), process.id().to_string())?;
    let mut env = String::new();
    let output = process.stdout.take().context("the test bed has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line == "# up" {
            fs::write(folder.join("env"), &env)?;
            print!("{env}");
            eprintln!("\nIt is up; `cargo xtask down` stops it.");
            return Ok(());
        }
        env.push_str(&line);
        env.push('\n');
    }
    fs::remove_file(folder.join("pid"))?;
    bail!("it did not come up: {}", fs::read_to_string(log).unwrap_or_default())
}

/// Stops them, and waits until they are gone.
pub(crate) fn down() -> Result<()> {
    let Some(process) = running() else {
        eprintln!("nothing is up");
        return Ok(());
    };
    ensure!(run::command("kill").args([&process]).works(), "process {process} cannot be ended");
    for _ in 0..100 {
        if running().is_none() {
            fs::remove_file(folder().join("pid"))?;
            eprintln!("down");
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("process {process} does not end; run `kill -9 {process}`")
}

/// The process of the last `up`, if it is still that program.
fn running() -> Option<String> {
    let process = fs::read_to_string(folder().join("pid")).ok()?;
    let program = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("up")).then_some(process)
}
