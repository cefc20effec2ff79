//! `attache vet`: may this component be listed or deployed? Reads it, in a process apart, and runs nothing of it.

use super::login::{Login, evidence};
use super::table::printable_lines;
use super::vetting::{Judged, judge};
use super::{Format, Global, run};
use crate::config::Glance;
use crate::oci::Reference;
use crate::vet::{Advisories, Evidence, Form, Order, PROFILES, Trust, TrustFile, Verdict, policy_of};
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Read at most: larger files are refused before they are in memory.
pub(super) const MOST_BYTES: u64 = 256 << 20;
/// Of a signature, a trust file, a policy, or attestations.
const MOST_BESIDES: u64 = 4 << 20;

/// What to judge, and by which rules.
#[derive(Args)]
#[command(
    after_help = "The component is read and never run, unless you ask for it with `--run`. Exit codes: 0 allowed, 1 refused, 2 could not be read.\n\n\
                        Examples:\n  \
                        attache vet calendar.wasm\n  \
                        attache vet calendar.wasm --policy marketplace --against calendar-1.0.wasm\n  \
                        attache vet calendar.wasm --run\n  \
                        attache vet oci://registry.example/calendar:1.1 --policy strict --trust keys.toml\n  \
                        attache vet calendar.wasm --policy our-rules.toml --format sarif > vet.sarif"
)]
pub(super) struct Vet {
    /// The component: a file, or oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "FILE|oci://REF")]
    component: String,
    #[command(flatten)]
    rules: Rules,
    /// Run it besides, in a process that reaches nothing, with a credential that is worth nothing, and say what it did
    #[arg(long)]
    run: bool,
    /// Ask it this, too, when it is run: JSON; may be repeated
    #[arg(long, value_name = "JSON", requires = "run")]
    ask: Vec<String>,
    /// The version before, to tell whether this one wants more
    #[arg(long, value_name = "FILE|oci://REF")]
    against: Option<String>,
}

/// By which rules a component is judged.
#[derive(Args, Clone)]
pub(super) struct Rules {
    /// A file of rules, or one of the profiles that come along: internal, marketplace, strict
    #[arg(long, value_name = "FILE|PROFILE")]
    pub(super) policy: Option<String>,
    /// Whose signatures count: a file of keys and identities
    #[arg(long, value_name = "FILE")]
    pub(super) trust: Option<PathBuf>,
    /// A copy of RustSec's advisory database, to look up what a component was built of
    #[arg(long, value_name = "DIR")]
    pub(super) advisories: Option<PathBuf>,
    #[command(flatten)]
    pub(super) login: Login,
}

/// A component, with what was found beside it.
pub(super) struct Found {
    /// What reports call it.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// `sha256:…` of its manifest, where it came from a registry.
    pub(super) manifest: Option<String>,
    pub(super) evidence: Vec<Evidence>,
}

