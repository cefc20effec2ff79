//! The process that holds secrets gives nothing away when it falls.

use super::SandboxError;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io::Write as _;

/// `CLOSE_RANGE_CLOEXEC` (close_range(2)).
const ON_EXEC: u32 = 4;

/// Whatever whoever started this process left open beside the three standard streams goes no further: children get what they
/// are handed and nothing else. What the host opens itself is closed in children anyway.
fn keep_descriptors() -> Result<(), SandboxError> {
    #[expect(unsafe_code, reason = "the standard library has no call for this")]
    // SAFETY: no argument is an address, and no descriptor is closed here: they are marked.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, ON_EXEC) };
    let error = std::io::Error::last_os_error();
    match done {
        0 => Ok(()),
        // A kernel before 5.11 cannot run workers either.
        _ if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        _ => Err(SandboxError::Refused("what keeps open files from children", error.to_string())),
    }
}

/// No core dump, no debugger of the same account, no open file for children, and panics that say where and not what: a
/// payload may quote what was being worked on. Called before anything secret is read.
///
/// # Errors
/// [`SandboxError::Refused`]; a host does not start then.
pub fn harden() -> Result<(), SandboxError> {
    let refused = |what, error: rustix::io::Errno| SandboxError::Refused(what, error.to_string());
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| refused("the limit on core dumps", error))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| refused("what keeps the process from dumps", error))?;
    keep_descriptors()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        // Not through the log: it may be what panicked. A line that cannot be written, on a disk that is full, is lost; to panic
        // about it here would end the process.
        let _lost = writeln!(std::io::stderr(), "a panic at {place} in thread `{name}`; what it said is withheld");
    }));
    Ok(())
}
