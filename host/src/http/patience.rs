//! Callers who do not take what they asked for. Their connection, or the one response on it that nobody takes, is given up
//! after a while; what it held of the host (a guest, a place in a session, a record that is not closed) is free.
//!
//! A response waits for its caller from when a piece of it was handed to the server until the server asks for the next; a
//! connection, from when the kernel takes no more bytes. What waits for its guest is not meant: that ends at the deadline.
//! A caller who takes a byte now and then goes on for as long as there are some.

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// One connection, and how long its caller has kept it waiting.
#[derive(Clone, Default)]
pub(super) struct Patience(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// Since when the kernel has taken nothing.
    blocked: Option<Instant>,
    responses: Vec<Weak<Mutex<Slot>>>,
}

/// A response that is being sent.
struct Slot {
    /// None once it was given up.
    body: Option<axum::body::Body>,
    /// Since when a piece of it waits; none while it waits for its guest.
    handed: Option<Instant>,
}

impl Patience {
    /// Ends when the connection has taken nothing for so long. Gives up single responses on the way.
    pub(super) async fn exhausted(self, patience: Duration) {
        loop {
            tokio::time::sleep((patience / 4).max(Duration::from_millis(1))).await;
            let over = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= patience);
            let mut given_up = Vec::new();
            {
                let mut waiting = lock(&self.0);
                if over(waiting.blocked) {
                    return;
                }
                waiting.responses.retain(|response| {
                    let Some(slot) = response.upgrade() else { return false };
                    let mut slot = lock(&slot);
                    if !over(slot.handed) {
                        return true;
                    }
                    given_up.push(slot.body.take());
                    false
                });
            }
            // Outside the locks: what is dropped here may be a whole guest.
            if !given_up.is_empty() {
                tracing::debug!(responses = given_up.len(), "responses that nobody takes are given up");
            }
        }
    }

    /// The same response, watched.
    pub(super) fn watch(&self, body: axum::body::Body) -> axum::body::Body {
        if http_body::Body::is_end_stream(&body) {
            return body;
        }
        let slot = Arc::new(Mutex::new(Slot { body: Some(body), handed: Some(Instant::now()) }));
        lock(&self.0).responses.push(Arc::downgrade(&slot));
        axum::body::Body::new(Response(slot))
    }
}

/// A panic with the lock held leaves nothing half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Response(Arc<Mutex<Slot>>);

/// What the server is told of a response that was given up.
#[derive(Debug, thiserror::Error)]
#[error("the caller took nothing of the response for too long")]
struct GivenUp;

impl http_body::Body for Response {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut slot = lock(&self.0);
        slot.handed = None;
        let Some(body) = &mut slot.body else { return Poll::Ready(Some(Err(axum::Error::new(GivenUp)))) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        slot.handed = Some(Instant::now());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

/// A connection whose writes are watched.
pub(super) struct Watched<I> {
    pub(super) io: I,
    pub(super) patience: Patience,
}

impl<I> Watched<I> {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let mut waiting = lock(&self.patience.0);
        match polled {
            Poll::Pending => drop(waiting.blocked.get_or_insert_with(Instant::now)),
            Poll::Ready(_) => waiting.blocked = None,
        }
        polled
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