impl Vet {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // Whatever hinders a verdict is the third exit code: a pipeline must not take it for a refusal.
        match self.judged(global.format).await {
            Ok(judged) => {
                match global.format {
                    Format::Text | Format::Markdown => print!("{}", printable_lines(&judged.report)),
                    Format::Json | Format::Sarif => {
                        let report: serde_json::Value = serde_json::from_str(&judged.report)?;
                        println!("{}", serde_json::to_string_pretty(&report)?);
                    }
                }
                Ok(ExitCode::from(match judged.verdict {
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

    async fn judged(&self, format: Format) -> anyhow::Result<Judged> {
        let form = match format {
            Format::Text => Form::Text,
            Format::Json => Form::Json,
            Format::Sarif => Form::Sarif,
            Format::Markdown => Form::Markdown,
        };
        ensure!(
            !self.run || matches!(form, Form::Text | Form::Json),
            "what a component did when it was run is told as text or JSON; leave `--run` or the format away"
        );
        // The rules first: whoever mistyped one need not wait for a registry.
        let mut order = self.rules.order(form)?;
        let found = find(&self.component, &self.rules.login).await?;
        let before = match &self.against {
            Some(before) => Some(find(before, &self.rules.login).await?.bytes),
            None => None,
        };
        order.about(&found);
        let judged = judge(&order, &found.bytes, before.as_deref())?;
        match self.run && judged.verdict != Verdict::Unreadable {
            true => run::with_rehearsal(&order, found.bytes, judged, before.as_deref(), &self.ask).await,
            false => Ok(judged),
        }
    }
}

impl Rules {
    /// To judge by these; of which component is still to be said.
    pub(super) fn order(&self, form: Form) -> anyhow::Result<Order> {
        let policy = policy_text(self.policy.as_deref().unwrap_or("internal"))?;
        let trust = match &self.trust {
            Some(path) => Some(trust_file(path)?),
            None => None,
        };
        let advisories = self.advisories.as_deref().map(Advisories::open).transpose()?;
        let (file, manifest, evidence) = (String::new(), None, Vec::new());
        Ok(Order { file, policy, manifest, evidence, trust, advisories, form })
    }
}

impl Rules {
    /// What is not said here, as the configuration has it under `[deploy]`.
    pub(super) fn or(mut self, glance: Option<&Glance>) -> Self {
        if let Some(glance) = glance {
            self.policy = self.policy.or_else(|| glance.deploy.policy.clone());
            self.trust = self.trust.or_else(|| glance.deploy.trust.clone());
            self.advisories = self.advisories.or_else(|| glance.deploy.advisories.clone());
        }
        self
    }
}

impl Order {
    /// That it is about this component.
    pub(super) fn about(&mut self, found: &Found) {
        self.file.clone_from(&found.name);
        self.manifest.clone_from(&found.manifest);
        self.evidence.clone_from(&found.evidence);
    }
}

/// A profile's name, or the text of a file that was understood.
pub(super) fn policy_text(name: &str) -> anyhow::Result<String> {
    if PROFILES.iter().any(|(profile, _)| *profile == name) {
        return Ok(name.to_owned());
    }
    let text = std::fs::read_to_string(name).map_err(|error| {
        let profiles: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        anyhow!("`{name}` is neither a profile ({}) nor a file that can be read: {error}", profiles.join(", "))
    })?;
    policy_of(&text).with_context(|| format!("`{name}`"))?;
    Ok(text)
}

/// Reads a component from a file, with the signature and the attestations beside it, or from a registry with those there.
pub(super) async fn find(component: &str, login: &Login) -> anyhow::Result<Found> {
    if let Some(reference) = component.strip_prefix("oci://") {
        let reference: Reference = reference.parse()?;
        let registry = login.registry(&reference)?;
        let pulled = registry.pull(&reference).await?;
        let evidence = evidence(&registry, &reference, &pulled.manifest).await?;
        let name = format!("oci://{}", reference.pinned(&pulled.manifest));
        return Ok(Found { name, bytes: pulled.bytes, manifest: Some(pulled.manifest), evidence });
    }
    let path = Path::new(component);
    let bytes = read(path, MOST_BYTES)?;
    let beside = |ending: &str| PathBuf::from(format!("{component}.{ending}"));
    let mut evidence = Vec::new();
    let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let signature = beside(SIGNATURE);
    if signature.exists() {
        evidence.push(Evidence::Detached { from: name(&signature), signature: read(&signature, MOST_BESIDES)? });
    }
    let attestations = beside(ATTESTATIONS);
    if attestations.exists() {
        let lines = read(&attestations, MOST_BESIDES)?;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            evidence.push(Evidence::Envelope { from: name(&attestations), bytes: line.to_vec() });
        }
    }
    let bundle = beside(BUNDLE);
    if bundle.exists() {
        evidence.push(Evidence::Bundle { from: name(&bundle), bytes: read(&bundle, MOST_BESIDES)? });
    }
    Ok(Found { name: component.to_owned(), bytes, manifest: None, evidence })
}

/// A trust file that was understood, with the trusted root that it names.
fn trust_file(path: &Path) -> anyhow::Result<TrustFile> {
    let written = text(path)?;
    let whole = || {
        let root = TrustFile::root_of(&written)?.map(|root| path.with_file_name(root));
        let file = TrustFile { trusted_root: root.as_deref().map(text).transpose()?, text: written };
        Trust::parse(&file)?;
        anyhow::Ok(file)
    };
    whole().with_context(|| format!("`{}`", path.display()))
}

/// What is added to a component's file name for its signature and its bundle (as cosign does), and for its attestations (as
/// in-toto does).
const BUNDLE: &str = "sigstore.json";
pub(super) const SIGNATURE: &str = "sig";
pub(super) const ATTESTATIONS: &str = "intoto.jsonl";

fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path, MOST_BESIDES)?).with_context(|| format!("`{}` is no text", path.display()))
}

pub(super) fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("`{shown}` cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).with_context(|| format!("`{shown}` cannot be read"))?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    ensure!(read <= most, "`{shown}` has more than {} MiB, which none of its kind needs", most >> 20);
    Ok(bytes)
}
