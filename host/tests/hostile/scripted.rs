//! A broker that gives everything to whoever asks, and remembers what would be a crime: a token of another invocation, a
//! credential that this one was not given.

use attache::broker::{Acquire, Acquired, Body, BodyError, Broker, Outbound, Refusal, Revealed};
use attache::identity::{WatTable, WorkloadAccessToken};
use attache::ids::{CredentialId, InvocationId};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all invocations of a test have in common.
#[derive(Default)]
pub(crate) struct Shared {
    sending: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    crimes: Mutex<Vec<String>>,
}

impl Shared {
    /// Requests that are under way, their responses' bodies included.
    pub(crate) fn sending(&self) -> usize {
        self.sending.load(Ordering::SeqCst)
    }

    pub(crate) fn crimes(&self) -> Vec<String> {
        self.crimes.lock().unwrap().clone()
    }

    fn crime(&self, what: String) {
        self.crimes.lock().unwrap().push(what);
    }
}

/// The broker of one invocation.
pub(crate) struct Scripted {
    wats: Arc<WatTable>,
    invocation: InvocationId,
    given: Mutex<HashSet<CredentialId>>,
    sending: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

/// What one invocation may have under way, as the engine has it by default.
const MOST_SENDING: usize = 64;

impl Scripted {
    pub(crate) fn new(wats: &Arc<WatTable>, invocation: InvocationId, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { wats: wats.clone(), invocation, given: Mutex::default(), sending: Arc::default(), shared })
    }

    fn presented(&self, call: &str, wat: &WorkloadAccessToken) {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.wats.resolve(wat).is_none_or(|binding| binding.invocation() != self.invocation) {
            self.shared.crime(format!("{call} with another token"));
        }
    }

    fn used(&self, call: &str, id: CredentialId) {
        if !self.given.lock().unwrap().contains(&id) {
            self.shared.crime(format!("{call} with a credential of somebody else"));
        }
    }
}

/// One request that is under way.
struct Sending {
    of_all: Arc<Shared>,
    of_one: Arc<AtomicUsize>,
}

impl Sending {
    fn new(broker: &Scripted) -> Self {
        broker.shared.sending.fetch_add(1, Ordering::SeqCst);
        if broker.sending.fetch_add(1, Ordering::SeqCst) >= MOST_SENDING {
            broker.shared.crime("more requests under way than there may be".to_owned());
        }
        Self { of_all: broker.shared.clone(), of_one: broker.sending.clone() }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.of_all.sending.fetch_sub(1, Ordering::SeqCst);
        self.of_one.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Broker for Scripted {
    fn acquire<'a>(&'a self, wat: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        self.presented("acquire", wat);
        async move {
            match ask.provider.as_str() {
                "never" => std::future::pending().await,
                "panic" => panic!("as the test wants"),
                _ => {}
            }
            let id = CredentialId::random();
            self.given.lock().unwrap().insert(id);
            Ok(Acquired { id, provider: ask.provider, scopes: vec!["a".into()], expires_at: Some(9) })
        }
        .boxed()
    }

    fn send(
        &self,
        wat: &WorkloadAccessToken,
        outbound: Outbound,
    ) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        self.presented("send", wat);
        if let Some(id) = outbound.credential {
            self.used("send", id);
        }
        let sending = Sending::new(self);
        let host = outbound.request.uri().host().unwrap_or_default().to_owned();
        async move {
            let body = match host.as_str() {
                "never.example" => std::future::pending().await,
                "drip.example" => {
                    let drop_by_drop = stream::unfold(sending, |sending| async {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        Some((Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x"))), sending))
                    });
                    StreamBody::new(drop_by_drop).boxed_unsync()
                }
                "endless.example" => {
                    let piece = Bytes::from(vec![b'x'; 64 << 10]);
                    let forever = stream::repeat_with(move || {
                        let _sending = &sending;
                        Ok::<_, BodyError>(Frame::data(piece.clone()))
                    });
                    StreamBody::new(forever).boxed_unsync()
                }
                _ => {
                    let got = match outbound.request.into_body().collect().await {
                        Ok(body) => format!("got {} bytes", body.to_bytes().len()),
                        Err(error) => format!("broke off: {error}"),
                    };
                    drop(sending);
                    Full::new(Bytes::from(got)).map_err(|never| match never {}).boxed_unsync()
                }
            };
            Ok(Response::new(body))
        }
        .boxed()
    }

    fn release(&self, wat: &WorkloadAccessToken, credential: CredentialId) {
        self.presented("release", wat);
        self.used("release", credential);
        self.given.lock().unwrap().remove(&credential);
    }

    fn reveal<'a>(
        &'a self,
        wat: &'a WorkloadAccessToken,
        id: CredentialId,
    ) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        self.presented("reveal", wat);
        self.used("reveal", id);
        async { Ok(Revealed(b"the-token".to_vec())) }.boxed()
    }
}
