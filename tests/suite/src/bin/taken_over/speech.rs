//! Messages as the host and its workers write them, and some that no worker would.

use attache::runtime::InvokeError;
use attache::workers::wire::{Invoked, ResponseHead, encode};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;

/// A message's bytes.
pub(crate) type Said = UnsyncBoxBody<Bytes, Infallible>;

/// A head's length, the head, and what follows.
pub(crate) fn split(whole: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = whole.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

pub(crate) fn empty() -> Said {
    Full::default().boxed_unsync()
}

/// Head and body, and that this is all of it.
pub(crate) fn whole(head: Vec<u8>, body: impl Into<Bytes>) -> Said {
    let mut trailers = HeaderMap::new();
    trailers.insert("attache-ending", HeaderValue::from_static("whole"));
    let body = body.into();
    let mut all = vec![Frame::data(head.into())];
    if !body.is_empty() {
        all.push(Frame::data(body));
    }
    all.push(Frame::trailers(trailers));
    frames(all)
}

pub(crate) fn frames(frames: Vec<Frame<Bytes>>) -> Said {
    StreamBody::new(stream::iter(frames.into_iter().map(Ok))).boxed_unsync()
}

/// An answer to an invocation.
pub(crate) fn answer(head: &Response<()>, text: String) -> Response<Said> {
    let head: Invoked = Ok(ResponseHead::of(&head.clone().map(|()| Full::<Bytes>::from(text.clone()))));
    Response::new(whole(encode(&head).unwrap_or_default(), text))
}

/// One that does not go on.
pub(crate) fn begun(head: &Response<()>, first: Bytes) -> Response<Said> {
    use futures_util::StreamExt as _;
    let head: Invoked = Ok(ResponseHead::of(&head.clone().map(|()| endless())));
    let frames = [Frame::data(encode(&head).unwrap_or_default().into()), Frame::data(first)];
    let frames = stream::iter(frames.map(Ok)).chain(stream::pending());
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn endless() -> Said {
    StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync()
}

/// What the host must not take for a response.
pub(crate) fn lie(how: &str) -> Response<Said> {
    let mut head = Response::new(());
    let three = "abc".to_owned();
    match how {
        "status" => *head.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS,
        "length" => drop(head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("30"))),
        "lengths" => {
            for length in ["3", "4"] {
                head.headers_mut().append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
        }
        "headers" => {
            for name in ["set-cookie", "attache-session-id", "connection", "strict-transport-security", "authorization"]
            {
                head.headers_mut().insert(name, HeaderValue::from_static("forged"));
            }
        }
        "reason" => {
            let error: Invoked = Err(InvokeError::Trapped("forged\r\n".repeat(50_000)));
            return Response::new(whole(encode(&error).unwrap_or_default(), Bytes::new()));
        }
        // No last words: who stops here has not told everything.
        "end" => {
            let head: Invoked = Ok(ResponseHead::of(&head.map(|()| endless())));
            let head = encode(&head).unwrap_or_default();
            return Response::new(frames(vec![Frame::data(head.into()), Frame::data(three.into())]));
        }
        "more" => {
            let head: Invoked = Ok(ResponseHead::of(&head.map(|()| Full::<Bytes>::from("a"))));
            return Response::new(whole(encode(&head).unwrap_or_default(), three));
        }
        "noise" => return Response::new(frames(vec![Frame::data(Bytes::from_static(&[0xff; 64]))])),
        "refuse" => {
            let mut response = Response::new(empty());
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            return response;
        }
        _ => {}
    }
    answer(&head, three)
}
