//! Requests to other services, with a credential attached by the host or without one.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method as WasiMethod, OutgoingRequest, RequestOptions, Scheme,
};
use crate::body::Of;
use crate::{Body, Credential, Error, Writer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write as _;
use std::time::Duration;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

/// A `GET` request.
pub fn get(url: impl Into<String>) -> RequestBuilder<'static> {
    request(Method::GET, url)
}

/// A `POST` request.
pub fn post(url: impl Into<String>) -> RequestBuilder<'static> {
    request(Method::POST, url)
}

/// A `PUT` request.
pub fn put(url: impl Into<String>) -> RequestBuilder<'static> {
    request(Method::PUT, url)
}

/// A `PATCH` request.
pub fn patch(url: impl Into<String>) -> RequestBuilder<'static> {
    request(Method::PATCH, url)
}

/// A `DELETE` request.
pub fn delete(url: impl Into<String>) -> RequestBuilder<'static> {
    request(Method::DELETE, url)
}

/// A request with another method.
pub fn request(method: Method, url: impl Into<String>) -> RequestBuilder<'static> {
    RequestBuilder {
        method,
        url: url.into(),
        headers: Vec::new(),
        body: Ok(Vec::new()),
        credential: None,
        first_byte: None,
    }
}

/// A request in the making. What is wrong with it is said by [`send`](RequestBuilder::send).
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<'a> {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Result<Vec<u8>, Error>,
    credential: Option<&'a Credential>,
    first_byte: Option<Duration>,
}

impl RequestBuilder<'_> {
    /// Lets the host attach this credential on the way out. Only to the hosts that the provider's configuration names,
    /// and never along a redirect: a 3xx comes back as it is.
    pub fn credential(self, credential: &Credential) -> RequestBuilder<'_> {
        RequestBuilder {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: self.body,
            credential: Some(credential),
            first_byte: self.first_byte,
        }
    }

    /// Adds a header. `authorization`, `cookie` and their kin are refused: only the host sets them.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().into()));
        self
    }

    /// Adds a query parameter, encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        encode(name, &mut self.url);
        self.url.push('=');
        encode(value, &mut self.url);
        self
    }

    /// With this body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(bytes.into());
        self
    }

    /// With this value as its body, as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.body = serde_json::to_vec(value).map_err(|error| Error::InvalidRequest(error.to_string()));
        self.header("content-type", "application/json")
    }

    /// How long to wait for the beginning of the response. The host's own limit holds besides.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.first_byte = Some(timeout);
        self
    }

    /// Sends it and waits for the head of the response. Any status is a response; see [`Response::success`].
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] when it cannot be sent as it is, [`Error::Denied`] when it may not go there, and
    /// [`Error::Network`] when there is no response.
    pub fn send(self) -> Result<Response, Error> {
        let content = self.body?;
        let request = OutgoingRequest::new(fields(&self.headers)?);
        address(&request, &self.method, &self.url)?;
        let options = self.first_byte.map(|timeout| {
            let options = RequestOptions::new();
            // Refused where the host has no such knob; its own limit holds then.
            let _ = options.set_first_byte_timeout(u64::try_from(timeout.as_nanos()).ok());
            options
        });
        let body = request.body().map_err(|()| Error::InvalidRequest("the body was taken already".into()))?;

        // The head goes first: nobody reads the body before that, and a long one would wait for ever.
        let pending = match self.credential {
            Some(credential) => credential.0.send(request, options)?,
            None => outgoing_handler::handle(request, options).map_err(|code| refused(&code))?,
        };
        let mut out = Writer::new(body)?;
        // A service may answer before it has read everything; what counts is its answer.
        if out.write_all(&content).is_ok() {
            out.finish()?;
        }
        Response::receive(&pending)
    }
}

