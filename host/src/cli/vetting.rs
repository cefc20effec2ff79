//! Has a component judged by a child process that can do nothing else: what it reads is bytes of strangers.

use crate::sandbox::{Limits, Profile, confine};
use crate::vet::{Order, Verdict};
use anyhow::{Context as _, anyhow, ensure};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The word that makes this program a child that judges. Not a verb: nobody types it.
pub(super) const JUDGE: &str = "judge-apart";

/// Seconds of the processor that judging may take.
const SECONDS: u64 = 60;
/// Bytes of memory, for each byte to be read and beside them.
const TIMES: u64 = 8;
const BESIDES: u64 = 128 << 20;
/// Of a report.
const MOST_REPORT_BYTES: u64 = 64 << 20;

/// What came of it.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// In the form that was asked for.
    pub(super) report: String,
}

/// Judges a component in a child of this program.
///
/// What the child cannot do in its time and memory comes back as [`Verdict::Unreadable`]; the report says so in a line.
pub(super) fn judge(order: &Order, component: &[u8], before: Option<&[u8]>) -> anyhow::Result<Judged> {
    let head = order.head(component.len(), before.is_some());
    let sizes = [head.len(), component.len(), before.map_or(0, <[u8]>::len)];
    let bytes: u64 = sizes.iter().map(|size| *size as u64).sum();
    let memory = bytes.saturating_mul(TIMES).saturating_add(BESIDES);
    let program = std::env::current_exe().context("this program cannot be found again")?;
    let mut child = Command::new(program)
        .args([JUDGE, &memory.to_string(), &SECONDS.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("a child process does not start")?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(anyhow!("a child process has no streams"));
    };
    let (mut answer, mut complaint) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A child that does not listen to the end has an answer already, or died; both are seen below.
            for part in [&head[..], component, before.unwrap_or_default()] {
                if stdin.write_all(part).is_err() {
                    return;
                }
            }
        });
        scope.spawn(|| stderr.take(2048).read_to_end(&mut complaint));
        stdout.take(MOST_REPORT_BYTES).read_to_end(&mut answer)
    })
    .context("a child process cannot be read")?;
    let status = child.wait().context("a child process cannot be waited for")?;
    if !status.success() {
        let why = match status.signal() {
            Some(libc::SIGXCPU | libc::SIGKILL) => format!("reading it takes more than {SECONDS} seconds"),
            Some(libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS) => {
                format!("reading it takes more than {} MiB of memory", memory >> 20)
            }
            Some(libc::SIGSYS) => "reading it made the reader do what it may not; do not run it".to_owned(),
            _ => String::from_utf8_lossy(&complaint).trim().to_owned(),
        };
        ensure!(status.signal().is_some(), "{why}");
        return Ok(unreadable(order, component.len(), &why));
    }
    let (verdict, report) = answer.split_first().context("a child process gave no answer")?;
    let verdict = match verdict {
        0 => Verdict::Allowed,
        1 => Verdict::Refused,
        _ => Verdict::Unreadable,
    };
    let report = String::from_utf8(report.to_vec()).context("a child process gave an answer that is no text")?;
    Ok(Judged { verdict, report })
}

/// The report that the child did not write.
fn unreadable(order: &Order, size: usize, why: &str) -> Judged {
    let report = order.form.of(&crate::vet::unreadable(&order.file, size, why));
    Judged { verdict: Verdict::Unreadable, report }
}

/// In the child: reads the order, and answers.
pub(super) fn apart(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or("this is started by `vet`");
    let limits = Limits { memory: Some(number()?), cpu: Some(Duration::from_secs(number()?)) };
    let _confined = confine(Profile::Compile, &limits)?;
    let mut whole = Vec::new();
    std::io::stdin().lock().read_to_end(&mut whole)?;
    let (verdict, report) = Order::carried_out(&whole)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&[match verdict {
        Verdict::Allowed => 0,
        Verdict::Refused => 1,
        Verdict::Unreadable => 2,
    }])?;
    out.write_all(report.as_bytes())?;
    out.flush()?;
    Ok(())
}
