//! Bodies across the wall: a head, what streams, and how it ended.
//!
//! HTTP/2 has no word for "broke off, and why" that would reach the other side, and a worker that dies closes its streams
//! as if they were finished. So a body is whole only where its last words say so.

use super::wire::{self, MOST_HEAD_BYTES, WireError};
use crate::broker::{Body, BodyError};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How a body ended: [`WHOLE`], or the reason why it broke off.
const ENDING: HeaderName = HeaderName::from_static("attache-ending");
const WHOLE: HeaderValue = HeaderValue::from_static("whole");
/// Of a reason.
const MOST_REASON_BYTES: usize = 400;

/// A message: its head and, where there is one, its body.
///
/// # Errors
/// [`WireError`] for a head that is too long.
pub(super) fn message<T: Serialize>(head: &T, body: Option<Body>) -> Result<Body, WireError> {
    let head = Some(Bytes::from(wire::encode(head)?));
    Ok(Leaving { head, body, trailers: None, over: false }.boxed_unsync())
}

struct Leaving {
    head: Option<Bytes>,
    body: Option<Body>,
    trailers: Option<HeaderMap>,
    over: bool,
}

impl Leaving {
    fn end(&mut self, ending: HeaderValue) -> Frame<Bytes> {
        self.over = true;
        self.body = None;
        let mut trailers = self.trailers.take().unwrap_or_default();
        trailers.insert(ENDING, ending);
        Frame::trailers(trailers)
    }
}

impl http_body::Body for Leaving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            let polled = match &mut self.body {
                Some(body) => ready!(Pin::new(body).poll_frame(cx)),
                None => None,
            };
            let frame = match polled {
                Some(Ok(frame)) => frame,
                Some(Err(BodyError(reason))) => {
                    let said: String = reason.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
                    let said = said.get(..MOST_REASON_BYTES).unwrap_or(&said).to_owned();
                    let ending = HeaderValue::try_from(said).unwrap_or(HeaderValue::from_static("it broke off"));
                    return Poll::Ready(Some(Ok(self.end(ending))));
                }
                None => return Poll::Ready(Some(Ok(self.end(WHOLE)))),
            };
            match frame.into_trailers() {
                // They go with the ending.
                Ok(trailers) => self.trailers = Some(trailers),
                // An empty frame says nothing, and HTTP/2 ends a connection that had a hundred of them.
                Err(data) if data.data_ref().is_some_and(Bytes::is_empty) => {}
                Err(data) => return Poll::Ready(Some(Ok(data))),
            }
        }
    }
}

/// Reads a message's head; the rest is its body.
///
/// # Errors
/// [`WireError`] when there is no head, or one that cannot be read.
pub(super) async fn read<T, B>(mut body: B) -> Result<(T, Rest<B>), WireError>
where
    T: DeserializeOwned,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut bytes = BytesMut::new();
    let length = loop {
        if let Some(length) = bytes.get(..4) {
            let length = usize::try_from(u32::from_be_bytes([length[0], length[1], length[2], length[3]]));
            let length = length.ok().filter(|length| *length <= MOST_HEAD_BYTES);
            let length = length.ok_or(WireError("its head is too long"))?;
            if bytes.len() >= length + 4 {
                break length;
            }
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().map_err(|_| WireError("it ends within its head"))?;
                bytes.extend_from_slice(&data);
            }
            _ => return Err(WireError("it ends within its head")),
        }
    };
    bytes.advance(4);
    let head = wire::decode(&bytes.split_to(length))?;
    let first = (!bytes.is_empty()).then(|| bytes.freeze());
    Ok((head, Rest { first, inner: Some(body) }))
}

/// What follows a head.
pub(super) struct Rest<B> {
    first: Option<Bytes>,
    /// None when it has ended.
    inner: Option<B>,
}

impl<B> Rest<B>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// As a body that knows its length, where that was told.
    pub(super) fn sized(self, length: Option<u64>) -> Body {
        match length {
            Some(0) => http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync(),
            length => Arriving { rest: self, length, came: 0, last: None }.boxed_unsync(),
        }
    }
}

