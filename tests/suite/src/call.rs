//! Calling the host as an app does.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An app's HTTP client, with kept connections.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `type` of a problem, without its URN prefix.
    pub fn problem(&self) -> Option<String> {
        self.json()["type"].as_str().map(|t| t.trim_start_matches("urn:attache:problem:").to_owned())
    }
}

impl Caller {
    /// Of the host at this URL.
    pub fn new(base: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), base: base.to_owned() }
    }

    /// Any request; `token` becomes `Authorization: Bearer`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into()))?).await.context("calling the host")?;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    /// `POST /agents/{agent}/invocations` with a JSON body.
    pub async fn invoke(&self, agent: &str, token: &str, body: &Value) -> Result<Reply> {
        let path = format!("/agents/{agent}/invocations");
        let json = [("content-type", "application/json")];
        self.send(Method::POST, &path, Some(token), &json, body.to_string()).await
    }

    /// `GET /agents/{agent}/invocations/{rest}`.
    pub async fn probe(&self, agent: &str, token: &str, rest: &str) -> Result<Reply> {
        self.send(Method::GET, &format!("/agents/{agent}/invocations/{rest}"), Some(token), &[], Bytes::new()).await
    }
}
