//! No crate that we build with is one that an advisory warns of, comes from elsewhere than the registry, or has a licence
//! that we did not agree to. The advisories are kept here.

use rustsec::{Database, Lockfile};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Advisories that do not concern us, each with the reason.
const NOT_OURS: &[(&str, &str)] = &[];

/// What our dependencies may be licensed under (SPDX): one of these stands in every choice that a crate offers.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn lockfile() -> Lockfile {
    Lockfile::load(root().join("Cargo.lock")).expect("Cargo.lock is read")
}

fn advisories() -> Database {
    Database::open(&root().join("tests/vectors/advisory-db")).expect("the advisories are read")
}

/// Every advisory that applies to a version of the lock file, a warning about unsoundness or neglect too.
fn applying(lockfile: &Lockfile) -> BTreeSet<(String, String)> {
    let database = advisories();
    let mut found = BTreeSet::new();
    for package in &lockfile.packages {
        for advisory in database.iter().filter(|advisory| advisory.metadata.package == package.name) {
            if advisory.metadata.withdrawn.is_none() && advisory.versions.is_vulnerable(&package.version) {
                found.insert((advisory.id().to_string(), format!("{} {}", package.name, package.version)));
            }
        }
    }
    found
}

#[test]
fn no_advisory_applies_to_what_we_build_with() {
    let mut found = applying(&lockfile());
    for (id, reason) in NOT_OURS {
        assert!(!reason.is_empty());
        let before = found.len();
        found.retain(|(known, _)| known != id);
        assert!(found.len() < before, "`{id}` no longer applies; remove its exception");
    }
    assert!(found.is_empty(), "{found:#?}: update the crate, or say in NOT_OURS why it does not concern us");
}

/// The copy holds what there was about the crates of then: of one that came later it knows nothing.
#[test]
fn the_advisories_were_looked_up_for_every_crate() {
    let known = std::fs::read_to_string(root().join("tests/vectors/advisory-db/crates.txt")).expect("a list");
    let known: BTreeSet<&str> = known.lines().collect();
    let lockfile = lockfile();
    let others = lockfile.packages.iter().filter(|package| package.source.is_some());
    let unknown: Vec<_> = others.map(|package| package.name.as_str()).filter(|name| !known.contains(name)).collect();
    assert!(
        unknown.is_empty(),
        "look up {unknown:?} in rustsec/advisory-db, copy what it says of them, and add them to crates.txt"
    );
}

#[test]
fn an_advisory_that_applies_is_found() {
    // The leak between instances of the pooling allocator, which we would have had.
    let old = "version = 4\n\n[[package]]\nname = \"wasmtime\"\nversion = \"43.0.0\"\n";
    let found = applying(&old.parse().expect("a lock file"));
    assert!(found.iter().any(|(id, _)| id == "RUSTSEC-2026-0088"), "{found:?}");
}

#[test]
fn crates_come_from_the_registry_and_are_locked() {
    for package in &lockfile().packages {
        let Some(source) = &package.source else { continue };
        assert!(source.is_default_registry(), "{} {} comes from `{source}`", package.name, package.version);
        assert!(package.checksum.is_some(), "{} {} has no checksum", package.name, package.version);
    }
}

#[test]
fn licences_are_those_that_we_agreed_to() {
    // Of this machine's platform alone. Cargo fetches the few that are named by nothing that is built, once.
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let platform = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says where it runs");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", platform])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut bad = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = package["license"].as_str().unwrap_or_default();
        if !agreed(licence) {
            bad.push(format!("{} {}: `{licence}`", package["name"], package["version"]));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Whether an SPDX expression leaves a choice that we agreed to: `OR` and the older `/` choose, `AND` wants all.
fn agreed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        && balanced(inner)
    {
        return agreed(inner);
    }
    let parts = |word: &str| split(expression, word);
    if let Some(all) = parts(" AND ") {
        return all.into_iter().all(agreed);
    }
    if let Some(any) = parts(" OR ") {
        return any.into_iter().any(agreed);
    }
    LICENCES.contains(&expression)
}

/// Cut at a word outside parentheses; none where it does not stand there.
fn split<'a>(text: &'a str, word: &str) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(word) {
        if balanced(&text[..at]) {
            parts.push(&text[from..at]);
            from = at + word.len();
        }
    }
    parts.push(&text[from..]);
    (parts.len() > 1).then_some(parts)
}

fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for c in text.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

#[test]
fn an_expression_is_agreed_to_where_it_leaves_a_choice() {
    for good in
        ["MIT", "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND Unicode-3.0", "GPL-2.0 OR (ISC AND MIT)"]
    {
        assert!(agreed(good), "{good}");
    }
    for bad in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "(MIT OR ISC) AND MPL-2.0", "LGPL-2.1 OR GPL-2.0"] {
        assert!(!agreed(bad), "{bad}");
    }
}
