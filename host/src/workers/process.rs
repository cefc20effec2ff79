//! One worker as a process: started, spoken to, and ended.

use super::body::{self, message};
use super::host_end::{self, Seat, Seated};
use super::wire::{Invoke, Invoked, Presented, RequestHead};
use super::{STREAM_WINDOW, WINDOW, WORKER};
use crate::broker::{Body, BodyError, Broker, Guest};
use crate::ids::sha256;
use crate::runtime::{Compiled, InvokeError};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, Sleep};

/// Beyond the deadline, which the worker holds to by itself as long as it is honest.
const GRACE: Duration = Duration::from_secs(1);
/// To confine itself and to make its component ready.
const BEGIN: Duration = Duration::from_secs(20);
/// Bytes of a worker's log that are passed on in a second; and of one line.
const LOG_BYTES: usize = 64 << 10;
const LINE_BYTES: usize = 8 << 10;
/// Of a reason why an invocation failed: what the engine says of one, and the sign that it was cut.
const MOST_REASON_CHARS: usize = 201;

/// What all workers are started with.
pub(super) struct Recipe<'a> {
    pub(super) program: &'a Path,
    /// Bytes of memory that a worker may write to.
    pub(super) memory: u64,
    pub(super) order: &'a [u8],
    pub(super) deadline: Duration,
}

/// A worker that runs.
pub(super) struct Worker {
    sender: SendRequest<Body>,
    seated: Arc<Seated>,
    deadline: Duration,
    pub(super) running: AtomicU32,
    over: Arc<AtomicBool>,
    agent: Arc<str>,
}

