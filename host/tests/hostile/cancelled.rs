//! A caller that goes away at any moment there is: an invocation is polled so many times and dropped, for every number
//! until it gets to its end. Real vault, real desk, a refresh that is due each time, and a provider whose refresh tokens
//! work once.

use crate::bed::{Bed, empty};
use crate::guests::guest;
use crate::support::{Bench, eventually, scopes, tokens};
use attache::audit::codes;
use attache::broker::{Broker, Desk, DeskParts};
use attache::egress::{Client, ClientConfig};
use attache::identity::WatTable;
use attache::runtime::{EngineConfig, InvokeError};
use http_body_util::BodyExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Polls this often at most; none where it was not at its end by then.
async fn polled<T>(most: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if polls >= most => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
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
    let invoke = async || {
        let who = bench.bind("calendar", "alice").await;
        let (guest, _seat) = desk.seat(&who, None);
        let broker: Arc<dyn Broker> = Arc::new(desk.clone());
        let target = format!("/send?provider=google&scope=read&url={}/api/events", bench.saas.url);
        let request = http::Request::get(target).body(empty()).unwrap();
        let response = bed.engine.invoke(&probe, guest, broker, request).await?;
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        Ok::<_, InvokeError>(String::from_utf8_lossy(&body).into_owned())
    };
    let (mut cut, mut whole) = (0, 0);
    for most in 1..500 {
        // The token at hand has run out.
        bench.clock.advance(Duration::from_secs(2 * 3600));
        match polled(most, invoke()).await {
            None => cut += 1,
            Some(ended) => {
                assert!(ended.as_ref().is_ok_and(|text| text.starts_with("200 ")), "after {most} polls: {ended:?}");
                whole += 1;
            }
        }
        eventually("its place and its token are free", || wats.is_empty() && bed.engine.free_instances() == 2).await;
        // Whoever comes next is served, with a token that was renewed by the refresh token that this one may have used up.
        let next = invoke().await;
        assert!(next.as_ref().is_ok_and(|text| text.starts_with("200 ")), "after a cut at {most} polls: {next:?}");
        if whole == 5 {
            break;
        }
    }
    println!("cut off at {cut} different polls");
    assert!(cut >= 3 && whole == 5, "{cut} were cut off, and {whole} came to their end");
    assert!(bench.saas.refreshes() >= cut + whole, "each was one whose token had run out");
    eventually("every record is closed", || {
        let records = bench.records(codes::SEND);
        let opened = records.iter().filter(|record| record.outcome.is_none()).count();
        records.len() == 2 * opened
    })
    .await;
}
