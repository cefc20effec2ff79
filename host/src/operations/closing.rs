//! A guest's response on its way to the caller.

use super::quota::Share;
use super::sessions::{Place, Stopped};
use crate::audit::{Attempt, Outcome};
use crate::broker::{Body, BodyError, Seat};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// Set by whoever reads the caller's body when it turned out to be over the cap.
#[derive(Clone, Default)]
pub struct Overflow(Option<Arc<AtomicBool>>);

impl Overflow {
    /// For a body whose length is not known yet.
    pub fn watched() -> (Self, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Some(flag.clone())), flag)
    }

    /// Whether it happened.
    pub fn happened(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// A guest's body. Closes the attempt when it ends or when nobody reads on, and keeps the invocation seated until then.
/// It breaks off when its session is stopped, or its agent may not run any more.
pub(super) struct Closing {
    inner: Body,
    /// None once it is closed.
    open: Option<(Attempt, Held)>,
    stopped: BoxFuture<'static, Stopped>,
    status: StatusCode,
    /// The answer to `HEAD` has a body that nobody reads.
    unread: bool,
}

/// What an invocation holds until its response has ended.
type Held = (Seat, Place, Share);

impl Closing {
    pub(super) fn new(inner: Body, attempt: Attempt, held: Held, status: StatusCode, unread: bool) -> Self {
        let stopped = Box::pin(held.1.stopped());
        let mut closing = Self { inner, open: Some((attempt, held)), stopped, status, unread };
        closing.close_if_over();
        closing
    }

    fn close_if_over(&mut self) {
        if http_body::Body::is_end_stream(&self.inner) {
            self.close_well();
        }
    }

    fn close_well(&mut self) {
        let status = self.status.as_u16();
        self.close(|| Outcome::allowed_with(format!("answered {status}")));
    }

    fn close(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some((attempt, _held)) = self.open.take() {
            attempt.close(outcome());
        }
    }
}

impl http_body::Body for Closing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Only while it is open: a future that has ended is not asked again.
        if self.open.is_some()
            && let Poll::Ready(why) = self.stopped.as_mut().poll(cx)
        {
            self.close(|| Outcome::failed(why.to_string()));
            // Dropping the body stops its guest.
            self.inner = Body::default();
            return Poll::Ready(Some(Err(BodyError(why.to_string()))));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            None => self.close_well(),
            // The server may not ask again once it knows that this was the end.
            Some(Ok(_)) => self.close_if_over(),
            Some(Err(error)) => self.close(|| Outcome::failed(error.to_string())),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        match self.unread {
            true => self.close_well(),
            false => self.close(|| Outcome::failed("the caller went away before the response ended")),
        }
    }
}
