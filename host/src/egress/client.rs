//! The one HTTP client: pooled, rustls, HTTP/1.1 and 2, no redirects, no cookies, no proxy from the environment.

use super::vetting::{self, ConnectError, Reach, Resolve};
use super::{Body, CarryError, FetchError};
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// How the client connects.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Development: loopback addresses may be reached, and plain `http` to them.
    pub allow_loopback: bool,
    /// PEM files with certificates to trust besides the platform's.
    pub extra_roots: Vec<PathBuf>,
    /// For lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For a whole exchange of a guest, body included. [`super::Fetch`] carries its own.
    pub total_timeout: Duration,
}

impl ClientConfig {
    /// Public addresses over TLS; five seconds to connect, five minutes for an exchange.
    pub fn production() -> Self {
        Self {
            allow_loopback: false,
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(300),
        }
    }

    /// The same, and this machine.
    pub fn development() -> Self {
        Self { allow_loopback: true, ..Self::production() }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of extra roots.
    #[error(
        "`{path}` holds no readable PEM certificates ({reason}); name a file with at least one `CERTIFICATE` block"
    )]
    Roots {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The platform's roots.
    #[error("no certificates to trust ({0}); install the system's CA certificates or name a PEM file of extra roots")]
    NoRoots(String),
    /// The TLS library.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Everything that leaves goes through one of these. Cheap to share; connections are pooled per origin.
pub struct Client {
    http: legacy::Client<Timed, Body>,
    allow_loopback: bool,
    total_timeout: Duration,
}

impl Client {
    /// Reads the roots and builds the pool. Connects to nothing.
    ///
    /// # Errors
    /// [`ClientError`] when there is nothing to trust.
    pub fn new(config: &ClientConfig) -> Result<Arc<Client>, ClientError> {
        Self::with_resolver(config, Arc::new(vetting::System))
    }

    pub(super) fn with_resolver(config: &ClientConfig, resolver: Arc<dyn Resolve>) -> Result<Arc<Client>, ClientError> {
        let tcp = Tcp { resolver, allow_loopback: config.allow_loopback };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(config)?)
            // Plain http is refused by `admit` and by `Tcp`, except to this machine in development.
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(32)
            .http1_max_buf_size(64 * 1024)
            .http2_max_header_list_size(64 * 1024)
            .build(Timed { https, limit: config.connect_timeout });
        Ok(Arc::new(Client { http, allow_loopback: config.allow_loopback, total_timeout: config.total_timeout }))
    }

    /// Sends as is and follows nothing. The body of the response is raw; callers cap or scrub it.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, SendError> {
        self.admit(request.uri())?;
        self.http.request(request).await.map_err(SendError::read)
    }

    /// `https` to anywhere public; `http` to this machine, in development.
    pub(super) fn admit(&self, uri: &Uri) -> Result<(), SendError> {
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() {
            Some("https") if !host.is_empty() => Ok(()),
            Some("http") if self.allow_loopback && vetting::names_loopback(host) => Ok(()),
            _ => Err(SendError::NotHttps),
        }
    }

    pub(super) fn total_timeout(&self) -> Duration {
        self.total_timeout
    }
}

/// Why a request got no response. Fit for logs and, through [`CarryError`], for guests.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum SendError {
    #[error("only https can be reached")]
    NotHttps,
    #[error("{0}")]
    NotPublic(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("connecting took too long")]
    TimedOut,
}

impl SendError {
    /// Finds what we or rustls said in the client's chain of causes; the rest is the peer's fault in few words.
    fn read(error: legacy::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(this) = cause {
            match this.downcast_ref::<ConnectError>() {
                Some(ConnectError::TimedOut) => return Self::TimedOut,
                Some(refused @ ConnectError::NotPublic { .. }) => return Self::NotPublic(refused.to_string()),
                Some(other) => return Self::Unreachable(other.to_string()),
                None => {}
            }
            // The source of an `io::Error` is the source of what it holds, so look at what it holds; TLS errors are two deep.
            let mut inner: &(dyn Error + 'static) = this;
            while let Some(held) = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                inner = held;
            }
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Self::Unreachable(format!("the TLS handshake failed: {tls}"));
            }
            cause = this.source();
        }
        Self::Unreachable(if error.is_connect() {
            "no connection could be made".into()
        } else {
            "the connection broke off before the response".into()
        })
    }
}

impl From<SendError> for FetchError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotHttps => Self::Url(error.to_string()),
            SendError::NotPublic(why) => Self::NotPublic(why),
            SendError::Unreachable(why) => Self::Unreachable(why),
            SendError::TimedOut => Self::TimedOut,
        }
    }
}

impl From<SendError> for CarryError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotHttps => Self::InvalidRequest(error.to_string()),
            SendError::NotPublic(why) | SendError::Unreachable(why) => Self::Unreachable(why),
            SendError::TimedOut => Self::TimedOut,
        }
    }
}

fn tls(config: &ClientConfig) -> Result<rustls::ClientConfig, ClientError> {
    let mut extra: Vec<CertificateDer<'static>> = Vec::new();
    for path in &config.extra_roots {
        let broken = |reason: String| ClientError::Roots { path: path.clone(), reason };
        let before = extra.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| broken(e.to_string()))? {
            extra.push(certificate.map_err(|e| broken(e.to_string()))?);
        }
        if extra.len() == before {
            return Err(broken("none found".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| ClientError::Tls(e.to_string()))?;
    match rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => {
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }
        // A development machine without CA certificates still reaches itself over http; every https fails closed.
        Err(error) if config.allow_loopback && config.extra_roots.is_empty() => {
            tracing::warn!(%error, "no certificates to trust: https will fail");
            Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
        Err(error) => Err(ClientError::NoRoots(error.to_string())),
    }
}

/// Opens TCP connections, to vetted addresses only.
#[derive(Clone)]
struct Tcp {
    resolver: Arc<dyn Resolve>,
    allow_loopback: bool,
}

impl tower::Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let resolver = Arc::clone(&self.resolver);
        let secure = to.scheme_str() == Some("https");
        let reach = match (secure, self.allow_loopback) {
            (true, false) => Reach::Public,
            (true, true) => Reach::PublicOrLoopback,
            (false, _) => Reach::Loopback,
        };
        let allowed = secure || self.allow_loopback;
        Box::pin(async move {
            let host = to.host().unwrap_or_default();
            if !allowed {
                return Err(ConnectError::NotPublic { host: host.to_owned(), what: "plain http" });
            }
            let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let addresses = vetting::vetted(&*resolver, host, port, reach).await?;
            Ok(TokioIo::new(vetting::connect(host, addresses).await?))
        })
    }
}

/// Bounds lookup, TCP and TLS together. The pool goes on connecting after a request has given up, so the bound is here.
#[derive(Clone)]
struct Timed {
    https: HttpsConnector<Tcp>,
    limit: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl tower::Service<Uri> for Timed {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.https.call(to);
        let limit = self.limit;
        Box::pin(async move {
            tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(ConnectError::TimedOut.into()))
        })
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
