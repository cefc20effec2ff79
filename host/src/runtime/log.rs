//! What guests print, line by line, in the host's log: bounded, and with nothing that could be taken for the host's.

use bytes::Bytes;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Longest line, in bytes as printed; a longer one is broken.
const LINE: usize = 2048;

/// Bytes of the quota for each line that there may be: a line costs the log more than the bytes in it, and a guest that
/// prints nothing but line ends would fill it with what the host puts before each.
const BYTES_OF_A_LINE: usize = 64;

/// The log of one invocation. What is over the quota is counted, and the count is logged when the instance goes.
pub(super) struct GuestLog {
    agent: Arc<str>,
    left: usize,
    lines_left: usize,
    over: u64,
    lines: [Vec<u8>; 2],
}

/// Which stream a line came from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Out = 0,
    Err = 1,
}

impl GuestLog {
    pub(super) fn new(agent: &str, quota: usize) -> Arc<Mutex<Self>> {
        let lines_left = quota.div_ceil(BYTES_OF_A_LINE);
        let (agent, lines) = (agent.into(), Default::default());
        Arc::new(Mutex::new(Self { agent, left: quota, lines_left, over: 0, lines }))
    }

    fn take(&mut self, source: Source, bytes: &[u8]) {
        let (kept, over) = bytes.split_at(bytes.len().min(self.left));
        self.left -= kept.len();
        self.over += over.len() as u64;
        for (at, &byte) in kept.iter().enumerate() {
            if self.lines_left == 0 {
                self.left = 0;
                self.over += (kept.len() - at) as u64;
                return;
            }
            let line = &mut self.lines[source as usize];
            if byte == b'\n' || line.len() == LINE {
                self.flush(source);
            }
            if byte != b'\n' {
                self.lines[source as usize].push(byte);
            }
        }
    }

    fn flush(&mut self, source: Source) {
        self.lines_left = self.lines_left.saturating_sub(1);
        let line = std::mem::take(&mut self.lines[source as usize]);
        let (agent, text) = (&*self.agent, printable(&line));
        match source {
            Source::Out => tracing::info!(target: "guest", agent, stream = "stdout", "{text}"),
            Source::Err => tracing::info!(target: "guest", agent, stream = "stderr", "{text}"),
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        for source in [Source::Out, Source::Err] {
            if !self.lines[source as usize].is_empty() {
                self.flush(source);
            }
        }
        if self.over > 0 {
            tracing::info!(target: "guest", agent = &*self.agent, "{} more bytes were not logged", self.over);
        }
    }
}

/// As text without control characters, and without those that reorder or hide what follows.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden || (c.is_control() && c != '\t') {
            let _infallible = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// One end of it, for `wasi:cli`.
pub(super) struct Printer(pub(super) Arc<Mutex<GuestLog>>, pub(super) Source);

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self(self.0.clone(), self.1))
    }

    /// Only for interfaces of WASI 0.3, which are not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        fault_point!("runtime.log.write");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(8 << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_forge_a_line_or_colour_a_terminal() {
        assert_eq!(printable(b"a\rb\x1b[31m\0"), "a\\rb\\u{1b}[31m\\u{0}");
        assert_eq!(printable("abc\u{202e}fed\ttab ü".as_bytes()), "abc\\u{202e}fed\ttab ü");
        assert_eq!(printable(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn what_is_over_the_quota_is_counted_and_not_kept() {
        let log = GuestLog::new("calendar", 10);
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.take(Source::Out, b"12345\n789");
        log.take(Source::Err, b"0x");
        log.take(Source::Out, &[b'y'; 1000]);
        assert_eq!(log.left, 0);
        assert_eq!(log.over, 1001);
        assert_eq!(log.lines, [b"789".to_vec(), b"0".to_vec()]);
    }

    #[test]
    fn a_flood_of_line_ends_is_cut_long_before_its_bytes() {
        let log = GuestLog::new("calendar", 640);
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.take(Source::Out, &[b'\n'; 600]);
        assert_eq!((log.lines_left, log.left, log.over), (0, 0, 590), "ten lines");
        log.take(Source::Err, b"more");
        assert_eq!(log.over, 594);
    }
}
