//! Whether anything that a host wrote holds a secret: swept at the end of every host of every test.
//!
//! The test bed enters each token, code, verifier and client secret that passes its token endpoint into a ledger of this
//! process; a host that ends is looked through, its log and every file of its data folder, for each of them in every spelling
//! that a careless line could give it.

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Shorter ones would be found by chance.
const SHORTEST: usize = 16;

/// Where the test bed of this process enters secrets. One file for all of them: a secret of one test is none in the next.
pub fn ledger() -> &'static Path {
    static LEDGER: OnceLock<PathBuf> = OnceLock::new();
    LEDGER.get_or_init(|| std::env::temp_dir().join(format!("attache-ledger-{}", std::process::id())))
}

/// Enters one that did not pass the test bed.
///
/// # Errors
/// When the ledger cannot be written.
pub fn enter(secret: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(ledger())?;
    writeln!(file, "{secret}").context("the ledger")
}

/// What a careless line could make of a secret.
pub fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let listed = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>();
    let mut forms = vec![
        secret.to_owned(),
        hex.to_uppercase(),
        hex,
        escaped,
        secret.to_lowercase(),
        listed.join(", "),
        listed.join(","),
    ];
    for before in ["", "x", "xx"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let whole = engine.encode(format!("{before}{secret}"));
            // The characters that depend on the secret alone.
            forms.extend(whole.get(4..whole.len().saturating_sub(4)).map(str::to_owned));
        }
    }
    let forms: BTreeSet<Vec<u8>> = forms.into_iter().map(String::into_bytes).collect();
    forms.into_iter().filter(|form| form.len() >= SHORTEST).collect()
}

/// Every file below the folders in which one of these stands, with how it is spelled there (never the secret itself).
///
/// # Errors
/// When a file cannot be read.
pub fn found(secrets: &BTreeSet<String>, places: &[PathBuf]) -> Result<Vec<String>> {
    let forms: Vec<Vec<u8>> =
        secrets.iter().filter(|secret| secret.len() >= SHORTEST).flat_map(|s| spellings(s)).collect();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    let search = AhoCorasick::new(&forms)?;
    let mut hits = Vec::new();
    let mut open: Vec<PathBuf> = places.to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.is_file() {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            if let Some(hit) = search.find(&bytes) {
                let around = String::from_utf8_lossy(&bytes[hit.start().saturating_sub(80)..hit.start()]).into_owned();
                hits.push(format!(
                    "{} at byte {}, {} characters, after {around:?}",
                    path.display(),
                    hit.start(),
                    hit.len()
                ));
            }
        }
    }
    Ok(hits)
}

/// Sweeps for everything in the ledger.
///
/// # Errors
/// When a file cannot be read.
pub fn sweep(places: &[PathBuf]) -> Result<Vec<String>> {
    let entered = fs::read_to_string(ledger()).unwrap_or_default();
    let mut secrets: BTreeSet<String> = entered.lines().map(str::to_owned).collect();
    // Of a JWT, what cannot be guessed.
    let signatures: Vec<String> = secrets.iter().filter_map(|jwt| Some(jwt.rsplit_once('.')?.1.to_owned())).collect();
    secrets.extend(signatures);
    found(&secrets, places)
}
