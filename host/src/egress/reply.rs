//! The body of a response on its way to a guest: scrubbed as it streams, and bounded in time.

use super::headers::forbidden_header;
use super::scrub::{Found, Scrubber, Search, cover};
use super::{Body, BodyError};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use zeroize::Zeroizing;

/// How often the attached secret was covered in one response. In the response's extensions; it counts on while the body
/// streams.
#[derive(Clone, Debug, Default)]
pub struct ScrubHits(Arc<AtomicU64>);

impl ScrubHits {
    /// So far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, hits: u64) {
        if hits > 0 {
            self.0.fetch_add(hits, Ordering::Relaxed);
        }
    }
}

/// Covers secrets in a stream. Holds back only what could be the beginning of one, so events pass as they come.
pub(super) struct Window {
    scrubber: Arc<Scrubber>,
    hits: ScrubHits,
    literals: Held,
    escapes: Held,
}

impl Window {
    pub(super) fn new(scrubber: Arc<Scrubber>, hits: ScrubHits) -> Self {
        Self { scrubber, hits, literals: Held::default(), escapes: Held::default() }
    }

    /// Takes a chunk and gives what may go on. Copies nothing while there is nothing to find.
    pub(super) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let chunk = self.literals.pass(&self.scrubber.literals, chunk, &self.hits);
        self.escapes.pass(&self.scrubber.escapes, chunk, &self.hits)
    }

    /// What was held back, when nothing follows any more.
    pub(super) fn finish(&mut self) -> Bytes {
        let mut rest = std::mem::take(&mut *self.literals.0);
        self.hits.add(cover(&self.scrubber.literals, &mut rest));
        let mut last = std::mem::take(&mut *self.escapes.0);
        last.extend_from_slice(&rest);
        self.hits.add(cover(&self.scrubber.escapes, &mut last));
        last.into()
    }

    fn held(&self) -> usize {
        self.literals.0.len() + self.escapes.0.len()
    }
}

/// What one search may be in the middle of.
#[derive(Default)]
struct Held(Zeroizing<Vec<u8>>);

impl Held {
    fn pass(&mut self, search: &impl Search, chunk: Bytes, hits: &ScrubHits) -> Bytes {
        if self.0.is_empty() {
            match search.find(&chunk, 0, false) {
                Found::Nothing => return chunk,
                Found::Begun(at) => {
                    self.0.extend_from_slice(&chunk[at..]);
                    return chunk.slice(..at);
                }
                Found::Whole(_) => {}
            }
        }
        let mut text = std::mem::take(&mut *self.0);
        text.extend_from_slice(&chunk);
        let mut from = 0;
        loop {
            match search.find(&text, from, false) {
                Found::Whole(at) => {
                    from = at.end;
                    text[at].fill(b'*');
                    hits.add(1);
                }
                Found::Begun(at) => {
                    self.0.extend_from_slice(&text[at..]);
                    text.truncate(at);
                    return text.into();
                }
                Found::Nothing => return text.into(),
            }
        }
    }
}

/// Removes what a guest may not see and covers the secret in the rest (RFC 9110 §6.5: trailers are headers too).
///
/// A name can carry a secret as well, in lower case: such a header goes.
pub(super) fn clean(headers: &mut HeaderMap, scrub: Option<(&Scrubber, &ScrubHits)>) {
    let forbidden: Vec<_> = headers.keys().filter(|name| forbidden_header(name)).cloned().collect();
    for name in forbidden {
        headers.remove(name);
    }
    let Some((scrubber, hits)) = scrub else { return };
    let mut named = Vec::new();
    for (name, value) in headers.iter_mut() {
        if scrubber.finds_in(name.as_str().as_bytes()) {
            named.push(name.clone());
        }
        if scrubber.finds_in(value.as_bytes()) {
            let mut text = value.as_bytes().to_vec();
            hits.add(scrubber.cover(&mut text));
            // Stars are valid in a header; were they not, nothing is better than the secret.
            *value = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""));
        }
    }
    for name in named {
        hits.add(1);
        headers.remove(name);
    }
}

/// How long a body may take.
pub(super) struct Patience {
    /// For all of it.
    pub(super) until: Instant,
    /// From one chunk to the next.
    pub(super) between: Option<Duration>,
}

/// Wraps the body of an upstream's response.
pub(super) fn body(inner: Incoming, window: Option<Window>, patience: Patience) -> Body {
    Reply { inner, window, patience, alarm: None, trailers: None, over: false }.boxed_unsync()
}

struct Reply {
    inner: Incoming,
    window: Option<Window>,
    patience: Patience,
    /// Set while waiting for the upstream.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Wait until what was held back is out.
    trailers: Option<HeaderMap>,
    over: bool,
}

impl Reply {
    /// The upstream's next frame, or an error when it takes too long.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let late = || Poll::Ready(Some(Err(BodyError("the response took too long".into()))));
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.alarm = None;
            // An upstream that is never slow must end in time all the same.
            if Instant::now() >= self.patience.until {
                return late();
            }
            return Poll::Ready(frame.map(|f| f.map_err(|_| BodyError("the response broke off".into()))));
        }
        let patience = &self.patience;
        let alarm = self.alarm.get_or_insert_with(|| {
            let between = patience.between.and_then(|limit| Instant::now().checked_add(limit));
            Box::pin(tokio::time::sleep_until(between.map_or(patience.until, |at| at.min(patience.until))))
        });
        ready!(alarm.as_mut().poll(cx));
        late()
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            if this.over {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let frame = match ready!(this.poll_upstream(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.over = true;
                    let rest = this.window.as_mut().map(Window::finish).unwrap_or_default();
                    if rest.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
            };
            match frame.into_data() {
                Ok(chunk) => {
                    let passed = match &mut this.window {
                        Some(window) => window.pass(chunk),
                        None => chunk,
                    };
                    if !passed.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(passed))));
                    }
                }
                Err(frame) => {
                    if let Ok(mut trailers) = frame.into_trailers() {
                        let scrub = this.window.as_ref().map(|window| (&*window.scrubber, &window.hits));
                        clean(&mut trailers, scrub);
                        this.trailers = Some(trailers);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let held = self.window.as_ref().is_some_and(|window| window.held() > 0);
        self.trailers.is_none() && (self.over || (!held && self.inner.is_end_stream()))
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.window.as_ref().map_or(0, |window| window.held() as u64);
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(inner.lower().saturating_add(held).min(hint.upper().unwrap_or(u64::MAX)));
        hint
    }
}
