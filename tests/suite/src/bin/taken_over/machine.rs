//! What the process has, and what the kernel gives it.

use serde_json::{Value, json};
use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::Command;

/// What the descriptors lead to that the host left open.
pub(crate) fn inherited() -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        // The listing itself is one of them, and is closed afterwards.
        if let Ok(to) = fs::read_link(&path)
            && !to.starts_with("/proc")
        {
            all.push(format!("{} {}", path.display(), to.display()));
        }
    }
    all.sort();
    Ok(all)
}

/// Everything that fails without ending the process.
pub(crate) fn looked_at(known: &Value, inherited: &[String]) -> String {
    let parent = known["parent"].as_u64().unwrap_or(1);
    let mut paths = vec![
        "/etc/passwd".to_owned(),
        "/proc/self/environ".to_owned(),
        "/proc/self/mem".to_owned(),
        format!("/proc/{parent}/environ"),
        format!("/proc/{parent}/mem"),
        format!("/proc/{parent}/maps"),
    ];
    paths.extend(known["files"].as_array().into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)));
    let mut got: Vec<String> = Vec::new();
    for path in &paths {
        if fs::File::open(path).is_ok() {
            got.push(format!("read {path}"));
        }
    }
    for folder in ["/", "/proc", "/tmp", "."] {
        if fs::read_dir(folder).is_ok() {
            got.push(format!("listed {folder}"));
        }
    }
    for path in ["/tmp/taken-over", "/dev/shm/taken-over"] {
        if fs::write(path, "x").is_ok() {
            got.push(format!("wrote {path}"));
        }
    }
    let environment: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    json!({ "got": got, "tried": paths.len(), "environment": environment, "arguments": arguments, "inherited": inherited })
        .to_string()
}

/// One thing that may end the process.
pub(crate) fn deadly(known: &Value) -> String {
    let to = known["to"].as_str().unwrap_or_default();
    let told =
        |done: std::io::Result<()>| done.map_or_else(|error| format!("refused: {error}"), |()| "done".to_owned());
    match known["what"].as_str().unwrap_or_default() {
        "connect" => told(TcpStream::connect(to).map(drop)),
        "listen" => told(TcpListener::bind("127.0.0.1:0").map(drop)),
        "datagram" => told(UdpSocket::bind("127.0.0.1:0").map(drop)),
        "socket" => told(UnixStream::connect(to).map(drop)),
        "abstract" => {
            told(SocketAddr::from_abstract_name(to).and_then(|address| UnixStream::connect_addr(&address)).map(drop))
        }
        "run" => told(Command::new("/bin/true").status().map(drop)),
        "kill" => {
            let parent = known["parent"].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
            let Some(parent) = parent else { return "nobody to signal".into() };
            told(rustix::process::kill_process(parent, rustix::process::Signal::KILL).map_err(Into::into))
        }
        call => {
            let Ok(number) = call.parse::<i64>() else { return format!("there is no `{call}`") };
            let parent = known["parent"].as_i64().unwrap_or(0);
            #[expect(unsafe_code, reason = "a call that the kernel must not answer, with a process id and zeros")]
            // SAFETY: no argument is an address.
            let result = unsafe { libc::syscall(number, parent, 0, 0, 0, 0, 0) };
            if result < 0 { "refused".into() } else { "done".into() }
        }
    }
}