impl Worker {
    /// Starts one and waits until it is ready.
    pub(super) async fn start(
        recipe: &Recipe<'_>,
        compiled: &Compiled,
        broker: Arc<dyn Broker>,
        name: Arc<str>,
    ) -> io::Result<Self> {
        let (work, theirs) = std::os::unix::net::UnixStream::pair()?;
        let (asking, other) = std::os::unix::net::UnixStream::pair()?;
        for ours in [&work, &asking] {
            ours.set_nonblocking(true)?;
        }
        let mut child = Command::new(recipe.program)
            .arg(WORKER)
            .arg(recipe.memory.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(OwnedFd::from(other))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(pass_on(stderr, name.clone()));
        }
        let seated = Arc::new(Seated::default());
        tokio::spawn(host_end::serve(UnixStream::from_std(asking)?, seated.clone(), broker, name.clone()));
        let over = Arc::new(AtomicBool::new(false));
        tokio::spawn(watch(child, seated.clone(), over.clone(), name.clone()));
        // Whoever waits for this may go away; the process must not stay behind.
        let unless_begun = EndUnlessBegun(Some(seated.clone()));

        let began = tokio::time::timeout(BEGIN, async {
            let io = TokioIo::new(UnixStream::from_std(work)?);
            let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(8 << 10)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(WINDOW)
                .handshake(io)
                .await
                .map_err(io::Error::other)?;
            tokio::spawn(connection);
            begin(sender, recipe.order, compiled).await
        });
        let began = began.await.unwrap_or_else(|_| Err(io::Error::other("it did not begin in time")));
        match began {
            Ok(sender) => {
                unless_begun.begun();
                let (deadline, running) = (recipe.deadline, AtomicU32::new(0));
                Ok(Self { sender, seated, deadline, running, over, agent: name })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it can take work.
    pub(super) fn is_alive(&self) -> bool {
        !self.over.load(Ordering::Acquire) && !self.sender.is_closed()
    }

    /// Ends the process. Whatever runs in it breaks off.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.seated.enough.notify_one();
    }

    /// Runs one invocation. `held` is given up with the last byte of the response.
    pub(super) async fn invoke(
        self: Arc<Self>,
        work: Work,
        held: impl Send + Unpin + 'static,
    ) -> Result<Response<Body>, NotRun> {
        let Work { name, bodiless, message } = work;
        let seat = self.seated.seat(name);
        let until = Instant::now() + self.deadline + GRACE;
        let mut sender = self.sender.clone();
        let begun = async {
            let response =
                sender.try_send_request(message).await.map_err(|mut failed| match failed.take_message() {
                    Some(message) => NotRun::Untouched(Box::new(Work { name, bodiless, message })),
                    None => NotRun::Failed(InvokeError::Stopped),
                })?;
            if !response.status().is_success() {
                return Err(NotRun::Failed(InvokeError::Host));
            }
            let read = body::read::<Invoked, _>(response.into_body()).await;
            read.map_err(|_| NotRun::Failed(InvokeError::Stopped))
        };
        let (head, rest) = match tokio::time::timeout_at(until, begun).await {
            Ok(begun) => begun?,
            Err(_elapsed) => {
                tracing::error!(agent = &*self.agent, "a worker held an invocation beyond its deadline; it is ended");
                self.end();
                return Err(NotRun::Failed(InvokeError::Deadline(self.deadline)));
            }
        };
        let stopped = || NotRun::Failed(InvokeError::Stopped);
        let head = head.map_err(|error| NotRun::Failed(plainly(error)))?;
        let told = head.length;
        let head = head.with(()).map_err(|_| stopped())?;
        // A worker may be anybody's by now, and what is no final answer would be one to the connection that it goes out on.
        let length = if bodiless { Some(Some(0)) } else { length_of(&head, told) };
        let length = length.filter(|_| !head.status().is_informational()).ok_or_else(stopped)?;
        let inner = rest.sized(length);
        let until = Box::pin(tokio::time::sleep_until(until));
        let running = Running { inner, until, worker: self, _seat: seat, _held: held };
        Ok(head.map(|()| running.boxed_unsync()))
    }
}

/// One invocation, on its way to a worker.
pub(super) struct Work {
    /// Of its workload access token.
    name: [u8; 32],
    /// Its answer may tell the length of a body that is not there (RFC 9110 §9.3.2).
    bodiless: bool,
    message: Request<Body>,
}

impl Work {
    pub(super) fn new(guest: Guest, request: Request<Body>) -> Result<Self, InvokeError> {
        let Guest { wat, workload, user, claims, reveal } = guest;
        let wat = Presented(*wat.to_worker());
        let (name, bodiless) = (sha256(&wat.0), request.method() == http::Method::HEAD);
        let head = Invoke { wat, workload, user, claims, reveal, request: RequestHead::of(&request) };
        let message = message(&head, Some(request.into_body())).map_err(|_| InvokeError::Host)?;
        let message = Request::post("http://worker/invoke").body(message).map_err(|_| InvokeError::Host)?;
        Ok(Self { name, bodiless, message })
    }
}

/// Why there is no response.
pub(super) enum NotRun {
    /// The worker ended before anything of it was sent: another can take it.
    Untouched(Box<Work>),
    Failed(InvokeError),
}

/// Ends a worker that did not get as far as to take work.
struct EndUnlessBegun(Option<Arc<Seated>>);

impl EndUnlessBegun {
    fn begun(mut self) {
        self.0 = None;
    }
}

impl Drop for EndUnlessBegun {
    fn drop(&mut self) {
        if let Some(seated) = &self.0 {
            seated.enough.notify_one();
        }
    }
}

/// What a worker says of a failure stands in the answer and in the trail, so it is short and has no control characters.
fn plainly(error: InvokeError) -> InvokeError {
    let short = |text: String| text.chars().filter(|c| !c.is_control()).take(MOST_REASON_CHARS).collect();
    match error {
        InvokeError::Trapped(text) => InvokeError::Trapped(short(text)),
        InvokeError::OutOfMemory(text) => InvokeError::OutOfMemory(short(text)),
        InvokeError::AgentError(text) => InvokeError::AgentError(short(text)),
        other => other,
    }
}

/// The length that a response has. Two that differ would be two messages to two readers; then it has none at all.
fn length_of(head: &Response<()>, told: Option<u64>) -> Option<Option<u64>> {
    let mut written =
        head.headers().get_all(CONTENT_LENGTH).iter().map(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (written.next(), written.next()) {
        (None, _) => Some(told),
        (Some(Some(length)), None) if told.is_none_or(|told| told == length) => Some(Some(length)),
        _ => None,
    }
}

async fn begin(mut sender: SendRequest<Body>, order: &[u8], compiled: &Compiled) -> io::Result<SendRequest<Body>> {
    let length = u32::try_from(order.len()).map_err(io::Error::other)?.to_be_bytes();
    let whole = Bytes::from([&length, order, &compiled.to_bytes()].concat());
    let body = http_body_util::Full::new(whole).map_err(|never| match never {}).boxed_unsync();
    let request = Request::post("http://worker/begin").body(body).map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let succeeded = response.status().is_success();
    let said = http_body_util::Limited::new(response.into_body(), LINE_BYTES).collect().await;
    if succeeded {
        return Ok(sender);
    }
    let said = said.map(|said| String::from_utf8_lossy(&said.to_bytes()).escape_debug().to_string());
    Err(io::Error::other(said.unwrap_or_default()))
}

/// Waits for the end of the process, or brings it about.
async fn watch(mut child: Child, seated: Arc<Seated>, over: Arc<AtomicBool>, worker: Arc<str>) {
    let (ended, asked) = tokio::select! {
        status = child.wait() => (status, over.swap(true, Ordering::AcqRel)),
        () = seated.enough.notified() => {
            // Before it is gone: nobody is to be sent to it any more.
            over.store(true, Ordering::Release);
            let _ = child.start_kill();
            (child.wait().await, true)
        }
    };
    match ended {
        Ok(status) if asked || status.success() => tracing::debug!(%worker, %status, "a worker ended"),
        Ok(status) => tracing::error!(%worker, %status, "a worker ended by itself; what ran in it broke off"),
        Err(error) => tracing::error!(%worker, %error, "a worker cannot be waited for"),
    }
}

/// What a worker writes, line by line and escaped: it may be anybody's by now, but stays under its own agent's name.
async fn pass_on(mut from: tokio::process::ChildStderr, worker: Arc<str>) {
    let mut line = Vec::new();
    let mut budget = LOG_BYTES;
    let mut since = Instant::now();
    let mut left_out = 0_usize;
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        if since.elapsed() >= Duration::from_secs(1) {
            if left_out > 0 {
                tracing::warn!(target: "guest", %worker, bytes = left_out, "left out of the log: it is too much");
            }
            (since, budget, left_out) = (Instant::now(), LOG_BYTES, 0);
        }
        for byte in &chunk[..read] {
            if *byte != b'\n' && line.len() < LINE_BYTES {
                line.push(*byte);
                continue;
            }
            if line.len() > budget {
                left_out += line.len();
            } else if !line.is_empty() {
                budget -= line.len();
                let text: String = String::from_utf8_lossy(&line).chars().flat_map(char::escape_debug).collect();
                tracing::info!(target: "guest", %worker, "{text}");
            }
            line.clear();
        }
    }
}

/// A response that comes across the wall, and what it holds until its end.
struct Running<H> {
    inner: Body,
    until: Pin<Box<Sleep>>,
    worker: Arc<Worker>,
    _seat: Seat,
    _held: H,
}

impl<H: Unpin> http_body::Body for Running<H> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        std::task::ready!(this.until.as_mut().poll(cx));
        this.worker.end();
        Poll::Ready(Some(Err(BodyError("the agent did not finish in time; it was stopped".into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_of_a_failure_is_short_and_plain() {
        let said = InvokeError::Trapped(format!("a\r\n\u{1b}[2J{}", "x".repeat(1 << 20)));
        let InvokeError::Trapped(text) = plainly(said) else { panic!("another kind") };
        assert_eq!(text.chars().count(), MOST_REASON_CHARS);
        assert!(text.starts_with("a[2Jx"), "{text}");
    }

    #[test]
    fn a_response_has_one_length_or_is_none() {
        for (written, told, expect) in [
            (&[][..], None, Some(None)),
            (&[], Some(3), Some(Some(3))),
            (&["3"], Some(3), Some(Some(3))),
            (&["3"], None, Some(Some(3))),
            (&["4"], Some(3), None),
            (&["3", "3"], Some(3), None),
            (&["3x"], None, None),
        ] {
            let mut head = Response::new(());
            for length in written {
                head.headers_mut().append(CONTENT_LENGTH, length.parse().unwrap());
            }
            assert_eq!(length_of(&head, told), expect, "{written:?} {told:?}");
        }
    }
}
