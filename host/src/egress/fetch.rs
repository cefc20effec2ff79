//! Small documents from providers: discovery, key sets, token and revocation endpoints. Bounded in size and time.

use super::{Body, Client};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Some providers answer nobody who does not say this.
pub(super) const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("attache/", env!("CARGO_PKG_VERSION")));

/// One request for a small document.
///
/// No `Debug`: header and body of a token request hold secrets.
pub struct Fetch {
    /// `GET` or `POST`.
    pub method: Method,
    /// `https`; in development also `http` to this machine.
    pub url: Url,
    /// Sent as they are.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Bytes,
    /// A longer response body is refused. 256 KiB unless changed.
    pub max_bytes: usize,
    /// For everything, to the last byte of the body. 10 seconds unless changed.
    pub timeout: Duration,
}

impl Fetch {
    /// A `GET` that asks for JSON.
    pub fn get(url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, OURSELVES);
        Self {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            max_bytes: 256 * 1024,
            timeout: Duration::from_secs(10),
        }
    }

    /// A `POST` of a form that asks for JSON (RFC 6749 appendix B). The encoded form is wiped when it is dropped.
    pub fn post_form(url: Url, form: &[(&str, &str)]) -> Self {
        let size = form.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut text = url::form_urlencoded::Serializer::new(String::with_capacity(size));
        text.extend_pairs(form);
        let body = Bytes::from_owner(Zeroizing::new(text.finish().into_bytes()));
        let mut fetch = Self { method: Method::POST, body, ..Self::get(url) };
        fetch.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        fetch
    }
}

/// What came back, whatever the status.
pub struct Fetched {
    /// Redirects included: they are not followed.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why a document did not come. The messages hold no part of request or response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not a URL that may be fetched.
    #[error("the URL cannot be fetched: {0}")]
    Url(String),
    /// The address is inside.
    #[error("{0}")]
    NotPublic(String),
    /// No response.
    #[error("{0}")]
    Unreachable(String),
    /// Too slow.
    #[error("no complete response came in time")]
    TimedOut,
    /// Too long.
    #[error("the response is longer than {0} bytes")]
    TooLarge(usize),
    /// Compressed although we said `identity`: a small body could unpack to a large one.
    #[error("the response is compressed, which was not asked for")]
    Encoded,
    /// Ended early.
    #[error("the response broke off")]
    Broken,
}

impl Client {
    /// Fetches one document. Follows no redirect, keeps no cookie, unpacks nothing.
    ///
    /// # Errors
    /// [`FetchError`]; an HTTP error status is not one.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        tokio::time::timeout(fetch.timeout, self.fetch_unbounded(fetch)).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn fetch_unbounded(&self, mut fetch: Fetch) -> Result<Fetched, FetchError> {
        if !fetch.url.username().is_empty() || fetch.url.password().is_some() {
            return Err(FetchError::Url("it holds a user name or password".into()));
        }
        fetch.url.set_fragment(None);
        let uri = Uri::try_from(fetch.url.as_str()).map_err(|error| FetchError::Url(error.to_string()))?;
        let body: Body = Full::new(fetch.body).map_err(|never| match never {}).boxed_unsync();
        let mut request = http::Request::new(body);
        *request.method_mut() = fetch.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = fetch.headers;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));

        let (head, mut body) = self.send(request).await?.into_parts();
        if encoded(&head.headers) {
            return Err(FetchError::Encoded);
        }
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > fetch.max_bytes) {
            return Err(FetchError::TooLarge(fetch.max_bytes));
        }
        let mut whole = BytesMut::with_capacity(announced.unwrap_or(4096).min(fetch.max_bytes));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| FetchError::Broken)?.into_data() else { continue };
            if whole.len() + data.len() > fetch.max_bytes {
                return Err(FetchError::TooLarge(fetch.max_bytes));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Fetched { status: head.status, headers: head.headers, body: whole.freeze() })
    }
}

/// Whether a body is anything but plain (RFC 9110 §8.4), judging by every header of that name.
pub(super) fn encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
