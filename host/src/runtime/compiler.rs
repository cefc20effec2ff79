//! Has components compiled: here, or by a child process that can do nothing else.

use super::compile::{Answer, Compiled};
use super::{Engine, LoadError};
use serde::Serialize;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// The word that makes this program a compiling child. Not a verb: nobody types it.
pub const COMPILE: &str = "compile-apart";

/// How much compiling one component may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct CompileLimits {
    /// Wall-clock time, and of the processor as much for each core. Default 30 s.
    pub time: Duration,
    /// Bytes of memory that the child may write to. Default 1 GiB, which suits components of twenty megabytes.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), memory_bytes: 1 << 30 }
    }
}

/// Where components are compiled.
pub struct Compiler {
    engine: Arc<Engine>,
    apart: Option<Apart>,
}

struct Apart {
    program: PathBuf,
    limits: CompileLimits,
    /// One child at a time: compiling uses every core there is, and guests run beside it.
    turn: Semaphore,
}

/// What a child may say when it fails, for the log.
const COMPLAINT_BYTES: usize = 2048;
/// Machine code is a few times as large as what it was made from; small components have some of their own besides.
const MOST_TIMES: u64 = 16;
const MOST_BESIDES: u64 = 4 << 20;

impl Compiler {
    /// In this process. For tests and tools: nothing bounds what a component costs.
    pub fn here(engine: Arc<Engine>) -> Self {
        Self { engine, apart: None }
    }

    /// In a child of `program`, which is this one or another build of it, called with [`COMPILE`].
    pub fn apart(engine: Arc<Engine>, program: PathBuf, limits: CompileLimits) -> Self {
        Self { engine, apart: Some(Apart { program, limits, turn: Semaphore::new(1) }) }
    }

    /// Compiles a component. No instruction of it runs.
    ///
    /// # Errors
    /// [`LoadError`]: what is wrong with the component, or which limit it met.
    pub async fn compile(&self, bytes: Vec<u8>) -> Result<Compiled, LoadError> {
        let Some(apart) = &self.apart else {
            let engine = self.engine.clone();
            let compiled = tokio::task::spawn_blocking(move || engine.compile(&bytes)).await;
            return compiled.map_err(|_| LoadError::Host("compiling stopped".into()))?;
        };
        // Before a child is paid for.
        super::load::check_head(&self.engine, &bytes)?;
        let digest = crate::ids::Digest::of(&bytes);
        let _turn = apart.turn.acquire().await;
        let compiled = apart.compile(&self.engine.order(), &bytes).await?;
        if compiled.digest() != digest {
            return Err(LoadError::Host("the compiling child answered for another component".into()));
        }
        Ok(compiled)
    }
}

impl Apart {
    async fn compile(&self, order: &[u8], component: &[u8]) -> Result<Compiled, LoadError> {
        let failed = |what: &str| LoadError::Host(format!("the compiling child {what}"));
        let mut child = self.start().map_err(|error| failed(&format!("does not start: {error}")))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(failed("has no streams"));
        };
        let telling = async {
            let length = u32::try_from(order.len()).unwrap_or(u32::MAX).to_be_bytes();
            // A child that does not listen to the end has an answer already, or died; both are seen below.
            let _ = stdin.write_all(&length).await;
            let _ = stdin.write_all(order).await;
            let _ = stdin.write_all(component).await;
            drop(stdin);
        };
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        let whole = async {
            let most = (component.len() as u64).saturating_mul(MOST_TIMES).saturating_add(MOST_BESIDES);
            let mut stdout = stdout.take(most);
            let mut stderr = stderr.take(COMPLAINT_BYTES as u64);
            let _ = tokio::join!(
                telling,
                async {
                    let _ = stdout.read_to_end(&mut answer).await;
                    // A child that would write more than that is told so by its own stream.
                    drop(stdout);
                },
                async {
                    let _ = stderr.read_to_end(&mut complaint).await;
                    // What it says beyond that nobody reads.
                    drop(stderr);
                }
            );
            child.wait().await
        };
        let status = match tokio::time::timeout(self.limits.time, whole).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(failed(&format!("cannot be waited for: {error}"))),
            // Dropping the child kills it.
            Err(_elapsed) => return Err(LoadError::TooLong(self.limits.time)),
        };
        if status.success() {
            let answer: Result<Answer, _> = postcard::from_bytes(&answer);
            return answer.map_err(|_| failed("gave an answer that cannot be read"))?;
        }
        let complaint = String::from_utf8_lossy(&complaint).escape_debug().to_string();
        tracing::warn!(%status, complaint, "a compiling child failed");
        use std::os::unix::process::ExitStatusExt as _;
        Err(match status.signal() {
            Some(libc::SIGXCPU | libc::SIGKILL) => LoadError::TooLong(self.limits.time),
            // It could not get memory: the allocator aborts, and a guard page of the stack faults.
            Some(libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS) => LoadError::TooMuchMemory(self.limits.memory_bytes),
            Some(libc::SIGSYS) => failed("did what it may not, and was ended; do not deploy this component"),
            _ => failed("ended without an answer; the log has more"),
        })
    }

    fn start(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg(COMPILE)
            .arg(self.limits.memory_bytes.to_string())
            .arg(self.limits.time.as_secs().max(1).to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}
