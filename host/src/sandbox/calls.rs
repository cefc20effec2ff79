//! Which system calls a confined process may make.
//!
//! Three filters, of which the kernel takes the strictest answer: what is needed is allowed and everything else fails with
//! `EPERM`, which well-written code survives; what no honest child ever does ends the process; and `clone3`, whose flags
//! cannot be looked at, is said not to exist, so that the C library uses `clone`, which may make threads and no processes.

use super::{Profile, SandboxError};
use libc as c;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Memory, threads, time, and streams that are open already.
const BOTH: &[i64] = &[
    c::SYS_read,
    c::SYS_write,
    c::SYS_readv,
    c::SYS_writev,
    c::SYS_close,
    c::SYS_fstat,
    c::SYS_lseek,
    c::SYS_mmap,
    c::SYS_munmap,
    c::SYS_mprotect,
    c::SYS_madvise,
    c::SYS_mremap,
    c::SYS_brk,
    c::SYS_mincore,
    c::SYS_membarrier,
    c::SYS_futex,
    c::SYS_set_robust_list,
    c::SYS_rseq,
    c::SYS_sched_yield,
    c::SYS_sched_getaffinity,
    c::SYS_getcpu,
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_sigaltstack,
    c::SYS_restart_syscall,
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_clock_nanosleep,
    c::SYS_nanosleep,
    c::SYS_gettimeofday,
    c::SYS_getrandom,
    c::SYS_getpid,
    c::SYS_gettid,
    c::SYS_uname,
    c::SYS_exit,
    c::SYS_exit_group,
    // Answered by the third filter.
    c::SYS_clone3,
];

/// A worker also waits on its sockets, and keeps the first image of each memory in a file without a name.
const WORKER: &[i64] = &[
    c::SYS_recvfrom,
    c::SYS_sendto,
    c::SYS_recvmsg,
    c::SYS_sendmsg,
    c::SYS_shutdown,
    c::SYS_epoll_ctl,
    c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2,
    c::SYS_epoll_create1,
    c::SYS_ppoll,
    c::SYS_eventfd2,
    c::SYS_getsockopt,
    c::SYS_getpeername,
    c::SYS_getsockname,
    c::SYS_memfd_create,
    c::SYS_ftruncate,
    c::SYS_fallocate,
    c::SYS_pwrite64,
    c::SYS_pread64,
];

/// What only an attacker tries: another program, another process, a way out, a way deeper into the kernel.
const NEVER: &[i64] = &[
    c::SYS_execve,
    c::SYS_execveat,
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_kill,
    c::SYS_tkill,
    c::SYS_rt_sigqueueinfo,
    c::SYS_pidfd_open,
    c::SYS_pidfd_getfd,
    c::SYS_pidfd_send_signal,
    c::SYS_kcmp,
    c::SYS_socket,
    c::SYS_connect,
    c::SYS_bind,
    c::SYS_listen,
    c::SYS_accept,
    c::SYS_accept4,
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_pivot_root,
    c::SYS_chroot,
    c::SYS_unshare,
    c::SYS_setns,
    c::SYS_open_by_handle_at,
    c::SYS_fsopen,
    c::SYS_fsmount,
    c::SYS_move_mount,
    c::SYS_open_tree,
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    c::SYS_bpf,
    c::SYS_perf_event_open,
    c::SYS_userfaultfd,
    c::SYS_keyctl,
    c::SYS_add_key,
    c::SYS_request_key,
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_kexec_load,
    c::SYS_reboot,
    c::SYS_swapon,
    c::SYS_acct,
    c::SYS_setuid,
    c::SYS_setgid,
    c::SYS_setreuid,
    c::SYS_setresuid,
    c::SYS_capset,
];

/// Calls that only the older of our two processors has.
#[cfg(target_arch = "x86_64")]
mod older {
    pub(super) const WORKER: &[i64] = &[libc::SYS_poll, libc::SYS_epoll_wait];
    pub(super) const NEVER: &[i64] =
        &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
}
#[cfg(not(target_arch = "x86_64"))]
mod older {
    pub(super) const WORKER: &[i64] = &[];
    pub(super) const NEVER: &[i64] = &[];
}

/// The kernel's name of a thread, which runtimes set.
const PR_SET_NAME: u64 = 15;

/// Whether this machine's kernel and processor take such filters.
pub(super) fn available() -> Result<(), SandboxError> {
    arch().map(drop)
}

/// Installs all three, for this thread and all that it makes.
pub(super) fn restrict(profile: Profile) -> Result<(), SandboxError> {
    for filter in filters(profile)? {
        seccompiler::apply_filter(&filter).map_err(refused)?;
    }
    Ok(())
}

