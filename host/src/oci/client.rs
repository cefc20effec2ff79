//! One request to a registry at a time: who asks, where it leads, and how large an answer may be.

use super::auth::{Challenge, Credentials};
use super::{OciError, Reference};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

/// For one request, body included.
const TIME: Duration = Duration::from_secs(300);
/// Of what a registry says of an error, and of a token.
const MOST_WORDS: usize = 64 << 10;
const MOST_REDIRECTS: usize = 4;

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// As the registry counts it, from `/v2/`; or a whole address, where the registry gave one.
    pub(super) path: &'a str,
    pub(super) accept: &'a str,
    pub(super) content_type: &'a str,
    pub(super) body: Bytes,
    pub(super) most: usize,
}

pub(super) struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Url,
    registry: String,
    credentials: Option<Credentials>,
    /// How this registry was told last who asks.
    told: Mutex<Option<HeaderValue>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    /// Connects to nothing yet.
    pub(super) fn new(reference: &Reference, credentials: Option<Credentials>) -> Result<Self, OciError> {
        let registry = reference.registry.clone();
        let unreachable = |why: String| OciError::Unreachable { registry: registry.clone(), why };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| unreachable(error.to_string()))?
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(Duration::from_secs(10)));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        // Nowhere else is plain HTTP spoken: a component and a password would be anybody's on the way.
        let scheme = if reference.is_local() { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{registry}/v2/")).map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { http, base, registry, credentials, told: Mutex::new(None) })
    }

    /// Asks; where the registry wants to know who does, says so and asks once more.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, OciError> {
        let url = self.base.join(ask.path).map_err(|error| OciError::Malformed(error.to_string()))?;
        let told = self.told.lock().await.clone();
        let first = self.follow(ask, &url, told.clone()).await?;
        if first.status != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let challenge =
            first.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).and_then(Challenge::read);
        let authorization = match challenge {
            Some(Challenge::Basic) => self.basic()?,
            Some(Challenge::Bearer { realm, service, scope }) => self.token(&realm, service, scope).await?,
            None => return Err(OciError::LoginNeeded(self.registry.clone())),
        };
        let second = self.follow(ask, &url, Some(authorization.clone())).await?;
        if second.status == StatusCode::UNAUTHORIZED {
            return Err(self.refused());
        }
        *self.told.lock().await = Some(authorization);
        Ok(second)
    }

    fn basic(&self) -> Result<HeaderValue, OciError> {
        let header = self.credentials.as_ref().and_then(Credentials::header);
        header.ok_or_else(|| OciError::LoginNeeded(self.registry.clone()))
    }

    /// Who was told, and is not let in.
    pub(super) fn refused(&self) -> OciError {
        match self.credentials {
            Some(_) => OciError::LoginRefused(self.registry.clone()),
            None => OciError::LoginNeeded(self.registry.clone()),
        }
    }

    /// A token for what was asked. Whoever gives it is told the password only over TLS, or on this machine.
    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<HeaderValue, OciError> {
        let wrong =
            || OciError::Malformed(format!("the registry `{}` names no place to get a token from", self.registry));
        let mut url = Url::parse(realm).map_err(|_| wrong())?;
        if !self.admits(&url) {
            return Err(wrong());
        }
        let pairs = [("service", service), ("scope", scope)];
        url.query_pairs_mut().extend_pairs(pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
        let ask = Ask {
            method: Method::GET,
            path: "",
            accept: "application/json",
            content_type: "",
            body: Bytes::new(),
            most: MOST_WORDS,
        };
        let answer = self.send(&ask, &url, self.credentials.as_ref().and_then(Credentials::header)).await?;
        if !answer.status.is_success() {
            return Err(self.refused());
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| wrong())?;
        let token = token.token.or(token.access_token).ok_or_else(wrong)?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Over TLS anywhere; in the clear on this machine, where the registry itself is on it.
    fn admits(&self, url: &Url) -> bool {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        url.scheme() == "https" || (url.scheme() == "http" && local && self.base.scheme() == "http")
    }

    /// Follows where an answer to a reading leads: registries keep bytes elsewhere. Who asks is not told there.
    async fn follow(&self, ask: &Ask<'_>, url: &Url, told: Option<HeaderValue>) -> Result<Answer, OciError> {
        let (mut url, mut told) = (url.clone(), told);
        // A registry's own addresses for uploads are whole ones, and may be anybody's.
        if url.origin() != self.base.origin() {
            told = None;
        }
        for _ in 0..MOST_REDIRECTS {
            if !self.admits(&url) {
                return Err(OciError::Malformed(format!(
                    "the registry `{}` leads to `{}`, which is not https",
                    self.registry,
                    url.host_str().unwrap_or_default()
                )));
            }
            let answer = self.send(ask, &url, told.clone()).await?;
            let leads = answer.status.is_redirection() && matches!(ask.method, Method::GET | Method::HEAD);
            let next = leads.then(|| answer.headers.get(LOCATION)?.to_str().ok()).flatten();
            let Some(next) = next else { return Ok(answer) };
            let next = url.join(next).map_err(|error| OciError::Malformed(error.to_string()))?;
            if next.origin() != url.origin() {
                told = None;
            }
            url = next;
        }
        Err(OciError::Malformed(format!("the registry `{}` leads in circles", self.registry)))
    }

    async fn send(&self, ask: &Ask<'_>, url: &Url, told: Option<HeaderValue>) -> Result<Answer, OciError> {
        let unreachable = |why: String| OciError::Unreachable { registry: self.registry.clone(), why };
        let mut request = Request::builder().method(&ask.method).uri(url.as_str());
        if !ask.accept.is_empty() {
            request = request.header(ACCEPT, ask.accept);
        }
        if !ask.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, ask.content_type);
        }
        if let Some(told) = told {
            request = request.header(AUTHORIZATION, told);
        }
        let request =
            request.body(Full::new(ask.body.clone())).map_err(|error| OciError::Malformed(error.to_string()))?;
        let most = ask.most.max(MOST_WORDS);
        let sent = async {
            let response = self.http.request(request).await.map_err(|error| {
                let mut why = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(next) = cause {
                    why = next.to_string();
                    cause = next.source();
                }
                unreachable(why)
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(|_| {
                OciError::Malformed(format!(
                    "the registry `{}` broke off, or sent more than {most} bytes",
                    self.registry
                ))
            })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(TIME, sent).await.unwrap_or_else(|_| Err(unreachable("it is too slow".into())))
    }
}

impl Answer {
    /// What it is, where it is not what was wanted.
    pub(super) fn error(&self, what: &str) -> OciError {
        let says = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let says = says.as_ref().and_then(|says| says.pointer("/errors/0/message")?.as_str());
        let says = says.unwrap_or_default().chars().take(200).collect::<String>().escape_debug().to_string();
        OciError::Answered { status: self.status.as_u16(), what: what.to_owned(), says }
    }
}
