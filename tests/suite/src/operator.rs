//! An operator's client over the host's Unix socket, for what a test does often; the command line does the same.

use crate::call::Reply;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use std::path::PathBuf;

/// Of one host.
#[derive(Clone)]
pub struct Operator {
    socket: PathBuf,
}

impl Operator {
    /// Of the host with this data folder.
    pub fn new(data: &std::path::Path) -> Self {
        Self { socket: data.join("attache.sock") }
    }

    /// One request, one connection.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Reply> {
        let stream = tokio::net::UnixStream::connect(&self.socket).await.context("opening the operators' socket")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "attache")
            .header("content-type", "application/json")
            .body(Full::new(body.into()))?;
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }
}
