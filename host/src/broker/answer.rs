//! The answer to a request that carried a credential, on its way to the guest: its attempt closes when it ends, for until then
//! nobody knows how often the credential was repeated in it.

use super::{Body, BodyError};
use crate::audit::{Attempt, Outcome};
use crate::egress::ScrubHits;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Closes the attempt with the answer's end, and says how often the credential was covered.
pub(super) fn watched(response: Response<Body>, attempt: Attempt) -> Response<Body> {
    let hits = response.extensions().get::<ScrubHits>().cloned().unwrap_or_default();
    let status = response.status().as_u16();
    response.map(|body| {
        let mut answer = Answer { body, open: Some(attempt), hits, status };
        answer.close_if_over();
        answer.boxed_unsync()
    })
}

struct Answer {
    body: Body,
    /// None once it is closed.
    open: Option<Attempt>,
    hits: ScrubHits,
    status: u16,
}

impl Answer {
    fn close_if_over(&mut self) {
        if http_body::Body::is_end_stream(&self.body) {
            self.close("");
        }
    }

    fn close(&mut self, remark: &str) {
        let Some(attempt) = self.open.take() else { return };
        let hits = self.hits.count();
        let mut reason = format!("status {}{remark}", self.status);
        if hits > 0 {
            let agent = attempt.binding().agent().name();
            tracing::warn!(%agent, hits, status = self.status, "an upstream repeated a credential; it was covered");
            reason.push_str(&format!("; the answer repeated the credential, covered {hits} times"));
        }
        attempt.close(Outcome::allowed_with(reason));
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.close(""),
            // Whoever reads may not ask again once it knows that this was the end.
            Some(Ok(_)) => self.close_if_over(),
            Some(Err(error)) => self.close(&format!("; {error}")),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The guest read no further, or is gone.
impl Drop for Answer {
    fn drop(&mut self) {
        self.close("");
    }
}
