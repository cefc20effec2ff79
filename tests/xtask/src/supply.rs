//! What we build with: judged by cargo-deny, and written into the binary of a release by cargo-auditable.

use crate::run;
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// The tool, at a version that was looked at; built from its lock file into `.cache/tools`, once.
fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let root = run::checkout().join(".cache/tools");
    let program = root.join("bin").join(name);
    let there = run::command(&program).args(["--version"]).output();
    if !there.is_some_and(|line| line.ends_with(version)) {
        eprintln!("    building {name} {version} from crates.io, some minutes");
        run::cargo_command(["install", name, "--locked", "--version", version, "--root"])
            .args([&root])
            // Not into our own target folder: it has features of its own.
            .env("CARGO_TARGET_DIR", run::checkout().join(".cache/tools/target"))
            .done_quietly(&format!("building {name}"), &format!("{name} cannot be built"))?;
    }
    Ok(program)
}

/// Licences, bans, sources and advisories, by `deny.toml`. Without network, the advisories that are kept here decide: the
/// test `no_advisory_applies_to_what_we_build_with` asks them too.
pub(crate) fn deny(arguments: &[String]) -> Result<()> {
    run::heading("cargo-deny");
    let deny = tool("cargo-deny", "0.20.2")?;
    let asked: &[&str] = if arguments.is_empty() { &["licenses", "bans", "sources"] } else { &[] };
    run::command(deny)
        .args(["--workspace", "--locked", "check"])
        .args(asked)
        .args(arguments)
        .done("cargo-deny found something; the lines above say what")
}

/// The program as it is given to others: optimised, with the list of what it was built of inside (`.dep-v0`), which
/// `cargo audit bin` and other scanners read.
pub(crate) fn release() -> Result<()> {
    run::heading("the host, with the list of its dependencies");
    let auditable = tool("cargo-auditable", "0.7.7")?;
    run::command(auditable)
        .args(["auditable", "build", "--release", "--locked", "--package", "attache", "--bin", "attache"])
        .done("the release cannot be built")?;
    let program = run::target().join("release/attache");
    let digest = run::command("sha256sum").args([&program]).output().context("`sha256sum` is missing")?;
    println!("{digest}");
    Ok(())
}