fn fields(headers: &[(String, Vec<u8>)]) -> Result<Fields, Error> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields
            .append(name, value)
            .map_err(|_| Error::InvalidRequest(format!("the header `{name}` cannot be set; leave it to the host")))?;
    }
    Ok(fields)
}

fn address(request: &OutgoingRequest, method: &Method, url: &str) -> Result<(), Error> {
    let invalid = || Error::InvalidRequest(format!("`{url}` is not a URL; write it out, as in `https://host/path`"));
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(invalid()) };
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.into()),
    };
    request
        .set_method(&wasi_method(method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority.as_str())))
        .and_then(|()| request.set_path_with_query(uri.path_and_query().map(|path| path.as_str())))
        .map_err(|()| invalid())
}

fn wasi_method(method: &Method) -> WasiMethod {
    match method.as_str() {
        "GET" => WasiMethod::Get,
        "HEAD" => WasiMethod::Head,
        "POST" => WasiMethod::Post,
        "PUT" => WasiMethod::Put,
        "DELETE" => WasiMethod::Delete,
        "CONNECT" => WasiMethod::Connect,
        "OPTIONS" => WasiMethod::Options,
        "TRACE" => WasiMethod::Trace,
        "PATCH" => WasiMethod::Patch,
        other => WasiMethod::Other(other.into()),
    }
}

/// The answer of a service. Its body is read when it is asked for.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Response {
    fn receive(pending: &FutureIncomingResponse) -> Result<Response, Error> {
        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(refused(&code)),
            Some(Err(())) | None => return Err(Error::Network("there was no response".into())),
        };
        Ok(Response {
            status: StatusCode::from_u16(response.status())
                .map_err(|_| Error::Unreadable(format!("status `{}`", response.status())))?,
            headers: crate::request::headers(response.headers()),
            body: Body::receive(Of::Response(response))?,
        })
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers, without `set-cookie` and its kin.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Itself, if the status is a success (2xx).
    ///
    /// # Errors
    /// [`Error::Status`] if not.
    pub fn success(self) -> Result<Response, Error> {
        if self.status.is_success() { Ok(self) } else { Err(Error::Status(self.status)) }
    }

    /// The body, as a stream of chunks.
    pub fn chunks(self) -> Body {
        self.body
    }

    /// The body, whole, up to 16 MiB.
    ///
    /// # Errors
    /// [`Error::Network`] when it is longer, or ends too early.
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        self.body.read()
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is not UTF-8.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?).map_err(|_| Error::Unreadable("it is not UTF-8".into()))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is not.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes()?).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

fn refused(code: &ErrorCode) -> Error {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Error::Denied("the host does not let this agent send that request".into())
        }
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => Error::InvalidRequest(words(code)),
        code => Error::Network(words(code)),
    }
}

/// An error code in words: what the host wrote about it, or its name.
pub(crate) fn words(code: &ErrorCode) -> String {
    match code {
        ErrorCode::InternalError(Some(words)) => words.clone(),
        code => format!("{code:?}").replace("ErrorCode::", "").replace(char::is_whitespace, ""),
    }
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(builder: &RequestBuilder<'_>) -> String {
        builder.url.clone()
    }

    #[test]
    fn a_query_parameter_cannot_become_two() {
        assert_eq!(url(&get("https://a.test/b").query("q", "1&admin=true")), "https://a.test/b?q=1%26admin%3Dtrue");
        assert_eq!(url(&get("https://a.test/b?x=1").query("q", "ä b")), "https://a.test/b?x=1&q=%C3%A4%20b");
    }

    #[test]
    fn a_refusal_of_the_host_is_told_from_a_failure_of_the_network() {
        assert!(matches!(refused(&ErrorCode::HttpRequestDenied), Error::Denied(_)));
        assert_eq!(refused(&ErrorCode::ConnectionRefused), Error::Network("ConnectionRefused".into()));
        assert_eq!(refused(&ErrorCode::InternalError(Some("no".into()))), Error::Network("no".into()));
    }
}
