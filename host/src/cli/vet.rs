//! `attache vet`: may this component be listed or deployed? Reads it, and runs nothing of it.

use super::table::printable_lines;
use super::{Format, Global};
use crate::vet::{self, PROFILES, Policy, Report, Verdict};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Read at most: larger files are refused before they are in memory.
const MOST_BYTES: u64 = 256 << 20;

/// What to judge, and by which rules.
#[derive(Args)]
#[command(
    after_help = "The component is read and never run. Exit codes: 0 allowed, 1 refused, 2 could not be read.\n\n\
                        Examples:\n  \
                        attache vet calendar.wasm\n  \
                        attache vet calendar.wasm --policy marketplace --against calendar-1.0.wasm\n  \
                        attache vet calendar.wasm --policy our-rules.toml --format sarif > vet.sarif"
)]
pub(super) struct Vet {
    /// The component
    file: PathBuf,
    /// A file of rules, or one of the profiles that come along: internal, marketplace, strict
    #[arg(long, value_name = "FILE|PROFILE", default_value = "internal")]
    policy: String,
    /// The version before, to tell whether this one wants more
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl Vet {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // Whatever hinders a verdict is the third exit code: a pipeline must not take it for a refusal.
        match self.report() {
            Ok(report) => {
                print(&report, global.format)?;
                Ok(ExitCode::from(match report.verdict {
                    Verdict::Allowed => 0,
                    Verdict::Refused => 1,
                    Verdict::Unreadable => 2,
                }))
            }
            Err(error) => {
                eprintln!("error: {}", printable_lines(&format!("{error:#}")));
                Ok(ExitCode::from(2))
            }
        }
    }

    fn report(&self) -> anyhow::Result<Report> {
        let policy = policy(&self.policy)?;
        let bytes = read(&self.file)?;
        let before = self.against.as_deref().map(read).transpose()?;
        Ok(vet::vet(&self.file.to_string_lossy(), &bytes, before.as_deref(), &policy))
    }
}

fn policy(name: &str) -> anyhow::Result<Policy> {
    if let Some(policy) = Policy::profile(name) {
        return Ok(policy);
    }
    let text = std::fs::read_to_string(name).map_err(|error| {
        let profiles: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        anyhow!("`{name}` is neither a profile ({}) nor a file that can be read: {error}", profiles.join(", "))
    })?;
    Policy::parse(&text).with_context(|| format!("`{name}`"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    if path.to_string_lossy().starts_with("oci://") {
        bail!("`{shown}` is in a registry, from which this version does not read; pull it into a file and vet that");
    }
    let file = std::fs::File::open(path).with_context(|| format!("`{shown}` cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("`{shown}` cannot be read"))?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    ensure!(read <= MOST_BYTES, "`{shown}` has more than {} MiB, which no component needs", MOST_BYTES >> 20);
    Ok(bytes)
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => print!("{}", printable_lines(&vet::text(report))),
        Format::Markdown => print!("{}", printable_lines(&vet::markdown(report))),
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Format::Sarif => println!("{}", serde_json::to_string_pretty(&vet::sarif(report))?),
    }
    Ok(())
}
