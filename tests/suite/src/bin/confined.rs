//! Confines itself as a child of the host does, then tries one thing and says what came of it. For
//! `tests/suite/tests/sandbox.rs`; nothing else runs it.

use attache::sandbox::{Limits, Profile, confine};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let profile = match arguments[1].as_str() {
        "compile" => Profile::Compile,
        "worker" => Profile::Worker,
        // Waits to be looked at, as the process that holds secrets is, or as any other.
        "hardened" | "bare" => {
            if arguments[1] == "hardened" {
                attache::sandbox::harden().expect("it is hardened");
            }
            say("ready\n");
            let _until_closed = std::io::stdin().read_line(&mut String::new());
            return;
        }
        "free" => return say(&attempt(&arguments[2], &arguments[3..])),
        other => panic!("{other}"),
    };
    let limits = Limits { memory: Some(512 << 20), cpu: None };
    let confined = confine(profile, &limits);
    if let Err(error) = confined {
        eprintln!("{error}");
        std::process::exit(3);
    }
    say(&attempt(&arguments[2], &arguments[3..]));
}

fn say(what: &str) {
    let _ = std::io::stdout().write_all(what.as_bytes());
}

fn attempt(what: &str, with: &[String]) -> String {
    let told = |result: std::io::Result<()>| match result {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("refused: {:?} {:?}", error.kind(), error.raw_os_error()),
    };
    let first = || with[0].as_str();
    match what {
        "read" => told(std::fs::read(first()).map(drop)),
        "write" => told(std::fs::write(first(), "x")),
        "list" => told(std::fs::read_dir(first()).map(drop)),
        "connect" => told(TcpStream::connect(first()).map(drop)),
        "listen" => told(TcpListener::bind("127.0.0.1:0").map(drop)),
        "unix" => told(UnixStream::connect(first()).map(drop)),
        "unix-listen" => told(UnixListener::bind(first()).map(drop)),
        "run" => told(Command::new("/bin/true").status().map(drop)),
        "signal" => {
            let parent = first().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process");
            told(rustix::process::kill_process(parent, rustix::process::Signal::CONT).map_err(Into::into))
        }
        "thread" => told(std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join()))),
        "memory" => {
            // More than the limit, and touched.
            let mut held: Vec<Vec<u8>> = Vec::new();
            for _ in 0..64 {
                let mut more = Vec::new();
                if more.try_reserve_exact(16 << 20).is_err() {
                    return "refused: memory".into();
                }
                more.resize(16 << 20, 1);
                held.push(more);
            }
            "done".into()
        }
        "call" => {
            let number: i64 = first().parse().expect("a number");
            #[expect(unsafe_code, reason = "a call that the kernel must not answer, with arguments that do nothing")]
            // SAFETY: all arguments are zero, so none of these calls has anything to act on.
            let result = unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) };
            format!("answered: {result} {}", std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
        }
        other => panic!("{other}"),
    }
}
