//! The one way a guest's request leaves: check, attach, send, scrub.
//!
//! Each step is a type that only the step before can make, so that they cannot be called out of order: [`Checked`] comes
//! from [`Raw`], [`Attached`] from [`Checked`], [`Answered`] from [`Attached`], and only [`Answered::scrub`] gives a response.

use super::fetch::{OURSELVES, encoded};
use super::headers::{of_connection, of_identity};
use super::placement::{self, Misfit, Placement};
use super::reply::{self, Patience, ScrubHits, Window};
use super::scrub::Scrubber;
use super::{Body, BodyError, Client, Destinations};
use crate::jose::DpopProver;
use crate::secret::Secret;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What is attached to a request outside the guest.
#[derive(Clone)]
pub enum Attach {
    /// The credential itself, in its place.
    Placed(Placement, Arc<Secret>),
    /// A token that is bound to a key: `Authorization: DPoP`, and a proof for this very request (RFC 9449 §7.1).
    Dpop(Arc<Secret>, DpopProver),
}

/// The conditions under which one request leaves. No guest has a hand in `destinations` and `attach`.
pub struct Passage<'a> {
    /// Where it may go.
    pub destinations: &'a Destinations,
    /// What is attached outside the guest; none for a plain request.
    pub attach: Option<Attach>,
    /// The guest's wish, where a connection has to be opened; the client's own limit holds besides.
    pub connect_timeout: Option<Duration>,
    /// Until the response's head.
    pub first_byte_timeout: Option<Duration>,
    /// From one chunk of the response's body to the next.
    pub between_bytes_timeout: Option<Duration>,
}

/// Why a request did not leave or got no answer. Every message is fit for a guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// Another place than the configuration names. Nothing was connected to.
    #[error("`{to}` may not be reached with this; the configuration allows {}", listed(.allowed))]
    Destination {
        /// Scheme, host and port, as asked.
        to: String,
        /// What would do.
        allowed: Vec<String>,
    },
    /// The request itself. Nothing was connected to.
    #[error("the request cannot be sent: {0}")]
    InvalidRequest(String),
    /// The credential is none that fits its placement.
    #[error("the credential cannot be put into a request; the provider has to issue another")]
    Credential,
    /// No response.
    #[error("{0}")]
    Unreachable(String),
    /// Too slow.
    #[error("no response came in time")]
    TimedOut,
    /// The response is compressed although we asked for plain, so it cannot be scrubbed.
    #[error("the response is encoded as `{0}`, which cannot be checked for secrets; it was withheld")]
    Encoded(&'static str),
}

/// Carries one request out and its response back.
///
/// The response streams; headers that [`super::forbidden_header`] names are gone, spellings of the attached secret are
/// covered, redirects are handed back and not followed. [`ScrubHits`] in its extensions counts what was covered.
///
/// # Errors
/// [`CarryError`].
pub async fn carry(
    client: &Client,
    passage: Passage<'_>,
    request: Request<Body>,
) -> Result<Response<Body>, CarryError> {
    let until = Instant::now() + client.total_timeout();
    let placement = match &passage.attach {
        Some(Attach::Placed(placement, _)) => Some(placement),
        Some(Attach::Dpop(..)) => Some(&Placement::Bearer),
        None => None,
    };
    let checked = Raw(request).check(client, passage.destinations, placement)?;
    let times = Times {
        until,
        connect: passage.connect_timeout,
        first_byte: passage.first_byte_timeout,
        between: passage.between_bytes_timeout,
    };
    let Some(Attach::Dpop(token, prover)) = passage.attach else {
        return checked.attach(passage.attach)?.send(client, times).await?.scrub();
    };
    // A server that wants a nonce says so instead of acting (RFC 9449 §9). What had no body is asked again at once; for the
    // rest the nonce is there at the next call.
    let (uri, twin) = (checked.0.uri().clone(), checked.twin());
    let attach = Some(Attach::Dpop(token, prover.clone()));
    let mut answered = checked.attach(attach.clone())?.send(client, times).await?;
    let news = prover.remember(&uri, true, answered.response.headers());
    if news
        && wants_nonce(&answered.response)
        && let Some(twin) = twin
    {
        answered = twin.attach(attach)?.send(client, times).await?;
        prover.remember(&uri, true, answered.response.headers());
    }
    answered.scrub()
}

