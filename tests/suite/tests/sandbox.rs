//! What a confined child can still do: nothing that leads out of it. Each attempt is made by a program that confined itself as
//! a compiling child or a worker does, and, so that the attempt itself is known to be a real one, by one that did not.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Done,
    Refused(String),
    /// The kernel ended the process.
    Killed(i32),
}

fn attempt(profile: &str, what: &[&str]) -> End {
    let output = Command::new(env!("CARGO_BIN_EXE_confined")).arg(profile).args(what).output().expect("it starts");
    if let Some(signal) = output.status.signal() {
        return End::Killed(signal);
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.as_str() {
        "done" => End::Done,
        _ if said.starts_with("refused") || said.starts_with("answered: -1 1") => End::Refused(said),
        _ => panic!("{profile} {what:?}: {said} {}", String::from_utf8_lossy(&output.stderr)),
    }
}

const CONFINED: [&str; 2] = ["compile", "worker"];

#[test]
fn no_file_is_opened_and_no_connection_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x");
    std::fs::write(&file, "x").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").to_string();
    let socket = folder.path().join("socket");
    let _unix = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let socket = socket.to_str().expect("UTF-8");
    let another = folder.path().join("another");
    let attempts: &[&[&str]] = &[
        &["read", "/etc/passwd"],
        &["read", file],
        &["read", "/proc/self/environ"],
        &["write", file],
        &["list", "/"],
        &["connect", &port],
        &["listen"],
        &["unix", socket],
        &["unix-listen", another.to_str().expect("UTF-8")],
        &["run"],
        &["signal", &std::process::id().to_string()],
    ];
    for what in attempts {
        assert_eq!(attempt("free", what), End::Done, "{what:?}");
        for profile in CONFINED {
            let end = attempt(profile, what);
            assert!(matches!(end, End::Refused(_) | End::Killed(libc::SIGSYS)), "{profile} {what:?}: {end:?}");
        }
    }
}

#[test]
fn what_only_an_attacker_calls_ends_the_process() {
    let never = [
        libc::SYS_execve,
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_kill,
        libc::SYS_pidfd_open,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_setuid,
    ];
    for profile in CONFINED {
        for call in never {
            assert_eq!(attempt(profile, &["call", &call.to_string()]), End::Killed(libc::SIGSYS), "{profile} {call}");
        }
    }
}

#[test]
fn what_is_not_needed_fails_and_the_process_goes_on() {
    for profile in CONFINED {
        for call in [
            libc::SYS_openat,
            libc::SYS_unlinkat,
            libc::SYS_getdents64,
            libc::SYS_chmod,
            libc::SYS_sethostname,
            libc::SYS_seccomp,
        ] {
            let end = attempt(profile, &["call", &call.to_string()]);
            assert!(matches!(end, End::Refused(_)), "{profile} {call}: {end:?}");
        }
    }
}

#[test]
fn a_confined_process_has_threads_and_so_much_memory() {
    for profile in CONFINED {
        assert_eq!(attempt(profile, &["thread"]), End::Done, "{profile}");
        let end = attempt(profile, &["memory"]);
        assert!(matches!(end, End::Refused(_)), "{profile}: {end:?}");
    }
    assert_eq!(attempt("free", &["memory"]), End::Done);
}

/// Whether another process of the same account can read the environment, and so the memory, of one that is started so.
fn readable_by_its_own_account(kind: &str) -> bool {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::PermissionsExt as _;
    // Root may read everything, so both are nobody, from a place that nobody can reach.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a folder for all");
    let program = folder.path().join("confined");
    std::fs::copy(env!("CARGO_BIN_EXE_confined"), &program).expect("a copy");
    let as_nobody = |program: &std::ffi::OsStr| {
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
        command
    };
    let mut child = as_nobody(program.as_os_str())
        .arg(kind)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("setpriv of util-linux");
    let mut line = String::new();
    let _read = BufReader::new(child.stdout.take().expect("a stream")).read_line(&mut line);
    assert_eq!(line, "ready\n");
    let environ = format!("/proc/{}/environ", child.id());
    let read = as_nobody("cat".as_ref()).arg(environ).output().expect("cat");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit").to_owned();
    if kind == "hardened" {
        assert!(core.split_whitespace().nth(4) == Some("0"), "{core}");
    }
    drop(child.stdin.take());
    let _ended = child.wait();
    read.status.success()
}

#[test]
fn nobody_of_its_own_account_reads_the_process_that_holds_secrets() {
    assert!(readable_by_its_own_account("bare"), "another one is read, so the attempt is a real one");
    assert!(!readable_by_its_own_account("hardened"));
}
