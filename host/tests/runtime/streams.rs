//! Bodies in both directions, whole and cut off.

use crate::bed::{Bed, full, get, text};
use attache::broker::BodyError;
use attache::runtime::EngineConfig;
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt as _, StreamBody};
use std::time::Duration;

/// Unless its guest was interrupted in the middle of it, which a busy machine may do to one, and not to all of ten.
#[tokio::test]
async fn a_short_response_comes_whole_with_its_length() {
    let bed = Bed::new(EngineConfig { max_instances: 1, ..EngineConfig::default() });
    let mut whole = 0;
    for _ in 0..10 {
        let response = bed.invoke(get("/")).await.unwrap();
        if response.body().size_hint().exact() == Some(5) {
            assert_eq!(bed.engine.free_instances(), 1, "its guest has ended, and its place is free");
            whole += 1;
        }
        assert_eq!(text(response).await, "hello");
    }
    assert!(whole > 0);
}

#[tokio::test]
async fn a_response_streams_while_its_guest_goes_on() {
    let response = Bed::patient().invoke(get("/stream?chunks=3&ms=30")).await.unwrap();
    let mut body = response.into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap());
    }
    assert_eq!(pieces, ["chunk 0\n", "chunk 1\n", "chunk 2\n"]);
}

#[tokio::test]
async fn a_request_streams_through_a_guest() {
    let pieces = (0..200).map(|n| Ok::<_, BodyError>(http_body::Frame::data(vec![n as u8; 5000].into())));
    let body = StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
    let response = Bed::patient().invoke(Request::post("/echo-body").body(body).unwrap()).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes.len(), 1_000_000);
    assert_eq!(bytes[999_999], 199);
    let response = Bed::patient().invoke(Request::post("/echo-body").body(full("ping")).unwrap()).await.unwrap();
    assert_eq!(text(response).await, "ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_guest_leaves_a_body_that_ends_in_an_error() {
    let cases = [("/stream-then-loop", "did not finish within 0.4 s"), ("/stream-then-trap", "stopped with a fault")];
    for (target, reason) in cases {
        let mut body = Bed::hasty().invoke(get(target)).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&first[..], b"first\n");
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains(reason), "{target}: {error}");
    }
}

#[tokio::test]
async fn dropping_a_body_stops_its_guest() {
    let bed = Bed::new(EngineConfig { max_instances: 1, ..EngineConfig::default() });
    let response = bed.invoke(get("/stream?chunks=1000000&ms=10")).await.unwrap();
    assert_eq!(bed.engine.free_instances(), 0);
    drop(response);
    bed.settled(1).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_keep_a_guest() {
    let config = EngineConfig { max_instances: 1, deadline: Duration::from_millis(200), ..EngineConfig::default() };
    let bed = Bed::new(config);
    let response = bed.invoke(get("/stream?chunks=1000000&ms=0")).await.unwrap();
    bed.settled(1).await;
    assert!(response.into_body().collect().await.is_err(), "what is left must not look whole");
}

#[tokio::test]
async fn an_upload_arrives_whole_or_is_known_to_be_cut_off() {
    let bed = Bed::patient();
    assert_eq!(bed.text("/upload?url=https://up.example/").await, "201 x-kept whole\ngot first,second");
    bed.error("/upload?url=https://cut.example/&finish=no").await;
    assert!(bed.broker.heard("send POST https://cut.example/ without credential"));
}
