//! The same component on the same engine without us: no JWT, no directory, no audit, no vault. What is left is HTTP,
//! the engine, and a broker that says yes.

use anyhow::{Context as _, Result};
use attache::broker::{Acquire, Acquired, Body, Broker, Guest, Outbound, Refusal, Revealed};
use attache::identity::WorkloadAccessToken;
use attache::ids::CredentialId;
use attache::runtime::{Engine, EngineConfig};
use futures_util::future::{BoxFuture, FutureExt as _};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use std::sync::Arc;

/// Grants everything, at once.
pub(crate) struct YesBroker;

impl Broker for YesBroker {
    fn acquire<'a>(&'a self, _: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        async move {
            Ok(Acquired { id: CredentialId::random(), provider: ask.provider, scopes: Vec::new(), expires_at: None })
        }
        .boxed()
    }
    fn send(&self, _: &WorkloadAccessToken, _: Outbound) -> BoxFuture<'static, Result<http::Response<Body>, Refusal>> {
        async { Err(Refusal::Unavailable("nothing leaves here".into())) }.boxed()
    }
    fn release(&self, _: &WorkloadAccessToken, _: CredentialId) {}
    fn reveal<'a>(&'a self, _: &'a WorkloadAccessToken, _: CredentialId) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        async { Err(Refusal::Denied("never".into())) }.boxed()
    }
}

/// `bare PORT COMPONENT`.
pub(crate) async fn serve(args: &[String]) -> Result<()> {
    let [port, component] = args else { anyhow::bail!("usage: bare PORT COMPONENT") };
    let engine = Engine::new(&EngineConfig::default())?;
    let loaded = engine.load(&std::fs::read(component)?)?;
    let seat = crate::inside::anybody().await?;
    let broker: Arc<dyn Broker> = Arc::new(YesBroker);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.context("binding")?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (engine, loaded, broker, seat) = (engine.clone(), loaded.clone(), broker.clone(), seat.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (engine, loaded, broker, seat) = (engine.clone(), loaded.clone(), broker.clone(), seat.clone());
                async move {
                    let request =
                        request.map(|b| b.map_err(|e| attache::broker::BodyError(e.to_string())).boxed_unsync());
                    let (guest, _live): (Guest, _) = seat.guest();
                    engine.invoke(&loaded, guest, broker, request).await
                }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
