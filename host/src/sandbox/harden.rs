//! The process that holds secrets gives nothing away when it falls.

use super::SandboxError;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dump, no debugger of the same account, and panics that say where and not what: a payload may quote what was
/// being worked on. Called before anything secret is read.
///
/// # Errors
/// [`SandboxError::Refused`]; a host does not start then.
pub fn harden() -> Result<(), SandboxError> {
    let refused = |what, error: rustix::io::Errno| SandboxError::Refused(what, error.to_string());
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| refused("the limit on core dumps", error))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| refused("what keeps the process from dumps", error))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        // Not through the log: it may be what panicked.
        eprintln!("a panic at {place} in thread `{}`; what it said is withheld", thread.name().unwrap_or("unnamed"));
    }));
    Ok(())
}
