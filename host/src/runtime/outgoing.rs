//! What a guest sends. Both ways out, `credential.send` and `wasi:http/outgoing-handler`, end in `Broker::send`.

use super::EngineConfig;
use super::ending::{Ending, RequestBody};
use super::instance::Door;
use crate::broker::{Body, BodyError, Outbound, Refusal};
use crate::egress::forbidden_header;
use crate::ids::CredentialId;
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt as _;
use std::future::{Ready, ready};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, Result, WasiBody, WasiHttpHooks};

/// Headers that guests neither see nor set, in either direction.
static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(forbidden_header));

/// Hands requests to the broker, all with the same credential or all with none.
pub(super) struct Sender {
    door: Arc<Door>,
    ending: Arc<Ending>,
    credential: Option<CredentialId>,
    flow: Flow,
    /// Why the last request was refused, where the broker said so at once.
    pub(super) refused: Option<Refusal>,
}

/// How much of a guest's sending the host has in its hands at once.
#[derive(Clone)]
struct Flow {
    chunk_bytes: usize,
    chunks: usize,
    /// One for each request that may be under way.
    under_way: Arc<Semaphore>,
    most: usize,
}

/// What the engine waits for beside a response: whether the exchange went on well. Our bodies say that themselves.
type Afterwards = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Afterwards)>;

impl Sender {
    /// For requests without a credential.
    pub(super) fn new(door: Arc<Door>, ending: Arc<Ending>, config: &EngineConfig) -> Self {
        let most = config.max_requests;
        let under_way = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let flow = Flow { chunk_bytes: config.body_chunk_bytes, chunks: config.body_chunks, under_way, most };
        Self { door, ending, credential: None, flow, refused: None }
    }

    /// The same way out, with this credential.
    pub(super) fn with(&self, credential: CredentialId) -> Self {
        let (door, ending, flow) = (self.door.clone(), self.ending.clone(), self.flow.clone());
        Self { door, ending, credential: Some(credential), flow, refused: None }
    }

    /// One more request may be under way.
    fn begin(&self) -> std::result::Result<OwnedSemaphorePermit, Refusal> {
        let most = self.flow.most;
        self.flow.under_way.clone().try_acquire_owned().map_err(|_| {
            Refusal::Unavailable(format!("{most} requests are under way; read their responses or drop some first"))
        })
    }
}

impl WasiHttpHooks for Sender {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        forbidden_header(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        FORBIDDEN.clone()
    }

    /// The client that sends it does, from the address that it connects to.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.flow.chunk_bytes
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        self.flow.chunks
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Afterwards,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        fault_point!("runtime.outgoing.send");
        let begun = match self.begin() {
            Ok(begun) => begun,
            Err(refusal) => {
                self.refused = Some(refusal);
                return Box::new(ready(Err(Error::ConnectionLimitReached)));
            }
        };
        let options = options.unwrap_or_default();
        let ending = self.ending.clone();
        let outbound = Outbound {
            credential: self.credential,
            request: request.map(|inner| RequestBody { inner, ending }.boxed()),
            connect_timeout: options.connect_timeout,
            first_byte_timeout: options.first_byte_timeout,
            between_bytes_timeout: options.between_bytes_timeout,
        };
        let mut sending = self.door.broker.send(&self.door.wat, outbound);
        // Asked once before it is handed over: what is refused without waiting (a destination, a malformed request)
        // becomes a typed error of this very call, instead of an error code of the response.
        match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Box::new(async move {
                match sending.await {
                    Ok(response) => {
                        fault_point!("runtime.outgoing.answer");
                        answer(response, begun)
                    }
                    Err(refusal) => Err(error_code(&refusal)),
                }
            }),
            Poll::Ready(Ok(response)) => Box::new(ready(answer(response, begun))),
            Poll::Ready(Err(refusal)) => {
                let error = error_code(&refusal);
                self.refused = Some(refusal);
                Box::new(ready(Err(error)))
            }
        }
    }
}

/// The response keeps its request's place until its body is read to the end or dropped.
fn answer(response: Response<Body>, begun: OwnedSemaphorePermit) -> Answer {
    let body = |body: Body| {
        let error = move |BodyError(reason)| {
            let _until_dropped = &begun;
            Error::InternalError(Some(reason))
        };
        body.map_err(error).boxed_unsync()
    };
    let afterwards: Ready<Result<(), Error>> = ready(Ok(()));
    Ok((response.map(body), Box::new(afterwards)))
}

/// For those who read a response's error code. The codes have no room for a reason, so the log has it too.
fn error_code(refusal: &Refusal) -> Error {
    tracing::info!(target: "guest", reason = %refusal, "a request was refused");
    match refusal {
        Refusal::Denied(_) => Error::HttpRequestDenied,
        Refusal::Unavailable(_) => Error::DestinationUnavailable,
        other => Error::InternalError(Some(other.to_string())),
    }
}
