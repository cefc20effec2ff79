//! Running other programs: what is run, how long it takes, and what it means when it fails.

use anyhow::{Context as _, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The top of the checkout.
pub(crate) fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), |folder| checkout().join(folder))
}

/// A binary of this workspace, as cargo builds it for development.
pub(crate) fn built(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Says what comes next.
pub(crate) fn heading(what: &str) {
    eprintln!("\n==> {what}");
}

/// A program, run at the top of the checkout.
pub(crate) struct Run(Command);

pub(crate) fn command(program: impl AsRef<OsStr>) -> Run {
    let mut command = Command::new(program);
    command.current_dir(checkout());
    Run(command)
}

impl Run {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.0.env(name, value);
        self
    }

    pub(crate) fn within(mut self, folder: &Path) -> Run {
        self.0.current_dir(folder);
        self
    }

    /// Runs it to its end, with our own output; `failure` is said when it does not succeed.
    pub(crate) fn done(mut self, failure: &str) -> Result<()> {
        let program = self.0.get_program().to_string_lossy().into_owned();
        let status = self.0.status().with_context(|| format!("`{program}` does not start"))?;
        if !status.success() {
            bail!("{failure}");
        }
        Ok(())
    }

    /// Runs a program that is silent while it works: says every five seconds that it still does. Its output is shown
    /// only if it fails.
    pub(crate) fn done_quietly(mut self, what: &str, failure: &str) -> Result<()> {
        let started = Instant::now();
        let (ended, end) = mpsc::channel::<()>();
        let label = what.to_owned();
        let ticker = thread::spawn(move || {
            while end.recv_timeout(Duration::from_secs(5)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    still {label}, {} s", started.elapsed().as_secs());
            }
        });
        let output = self.0.stdin(Stdio::null()).output();
        drop(ended);
        // The ticker cannot panic, and what it says does not matter to the outcome.
        let _ = ticker.join();
        let output = output.with_context(|| format!("`{}` does not start", self.0.get_program().to_string_lossy()))?;
        if !output.status.success() {
            bail!("{failure}\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Whether it starts and succeeds. Shows nothing.
    pub(crate) fn works(mut self) -> bool {
        let silent = self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    }

    /// What it prints, if it succeeds.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.0.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// For what goes on beside us.
    pub(crate) fn into_inner(self) -> Command {
        self.0
    }
}

/// The cargo that runs us.
pub(crate) fn cargo_command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(arguments)
}

/// Runs cargo to its end.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Result<()> {
    cargo_command(arguments).done(&format!("`cargo {}` failed", arguments.join(" ")))
}
