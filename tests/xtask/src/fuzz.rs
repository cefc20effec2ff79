//! Fuzzing by hand: libFuzzer over the targets of `tests/fuzz`, guided by which lines of ours an input reaches.
//!
//! Only our own crates are instrumented, by this program standing in for the compiler (`RUSTC_WORKSPACE_WRAPPER`), so that
//! nothing else has to be built anew and no other toolchain is wanted. `cargo fuzz run fuzz --features libfuzzer` works too.

use crate::run;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::process::{Command, ExitCode};

/// Set while this program stands in for the compiler.
const INSTRUMENT: &str = "ATTACHE_INSTRUMENT";

/// As cargo-fuzz 0.13 asks for coverage, without a sanitizer.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg",
    "fuzzing",
];

/// What comes after `fuzz`: a target, or all of them, and for how many seconds each.
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    ensure!(
        ["c++", "g++", "clang++"].into_iter().any(|compiler| run::command(compiler).args(["--version"]).works()),
        "a C++ compiler is missing, and libFuzzer is written in it; install g++ or clang"
    );
    let (seconds, names): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|text| text.parse::<u32>().is_ok());
    let seconds = seconds.first().map_or("60", |seconds| seconds.as_str());
    let targets = run::checkout().join("tests/fuzz/seeds");
    let mut known: Vec<String> =
        fs::read_dir(&targets)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    known.sort();
    let unknown = names.iter().find(|name| !known.contains(name));
    ensure!(
        unknown.is_none(),
        "there is no target `{}`; there are {}",
        unknown.map_or("", |name| name),
        known.join(", ")
    );

    run::heading("the fuzzer, with its coverage");
    let wrapper = std::env::current_exe().context("this program does not know where it is")?;
    run::cargo_command(["build", "--package", "fuzz", "--features", "libfuzzer", "--bin", "fuzz"])
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(INSTRUMENT, "1")
        .done("the fuzzer was not built")?;
    let cache = run::checkout().join(".cache/fuzz");
    let mut broken = Vec::new();
    for name in known.iter().filter(|name| names.is_empty() || names.contains(name)) {
        run::heading(&format!("{name}, for {seconds} s"));
        let corpus = cache.join(name);
        fs::create_dir_all(&corpus)?;
        let findings = run::checkout().join("tests/fuzz/findings").join(name);
        fs::create_dir_all(&findings)?;
        let held = run::command(run::built("fuzz"))
            .args(["-max_len=16384", "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1"])
            .args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/", findings.display())])
            .args([&corpus, &targets.join(name)])
            .env("ATTACHE_FUZZ", name)
            .done("");
        // Nothing was found: the folder was only there for it.
        let _not_empty = fs::remove_dir(&findings);
        if held.is_err() {
            broken.push(name.as_str());
        }
    }
    ensure!(broken.is_empty(), "a promise was broken by {}; the bytes lie in `tests/fuzz/findings`", broken.join(", "));
    Ok(())
}

/// Where cargo runs this program in place of the compiler: the compiler, with coverage.
pub(crate) fn instead_of_rustc(arguments: &[OsString]) -> Option<ExitCode> {
    std::env::var_os(INSTRUMENT)?;
    let (rustc, rest) = arguments.split_first()?;
    // The wrapper itself and what runs at build time need none.
    let ours = rest.iter().any(|argument| argument == "attache" || argument == "fuzz");
    let more: &[&str] = if ours { COVERAGE } else { &[] };
    let status = Command::new(rustc).args(rest).args(more).status().ok()?;
    Some(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}
