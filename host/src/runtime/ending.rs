//! How an instance ended, told to whoever holds the other end of a stream that it wrote.
//!
//! When an instance is cut off, its streams close as if it had finished them. A cut-off body must not pass for a whole
//! one, neither to the caller nor to a third party, so both look here when their stream ends.

use crate::broker::{Body, BodyError};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::task::AbortHandle;
use wasmtime_wasi_http::WasiBody;

/// Set once, before the instance's store is dropped.
#[derive(Default)]
pub(super) struct Ending(OnceLock<Option<Cow<'static, str>>>);

impl Ending {
    /// It returned by itself.
    pub(super) fn well(&self) {
        let _already = self.0.set(None);
    }

    /// It was stopped.
    pub(super) fn fault(&self, reason: impl Into<Cow<'static, str>>) {
        let _already = self.0.set(Some(reason.into()));
    }

    fn stopped(&self) -> Option<&str> {
        self.0.get()?.as_deref()
    }

    fn over(&self) -> bool {
        self.0.get().is_some()
    }
}

/// Marks the ending as cut off when the invocation goes away without a word: its caller left, or a host call panicked.
/// Must be dropped before the store.
pub(super) struct CutOff(pub(super) Arc<Ending>);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.fault("the invocation was cut off");
    }
}

/// The body of a request that a guest sends.
pub(super) struct RequestBody {
    pub(super) inner: WasiBody,
    pub(super) ending: Arc<Ending>,
}

impl RequestBody {
    pub(super) fn boxed(self) -> Body {
        UnsyncBoxBody::new(self)
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(frame) => Poll::Ready(Some(frame.map_err(|error| BodyError(error.to_string())))),
            None if self.ending.over() => {
                Poll::Ready(Some(Err(BodyError("the agent ended before its request did".into()))))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a response that its guest is still writing. Dropping it stops the guest.
pub(super) struct ResponseBody {
    pub(super) inner: WasiBody,
    pub(super) ending: Arc<Ending>,
    pub(super) guest: AbortHandle,
}

impl ResponseBody {
    pub(super) fn boxed(self) -> Body {
        UnsyncBoxBody::new(self)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.guest.abort();
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(frame) => Poll::Ready(Some(frame.map_err(|error| BodyError(error.to_string())))),
            None => Poll::Ready(self.ending.stopped().map(|reason| Err(BodyError(reason.to_owned())))),
        }
    }
}
