//! The worker: takes invocations from the host, runs them, and asks the broker over the other socket.

use super::body::{self, message};
use super::wire::{Ask, Invoke, Invoked, Presented, ResponseHead, Send, Told, WireError};
use super::{STREAM_WINDOW, WINDOW};
use crate::broker::{Acquire, Acquired, Body, Broker, Guest, Outbound, Refusal, Revealed};
use crate::identity::WorkloadAccessToken;
use crate::ids::CredentialId;
use crate::runtime::{Compiled, Engine, Loaded};
use crate::sandbox::Confined;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::{Arc, OnceLock};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// The word that makes this program a worker. Not a verb: nobody types it.
pub const WORKER: &str = "worker-apart";

/// The two sockets that a worker was started with, and what waits on them. Made before the process is confined, for it needs
/// system calls that are gone afterwards.
pub struct Streams {
    work: StdStream,
    broker: StdStream,
    runtime: Runtime,
}

impl Streams {
    /// The standard input is where work comes from, the standard output leads to the broker.
    ///
    /// # Errors
    /// When they are no sockets.
    pub fn take() -> io::Result<Self> {
        let socket = |fd: std::os::fd::BorrowedFd<'_>| {
            let stream = StdStream::from(fd.try_clone_to_owned()?);
            stream.set_nonblocking(true).map(|()| stream)
        };
        let work = socket(io::stdin().as_fd())?;
        let broker = socket(io::stdout().as_fd())?;
        // One thread: whoever is served here is one user, and starting threads is what confining waits for.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { work, broker, runtime })
    }
}

/// Serves until the host closes the socket. Takes a [`Confined`], for what comes first is a stranger's code.
///
/// # Errors
/// When a socket breaks.
pub fn work(_: &Confined, streams: Streams) -> io::Result<()> {
    let Streams { work, broker, runtime } = streams;
    runtime.block_on(async {
        let broker = UnixStream::from_std(broker)?;
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(broker))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        let worker = Arc::new(Worker { broker: Arc::new(Remote { sender }), ready: OnceLock::new() });
        let service = service_fn(move |request| {
            let worker = worker.clone();
            async move { Ok::<_, Infallible>(worker.serve(request).await) }
        });
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(TokioIo::new(UnixStream::from_std(work)?), service)
            .await
            .map_err(io::Error::other)
    })
}

struct Worker {
    broker: Arc<Remote>,
    /// Set by the first message, once.
    ready: OnceLock<(Arc<Engine>, Arc<Loaded>)>,
}

impl Worker {
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let served = match request.uri().path() {
            "/begin" => self.begin(request.into_body()).await,
            "/invoke" => self.invoke(request.into_body()).await,
            _ => Err("there is no such message".to_owned()),
        };
        match served {
            Ok(body) => Response::new(body),
            Err(reason) => {
                let mut response =
                    Response::new(http_body_util::Full::from(reason).map_err(|e| match e {}).boxed_unsync());
                *response.status_mut() = http::StatusCode::BAD_REQUEST;
                response
            }
        }
    }

    /// The engine's order, and the component that this worker is for.
    async fn begin(&self, body: Incoming) -> Result<Body, String> {
        let whole = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let told = |error: String| error;
        let (order, compiled) = split(&whole).ok_or("it is cut short")?;
        let engine = Engine::from_order(order).map_err(|error| told(error.to_string()))?;
        let compiled = Compiled::from_sealed(compiled).ok_or("the component cannot be read")?;
        let loaded = engine.adopt(&compiled).map_err(|error| told(error.to_string()))?;
        self.ready.set((engine, loaded)).map_err(|_| "it has begun already")?;
        Ok(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync())
    }

    async fn invoke(&self, body: Incoming) -> Result<Body, String> {
        let (engine, loaded) = self.ready.get().ok_or("it has not begun")?;
        let unreadable = |error: WireError| error.to_string();
        let (invoke, rest): (Invoke, _) = body::read(body).await.map_err(unreadable)?;
        let Invoke { wat, workload, user, claims, reveal, request } = invoke;
        let length = request.length;
        let request = request.with(rest.sized(length)).map_err(unreadable)?;
        let guest = Guest { wat: WorkloadAccessToken::presented(wat.0), workload, user, claims, reveal };
        match engine.invoke(loaded, guest, self.broker.clone(), request).await {
            Ok(response) => {
                let head: Invoked = Ok(ResponseHead::of(&response));
                message(&head, Some(response.into_body())).map_err(unreadable)
            }
            Err(error) => message::<Invoked>(&Err(error), None).map_err(unreadable),
        }
    }
}

/// A length of four bytes, so much, and the rest.
pub(super) fn split(whole: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = whole.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The broker, on the other side of the wall.
struct Remote {
    sender: SendRequest<Body>,
}

/// What a guest is told when the wall itself is the trouble.
fn unreachable() -> Refusal {
    Refusal::Unavailable("the host could not be asked; try again".into())
}

fn presented(wat: &WorkloadAccessToken) -> Presented {
    Presented(*wat.to_worker())
}

impl Remote {
    fn ask(&self, ask: &Ask, body: Option<Body>) -> BoxFuture<'static, Result<(Told, body::Rest<Incoming>), Refusal>> {
        let message = message(ask, body);
        let mut sender = self.sender.clone();
        async move {
            let message = message.map_err(|_| Refusal::InvalidRequest("the request is too large".into()))?;
            let request = Request::post("http://broker/").body(message).map_err(|_| unreachable())?;
            let response = sender.send_request(request).await.map_err(|_| unreachable())?;
            body::read(response.into_body()).await.map_err(|_| unreachable())
        }
        .boxed()
    }
}

impl Broker for Remote {
    fn acquire<'a>(&'a self, wat: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        let asked = self.ask(&Ask::Acquire(presented(wat), ask), None);
        async move {
            match asked.await?.0 {
                Told::Acquired(acquired) => Ok(acquired),
                Told::Refused(refusal) => Err(refusal),
                _ => Err(unreachable()),
            }
        }
        .boxed()
    }

    fn send(
        &self,
        wat: &WorkloadAccessToken,
        outbound: Outbound,
    ) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        let Outbound { credential, request, connect_timeout, first_byte_timeout, between_bytes_timeout } = outbound;
        let head = super::wire::RequestHead::of(&request);
        let send = Send { credential, request: head, connect_timeout, first_byte_timeout, between_bytes_timeout };
        let asked = self.ask(&Ask::Send(presented(wat), Box::new(send)), Some(request.into_body()));
        async move {
            let (told, rest) = asked.await?;
            match told {
                Told::Response(head) => {
                    let length = head.length;
                    head.with(rest.sized(length)).map_err(|_| unreachable())
                }
                Told::Refused(refusal) => Err(refusal),
                _ => Err(unreachable()),
            }
        }
        .boxed()
    }

    fn release(&self, wat: &WorkloadAccessToken, credential: CredentialId) {
        // Nobody waits for it; a worker that ends releases everything.
        tokio::spawn(self.ask(&Ask::Release(presented(wat), credential), None));
    }

    fn reveal<'a>(
        &'a self,
        wat: &'a WorkloadAccessToken,
        credential: CredentialId,
    ) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        let asked = self.ask(&Ask::Reveal(presented(wat), credential), None);
        async move {
            match asked.await?.0 {
                Told::Revealed(bytes) => Ok(Revealed(bytes)),
                Told::Refused(refusal) => Err(refusal),
                _ => Err(unreachable()),
            }
        }
        .boxed()
    }
}
