//! Answers.

use crate::ask;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};

/// What follows the `?`.
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl Query<'_> {
    /// Every value under this name, percent-decoded.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(k, _)| *k == name)
            .map(|(_, v)| decode(v))
            .collect()
    }

    /// The first value under this name, or nothing.
    pub(crate) fn text(&self, name: &str) -> String {
        self.all(name).into_iter().next().unwrap_or_default()
    }

    /// The first value as a number, or zero.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let coded = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match coded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// One piece of text.
pub(crate) fn text(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("a status code");
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    if write(&stream, text.as_bytes()) {
        drop(stream);
        OutgoingBody::finish(body, None).expect("the body is complete");
    }
}

/// Chunks, so many milliseconds apart.
pub(crate) fn stream(out: ResponseOutparam, chunks: u64, ms: u64) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    for chunk in 0..chunks {
        ask::sleep(ms);
        if !write(&stream, format!("chunk {chunk}\n").as_bytes()) {
            return;
        }
    }
    drop(stream);
    OutgoingBody::finish(body, None).expect("the body is complete");
}

/// A head and the first piece of a body that will never end.
pub(crate) fn unfinished(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    write(&stream, b"first\n");
    std::mem::forget(stream);
    std::mem::forget(body);
}

/// The request's body, as it comes.
pub(crate) fn stream_request(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().expect("the body is taken once");
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let input = incoming.stream().expect("the stream is taken once");
    let output = body.write().expect("the stream is taken once");
    loop {
        match input.blocking_read(16 * 1024) {
            Ok(bytes) => {
                if !write(&output, &bytes) {
                    return;
                }
            }
            Err(StreamError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    drop((input, output));
    let _trailers = IncomingBody::finish(incoming);
    OutgoingBody::finish(body, None).expect("the body is complete");
}

/// An error in place of a response.
pub(crate) fn error(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(ErrorCode::LoopDetected));
}

/// Fewer bytes than were announced.
pub(crate) fn short(out: ResponseOutparam) {
    let headers = Fields::from_list(&[("content-length".to_owned(), b"10".to_vec())]).expect("a header");
    let response = OutgoingResponse::new(headers);
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    write(&stream, b"short");
    drop(stream);
    let _refused = OutgoingBody::finish(body, None);
}

/// Whether somebody still reads.
fn write(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|piece| stream.blocking_write_and_flush(piece).is_ok())
}
