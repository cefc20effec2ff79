//! The command line: one file per verb.
//!
//! `serve` and `dev` are the host; `new` and `vet` work on files; every other verb talks to a running host, over its
//! administration socket or at its public URL. Exit codes: 0 done, 1 refused or failed, 2 wrong usage (of `vet`: no verdict).

mod admin;
mod agents;
mod audit;
mod call;
mod children;
mod deploy;
mod dev;
mod grants;
mod invoke;
mod keys;
mod login;
mod new;
mod place;
mod providers;
mod registry;
mod run;
mod serve;
mod sign;
mod table;
mod vet;
mod vetting;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "attache",
    version,
    about = "Runs AI agents as WebAssembly components and holds their credentials",
    long_about = "Attaché runs AI agents as WebAssembly components and is the only thing in the building that holds credentials. \
                  An agent asks for \"a calendar credential\" of the user it serves; it gets a handle, and the host attaches \
                  the token to the request outside the agent.",
    after_help = "Examples:\n  \
                  attache new calendar && cd calendar && attache dev    write an agent\n  \
                  attache serve --config attache.toml                   run a host\n  \
                  attache deploy calendar.wasm --publisher \"Example Ltd\"\n  \
                  attache invoke calendar --token-file token --data @ask.json\n  \
                  attache audit --agent calendar --since 1h",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Args)]
struct Global {
    /// The configuration file [default: attache.toml, where there is one]
    #[arg(long, global = true, env = "ATTACHE_CONFIG", value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// The host's data folder, which holds its socket [default: what the configuration says, or .attache]
    #[arg(long, global = true, env = "ATTACHE_DATA_DIR", value_name = "DIR", help_heading = "Global options")]
    data_dir: Option<PathBuf>,
    /// The host's administration socket [default: attache.sock in the data folder]
    #[arg(long, global = true, env = "ATTACHE_SOCKET", value_name = "FILE", help_heading = "Global options")]
    socket: Option<PathBuf>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Global options")]
    format: Format,
    /// How to write the log, which goes to standard error; ATTACHE_LOG filters it, such as `attache=debug`
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Global options")]
    log_format: LogFormat,
}

/// For people or for programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// Of `vet` only: for pages that show the findings of scanners
    Sarif,
    /// Of `vet` only: for the comment of a pipeline
    Markdown,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the host
    Serve(serve::Serve),
    /// Work on an agent: rebuild and reload on save, with two users and a calendar that need no outside service
    Dev(dev::Dev),
    /// Make the project of a new agent
    New(new::New),
    /// Judge a component without running it: what it can do, what it carries, what changed
    Vet(vet::Vet),
    /// Sign a component, or make a pair of keys to sign with
    Sign(sign::Sign),
    /// Sign a statement about a component: how it was built, or what was found in it
    Attest(sign::Attest),
    /// Put a component into an OCI registry
    Push(registry::Push),
    /// Get a component from an OCI registry
    Pull(registry::Pull),
    /// Deploy a component under a name
    Deploy(deploy::Deploy),
    /// Call an agent
    Invoke(invoke::Invoke),
    /// Which agents there are, who made them, and what each can do
    Agents(agents::Agents),
    /// Which credential providers there are
    Providers(providers::Providers),
    /// What users granted to agents
    Grants(grants::Grants),
    /// Who may call the API, as a program
    Keys(keys::Keys),
    /// Who did what, for whom, allowed or refused, and why
    Audit(audit::Audit),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    if let Some(code) = children::child() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors; clap knows which is which.
        Err(error) => error.exit(),
    };
    start_log(cli.global.log_format);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", table::printable_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let many = matches!(cli.verb, Verb::Serve(_) | Verb::Dev(_));
    let mut runtime = match many {
        true => crate::runtime::threads(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        let global = &cli.global;
        if matches!(global.format, Format::Sarif | Format::Markdown) && !matches!(cli.verb, Verb::Vet(_)) {
            anyhow::bail!("only `attache vet` prints SARIF and Markdown; use `--format json`");
        }
        match cli.verb {
            Verb::Serve(verb) => verb.run(global).await,
            Verb::Dev(verb) => verb.run(global).await,
            Verb::New(verb) => verb.run(global),
            Verb::Vet(verb) => verb.run(global).await,
            Verb::Sign(verb) => verb.run(global).await,
            Verb::Attest(verb) => verb.run(global).await,
            Verb::Push(verb) => verb.run(global).await,
            Verb::Pull(verb) => verb.run(global).await,
            Verb::Deploy(verb) => verb.run(global).await,
            Verb::Invoke(verb) => verb.run(global).await,
            Verb::Agents(verb) => verb.run(global).await,
            Verb::Providers(verb) => verb.run(global).await,
            Verb::Grants(verb) => verb.run(global).await,
            Verb::Keys(verb) => verb.run(global).await,
            Verb::Audit(verb) => verb.run(global).await,
        }
    })
}

fn start_log(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_env("ATTACHE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,attache=info,guest=info"));
    // A line that cannot be written is lost. Told to, the subscriber would say so on the same stream, whose failure is a
    // panic: with the log on the disk that is full, each request and the store's writer would die of wanting to log it.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let log = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second start, in tests, keeps the first.
    let _ = match format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(
                    argument.get_help().is_some() || argument.get_id() == "help",
                    "{} {}",
                    verb.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
