//! Bodies on their way to a guest and back.

use crate::audit::{Attempt, Outcome};
use crate::broker::{Body, BodyError, Seat};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Set when a body turned out to be over the cap.
#[derive(Clone, Default)]
pub(super) struct Overflow(Option<Arc<AtomicBool>>);

impl Overflow {
    pub(super) fn happened(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// A caller's body, at most `max` bytes of it. One whose length is known already is either refused at once (and handed
/// back) or passed on as it is, since the server holds it to that length.
pub(super) fn capped(body: axum::body::Body, max: u64) -> Result<(Body, Overflow), axum::body::Body> {
    let size = body.size_hint();
    if size.lower() > max {
        return Err(body);
    }
    let inner = body.map_err(|_| BodyError("the caller's body broke off".to_owned())).boxed_unsync();
    if size.upper().is_some_and(|upper| upper <= max) {
        return Ok((inner, Overflow::default()));
    }
    let flag = Arc::new(AtomicBool::new(false));
    let overflow = Overflow(Some(flag.clone()));
    Ok((UnsyncBoxBody::new(Capped { inner, left: max, flag }), overflow))
}

/// Reads a refused body and forgets it, 64 MiB and five seconds of it at most. A caller that is still writing when the
/// connection closes would see it break instead of the answer.
pub(super) async fn forget(mut body: axum::body::Body) {
    let read = async {
        let mut left: usize = 64 << 20;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { break };
            left = rest;
        }
    };
    // Whoever takes longer has had the chance.
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
}

struct Capped {
    inner: Body,
    left: u64,
    flag: Arc<AtomicBool>,
}

impl http_body::Body for Capped {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => {
                    self.flag.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(BodyError("the caller's body is too large".to_owned()))));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// A guest's body. Closes the attempt when it ends or when nobody reads on, and keeps the invocation seated until then.
pub(super) struct Closing {
    inner: Body,
    /// None once it is closed.
    open: Option<(Attempt, Seat)>,
    status: StatusCode,
    /// The answer to `HEAD` has a body that nobody reads.
    unread: bool,
}

impl Closing {
    pub(super) fn new(inner: Body, attempt: Attempt, seat: Seat, status: StatusCode, unread: bool) -> Self {
        let mut closing = Self { inner, open: Some((attempt, seat)), status, unread };
        closing.close_if_over();
        closing
    }

    fn close_if_over(&mut self) {
        if self.inner.is_end_stream() {
            self.close_well();
        }
    }

    fn close_well(&mut self) {
        let status = self.status.as_u16();
        self.close(|| Outcome::allowed_with(format!("answered {status}")));
    }

    fn close(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some((attempt, _seat)) = self.open.take() {
            attempt.close(outcome());
        }
    }
}

impl http_body::Body for Closing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;

    fn chunked(chunks: &'static [&'static str]) -> axum::body::Body {
        let frames =
            chunks.iter().map(|chunk| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(chunk.as_bytes()))));
        axum::body::Body::new(StreamBody::new(stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_cut_at_the_cap() {
        let (body, overflow) = capped(chunked(&["12345", "67890"]), 10).unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "1234567890");
        assert!(!overflow.happened());
        let (body, overflow) = capped(chunked(&["12345", "67890", "1"]), 10).unwrap();
        assert!(body.collect().await.is_err());
        assert!(overflow.happened());
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_long_is_not_read_at_all() {
        assert!(capped(axum::body::Body::from("12345678901"), 10).is_err());
        let (body, overflow) = capped(axum::body::Body::from("1234567890"), 10).unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "1234567890");
        assert!(!overflow.happened());
    }
}