#[derive(Clone, Copy)]
struct Times {
    until: Instant,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    between: Option<Duration>,
}

/// As a guest made it.
struct Raw(Request<Body>);

/// Goes to an allowed place, with nothing of the guest's that could say who is asking.
struct Checked(Request<Body>);

/// Carries the credential, if there is one.
struct Attached {
    request: Request<Body>,
    secret: Option<Arc<Secret>>,
}

/// Came back, and is not to be looked at yet.
struct Answered {
    response: Response<Incoming>,
    secret: Option<Arc<Secret>>,
    patience: Patience,
}

impl Raw {
    fn check(
        self,
        client: &Client,
        destinations: &Destinations,
        placement: Option<&Placement>,
    ) -> Result<Checked, CarryError> {
        let Self(request) = self;
        let (mut head, body) = request.into_parts();
        // CONNECT makes a tunnel, TRACE and its kin echo what we attach; servers exist that read methods in any case.
        if ["CONNECT", "TRACE", "TRACK", "DEBUG"].iter().any(|m| head.method.as_str().eq_ignore_ascii_case(m)) {
            return Err(invalid("its method is not allowed"));
        }
        check_uri(client, destinations, &head.uri)?;
        if let Some(name) = head.headers.keys().find(|name| of_identity(name)) {
            return Err(CarryError::InvalidRequest(format!("the header `{name}` is the host's to set")));
        }
        if let Some(taken) = placement.and_then(|placement| placement.taken(&head.headers, &head.uri)) {
            return Err(CarryError::InvalidRequest(format!("{taken} is the host's to set")));
        }
        check_length(&head.headers, &body)?;
        let connection: Vec<_> = head.headers.keys().filter(|name| of_connection(name)).cloned().collect();
        for name in connection {
            head.headers.remove(name);
        }
        head.headers.entry(USER_AGENT).or_insert(OURSELVES);
        // Nothing that an earlier layer left beside the message decides how it is sent.
        head.extensions.clear();
        head.version = http::Version::HTTP_11;
        let body = if body.is_end_stream() { body } else { Departing(body).boxed_unsync() };
        Ok(Checked(Request::from_parts(head, body)))
    }
}

/// A guest's body. Its trailers are headers too (RFC 9110 §6.5) and say no more about who is asking than those.
struct Departing(Body);

impl http_body::Body for Departing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.0).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            reply::clean(trailers, None);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn check_uri(client: &Client, destinations: &Destinations, uri: &Uri) -> Result<(), CarryError> {
    let Some(authority) = uri.authority() else { return Err(invalid("it names no host")) };
    if authority.as_str().contains('@') {
        return Err(invalid("its URL holds a user name or password"));
    }
    // Two slashes begin a host to those who resolve the path as a reference (RFC 3986 §4.2).
    if !uri.path().starts_with('/') || uri.path().starts_with("//") {
        return Err(invalid("its path does not begin with one `/`"));
    }
    client.admit(uri)?;
    if destinations.allows(uri) {
        return Ok(());
    }
    let shown: String = format!("{}://{authority}", uri.scheme_str().unwrap_or_default()).chars().take(300).collect();
    Err(CarryError::Destination { to: shown, allowed: destinations.iter().map(ToString::to_string).collect() })
}

/// One length at most, a plain number, the body's own, and none beside chunks (RFC 9112 §6.3: two readings of where a
/// request ends are two requests).
fn check_length(headers: &HeaderMap, body: &Body) -> Result<(), CarryError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() || headers.contains_key(TRANSFER_ENCODING) {
        return Err(invalid("its length is given more than once"));
    }
    let digits = first.as_bytes();
    let length: Option<u64> = first.to_str().ok().and_then(|text| text.parse().ok());
    match length {
        Some(length) if digits.iter().all(u8::is_ascii_digit) => match body.size_hint().exact() {
            Some(actual) if actual != length => Err(invalid("its length is not that of its body")),
            _ => Ok(()),
        },
        _ => Err(invalid("its length is not a number")),
    }
}