fn refused(error: impl ToString) -> SandboxError {
    SandboxError::Refused("seccomp", error.to_string())
}

fn arch() -> Result<TargetArch, SandboxError> {
    std::env::consts::ARCH
        .try_into()
        .map_err(|_| SandboxError::Missing("seccomp filter of ours for this processor", "use x86_64 or aarch64"))
}

fn filters(profile: Profile) -> Result<[BpfProgram; 3], SandboxError> {
    let arch = arch()?;
    let build = |rules: Rules, otherwise, matched| -> Result<BpfProgram, SandboxError> {
        let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(refused)?;
        filter.try_into().map_err(refused)
    };
    let every = |calls: &[i64]| -> Rules { calls.iter().map(|call| (*call, Vec::new())).collect() };
    let missing = u32::try_from(c::ENOSYS).unwrap_or(38);
    let forbidden = u32::try_from(c::EPERM).unwrap_or(1);
    Ok([
        build(every(&[c::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(missing))?,
        build(every(&[NEVER, older::NEVER].concat()), SeccompAction::Allow, SeccompAction::KillProcess)?,
        // Last: from here on not even another filter is taken.
        build(allowed(profile)?, SeccompAction::Errno(forbidden), SeccompAction::Allow)?,
    ])
}

fn allowed(profile: Profile) -> Result<Rules, SandboxError> {
    let [worker, older]: [&[i64]; 2] = if profile == Profile::Worker { [WORKER, older::WORKER] } else { [&[], &[]] };
    let mut rules: Rules = BOTH.iter().chain(worker).chain(older).map(|call| (*call, Vec::new())).collect();
    let mut only = |call: i64, conditions: Vec<Vec<(u8, Len, Op, u64)>>| -> Result<(), SandboxError> {
        let mut ways = Vec::new();
        for way in conditions {
            let way = way.into_iter().map(|(argument, len, op, value)| SeccompCondition::new(argument, len, op, value));
            let way = way.collect::<Result<Vec<_>, _>>().map_err(refused)?;
            ways.push(SeccompRule::new(way).map_err(refused)?);
        }
        rules.insert(call, ways);
        Ok(())
    };
    let flag = |bits: i32| u64::from(bits.unsigned_abs());
    // A thread of this process, in its own namespaces: nothing that would be another.
    let apart =
        c::CLONE_NEWNS | c::CLONE_NEWCGROUP | c::CLONE_NEWUTS | c::CLONE_NEWIPC | c::CLONE_NEWUSER | c::CLONE_NEWPID;
    let looked_at = flag(c::CLONE_THREAD | apart | c::CLONE_NEWNET | c::CLONE_PTRACE);
    only(c::SYS_clone, vec![vec![(0, Len::Qword, Op::MaskedEq(looked_at), flag(c::CLONE_THREAD))]])?;
    only(c::SYS_prctl, vec![vec![(0, Len::Dword, Op::Eq, PR_SET_NAME)]])?;
    // An abort signals the own process; its id is the same in every thread.
    only(c::SYS_tgkill, vec![vec![(0, Len::Dword, Op::Eq, u64::from(std::process::id()))]])?;
    // What a stream is, never what it is made into.
    let fcntl = [c::F_GETFL, c::F_SETFL, c::F_GETFD, c::F_SETFD, c::F_DUPFD_CLOEXEC, c::F_ADD_SEALS, c::F_GET_SEALS];
    only(c::SYS_fcntl, fcntl.iter().map(|command| vec![(1, Len::Dword, Op::Eq, flag(*command))]).collect())?;
    only(c::SYS_ioctl, vec![vec![(1, Len::Dword, Op::Eq, c::FIONBIO)], vec![(1, Len::Dword, Op::Eq, c::FIONREAD)]])?;
    // Limits are read; a new one would be the third argument.
    only(c::SYS_prlimit64, vec![vec![(0, Len::Dword, Op::Eq, 0), (2, Len::Qword, Op::Eq, 0)]])?;
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_deadly() {
        for profile in [Profile::Compile, Profile::Worker] {
            let allowed = allowed(profile).unwrap();
            assert!(NEVER.iter().chain(older::NEVER).all(|call| !allowed.contains_key(call)));
        }
    }

    #[test]
    fn the_filters_can_be_built() {
        for profile in [Profile::Compile, Profile::Worker] {
            assert!(filters(profile).unwrap().iter().all(|filter| !filter.is_empty()));
        }
    }
}
