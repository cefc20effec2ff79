//! Components that we did not make, by several toolchains, each with what is expected to be said of it.
//!
//! Those of `wit-component`'s own tests lie in cargo's registry. The others are made by `cargo xtask test` or `cargo xtask
//! strangers`; without them this test says so and goes on. `ATTACHE_SNAPSHOTS=write` writes what is said now.

use crate::agents::profile;
use crate::engine::ENGINE;
use arbitrary::Unstructured;
use attache::vet::{Report, Severity, Verdict, vet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vet/strangers")
}

/// What a reviewer would want to notice a change of; digests, sizes and versions of tools are not among it.
fn said(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{:?}", report.verdict);
    let mut last = "";
    for finding in &report.findings {
        if finding.rule != last {
            let count = report.findings.iter().filter(|other| other.rule == finding.rule).count();
            let _ = writeln!(out, "{:?} {} x{count}: {}", finding.severity, finding.rule, finding.message);
            last = finding.rule;
        }
    }
    let Some(facts) = &report.facts else {
        let _ = writeln!(out, "{}", report.summary);
        return out;
    };
    let mut classes: Vec<String> =
        facts.imports.iter().map(|import| format!("{:?} {}", import.class, import.interface)).collect();
    classes.sort();
    classes.iter().for_each(|line| {
        let _ = writeln!(out, "import {line}");
    });
    for export in &facts.exports {
        let _ = writeln!(out, "export {}.{} reaches {}", export.interface, export.function, export.reaches.len());
    }
    let languages: Vec<&str> =
        facts.producers.iter().filter(|p| p.field == "language").map(|p| p.name.as_str()).collect();
    let _ = writeln!(out, "languages {}", languages.join(" "));
    let _ = writeln!(out, "parts {}, modules {}", facts.parts.len(), facts.needs.modules);
    out
}

fn expect(name: &str, said: &str) {
    let path = here().join(format!("{name}.txt"));
    if std::env::var_os("ATTACHE_SNAPSHOTS").is_some_and(|what| what == "write") {
        fs::write(&path, said).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, expected, "{name}: if this is better, run the test with `ATTACHE_SNAPSHOTS=write`");
}

/// `component.wat` of every folder, by its folder's name.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registries = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    let mut found = Vec::new();
    for registry in registries.into_iter().flatten().flatten() {
        let folder = registry.path().join("wit-component-0.254.2/tests/components");
        for test in fs::read_dir(folder).into_iter().flatten().flatten() {
            if let Ok(bytes) = wat::parse_file(test.path().join("component.wat")) {
                found.push((test.file_name().to_string_lossy().into_owned(), bytes));
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

/// Components of `cargo xtask strangers`, by their names, smallest first.
fn made() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/vet");
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "wasm"))
        .map(|entry| {
            let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    found.sort_by_key(|(_, bytes)| bytes.len());
    found
}

#[test]
fn components_of_other_toolchains_are_judged_as_expected() {
    let made = made();
    if made.is_empty() {
        eprintln!("SKIPPED: components of other toolchains; `cargo xtask strangers` makes them");
    }
    for (name, bytes) in made {
        let report = vet(&name, &bytes, None, &profile("marketplace"));
        expect(&name, &said(&report));
    }
}

#[test]
fn the_components_of_wit_component_are_judged_as_expected() {
    let fixtures = fixtures();
    if fixtures.len() < 50 {
        eprintln!("SKIPPED: the registry does not have the tests of wit-component");
        return;
    }
    let mut all = String::new();
    for (name, bytes) in &fixtures {
        let report = vet(name, bytes, None, &profile("marketplace"));
        assert_ne!(report.verdict, Verdict::Allowed, "{name}: none of them is an agent");
        let mut rules: Vec<&str> =
            report.findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.rule).collect();
        rules.dedup();
        let reached = report.facts.as_ref().map_or(0, |facts| {
            facts.imports.iter().flat_map(|i| &i.functions).filter(|f| !f.reached_from.is_empty()).count()
        });
        let wanted = report.facts.as_ref().map_or(0, |facts| facts.imports.iter().map(|i| i.functions.len()).sum());
        let _ = writeln!(all, "{name}: {} ({reached} of {wanted} functions reached)", rules.join(" "));
    }
    expect("wit-component", &all);
}

/// A generator that needs no crate: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }
}

#[test]
fn strangers_that_are_cut_or_changed_never_make_it_panic_or_allow_what_the_engine_refuses() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let policy = profile("internal");
    let (mut files, mut refused, mut unreadable) = (0, 0, 0);
    let small = made().into_iter().filter(|(_, bytes)| bytes.len() < 2 << 20);
    for (name, whole) in fixtures().into_iter().chain(small) {
        let times = if whole.len() < 64 << 10 { 40 } else { 6 };
        for nth in 0..times {
            let mut bytes = whole.clone();
            if nth % 4 == 0 {
                bytes.truncate(numbers.below(whole.len()));
            } else {
                for _ in 0..=numbers.below(3) {
                    let at = numbers.below(bytes.len());
                    bytes[at] ^= 1 << numbers.below(8);
                }
            }
            files += 1;
            match vet(&name, &bytes, None, &policy).verdict {
                Verdict::Allowed => {
                    if let Err(error) = ENGINE.load(&bytes) {
                        panic!("{name}, change {nth}: allowed, and the engine says: {error}");
                    }
                }
                Verdict::Refused => refused += 1,
                Verdict::Unreadable => unreadable += 1,
            }
        }
    }
    assert!(files == 0 || (refused > 0 && unreadable > 0), "{files} files, {refused} refused, {unreadable} unreadable");
}

/// Components that nobody wrote: wasm-smith makes them of random bytes.
#[test]
fn made_up_components_never_make_it_panic_or_allow_what_the_engine_refuses() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let policy = profile("internal");
    let (mut made, mut read) = (0, 0);
    for nth in 0..400 {
        let seed: Vec<u8> = (0..2_000).map(|_| u8::try_from(numbers.below(256)).unwrap()).collect();
        let mut source = Unstructured::new(&seed);
        let Ok(component) = wasm_smith::Component::new(wasm_smith::Config::default(), &mut source) else { continue };
        let bytes = component.to_bytes();
        made += 1;
        let report = vet("made-up.wasm", &bytes, None, &policy);
        read += usize::from(report.verdict != Verdict::Unreadable);
        if report.verdict == Verdict::Allowed {
            panic!("component {nth} is no agent, and it was allowed: {:?}", ENGINE.load(&bytes).err());
        }
    }
    assert!(made > 100 && read > 20, "{made} made, {read} read");
}

/// Those that another program made by changing components, in the folder `ATTACHE_MUTANTS`: for long runs by hand.
#[test]
fn mutants_in_a_folder_are_allowed_only_where_the_engine_takes_them() {
    let Some(folder) = std::env::var_os("ATTACHE_MUTANTS") else { return };
    let (mut allowed, mut all) = (0, 0);
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        all += 1;
        let report = vet("mutant.wasm", &bytes, None, &profile("internal"));
        if report.verdict == Verdict::Allowed {
            allowed += 1;
            if let Err(error) = ENGINE.load(&bytes) {
                panic!("{}: allowed, and the engine says: {error}", entry.path().display());
            }
        }
    }
    eprintln!("{all} mutants, {allowed} allowed");
    assert!(all > 0);
}
