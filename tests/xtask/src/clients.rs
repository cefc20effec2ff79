//! The official clients of the API that we serve, from PyPI, exactly as `tests/clients/requirements.txt` says, into a
//! virtual environment of their own: `.cache/clients`.

use crate::{debian, run};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::PathBuf;

/// The Python that has them.
fn python() -> PathBuf {
    run::checkout().join(".cache/clients/bin/python")
}

/// Installs them unless they are there.
pub(crate) fn install() -> Result<()> {
    let wanted = run::checkout().join("tests/clients/requirements.txt");
    let folder = run::checkout().join(".cache/clients");
    // Written last, so that an installation that was cut short is made again.
    let stamp = folder.join("installed.txt");
    let text = fs::read(&wanted).context("which clients to install")?;
    if fs::read(&stamp).is_ok_and(|installed| installed == text) && run::command(python()).args(["--version"]).works() {
        return Ok(());
    }
    // Debian keeps the part that makes environments apart from Python.
    let there = debian::present("Python with its module `venv`", &["python3-venv"], || {
        run::command("python3").args(["-c", "import ensurepip, venv"]).works()
    });
    ensure!(there, "Python with its module `venv` is missing; `apt-get install python3-venv`");
    eprintln!("    installing boto3 and the bedrock-agentcore SDK from PyPI, less than a minute");
    run::command("python3")
        .args(["-m", "venv", "--clear"])
        .args([&folder])
        .done_quietly("making a virtual environment", "a virtual environment cannot be made")?;
    run::command(python())
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"])
        .args([&wanted])
        .done_quietly("installing the clients", "pip cannot install the clients")?;
    fs::write(stamp, text)?;
    Ok(())
}
