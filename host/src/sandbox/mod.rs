//! What a process gives up, for ever, before it looks at bytes of strangers.
//!
//! A child that compiles a component, or that runs guests, needs memory, a processor and the few streams that it was started
//! with. [`confine`] takes everything else: the file system and new connections by Landlock, system calls by seccomp, sizes
//! by resource limits. What comes after it in a child takes a [`Confined`], so that it cannot be written to come before.
//!
//! [`harden`] is for the process that holds secrets: it is not dumped, and a panic says where and not what.

mod calls;
mod harden;

pub use harden::harden;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetStatus,
    Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::time::Duration;

/// What the child is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Compiles one component from its standard input to its standard output, and ends.
    Compile,
    /// Runs guests, and speaks to the host over the sockets that it was started with.
    Worker,
}

/// How much it may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Bytes of memory that it may write to; address space that is only reserved does not count.
    pub memory: Option<u64>,
    /// Processor time, of all threads together; the kernel ends what needs more.
    pub cpu: Option<Duration>,
}

/// This process is confined. Only [`confine`] makes one.
#[derive(Debug)]
pub struct Confined(());

/// Why a process is not confined, and so must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There are threads that would stay outside.
    #[error("a process is confined before it has threads, and this one has {0}")]
    Threads(usize),
    /// The kernel lacks a part.
    #[error("this kernel has no {0}; {1}")]
    Missing(&'static str, &'static str),
    /// A part refused.
    #[error("{0} was not set up: {1}")]
    Refused(&'static str, String),
}

/// Open files of a confined process: the streams that it was started with, and what a runtime needs to wait on them.
const OPEN_FILES: u64 = 128;
/// Landlock with rules for connections (4) and for signals and abstract sockets (6).
const WANTED: ABI = ABI::V6;

/// Gives up what `profile` does not need. There is no way back, and children would inherit it if there could be any.
///
/// # Errors
/// [`SandboxError`]; the process may be confined in part then, and has to end. A compiling child goes on without Landlock
/// where the kernel has none, as it can neither open a file nor a connection without system calls that it no longer has; a
/// worker does not.
pub fn confine(profile: Profile, limits: &Limits) -> Result<Confined, SandboxError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(SandboxError::Threads(threads));
    }
    limit(profile, limits)?;
    match (landlock(), profile) {
        (Ok(()), _) | (Err(SandboxError::Missing(..)), Profile::Compile) => {}
        (Err(error), _) => return Err(error),
    }
    calls::restrict(profile)?;
    Ok(Confined(()))
}

/// Whether this kernel can confine a worker. Asked once at the start, so that a host does not learn it from its first guest.
///
/// # Errors
/// [`SandboxError::Missing`], with what is missing.
pub fn available() -> Result<(), SandboxError> {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .and_then(Ruleset::create);
    made.map_err(|_| no_landlock())?;
    calls::available()
}

fn no_landlock() -> SandboxError {
    SandboxError::Missing(
        "Landlock with rules for connections and signals",
        "use Linux 6.12 or later with `landlock` among its security modules, or run guests in the host's process",
    )
}

/// No path can be opened, no port connected to or listened at, no abstract socket reached and nobody outside signalled.
fn landlock() -> Result<(), SandboxError> {
    let refused = |error: landlock::RulesetError| SandboxError::Refused("Landlock", error.to_string());
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(refused)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced | RulesetStatus::NotEnforced => Err(no_landlock()),
    }
}

fn limit(profile: Profile, limits: &Limits) -> Result<(), SandboxError> {
    let set = |what, resource, most: u64| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| SandboxError::Refused(what, error.to_string()))
    };
    set("the limit on core dumps", Resource::Core, 0)?;
    set("the limit on open files", Resource::Nofile, OPEN_FILES)?;
    if profile == Profile::Compile {
        // It writes to a pipe, which is none.
        set("the limit on file sizes", Resource::Fsize, 0)?;
    }
    if let Some(bytes) = limits.memory {
        set("the limit on memory", Resource::Data, bytes)?;
    }
    if let Some(cpu) = limits.cpu {
        set("the limit on processor time", Resource::Cpu, cpu.as_secs().max(1))?;
    }
    Ok(())
}
