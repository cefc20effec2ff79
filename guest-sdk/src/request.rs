//! What the caller sent.

use crate::bindings::wasi::http::types::{Fields, IncomingRequest, Method as WasiMethod};
use crate::body::Of;
use crate::{Body, Error};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::DeserializeOwned;

/// What the caller sent. Of its headers the agent sees those that the operator lets through, and never `authorization`
/// or `cookie`.
pub struct Request {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Body,
}

impl Request {
    pub(crate) fn receive(request: IncomingRequest) -> Result<Request, Error> {
        Ok(Request {
            method: method(request.method())?,
            target: request.path_with_query().unwrap_or_else(|| "/".into()),
            headers: headers(request.headers()),
            body: Body::receive(Of::Request(request))?,
        })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// What follows the `?`, as it was sent; empty without one.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The headers that the operator lets through.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, as a stream.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The body, whole, up to 16 MiB.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is longer, or ends too early.
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        self.body.read().map_err(|error| Error::BadRequest(error.to_string()))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        parse(&self.bytes()?)
    }
}

/// What a handler can take.
pub trait FromRequest: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when the request is not one.
    fn from_request(request: Request) -> Result<Self, Error>;
}

impl FromRequest for Request {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request)
    }
}

/// Nothing of it is read.
impl FromRequest for () {
    fn from_request(_: Request) -> Result<Self, Error> {
        Ok(())
    }
}

impl FromRequest for String {
    fn from_request(request: Request) -> Result<Self, Error> {
        String::from_utf8(request.bytes()?).map_err(|_| Error::BadRequest("the body is not UTF-8".into()))
    }
}

/// A value as JSON: the body of a request, or of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    fn from_request(request: Request) -> Result<Self, Error> {
        request.json().map(Json)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::BadRequest(error.to_string()))
}

fn method(method: WasiMethod) -> Result<Method, Error> {
    Ok(match method {
        WasiMethod::Get => Method::GET,
        WasiMethod::Head => Method::HEAD,
        WasiMethod::Post => Method::POST,
        WasiMethod::Put => Method::PUT,
        WasiMethod::Delete => Method::DELETE,
        WasiMethod::Connect => Method::CONNECT,
        WasiMethod::Options => Method::OPTIONS,
        WasiMethod::Trace => Method::TRACE,
        WasiMethod::Patch => Method::PATCH,
        WasiMethod::Other(other) => {
            Method::from_bytes(other.as_bytes()).map_err(|_| Error::BadRequest(format!("`{other}` is not a method")))?
        }
    })
}

/// Takes the fields over; those that are not valid HTTP, which the host does not let through, are left out.
pub(crate) fn headers(fields: Fields) -> HeaderMap {
    let pairs = fields.entries().into_iter().filter_map(|(name, value)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(&value).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_not_what_the_handler_takes_is_the_callers_fault() {
        let error = parse::<Vec<u8>>(b"{\"a\":1}").unwrap_err();
        assert!(matches!(&error, Error::BadRequest(_)), "{error:?}");
        assert_eq!(parse::<Vec<u8>>(b"[1,2]"), Ok(vec![1, 2]));
    }
}
