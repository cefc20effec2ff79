//! What an invocation may still reach once it has used a credential.
//!
//! A guest that has read at provider A, and could then write at B or anywhere else, could carry off what it read. Where an
//! operator confines an agent, the first use of a credential decides: from then on the invocation reaches that provider's
//! hosts alone, and what was on its way elsewhere with a body still open breaks off there and then.

use super::{Body, BodyError, Refusal};
use crate::ids::ProviderName;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;

/// The one decision of an invocation: to which provider it is confined, if it is.
pub(super) struct Confinement(watch::Sender<Option<ProviderName>>);

impl Confinement {
    pub(super) fn none() -> Self {
        Self(watch::channel(None).0)
    }

    /// Confines to this provider, unless it is confined already. Test and decision are one step: of two that ask at the same
    /// time for two providers, one is refused.
    pub(super) fn confine(&self, provider: &ProviderName) -> Result<(), Refusal> {
        let mut refused = None;
        self.0.send_if_modified(|confined| match confined {
            Some(other) => {
                refused = (other != provider).then(|| elsewhere(other));
                false
            }
            None => {
                *confined = Some(provider.clone());
                true
            }
        });
        refused.map_or(Ok(()), Err)
    }

    /// Refuses another provider than the one to which it is confined. Decides nothing.
    pub(super) fn admits(&self, provider: &ProviderName) -> Result<(), Refusal> {
        match &*self.0.borrow() {
            Some(other) if other != provider => Err(elsewhere(other)),
            _ => Ok(()),
        }
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }
}

/// Sees the decision when it falls.
#[derive(Clone)]
pub(super) struct Watch(watch::Receiver<Option<ProviderName>>);

impl Watch {
    /// The provider to which the invocation is confined by now.
    pub(super) fn now(&self) -> Option<ProviderName> {
        self.0.borrow().clone()
    }

    /// A request's body that breaks off as soon as the invocation is confined to a provider that `reaches` does not hold for.
    pub(super) fn cut(mut self, body: Body, reaches: impl Fn(&ProviderName) -> bool + Send + Sync + 'static) -> Body {
        if http_body::Body::is_end_stream(&body) {
            return body;
        }
        let confined = Box::pin(async move {
            let elsewhere = |confined: &Option<ProviderName>| confined.as_ref().is_some_and(|one| !reaches(one));
            if self.0.wait_for(elsewhere).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        Cut { body, confined, over: false }.boxed_unsync()
    }
}

pub(super) fn elsewhere(to: &ProviderName) -> Refusal {
    Refusal::Denied(format!(
        "this invocation has used a credential of provider `{to}` and reaches that provider's hosts alone from then on \
         (`confine`); do the rest in another invocation"
    ))
}

struct Cut {
    body: Body,
    confined: BoxFuture<'static, ()>,
    over: bool,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        // Asked before each frame: whatever was read at the provider was read after the decision.
        if self.confined.as_mut().poll(cx).is_ready() {
            self.over = true;
            self.body = Body::default();
            return Poll::Ready(Some(Err(BodyError("this invocation is confined to another place by now".into()))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.over { SizeHint::new() } else { self.body.size_hint() }
    }
}
