//! One invocation: one instance, one store, one response.

use super::ending::{CutOff, Ending, ResponseBody};
use super::instance::Instance;
use super::{Engine, InvokeError, Loaded};
use crate::broker::{Body, BodyError, Broker, Guest};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::coop::unconstrained;
use tokio::time::timeout;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

/// Characters of a guest's error code that are passed on.
const MOST_TOLD: usize = 200;

/// What a guest hands over: a response, or an error code in its place.
type Head = Result<Response<WasiBody>, ErrorCode>;

impl Engine {
    /// Runs a guest on a request, in an instance of its own that nothing else ever uses.
    ///
    /// A short response is returned once the guest has ended. A longer one streams while the guest goes on writing; then
    /// the guest is stopped when the body is dropped, and a guest that is stopped leaves a body that ends in an error.
    /// Headers that are not for guests are removed in both directions.
    ///
    /// # Errors
    /// [`InvokeError`], when there is no response to begin with.
    pub async fn invoke(
        &self,
        loaded: &Loaded,
        guest: Guest,
        broker: Arc<dyn Broker>,
        request: Request<Body>,
    ) -> Result<Response<Body>, InvokeError> {
        if loaded.wants_reveal() && !guest.reveal {
            return Err(InvokeError::RevealNotGranted);
        }
        let slot = self.admit().await.ok_or(InvokeError::Busy)?;
        let ending = Arc::new(Ending::default());
        let store = Instance::store(&self.wasm, &self.config, guest, broker, ending.clone());
        let (head, response) = oneshot::channel();
        let running = Running {
            cut_off: CutOff(ending.clone()),
            store,
            _slot: slot,
            pre: loaded.pre.clone(),
            deadline: self.config.deadline,
        };
        first(running.run(request, head).boxed(), response, ending).await
    }
}

/// An instance that runs. Fields are dropped in this order: the ending is known before the store closes its streams,
/// and the slot is free only when the store's memory is.
struct Running {
    cut_off: CutOff,
    store: Store<Instance>,
    _slot: OwnedSemaphorePermit,
    pre: ProxyPre<Instance>,
    deadline: Duration,
}

impl Running {
    async fn run(mut self, request: Request<Body>, head: oneshot::Sender<Head>) -> Result<(), InvokeError> {
        let handling = handle(&self.pre, &mut self.store, request, head);
        // A panic in a host call ends this invocation and nothing else.
        let ended = match timeout(self.deadline, AssertUnwindSafe(handling).catch_unwind()).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(InvokeError::from_engine(&error)),
            Ok(Err(_panic)) => Err(InvokeError::Host),
            Err(_elapsed) => Err(InvokeError::Deadline(self.deadline)),
        };
        let ending = &self.cut_off.0;
        match &ended {
            Ok(()) => ending.well(),
            Err(error) => {
                let memory = self.store.data().limits.memory();
                let agent = &self.store.data().facts.workload.name;
                tracing::warn!(agent, memory, %error, "an invocation failed");
                ending.fault(error.to_string());
            }
        }
        ended
    }
}

async fn handle(
    pre: &ProxyPre<Instance>,
    store: &mut Store<Instance>,
    request: Request<Body>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let scheme = if request.uri().scheme() == Some(&http::uri::Scheme::HTTP) { Scheme::Http } else { Scheme::Https };
    let mut view = store.data_mut().http();
    let request = view.new_incoming_request(scheme, readable(request))?;
    let out = view.new_response_outparam(head)?;
    let instance = pre.instantiate_async(&mut *store).await?;
    instance.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
}

/// As `wasi:http` wants it: with an authority, which a caller who passes on no `host` header has left out.
fn readable(mut request: Request<Body>) -> Request<WasiBody> {
    if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, http::HeaderValue::from_static("localhost"));
    }
    let error = |BodyError(reason)| wasmtime_wasi_http::Error::InternalError(Some(reason));
    request.map(|body| body.map_err(error).boxed_unsync())
}

/// Runs the guest until it has ended or has begun to answer, whichever is first.
///
/// Most guests have written their whole response when they are first left, so there is no task to spawn and no stream
/// to wait for. One that has begun to answer and goes on gets a task of its own: its caller may read slowly, and its
/// deadline must not wait for that.
async fn first(
    mut guest: BoxFuture<'static, Result<(), InvokeError>>,
    mut response: oneshot::Receiver<Head>,
    ending: Arc<Ending>,
) -> Result<Response<Body>, InvokeError> {
    let mut head = Answer::Awaited;
    let head = std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = guest.as_mut().poll(cx) {
            return Poll::Ready(ended.map(|()| std::mem::replace(&mut head, Answer::Awaited)));
        }
        match std::mem::replace(&mut head, Answer::Awaited) {
            Answer::Awaited => match Pin::new(&mut response).poll(cx) {
                // It may have been interrupted with its last words on its lips. Ask it once more before it gets a task.
                Poll::Ready(Ok(begun)) => {
                    head = Answer::Begun(begun);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                // It threw away its way to answer and runs on. Let it, until its deadline.
                Poll::Ready(Err(_)) => {
                    head = Answer::Never;
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            },
            Answer::Begun(begun) => Poll::Ready(Ok(Answer::Streaming(begun))),
            other => {
                head = other;
                Poll::Pending
            }
        }
    })
    .await?;
    let head = match head {
        Answer::Streaming(head) => {
            let response = accept(head)?;
            let guest = tokio::spawn(guest).abort_handle();
            return Ok(response.map(|inner| ResponseBody { inner, ending, guest }.boxed()));
        }
        Answer::Begun(head) => head,
        Answer::Awaited => response.try_recv().map_err(|_| InvokeError::NoResponse)?,
        Answer::Never => return Err(InvokeError::NoResponse),
    };
    let (parts, body) = accept(head)?.into_parts();
    Ok(Response::from_parts(parts, whole(body)?))
}

/// How far a guest is with its response.
enum Answer {
    Awaited,
    Never,
    Begun(Head),
    Streaming(Head),
}

fn accept(head: Head) -> Result<Response<WasiBody>, InvokeError> {
    head.map_err(|code| InvokeError::AgentError(told(&code)))
}

/// The name of an error code, and the beginning of what the guest wrote into it: it goes to the caller and into the audit
/// trail, which are not for a guest to fill.
fn told(code: &ErrorCode) -> String {
    let mut text = format!("{code:?}");
    if let Some((cut, _)) = text.char_indices().nth(MOST_TOLD) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// A body whose guest has ended: all of it is here, so its length is known and nobody waits.
fn whole(body: WasiBody) -> Result<Body, InvokeError> {
    // Without the scheduler's budget: one that is used up would read as "not yet".
    match unconstrained(body.collect()).now_or_never() {
        Some(Ok(collected)) if collected.trailers().is_some() => Ok(infallible(collected)),
        Some(Ok(collected)) => Ok(infallible(Full::new(collected.to_bytes()))),
        Some(Err(error)) => Err(InvokeError::AgentError(error.to_string())),
        // Its writing end is gone, so it cannot have more to wait for.
        None => Err(InvokeError::Host),
    }
}

fn infallible(body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}
