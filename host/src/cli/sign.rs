//! `attache sign` and `attache attest`: who says that these bytes are theirs, and what else is said of them. The signature is
//! what cosign makes and verifies; the statement is in-toto's, in a DSSE envelope.

use super::Global;
use super::login::Login;
use super::vet::{ATTESTATIONS, MOST_BYTES, SIGNATURE, read};
use crate::ids::Digest;
use crate::oci::{Beside, Reference};
use crate::vet::{SLSA, SigningKey, Statement, VET_REPORT, simple_payload};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to sign, and with which key.
#[derive(Args)]
#[command(
    after_help = "A file's signature is written beside it, with `.sig`; that of `oci://REF` goes into the registry. Both are as \
                  cosign has them.\n\nExamples:\n  \
                  attache sign --new-key acme                     makes acme.key and acme.pub\n  \
                  attache sign calendar.wasm --key acme.key\n  \
                  attache sign oci://registry.example/calendar:1.2 --key acme.key\n  \
                  cosign verify-blob --key acme.pub --signature calendar.wasm.sig calendar.wasm"
)]
pub(super) struct Sign {
    /// The component: a file, or oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "FILE|oci://REF", required_unless_present = "new_key")]
    component: Option<String>,
    /// The private key: PKCS #8 in PEM, Ed25519
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// Make a pair of keys instead: NAME.key, which only you can read, and NAME.pub
    #[arg(long, value_name = "NAME", conflicts_with_all = ["component", "key"])]
    new_key: Option<PathBuf>,
    #[command(flatten)]
    login: Login,
}

/// What to state, of what, and with which key.
#[derive(Args)]
#[command(
    after_help = "A file's attestations are written beside it, with `.intoto.jsonl`, one in each line; those of `oci://REF` go \
                  into the registry.\n\nExamples:\n  \
                  attache attest calendar.wasm --key builder.key --type slsa --predicate provenance.json\n  \
                  attache vet calendar.wasm --format json > report.json\n  \
                  attache attest calendar.wasm --key market.key --type vet-report --predicate report.json"
)]
pub(super) struct Attest {
    /// The component: a file, or oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "FILE|oci://REF")]
    component: String,
    /// The private key: PKCS #8 in PEM, Ed25519
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What kind of statement it is: slsa, vet-report, or the address of another predicate type
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// The statement: a file of JSON
    #[arg(long, value_name = "FILE")]
    predicate: PathBuf,
    #[command(flatten)]
    login: Login,
}

/// Of a key, and of a predicate.
const MOST_KEY_BYTES: u64 = 64 << 10;
const MOST_PREDICATE_BYTES: u64 = 3 << 20;

#[derive(Clone, Copy, ValueEnum)]
enum Known {
    Slsa,
    VetReport,
}

impl Sign {
    pub(super) async fn run(self, _: &Global) -> anyhow::Result<ExitCode> {
        if let Some(name) = &self.new_key {
            return new_key(name);
        }
        let (Some(component), Some(key)) = (&self.component, &self.key) else {
            bail!("say which component is to be signed, and with which key (`--key FILE`)");
        };
        let key = key_of(key)?;
        let place = match component.strip_prefix("oci://") {
            Some(reference) => {
                let reference: Reference = reference.parse()?;
                let registry = self.login.registry(&reference)?;
                let pulled = registry.pull(&reference).await?;
                let payload = simple_payload(&reference.name(), &pulled.manifest);
                let signature = STANDARD.encode(key.sign(&payload));
                let one = Beside::Signature { payload, signature };
                registry.add_beside(&reference, &pulled.manifest, one).await?;
                format!("oci://{}", reference.pinned(&pulled.manifest))
            }
            None => {
                let bytes = read(Path::new(component), MOST_BYTES)?;
                let file = PathBuf::from(format!("{component}.{SIGNATURE}"));
                let signature = STANDARD.encode(key.sign(&bytes));
                std::fs::write(&file, signature).with_context(|| format!("`{}` cannot be written", file.display()))?;
                file.display().to_string()
            }
        };
        println!("signed, with the key {}: {place}", key.public()?.id());
        Ok(ExitCode::SUCCESS)
    }
}

impl Attest {
    pub(super) async fn run(self, _: &Global) -> anyhow::Result<ExitCode> {
        let key = key_of(&self.key)?;
        let kind = match Known::from_str(&self.kind, true) {
            Ok(Known::Slsa) => SLSA,
            Ok(Known::VetReport) => VET_REPORT,
            Err(_) => {
                ensure!(
                    url::Url::parse(&self.kind).is_ok(),
                    "`{}` is no predicate type; say slsa, vet-report, or the address of another",
                    self.kind
                );
                &self.kind
            }
        };
        let shown = self.predicate.display();
        let predicate = serde_json::from_slice(&read(&self.predicate, MOST_PREDICATE_BYTES)?)
            .with_context(|| format!("`{shown}` is no JSON"))?;
        let place = match self.component.strip_prefix("oci://") {
            Some(reference) => {
                let reference: Reference = reference.parse()?;
                let registry = self.login.registry(&reference)?;
                let pulled = registry.pull(&reference).await?;
                let statement = Statement::new(&reference.name(), &pulled.manifest, kind, predicate);
                let one = Beside::Attestation(statement.signed(&key));
                registry.add_beside(&reference, &pulled.manifest, one).await?;
                format!("oci://{}", reference.pinned(&pulled.manifest))
            }
            None => {
                let bytes = read(Path::new(&self.component), MOST_BYTES)?;
                let name = Path::new(&self.component).file_name().map(|name| name.to_string_lossy().into_owned());
                let digest = Digest::of(&bytes).to_string();
                let mut line = Statement::new(&name.unwrap_or_default(), &digest, kind, predicate).signed(&key);
                line.push(b'\n');
                let file = PathBuf::from(format!("{}.{ATTESTATIONS}", self.component));
                let mut all = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&file)
                    .with_context(|| format!("`{}` cannot be written", file.display()))?;
                all.write_all(&line)?;
                file.display().to_string()
            }
        };
        println!("attested {kind}, with the key {}: {place}", key.public()?.id());
        Ok(ExitCode::SUCCESS)
    }
}

fn key_of(file: &Path) -> anyhow::Result<SigningKey> {
    let pem = zeroize::Zeroizing::new(read(file, MOST_KEY_BYTES)?);
    SigningKey::from_pem(&pem).with_context(|| format!("`{}`", file.display()))
}

/// Two files, and what to put into a trust file.
fn new_key(name: &Path) -> anyhow::Result<ExitCode> {
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
    let (private, public) = (with("key"), with("pub"));
    let key = SigningKey::generate()?;
    let file = |path: &Path, mode| {
        let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        opened.with_context(|| format!("`{}` cannot be made; a key that is there is not written over", path.display()))
    };
    file(&private, 0o600)?.write_all(key.to_pem()?.as_bytes())?;
    let pem = key.public_pem()?;
    file(&public, 0o644)?.write_all(pem.as_bytes())?;
    let name = name.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    println!(
        "made {}, which signs and is for you alone, and {}, which verifies\n\nfor the trust file of whoever vets your \
         components:\n\n[[keys]]\nname = {name:?}\npublic-key = '''\n{pem}'''",
        private.display(),
        public.display()
    );
    Ok(ExitCode::SUCCESS)
}
