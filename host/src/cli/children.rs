//! Processes that this program makes of itself. None of them is a verb: nobody types them, and they have no options.

use super::vetting::{JUDGE, apart};
use crate::runtime::{COMPILE, compile_apart};
use crate::sandbox::{Limits, Profile, confine};
use crate::workers::{Streams, WORKER, work};
use std::process::ExitCode;
use std::time::Duration;

/// Runs this process as a child, where it is one. Asked first, before there are threads, a log or a configuration.
pub(super) fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next()?;
    let done = match kind.as_str() {
        COMPILE => compile(arguments),
        WORKER => worker(arguments),
        JUDGE => apart(arguments),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// Bytes of memory, and seconds.
fn compile(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or("this is started by a host");
    let (memory, seconds) = (number()?, number()?);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let limits = Limits { memory: Some(memory), cpu: Some(Duration::from_secs(seconds.saturating_mul(cores))) };
    let confined = confine(Profile::Compile, &limits)?;
    compile_apart(&confined, std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(())
}

/// Bytes of memory.
fn worker(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let memory = arguments.next().and_then(|text| text.parse().ok()).ok_or("this is started by a host")?;
    // What its guests print; the host knows when.
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_ansi(false);
    log.log_internal_errors(false).init();
    let streams = Streams::take()?;
    let confined = confine(Profile::Worker, &Limits { memory: Some(memory), cpu: None })?;
    work(&confined, streams)?;
    Ok(())
}
