//! Development commands: `cargo xtask …`. Uses std and anyhow only, for it is the first thing that a newcomer compiles.

mod bed;
mod clients;
mod debian;
mod fuzz;
mod guests;
mod run;
mod strangers;
mod suite;
mod supply;
mod up;

use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Development commands

  cargo xtask demo     builds everything and tells the story: two users, two agents, one of them rogue
  cargo xtask test     every test, lint and doc test, on a fresh machine too: fetches what it needs
  cargo xtask bench    measures against the same engine without us
  cargo xtask fuzz     [TARGET] [SECONDS]: looks for bytes that break a promise, guided by coverage
  cargo xtask up       starts a host and its test bed, and leaves them running; prints an env file
  cargo xtask down     stops them
  cargo xtask guests   builds the agents, for wasm32-wasip2
  cargo xtask install  installs the test bed (from npm) and the official clients (from PyPI), into `.cache`
  cargo xtask strangers
                       makes components with the tools of other languages, for the tests of `attache vet`; `test` does, too
  cargo xtask deny     judges licences, sources and bans of what we build with (cargo-deny); `deny advisories` fetches
  cargo xtask release  builds the program to be given away, with the list of its dependencies inside (cargo-auditable)

What is needed besides Rust: a C compiler, npm for the test bed, and Python for the clients.
";

fn main() -> ExitCode {
    let instead: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = fuzz::instead_of_rustc(&instead) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("demo") => demo(),
        Some("test") => suite::test(&arguments[1..]),
        Some("bench") => bench(&arguments[1..]),
        Some("fuzz") => fuzz::fuzz(&arguments[1..]),
        Some("up") => up::up(),
        Some("down") => up::down(),
        Some("guests") => guests::build().map(drop),
        Some("strangers") => strangers::make(),
        Some("deny") => supply::deny(&arguments[1..]),
        Some("release") => supply::release(),
        Some("install") => bed::install().and_then(|()| clients::install()),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => {
            eprintln!("error: there is no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
        None => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All that a host on the test bed needs. Returns the folder with the agents.
fn prepare() -> Result<PathBuf> {
    run::heading("the test bed");
    bed::install()?;
    run::heading("the agents");
    let built = guests::build()?;
    run::heading("the host");
    run::cargo(["build", "--package", "attache", "--package", "suite", "--bins"])?;
    Ok(built)
}

fn demo() -> Result<()> {
    let built = prepare()?;
    run::heading("the story");
    run::command(run::built("story")).env("ATTACHE_GUESTS", built).done("the story did not hold")
}

fn bench(arguments: &[String]) -> Result<()> {
    let built = guests::build()?;
    run::heading("the host, optimised");
    run::cargo(["build", "--release", "--package", "attache", "--package", "suite", "--bins"])?;
    run::heading("the benchmark");
    run::command(run::target().join("release/bench"))
        .args(arguments)
        .env("ATTACHE_GUESTS", built)
        .done("the benchmark failed")
}
