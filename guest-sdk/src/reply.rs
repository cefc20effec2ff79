//! What the agent answers.

use crate::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::{Error, Json, Problem, Writer};
use ::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::io::Write as _;

/// What the agent answers.
///
/// ```no_run
/// use attache_guest::Reply;
/// use std::io::Write;
///
/// fn handle(_: ()) -> Reply {
///     Reply::stream("text/plain", |out| {
///         for line in 1..=3 {
///             writeln!(out, "line {line}")?;
///         }
///         Ok(())
///     })
/// }
///
/// attache_guest::agent!(handle);
/// ```
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

type Write = Box<dyn FnOnce(&mut Writer) -> Result<(), Error>>;

enum Content {
    Whole(Vec<u8>),
    Streamed(Write),
}

impl Reply {
    /// A reply of these bytes, with status 200.
    pub fn new(media_type: &'static str, bytes: impl Into<Vec<u8>>) -> Reply {
        Reply::with(media_type, Content::Whole(bytes.into()))
    }

    /// A reply that is written while the caller reads it. When `write` fails, the reply ends without its proper end, so
    /// that the caller sees that it is cut short.
    pub fn stream(media_type: &'static str, write: impl FnOnce(&mut Writer) -> Result<(), Error> + 'static) -> Reply {
        Reply::with(media_type, Content::Streamed(Box::new(write)))
    }

    fn with(media_type: &'static str, content: Content) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Reply { status: StatusCode::OK, headers, content }
    }

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    /// With this header, in place of one of that name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.headers.insert(name, value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, unless it is streamed.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes),
            Content::Streamed(_) => None,
        }
    }

    /// Sends it. Who called cannot be told of a failure from here on, so it ends in the log.
    pub(crate) fn send(self, to: ResponseOutparam) {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            // A header that only the host sets: the reply goes without it.
            if fields.append(name.as_str(), value.as_bytes()).is_err() {
                eprintln!("the reply's header `{name}` is not allowed here");
            }
        }
        let response = OutgoingResponse::new(fields);
        // Every status code that the type holds is within what the host takes.
        let _ = response.set_status_code(self.status.as_u16());
        let body = response.body();
        ResponseOutparam::set(to, Ok(response));
        if let Err(error) = body.map_err(|()| taken()).and_then(|body| self.content.write(body)) {
            eprintln!("the reply is cut short: {error}");
        }
    }
}

impl Content {
    fn write(self, body: OutgoingBody) -> Result<(), Error> {
        let mut out = Writer::new(body)?;
        match self {
            Content::Whole(bytes) => out.write_all(&bytes)?,
            Content::Streamed(write) => write(&mut out)?,
        }
        out.finish()
    }
}

fn taken() -> Error {
    Error::Network("the reply's body was taken already".into())
}

/// What a handler can return.
pub trait IntoReply {
    /// Makes the reply.
    fn into_reply(self) -> Reply;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

/// No content.
impl IntoReply for () {
    fn into_reply(self) -> Reply {
        Reply { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), content: Content::Whole(Vec::new()) }
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Reply {
        Reply::new("text/plain; charset=utf-8", self)
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Reply {
        Reply::new("text/plain; charset=utf-8", self)
    }
}

impl<T: Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Reply {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => Reply::new("application/json", bytes),
            Err(error) => {
                Error::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the reply is not JSON: {error}")).into_reply()
            }
        }
    }
}

impl IntoReply for Error {
    fn into_reply(self) -> Reply {
        let problem = Problem::from(&self);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = Reply {
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))]),
            ..Json(&problem).into_reply().with_status(status)
        };
        if matches!(self, Error::Unavailable(_)) {
            reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        reply
    }
}

impl<T: IntoReply, E: Into<Error>> IntoReply for Result<T, E> {
    fn into_reply(self) -> Reply {
        match self {
            Ok(answer) => answer.into_reply(),
            Err(error) => error.into().into_reply(),
        }
    }
}
