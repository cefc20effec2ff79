//! Bodies on their way to a guest.

use crate::broker::{Body, BodyError};
use crate::operations::Overflow;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    let (overflow, flag) = Overflow::watched();
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
