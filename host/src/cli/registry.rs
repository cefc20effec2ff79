//! `attache push` and `attache pull`: components in OCI registries, as every tool that speaks of Wasm lays them out.

use super::admin::patiently;
use super::login::Login;
use super::vet::{MOST_BYTES, read};
use super::vetting::judge;
use super::{Format, Global};
use crate::ids::Digest;
use crate::oci::Reference;
use crate::vet::{Form, Order, Verdict};
use anyhow::{Context as _, bail};
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to push, and where.
#[derive(Args)]
#[command(after_help = "Plain HTTP is spoken to registries on this machine alone.\n\nExamples:\n  \
                  attache push calendar.wasm registry.example/team/calendar:1.2\n  \
                  attache push calendar.wasm localhost:5000/calendar:1.2")]
pub(super) struct Push {
    /// The component
    file: PathBuf,
    /// Where it goes: REGISTRY/REPOSITORY:TAG
    reference: Reference,
    #[command(flatten)]
    login: Login,
}

/// What to pull, and into which file.
#[derive(Args)]
#[command(after_help = "Examples:\n  attache pull registry.example/team/calendar:1.2 -o calendar.wasm")]
pub(super) struct Pull {
    /// What is wanted: REGISTRY/REPOSITORY:TAG, or with @sha256:… for just that
    reference: Reference,
    /// The file [default: the repository's last part, with .wasm]
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    login: Login,
}

impl Push {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let bytes = read(&self.file, MOST_BYTES)?;
        let (imports, exports) = interfaces(&self.file.to_string_lossy(), &bytes)?;
        let registry = self.login.registry(&self.reference)?;
        let digest = Digest::of(&bytes);
        let pushed = registry.push(&self.reference, bytes, &imports, &exports);
        let manifest = patiently("the registry takes it", pushed).await?;
        let pinned = self.reference.pinned(&manifest);
        match global.format {
            Format::Json => println!(
                "{}",
                serde_json::json!({ "reference": pinned.to_string(), "manifest": manifest, "digest": digest.to_string() })
            ),
            _ => println!("pushed {pinned}\nthe component is {digest}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Pull {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let name = self.reference.repository.rsplit('/').next().unwrap_or("component");
        let file = self.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
        if file.exists() && !self.force {
            bail!("`{}` is there already; name another file with `-o`, or pass `--force`", file.display());
        }
        let registry = self.login.registry(&self.reference)?;
        let pulled = registry.pull(&self.reference);
        let pulled = patiently("the registry gives it", pulled).await?;
        let digest = Digest::of(&pulled.bytes);
        // Whole or not at all.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
        let (mut whole, draft) = draft_in(&folder)?;
        let written = whole.write_all(&pulled.bytes).and_then(|()| std::fs::rename(&draft, &file));
        if written.is_err() {
            // What is left of it is of no use; that it cannot be removed either is told by the error below.
            let _ = std::fs::remove_file(&draft);
        }
        written.with_context(|| format!("`{}` cannot be written", file.display()))?;
        let pinned = self.reference.pinned(&pulled.manifest);
        match global.format {
            Format::Json => println!(
                "{}",
                serde_json::json!({
                    "reference": pinned.to_string(), "manifest": pulled.manifest, "digest": digest.to_string(),
                    "file": file,
                })
            ),
            _ => println!("pulled {pinned}\ninto {}, which is {digest}", file.display()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A file of no name that anybody uses, in this folder.
fn draft_in(folder: &std::path::Path) -> anyhow::Result<(std::fs::File, PathBuf)> {
    let mut random = [0; 8];
    crate::ids::fill_random(&mut random);
    let path = folder.join(format!(".attache-pull-{:016x}", u64::from_be_bytes(random)));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    Ok((file.with_context(|| format!("nothing can be written into `{}`", folder.display()))?, path))
}

/// What a component imports and exports, read in a process apart.
fn interfaces(name: &str, bytes: &[u8]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let order = Order {
        file: name.to_owned(),
        policy: "internal".into(),
        manifest: None,
        evidence: Vec::new(),
        trust: None,
        advisories: None,
        form: Form::Json,
    };
    let judged = judge(&order, bytes, None)?;
    let report: serde_json::Value = serde_json::from_str(&judged.report).context("the report cannot be read")?;
    if judged.verdict == Verdict::Unreadable {
        bail!("`{name}` cannot be pushed: {}", report["summary"].as_str().unwrap_or_default());
    }
    let names = |of: &str| {
        let all = report[of].as_array().into_iter().flatten();
        let mut names: Vec<String> = all.filter_map(|one| one["interface"].as_str().map(str::to_owned)).collect();
        names.dedup();
        names
    };
    Ok((names("imports"), names("exports")))
}
