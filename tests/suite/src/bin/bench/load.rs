//! A closed-loop load generator: so many connections, each with one request in flight.

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What to ask, and how.
#[derive(Clone)]
pub(crate) struct Target {
    /// `127.0.0.1:port`.
    pub(crate) address: String,
    /// Path and query.
    pub(crate) path: String,
    /// A bearer token, where one is wanted.
    pub(crate) token: Option<String>,
}

/// Requests per second over `connections` for `time`. Every reply must be 200.
pub(crate) async fn rate(target: &Target, connections: usize, time: Duration) -> Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        tasks.push(tokio::spawn(one(target.clone(), start + time, done.clone())));
    }
    for task in tasks {
        task.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

async fn one(target: Target, until: Instant, done: Arc<AtomicU64>) -> Result<()> {
    let stream = tokio::net::TcpStream::connect(&target.address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    while Instant::now() < until {
        let mut request = http::Request::get(&target.path).header("host", &target.address);
        if let Some(token) = &target.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = sender.send_request(request.body(Empty::<bytes::Bytes>::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
