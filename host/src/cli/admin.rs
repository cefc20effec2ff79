//! Talking to the running host over its administration socket: HTTP/1.1 and JSON.

use super::{Format, Global};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use url::form_urlencoded;

/// The host, by its socket. A connection per call.
pub(crate) struct Admin {
    socket: PathBuf,
}

/// A reply larger than this is not one of ours.
const MAX_REPLY: usize = 64 << 20;
/// Compiling a large component takes the longest.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a refusal says (RFC 9457).
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Admin {
    pub(super) fn of(global: &Global) -> anyhow::Result<Self> {
        Ok(Self { socket: global.socket()? })
    }

    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Reads, and keeps the reply as it came for `--format json`.
    pub(crate) async fn read(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<serde_json::Value> {
        self.call(Method::GET, path, query, Bytes::new(), "").await
    }

    /// Changes something; the body is JSON.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        self.call(method, path, &[], body, "application/json").await
    }

    /// Sends a component.
    pub(crate) async fn send_component(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bytes: Bytes,
    ) -> anyhow::Result<serde_json::Value> {
        self.call(Method::POST, path, query, bytes, "application/wasm").await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
        kind: &str,
    ) -> anyhow::Result<serde_json::Value> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends when `sender` goes; an error shows in the reply.
        tokio::spawn(connection);
        let mut target = path.to_owned();
        if !query.is_empty() {
            target.push('?');
            target.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish());
        }
        let mut request = Request::builder().method(method).uri(target).header(header::HOST, "attache");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let exchange = async {
            let response = sender.send_request(request.body(Full::new(body))?).await?;
            let status = response.status();
            let body =
                Limited::new(response.into_body(), MAX_REPLY).collect().await.map_err(anyhow::Error::from_boxed)?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .context("the host does not answer; look at its log")?
            .context("the host broke off its answer; look at its log")?;
        read_reply(status, &body)
    }

    async fn connect(&self) -> anyhow::Result<tokio::net::UnixStream> {
        let shown = self.socket.display();
        tokio::net::UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
                "no host is running at `{shown}`; start one with `attache serve --config attache.toml`, \
                 or say where it is with `--data-dir` or `--socket`"
            ),
            std::io::ErrorKind::PermissionDenied => {
                anyhow::anyhow!("`{shown}` belongs to somebody else; run this as the account that runs the host")
            }
            _ => anyhow::anyhow!("the host's socket `{shown}` cannot be reached: {error}"),
        })
    }
}

fn read_reply(status: StatusCode, body: &[u8]) -> anyhow::Result<serde_json::Value> {
    if status.is_success() {
        if body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        return serde_json::from_slice(body)
            .context("the host's answer is no JSON; are host and command of one version?");
    }
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    match (problem.title.as_str(), problem.detail.as_str()) {
        ("", "") => bail!("the host answered {status}"),
        (title, "") => bail!("{title}"),
        ("", detail) => bail!("{detail}"),
        (title, detail) => bail!("{title}: {detail}"),
    }
}

/// The typed form of a reply. Members that we do not know are left alone.
pub(super) fn typed<T: DeserializeOwned>(reply: &serde_json::Value) -> anyhow::Result<T> {
    T::deserialize(reply).context("the host's answer is not understood; are host and command of one version?")
}

/// Prints the reply for programs; whether it did.
pub(super) fn printed(format: Format, reply: &serde_json::Value) -> bool {
    if format == Format::Json {
        println!("{reply:#}");
    }
    format == Format::Json
}

/// Says what is going on once it has taken a second.
pub(super) async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
        Ok(done) => done,
        Err(_) => {
            eprintln!("{what}…");
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_that_is_not_there_is_answered_with_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = Admin::at(dir.path().join("attache.sock")).read("/v1/status", &[]).await.unwrap_err();
        assert!(error.to_string().contains("start one with `attache serve --config attache.toml`"), "{error}");
    }

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let problem = br#"{"type":"urn:attache:problem:conflict","title":"not deployed","status":409,"detail":"agent `a` belongs to another publisher"}"#;
        let error = read_reply(StatusCode::CONFLICT, problem).unwrap_err();
        assert_eq!(error.to_string(), "not deployed: agent `a` belongs to another publisher");
        assert_eq!(
            read_reply(StatusCode::BAD_GATEWAY, b"<html>").unwrap_err().to_string(),
            "the host answered 502 Bad Gateway"
        );
    }
}