impl Checked {
    /// The same request once more, where it has no body that would have to be kept.
    fn twin(&self) -> Option<Self> {
        if !self.0.body().is_end_stream() {
            return None;
        }
        let nothing = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut twin = Request::new(nothing);
        twin.method_mut().clone_from(self.0.method());
        twin.uri_mut().clone_from(self.0.uri());
        twin.headers_mut().clone_from(self.0.headers());
        *twin.version_mut() = self.0.version();
        Some(Self(twin))
    }

    fn attach(self, attach: Option<Attach>) -> Result<Attached, CarryError> {
        let Self(mut request) = self;
        let secret = match attach {
            None => return Ok(Attached { request, secret: None }),
            Some(Attach::Placed(placement, secret)) => {
                placement.place(&secret, &mut request).map_err(|Misfit| CarryError::Credential)?;
                secret
            }
            Some(Attach::Dpop(secret, prover)) => {
                let placed = placement::in_header(&mut request, AUTHORIZATION, "DPoP ", &secret);
                placed.map_err(|Misfit| CarryError::Credential)?;
                let proof = prover.header(request.method(), request.uri(), Some(&secret));
                request.headers_mut().insert(DpopProver::HEADER, proof.map_err(|_| CarryError::Credential)?);
                secret
            }
        };
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(Attached { request, secret: Some(secret) })
    }
}

/// 401, and `use_dpop_nonce` in its challenge (RFC 9449 §9).
fn wants_nonce<B>(response: &Response<B>) -> bool {
    let says = |value: &HeaderValue| value.to_str().is_ok_and(|challenge| challenge.contains("use_dpop_nonce"));
    response.status() == http::StatusCode::UNAUTHORIZED && response.headers().get_all(WWW_AUTHENTICATE).iter().any(says)
}

impl Attached {
    async fn send(self, client: &Client, times: Times) -> Result<Answered, CarryError> {
        let Self { mut request, secret } = self;
        let captured = times.connect.map(|limit| (capture_connection(&mut request), limit));
        // Ends only if no connection was there in time; a connection from the pool is there at once.
        let unconnected = async move {
            if let Some((mut captured, limit)) = captured
                && timeout(limit, async { drop(captured.wait_for_connection_metadata().await) }).await.is_err()
            {
                return;
            }
            std::future::pending().await
        };
        let first_byte = times.first_byte.and_then(|limit| Instant::now().checked_add(limit));
        let head_until = first_byte.map_or(times.until, |at| at.min(times.until));
        let response = tokio::select! {
            outcome = timeout_at(head_until, client.send(request)) => outcome.map_err(|_| CarryError::TimedOut)??,
            () = unconnected => return Err(CarryError::TimedOut),
        };
        Ok(Answered { response, secret, patience: Patience { until: times.until, between: times.between } })
    }
}

impl Answered {
    fn scrub(self) -> Result<Response<Body>, CarryError> {
        let Self { response, secret, patience } = self;
        let (mut head, inner) = response.into_parts();
        let hits = ScrubHits::default();
        let scrubber = secret.map(|secret| Arc::new(Scrubber::new(&secret)));
        if scrubber.is_some() && !inner.is_end_stream() {
            refuse_encoded(&head.headers)?;
        }
        reply::clean(&mut head.headers, scrubber.as_deref().map(|scrubber| (scrubber, &hits)));
        let window = scrubber.map(|scrubber| Window::new(scrubber, hits.clone()));
        let mut response = Response::new(reply::body(inner, window, patience));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        // Of the upstream's extensions nothing comes along: the reason phrase is free text, and unscrubbed.
        response.extensions_mut().insert(hits);
        Ok(response)
    }
}

/// What is compressed cannot be searched: neither as a content encoding nor as a transfer encoding other than `chunked`.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), CarryError> {
    let transfer = headers.get_all(TRANSFER_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !encoded(headers) && !transfer {
        return Ok(());
    }
    // Of the upstream's words only known ones are repeated: it could write the secret there.
    let known = ["gzip", "br", "zstd", "deflate", "compress"].into_iter().find(|known| {
        headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    });
    Err(CarryError::Encoded(known.unwrap_or("something unknown")))
}

fn invalid(why: &str) -> CarryError {
    CarryError::InvalidRequest(why.to_owned())
}

fn listed(allowed: &[String]) -> String {
    if allowed.is_empty() {
        return "no destination".into();
    }
    allowed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "carry_tests.rs"]
mod tests;
