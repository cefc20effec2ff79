//! The agents: examples and those that only tests run, built for wasm32-wasip2.

use crate::run;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

const TARGET: &str = "wasm32-wasip2";

/// Builds all of them and returns the folder with the components. They have a target folder of their own, so that a
/// test which builds one does not wait for the cargo that runs it.
pub(crate) fn build() -> Result<PathBuf> {
    target()?;
    let folder = run::target().join("guests");
    let packages = packages("examples")?.into_iter().chain(packages("tests/guests")?);
    let selection = packages.flat_map(|name| ["--package".to_owned(), name]);
    run::cargo_command(["build", "--profile", "guest", "--target", TARGET, "--target-dir"])
        .args([&folder])
        .args(selection)
        .done("the agents do not build")?;
    Ok(folder.join(TARGET).join("guest"))
}

/// The names of those that are built for nothing else: their folders' names.
pub(crate) fn packages(folder: &str) -> Result<Vec<String>> {
    let folder = run::checkout().join(folder);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("`{}`", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn target() -> Result<()> {
    let installed = || {
        let folder = run::command("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        folder.is_some_and(|folder| Path::new(&folder).exists())
    };
    if installed() {
        return Ok(());
    }
    eprintln!("    adding the target {TARGET} with rustup");
    let added = run::command("rustup").args(["target", "add", TARGET]).works();
    ensure!(added && installed(), "the target {TARGET} is missing; run `rustup target add {TARGET}`");
    Ok(())
}
