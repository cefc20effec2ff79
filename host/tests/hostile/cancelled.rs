//! A caller that goes away at any moment there is: an invocation is dropped when its broker has waited once, twice, three
//! times, until it gets to its end. Real vault, real desk, a refresh that is due each time, and a provider whose refresh tokens
//! work once.

use crate::bed::{Bed, empty};
use crate::guests::guest;
use crate::support::{Bench, eventually, scopes, tokens};
use attache::audit::codes;
use attache::broker::{Acquire, Acquired, Body, Broker, Desk, DeskParts, Outbound, Refusal, Revealed};
use attache::egress::{Client, ClientConfig};
use attache::identity::{WatTable, WorkloadAccessToken};
use attache::ids::CredentialId;
use attache::runtime::{EngineConfig, InvokeError};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// A broker that tells when what it was asked has waited so many times; then the caller goes away.
struct Waiting {
    desk: Desk,
    left: Arc<AtomicUsize>,
    enough: Arc<Notify>,
}

impl Waiting {
    fn counted<'a, T: 'a>(&self, future: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        let (left, enough) = (self.left.clone(), self.enough.clone());
        let mut future = future;
        std::future::poll_fn(move |cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                enough.notify_one();
                // It waits on for ever, until it is dropped where it stands.
                left.store(1, Ordering::SeqCst);
                future = std::future::pending().boxed();
            }
            polled
        })
        .boxed()
    }
}

impl Broker for Waiting {
    fn acquire<'a>(&'a self, wat: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        self.counted(self.desk.acquire(wat, ask))
    }

    fn send(
        &self,
        wat: &WorkloadAccessToken,
        outbound: Outbound,
    ) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        self.counted(self.desk.send(wat, outbound))
    }

    fn release(&self, wat: &WorkloadAccessToken, credential: CredentialId) {
        Broker::release(&self.desk, wat, credential);
    }

    fn reveal<'a>(
        &'a self,
        wat: &'a WorkloadAccessToken,
        id: CredentialId,
    ) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        self.counted(self.desk.reveal(wat, id))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_go_away_at_any_moment() {
    let bench = Bench::new().await;
    let wats = WatTable::new(bench.clock.clone());
    let desk = Desk::new(DeskParts {
        vault: bench.vault.clone(),
        consents: bench.consents.clone(),
        providers: bench.providers.clone(),
        client: Client::new(&ClientConfig::development()).ok().unwrap(),
        trail: bench.trail.clone(),
        directory: bench.directory.clone(),
        wats: wats.clone(),
        lifetime: Duration::from_secs(60),
    });
    let who = bench.bind("calendar", "alice").await;
    let refresh = bench.saas.issue("first");
    bench.keep(&who, "google", &scopes("read"), tokens("old", Some(&refresh))).await;
    let bed = Bed::new(EngineConfig { max_instances: 2, ..EngineConfig::default() }).await;
    let probe = bed.engine.load(&guest("probe")).unwrap();
    let invoke = async |most: usize| {
        let who = bench.bind("calendar", "alice").await;
        let (guest, _seat) = desk.seat(&who, None);
        let enough = Arc::new(Notify::new());
        let left = Arc::new(AtomicUsize::new(most));
        let broker = Arc::new(Waiting { desk: desk.clone(), left, enough: enough.clone() });
        let target = format!("/send?provider=google&scope=read&url={}/api/events", bench.saas.url);
        let request = http::Request::get(target).body(empty()).unwrap();
        let whole = async {
            let response = bed.engine.invoke(&probe, guest, broker, request).await?;
            let body = response.into_body().collect().await.expect("a whole body").to_bytes();
            Ok::<_, InvokeError>(String::from_utf8_lossy(&body).into_owned())
        };
        tokio::select! {
            ended = whole => Some(ended),
            () = enough.notified() => None,
        }
    };
    let (mut cut, mut whole) = (0, 0);
    // How often it waits depends on how fast a file and a socket answer, so it is gone through until many were cut off.
    for round in 1..=50 {
        for most in 1..500 {
            // The token at hand has run out.
            bench.clock.advance(Duration::from_secs(2 * 3600));
            let ended = invoke(most).await;
            eventually("its place and its token are free", || wats.is_empty() && bed.engine.free_instances() == 2)
                .await;
            // Whoever comes next is served, with a token that was renewed by the refresh token that this one may have used up.
            let next = invoke(usize::MAX).await.expect("it is not cut off");
            assert!(next.as_ref().is_ok_and(|text| text.starts_with("200 ")), "after a cut at {most} waits: {next:?}");
            let Some(ended) = ended else {
                cut += 1;
                continue;
            };
            assert!(ended.as_ref().is_ok_and(|text| text.starts_with("200 ")), "after {most} waits: {ended:?}");
            whole += 1;
            break;
        }
        assert_eq!(whole, round, "it never came to its end");
        if cut >= 20 {
            break;
        }
    }
    println!("cut off {cut} times");
    assert!(cut >= 20, "{cut} were cut off, and {whole} came to their end");
    assert!(bench.saas.refreshes() >= cut + whole, "each was one whose token had run out");
    eventually("every record is closed", || {
        let records = bench.records(codes::SEND);
        let opened = records.iter().filter(|record| record.outcome.is_none()).count();
        records.len() == 2 * opened
    })
    .await;
}
