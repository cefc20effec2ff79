//! Every check there is, in the order in which it fails soonest.

use crate::{bed, clients, guests, run, strangers};
use anyhow::{Result, ensure};
use std::time::Instant;

/// Places where a test can make the host panic. On for all tests, so that the host is built once: such a place does
/// nothing until a test sets up a scenario in its own process, and no environment variable turns one on before.
const FAULTS: &str = "attache/failpoints";

/// What comes after `test` goes to the test runner, as a filter.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    ensure!(
        ["cc", "gcc", "clang"].into_iter().any(|compiler| run::command(compiler).args(["--version"]).works()),
        "a C compiler is missing, and SQLite and the cryptography are partly written in C; install gcc or clang"
    );
    let mut skipped = Vec::new();

    run::heading("format");
    if run::cargo_command(["fmt", "--version"]).works() {
        run::cargo_command(["fmt", "--all", "--check"]).done("the format differs; run `cargo fmt --all`")?;
    } else {
        skip("format", "rustfmt is not installed; `rustup component add rustfmt`", &mut skipped);
    }

    run::heading("the test bed");
    bed::install()?;
    if !bed::browser() {
        skip(
            "the real browser",
            "`chromium` is missing and was not installed; `apt-get install chromium`",
            &mut skipped,
        );
    }

    if !bed::glewlwyd() {
        skip(
            "a second OpenID provider",
            "`glewlwyd` is missing and was not installed; `apt-get install glewlwyd sqlite3`",
            &mut skipped,
        );
    }

    if !bed::pkcs11() {
        skip(
            "keys in a PKCS #11 token",
            "`softhsm2` is missing and was not installed; `apt-get install softhsm2`",
            &mut skipped,
        );
    }

    if !bed::registry() {
        skip(
            "an OCI registry",
            "`docker-registry`, `htpasswd` or `skopeo` is missing and was not installed; `apt-get install \
             docker-registry apache2-utils skopeo`",
            &mut skipped,
        );
    }

    run::heading("the official clients");
    if let Err(error) = clients::install() {
        skip("boto3 and the bedrock-agentcore SDK", &format!("{error:#}"), &mut skipped);
    }

    run::heading("components of other toolchains");
    if let Err(error) = strangers::make() {
        skip("some components of other toolchains", &format!("{error:#}"), &mut skipped);
    }

    run::heading("the agents");
    let built = guests::build()?;

    run::heading("lints");
    if run::cargo_command(["clippy", "--version"]).works() {
        run::cargo_command([
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            FAULTS,
            "--",
            "--deny",
            "warnings",
        ])
        .done("clippy found something; the lines above say what")?;
    } else {
        skip("lints", "clippy is not installed; `rustup component add clippy`", &mut skipped);
    }

    // What only makes sense inside a host. The examples have tests of their own, and run here.
    let only_guests = guests::packages("tests/guests")?;
    let excluded: Vec<String> = only_guests.into_iter().flat_map(|name| ["--exclude".to_owned(), name]).collect();

    run::heading("tests");
    let nextest = run::cargo_command(["nextest", "--version"]).works();
    let runner: &[&str] = match nextest {
        true => &["nextest", "run", "--no-fail-fast"],
        false => &["test", "--lib", "--bins", "--tests", "--no-fail-fast"],
    };
    run::cargo_command(runner)
        .args(["--workspace", "--features", FAULTS])
        .args(&excluded)
        .args(arguments)
        .env("ATTACHE_GUESTS", &built)
        .done("a test failed; the lines above say which")?;

    // The main story and the attacks once more, with guests behind the second wall. A filter asks for something else.
    if arguments.is_empty() {
        run::heading("the same behind the second wall");
        let behind = ["story", "rogue", "memory", "attack", "reveal", "crossing"];
        let behind = behind.iter().flat_map(|name| ["--test", name]);
        let runner: &[&str] = if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
        run::cargo_command(runner)
            .args(["--workspace", "--features", FAULTS])
            .args(&excluded)
            .args(behind)
            .env("ATTACHE_GUESTS", &built)
            .env("ATTACHE_ISOLATION", "process")
            .done("a test failed behind the second wall; the lines above say which")?;
    }

    run::heading("doc tests");
    run::cargo_command(["test", "--doc", "--package", "attache", "--package", "attache-guest", "--features", FAULTS])
        .done("a doc test failed")?;

    let time = started.elapsed().as_secs();
    if skipped.is_empty() {
        eprintln!("\nEverything passed, in {time} s.");
    } else {
        eprintln!("\nEverything that ran passed, in {time} s. NOT RUN: {}.", skipped.join(", "));
    }
    Ok(())
}

fn skip(what: &'static str, why: &str, skipped: &mut Vec<&'static str>) {
    eprintln!("    SKIPPED: {why}");
    skipped.push(what);
}
