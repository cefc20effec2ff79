//! The host's end of one worker's socket to the broker.
//!
//! Whatever the other side writes, it acts for invocations that the host seated in this very worker and that still run.
//! Nothing of a message but its token says whose it is, and a token that is not of these is not even looked up.

use super::body::{self, message};
use super::wire::{Ask, Presented, ResponseHead, Told};
use super::{STREAM_WINDOW, WINDOW};
use crate::broker::{Body, Broker, Outbound, Refusal};
use crate::identity::WorkloadAccessToken;
use crate::ids::sha256;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

/// Messages of one worker that are answered at once. The requests of one guest are fewer.
const STREAMS: u32 = 1024;
/// Heads that are read at once, so that what a worker has begun to say and never finishes holds little of the host's memory.
const HEADS: usize = 16;
/// To say a head, once a worker has begun to.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Messages that present no token of this worker. An honest worker may send a few, of guests that ended a moment ago.
const MOST_STRAY: u32 = 64;

/// Who runs in this worker now.
#[derive(Default)]
pub(super) struct Seated {
    /// By the hash of their tokens, so that this table holds none. What is under way for one of them ends with it.
    tokens: Mutex<HashMap<[u8; 32], watch::Sender<()>>>,
    stray: AtomicU32,
    /// Told when the worker has to end.
    pub(super) enough: Notify,
}

/// Keeps an invocation seated in its worker.
pub(super) struct Seat {
    seated: Arc<Seated>,
    name: [u8; 32],
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seated.tokens().remove(&self.name);
    }
}

impl Seated {
    /// By the hash of its token.
    pub(super) fn seat(self: &Arc<Self>, name: [u8; 32]) -> Seat {
        self.tokens().insert(name, watch::Sender::new(()));
        Seat { seated: self.clone(), name }
    }

    /// Whether it is a token of this worker, and what tells of its end.
    fn seat_of(&self, wat: &Presented) -> Option<watch::Receiver<()>> {
        self.tokens().get(&sha256(&wat.0)).map(watch::Sender::subscribe)
    }

    /// Counts a message of nobody who runs here.
    fn stray(&self, worker: &str, broker: &dyn Broker) -> Refusal {
        match self.stray.fetch_add(1, Ordering::Relaxed) {
            0 => {
                tracing::warn!(worker, "a worker speaks for an invocation that does not run in it");
                broker.stray(worker);
            }
            MOST_STRAY => {
                tracing::error!(worker, "a worker speaks for invocations that do not run in it; it is ended");
                self.enough.notify_one();
            }
            _ => {}
        }
        Refusal::NotBound
    }

    /// Whole after every change, so a panic while it was held spoils nothing.
    fn tokens(&self) -> MutexGuard<'_, HashMap<[u8; 32], watch::Sender<()>>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one worker until its socket closes.
pub(super) async fn serve(socket: UnixStream, seated: Arc<Seated>, broker: Arc<dyn Broker>, worker: Arc<str>) {
    let (heads, ended) = (Arc::new(Semaphore::new(HEADS)), seated.clone());
    let asked = service_fn(move |request: Request<Incoming>| {
        let (seated, broker, worker, heads) = (seated.clone(), broker.clone(), worker.clone(), heads.clone());
        async move { Ok::<_, Infallible>(answer(request, &seated, &*broker, &worker, &heads).await) }
    });
    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        // A guest that ends gives up all that it had begun at once: no more than there are streams, and no attack.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(8 << 10)
        .serve_connection(TokioIo::new(socket), asked)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a worker's socket broke");
    }
    // It could run guests still, and ask for nothing on their behalf.
    ended.enough.notify_one();
}

async fn answer(
    request: Request<Incoming>,
    seated: &Seated,
    broker: &dyn Broker,
    worker: &str,
    heads: &Semaphore,
) -> Response<Body> {
    let read = {
        let _one_of_few = heads.acquire().await;
        timeout(HEAD_TIME, body::read::<Ask, _>(request.into_body())).await
    };
    let told = match read {
        Ok(Ok((ask, rest))) => match (seated.seat_of(ask.wat()), ask) {
            (Some(mut seat), ask) => tokio::select! {
                told = act(ask, rest, broker) => told,
                // An honest worker has given up its question by then.
                _over = seat.changed() => (Told::Refused(Refusal::NotBound), None),
            },
            // Of a guest that ended: there is nothing left to give up.
            (None, Ask::Release(..)) => (Told::Released, None),
            (None, _) => (Told::Refused(seated.stray(worker, broker)), None),
        },
        Ok(Err(_)) => (Told::Refused(seated.stray(worker, broker)), None),
        // Slow is not hostile: the socket may have been full.
        Err(_elapsed) => (Told::Refused(Refusal::Unavailable("the host was not told in time; try again".into())), None),
    };
    // A head that is too long cannot be answered, and is of no use to anybody.
    message(&told.0, told.1).map_or_else(|_| refused(), Response::new)
}

fn refused() -> Response<Body> {
    let mut response = Response::new(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    response
}

async fn act(ask: Ask, rest: body::Rest<Incoming>, broker: &dyn Broker) -> (Told, Option<Body>) {
    let told = match ask {
        Ask::Acquire(wat, ask) => broker.acquire(&token(&wat), ask).await.map(Told::Acquired),
        Ask::Reveal(wat, id) => broker.reveal(&token(&wat), id).await.map(|revealed| Told::Revealed(revealed.0)),
        Ask::Release(wat, id) => {
            broker.release(&token(&wat), id);
            Ok(Told::Released)
        }
        Ask::Send(wat, send) => {
            let length = send.request.length;
            let Ok(request) = send.request.with(rest.sized(length)) else {
                return (Told::Refused(Refusal::InvalidRequest("the request cannot be read".into())), None);
            };
            let outbound = Outbound {
                credential: send.credential,
                request,
                connect_timeout: send.connect_timeout,
                first_byte_timeout: send.first_byte_timeout,
                between_bytes_timeout: send.between_bytes_timeout,
            };
            match broker.send(&token(&wat), outbound).await {
                Ok(response) => {
                    let head = ResponseHead::of(&response);
                    return (Told::Response(head), Some(response.into_body()));
                }
                Err(refusal) => Err(refusal),
            }
        }
    };
    (told.unwrap_or_else(Told::Refused), None)
}

fn token(wat: &Presented) -> WorkloadAccessToken {
    WorkloadAccessToken::presented(wat.0)
}
