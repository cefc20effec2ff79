//! Bytes that arrive and bytes that leave, a chunk at a time.

use crate::Error;
use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use std::io;

/// The most that is read at once.
const CHUNK: u64 = 64 * 1024;

/// The most that `blocking-write-and-flush` takes (wasi:io 0.2).
const WRITE: usize = 4096;

/// The most that [`Body::read`] collects. What is larger goes through the iterator, chunk by chunk.
const WHOLE: usize = 16 * 1024 * 1024;

/// A body that arrives: an iterator over its chunks, in order. Waits for the next one.
pub struct Body {
    // Dropped in this order: a child before its parent, or the host traps.
    stream: InputStream,
    _body: IncomingBody,
    _of: Of,
}

pub(crate) enum Of {
    Request(IncomingRequest),
    Response(IncomingResponse),
}

impl Body {
    pub(crate) fn receive(of: Of) -> Result<Body, Error> {
        let taken = || Error::Network("the body was taken already".into());
        let body = match &of {
            Of::Request(request) => request.consume(),
            Of::Response(response) => response.consume(),
        }
        .map_err(|()| taken())?;
        let stream = body.stream().map_err(|()| taken())?;
        Ok(Body { stream, _body: body, _of: of })
    }

    /// All of it, up to 16 MiB.
    ///
    /// # Errors
    /// [`Error::Network`] when it is longer, or ends too early.
    pub fn read(self) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        for chunk in self {
            whole.extend_from_slice(&chunk?);
            if whole.len() > WHOLE {
                return Err(Error::Network(format!("a body is longer than {WHOLE} bytes; read it chunk by chunk")));
            }
        }
        Ok(whole)
    }
}

impl Iterator for Body {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.stream.blocking_read(CHUNK) {
            Ok(chunk) => Some(Ok(chunk)),
            Err(StreamError::Closed) => None,
            Err(StreamError::LastOperationFailed(cause)) => Some(Err(Error::Network(cause.to_debug_string()))),
        }
    }
}

/// A body that leaves. What is written is sent at once; writing waits until the other side takes it.
pub struct Writer {
    stream: OutputStream,
    body: OutgoingBody,
}

impl Writer {
    pub(crate) fn new(body: OutgoingBody) -> Result<Writer, Error> {
        let stream = body.write().map_err(|()| Error::Network("the body was taken already".into()))?;
        Ok(Writer { stream, body })
    }

    /// Ends the body. One that is dropped instead is cut short, and the other side sees that it was.
    pub(crate) fn finish(self) -> Result<(), Error> {
        drop(self.stream);
        OutgoingBody::finish(self.body, None).map_err(|code| Error::Network(crate::http::words(&code)))
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(WRITE)];
        match self.stream.blocking_write_and_flush(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(StreamError::Closed) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(StreamError::LastOperationFailed(cause)) => Err(io::Error::other(cause.to_debug_string())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