struct Arriving<B> {
    rest: Rest<B>,
    length: Option<u64>,
    came: u64,
    /// The last of a body whose length is known: whoever counts bytes looks no further, so it waits for the ending.
    last: Option<Bytes>,
}

impl<B> Arriving<B> {
    fn broken(&mut self, reason: &str) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.rest.inner = None;
        Poll::Ready(Some(Err(BodyError(reason.to_owned()))))
    }

    /// By its last words.
    fn end(&mut self, mut trailers: HeaderMap) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let ending = trailers.remove(ENDING);
        if ending.as_ref() != Some(&WHOLE) {
            let reason = ending.as_ref().and_then(|reason| reason.to_str().ok()).unwrap_or("it broke off");
            let reason: String = reason.chars().take(MOST_REASON_BYTES).collect();
            return self.broken(&reason);
        }
        if self.length.is_some_and(|length| self.came < length) {
            return self.broken("it is shorter than it was announced to be");
        }
        self.rest.inner = None;
        match self.last.take() {
            // Of a body whose length is known; trailers after it are for nobody.
            Some(last) => Poll::Ready(Some(Ok(Frame::data(last)))),
            None if trailers.is_empty() => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
        }
    }
}

impl<B> http_body::Body for Arriving<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let frame = match this.rest.first.take() {
                Some(first) => Frame::data(first),
                None => {
                    let Some(inner) = &mut this.rest.inner else { return Poll::Ready(None) };
                    match ready!(Pin::new(inner).poll_frame(cx)) {
                        Some(Ok(frame)) => frame,
                        Some(Err(_)) | None => return this.broken("the other side of it was stopped"),
                    }
                }
            };
            let data = match frame.into_trailers() {
                Ok(trailers) => return this.end(trailers),
                Err(frame) => frame.into_data().unwrap_or_default(),
            };
            this.came += data.len() as u64;
            match this.length {
                // More than was announced would be another message to whoever counts.
                Some(length) if this.came > length => return this.broken("it is longer than it was announced to be"),
                Some(length) if this.came == length => this.last = Some(data),
                _ => return Poll::Ready(Some(Ok(Frame::data(data)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => {
                let waiting = self.last.as_ref().map_or(0, |last| last.len() as u64);
                SizeHint::with_exact(length.saturating_sub(self.came) + waiting)
            }
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;

    fn body(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    /// What comes out of a message that these frames went into.
    async fn across(frames: Vec<Result<Frame<Bytes>, BodyError>>, length: Option<u64>) -> Result<Bytes, BodyError> {
        let sent = message(&7_u8, Some(body(frames))).unwrap().map_err(|BodyError(reason)| BodyError(reason));
        let (head, rest) = read::<u8, _>(sent).await.unwrap();
        assert_eq!(head, 7);
        Ok(rest.sized(length).collect().await?.to_bytes())
    }

    #[tokio::test]
    async fn a_body_is_whole_only_where_its_last_words_say_so() {
        assert_eq!(across(vec![data("a"), data(""), data("b")], None).await.unwrap(), "ab");
        let broken = across(vec![data("a"), Err(BodyError("it trapped".into()))], None).await;
        assert_eq!(broken.unwrap_err().0, "it trapped");
        let sent = body(vec![Ok(Frame::data(wire::encode(&7_u8).unwrap().into())), data("a")]);
        let (_, rest) = read::<u8, _>(sent).await.unwrap();
        assert!(rest.sized(None).collect().await.is_err(), "without last words");
    }

    #[tokio::test]
    async fn a_body_has_the_length_that_was_announced() {
        assert_eq!(across(vec![data("abc")], Some(3)).await.unwrap(), "abc");
        for length in [1, 2, 4] {
            assert!(across(vec![data("abc")], Some(length)).await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn no_frame_of_a_message_is_empty() {
        let mut sent = message(&7_u8, Some(body(vec![data(""), data("a"), data("")]))).unwrap();
        while let Some(frame) = sent.frame().await {
            assert!(frame.unwrap().data_ref().is_none_or(|data| !data.is_empty()));
        }
    }
}
