//! What a guest sends. Both ways out, `credential.send` and `wasi:http/outgoing-handler`, end in `Broker::send`.

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
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, Result, WasiBody, WasiHttpHooks};

/// Most bytes that a guest writes to a body at once.
const CHUNK: usize = 64 << 10;

/// Headers that guests neither see nor set, in either direction.
static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(forbidden_header));

/// Hands requests to the broker, all with the same credential or all with none.
pub(super) struct Sender {
    door: Arc<Door>,
    ending: Arc<Ending>,
    credential: Option<CredentialId>,
    /// Why the last request was refused, where the broker said so at once.
    pub(super) refused: Option<Refusal>,
}

/// What the engine waits for beside a response: whether the exchange went on well. Our bodies say that themselves.
type Afterwards = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Afterwards)>;

impl Sender {
    pub(super) fn new(door: Arc<Door>, ending: Arc<Ending>, credential: Option<CredentialId>) -> Self {
        Self { door, ending, credential, refused: None }
    }

    /// The same way out, with this credential.
    pub(super) fn with(&self, credential: CredentialId) -> Self {
        Self::new(self.door.clone(), self.ending.clone(), Some(credential))
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
        CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Afterwards,
    ) -> Box<dyn Future<Output = Answer> + Send> {
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
                    Ok(response) => answer(response),
                    Err(refusal) => Err(error_code(&refusal)),
                }
            }),
            Poll::Ready(Ok(response)) => Box::new(ready(answer(response))),
            Poll::Ready(Err(refusal)) => {
                let error = error_code(&refusal);
                self.refused = Some(refusal);
                Box::new(ready(Err(error)))
            }
        }
    }
}

fn answer(response: Response<Body>) -> Answer {
    let body = |body: Body| body.map_err(|BodyError(reason)| Error::InternalError(Some(reason))).boxed_unsync();
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
