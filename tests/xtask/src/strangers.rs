//! Components that we did not make, for `attache vet` to judge: made by the tools of other languages from PyPI and npm, into
//! `.cache/vet`. Takes minutes, so only `cargo xtask strangers` does it; the tests use what is there.

use crate::run;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// Installs the tools and makes what is missing.
pub(crate) fn make() -> Result<()> {
    let from = run::checkout().join("tests/strangers");
    let into = run::checkout().join(".cache/vet");
    fs::create_dir_all(into.join("js")).context("a folder for components of others")?;
    python(&from, &into)?;
    javascript(&from, &into)?;
    // Those that lie in the packages as they are.
    let tools = into.join("js/node_modules/@bytecodealliance");
    for (name, path) in [
        ("adapter-command", "jco/lib/wasi_snapshot_preview1.command.wasm"),
        ("adapter-reactor", "jco/lib/wasi_snapshot_preview1.reactor.wasm"),
        ("splicer-core", "componentize-js/lib/spidermonkey-embedding-splicer.core2.wasm"),
    ] {
        fs::copy(tools.join(path), into.join(format!("{name}.wasm"))).with_context(|| format!("`{path}` of npm"))?;
    }
    Ok(())
}

fn python(from: &Path, into: &Path) -> Result<()> {
    let bin = into.join("py/bin");
    if !bin.join("componentize-py").exists() {
        eprintln!("    installing componentize-py from PyPI, about a minute");
        run::command("python3")
            .args(["-m", "venv", "--clear"])
            .args([&into.join("py")])
            .done_quietly("making a virtual environment", "a virtual environment cannot be made")?;
        run::command(bin.join("python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"])
            .args([&from.join("requirements.txt")])
            .done_quietly("installing componentize-py", "pip cannot install componentize-py")?;
    }
    for (name, more) in [("python", None), ("python-stubbed", Some("--stub-wasi"))] {
        let file = into.join(format!("{name}.wasm"));
        if !file.exists() {
            run::command(bin.join("componentize-py"))
                .args(["-d"])
                .args([&from.join("wit")])
                .args(["-w", "demo", "componentize"])
                .args(more)
                .args(["-p"])
                .args([from])
                .args(["app", "-o"])
                .args([&file])
                .done_quietly("making a component in Python", "componentize-py cannot make a component")?;
        }
    }
    Ok(())
}

fn javascript(from: &Path, into: &Path) -> Result<()> {
    let folder = into.join("js");
    for file in ["package.json", "make.mjs"] {
        fs::copy(from.join(file), folder.join(file)).with_context(|| format!("`{file}`"))?;
    }
    if !folder.join("node_modules/@bytecodealliance/jco/package.json").exists() {
        eprintln!("    installing jco and componentize-js from npm, about a minute");
        run::command("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .args([&folder])
            .done_quietly("installing jco", "npm cannot install jco and componentize-js")?;
    }
    if !into.join("javascript-bare.wasm").exists() {
        run::command("node")
            .args([&folder.join("make.mjs"), &from.join("app.js"), &from.join("wit"), into])
            .done_quietly("making components in JavaScript", "componentize-js cannot make a component")?;
    }
    if !into.join("quickjs.wasm").exists() {
        run::command(folder.join("node_modules/.bin/jco"))
            .args(["componentize"])
            .args([&from.join("app.js")])
            .args(["--wit"])
            .args([&from.join("wit")])
            .args(["-n", "demo", "--backend", "quickjs", "--backend-qjs-stub-wasi", "-o"])
            .args([&into.join("quickjs.wasm")])
            .done_quietly("making a component with QuickJS", "jco cannot make a component")?;
    }
    Ok(())
}
