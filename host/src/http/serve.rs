//! Listening: callers over TCP or TLS, operators on a Unix socket; until told to stop, and then to the end of what runs.

use super::access::{admin_router, public_router};
use super::operator::Operator;
use super::patience::{Patience, Watched};
use super::site::Peer;
use crate::config::TlsFiles;
use crate::operations::Operations;
use crate::wiring::Host;
use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Connections at once, of callers and of operators. More wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 8192;
const MOST_OPERATORS: usize = 64;
/// A request's head must arrive within this; an idle connection is closed after it.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes and number of a request's headers. A token may have 16 KiB.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// How long after its deadline an invocation may still be sending.
const GRACE: Duration = Duration::from_secs(5);
/// In the data folder.
const SOCKET: &str = "attache.sock";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on `{address}`; choose another `listen` under `[host]`")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operators' socket cannot be made.
    #[error("the operators' socket `{path}` cannot be made")]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A host runs over this data folder already.
    #[error("another host answers at `{0}`; stop it, or give this one a `data_dir` of its own")]
    Running(PathBuf),
    /// The certificate or its key cannot be used.
    #[error("`{path}` cannot be used for TLS: {reason}")]
    Tls {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Serves until `shutdown` resolves; then takes no more connections, lets the requests in flight end within the engine's
/// deadline, and returns.
///
/// # Errors
/// [`ServeError`] before anything is served.
pub async fn serve(host: Arc<Host>, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let settings = host.settings.clone();
    let tls = settings.tls.as_ref().map(acceptor).transpose()?;
    let path = settings.data_dir.join(SOCKET);
    let operators = operators_socket(&path)?;
    let listen = |source| ServeError::Listen { address: settings.listen, source };
    let callers = TcpListener::bind(settings.listen).await.map_err(listen)?;
    tracing::info!(
        address = %callers.local_addr().map_err(listen)?,
        socket = %path.display(),
        tls = tls.is_some(),
        "serving"
    );
    let server = Server::new(HEAD_PATIENCE, settings.send_timeout);
    let in_flight = GracefulShutdown::new();
    {
        let operations = Operations::new(host);
        let public = accept_callers(&server, &in_flight, callers, tls, public_router(operations.clone()));
        let admin = accept_operators(&server, &in_flight, operators, admin_router(operations));
        tokio::select! {
            () = shutdown => {}
            () = public => {}
            () = admin => {}
        }
    }
    // Gone before the last requests end, so that a successor can take its place.
    let _removed = std::fs::remove_file(&path);
    let patience = settings.engine.deadline + GRACE;
    if tokio::time::timeout(patience, in_flight.shutdown()).await.is_err() {
        tracing::warn!(after = ?patience, "some connections did not end and are cut off");
    }
    Ok(())
}

/// How connections are spoken to: HTTP/1.1 and HTTP/2, with limits.
#[derive(Clone)]
struct Server {
    builder: auto::Builder<TokioExecutor>,
    /// How long a response may wait for its caller.
    send_timeout: Duration,
}

impl Server {
    fn new(head_patience: Duration, send_timeout: Duration) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(head_patience)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES as u32)
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(head_patience)
            .keep_alive_timeout(HANDSHAKE_PATIENCE);
        Self { builder, send_timeout }
    }

    /// Serves one connection in a task of its own. `mark` says in each request whose connection it is.
    fn spawn<I, M>(&self, in_flight: &GracefulShutdown, io: I, router: Router, mark: M, permit: OwnedSemaphorePermit)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Clone + Send + Sync + 'static,
    {
        let patience = Patience::default();
        let watching = patience.clone();
        let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(mark.clone());
            let (router, watching) = (router.clone(), watching.clone());
            async move {
                let response = router.oneshot(request.map(axum::body::Body::new)).await?;
                Ok::<_, Infallible>(response.map(|body| watching.watch(body)))
            }
        });
        let io = TokioIo::new(Watched { io, patience: patience.clone() });
        let connection = self.builder.serve_connection(io, service).into_owned();
        let connection = in_flight.watch(connection);
        let send_timeout = self.send_timeout;
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                }
                () = patience.exhausted(send_timeout) => {
                    tracing::debug!(after = ?send_timeout, "a connection whose caller takes nothing is cut off");
                }
            }
            drop(permit);
        });
    }
}

async fn accept_callers(
    server: &Server,
    in_flight: &GracefulShutdown,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Handshakes run here and not in tasks, so that what they hold ends with this future.
    let mut handshakes = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            (stream, permit, peer) = next(&room, || listener.accept()) => {
                let _best_effort = stream.set_nodelay(true);
                match &tls {
                    None => server.spawn(in_flight, stream, router.clone(), peer, permit),
                    Some(tls) => {
                        handshakes.spawn(shake(tls.clone(), stream, peer, permit));
                    }
                }
            }
            Some(done) = handshakes.join_next() => {
                if let Ok(Some((stream, peer, permit))) = done {
                    server.spawn(in_flight, stream, router.clone(), peer, permit);
                }
            }
        }
    }
}

type Shaken = (tokio_rustls::server::TlsStream<TcpStream>, Peer, OwnedSemaphorePermit);

async fn shake(tls: TlsAcceptor, stream: TcpStream, peer: Peer, permit: OwnedSemaphorePermit) -> Option<Shaken> {
    match tokio::time::timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some((stream, peer, permit)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// The next connection, once there is room for it. An error of `accept` is of one connection, or of all for a while (no
/// file descriptors left), so it is waited out.
async fn next<S, F>(room: &Arc<Semaphore>, mut accept: impl FnMut() -> F) -> (S, OwnedSemaphorePermit, Peer)
where
    F: Future<Output = std::io::Result<(S, SocketAddr)>>,
{
    loop {
        // Never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { std::future::pending().await };
        match accept().await {
            Ok((stream, address)) => return (stream, permit, Peer(address)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn accept_operators(server: &Server, in_flight: &GracefulShutdown, listener: UnixListener, router: Router) {
    let nowhere = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
    let room = Arc::new(Semaphore::new(MOST_OPERATORS));
    loop {
        let accept = || async { listener.accept().await.map(|(stream, _)| (stream, nowhere)) };
        let (stream, permit, _) = next(&room, accept).await;
        if let Some(operator) = Operator::at(&stream) {
            server.spawn(in_flight, stream, router.clone(), operator, permit);
        }
    }
}

/// The socket, for this account alone. One that a host left behind is replaced; one that a host answers at is not.
fn operators_socket(path: &Path) -> Result<UnixListener, ServeError> {
    use std::os::unix::fs::PermissionsExt as _;
    let socket = |source| ServeError::Socket { path: path.to_owned(), source };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ServeError::Running(path.to_owned()));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(socket(error)),
        _ => {}
    }
    // The data folder is closed to others, so nobody gets in before the mode is set.
    let listener = UnixListener::bind(path).map_err(socket)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(socket)?;
    Ok(listener)
}

/// TLS 1.2 and 1.3 with the library's own choice of suites; HTTP/2 where the caller speaks it.
fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let failed = |path: &Path, reason: String| ServeError::Tls { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed(&files.certificate, "it holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| failed(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| failed(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use http_body_util::BodyExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET);
        drop(operators_socket(&path).unwrap());
        assert!(path.exists(), "a host that was killed leaves it behind");
        let _held = operators_socket(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(operators_socket(&path), Err(ServeError::Running(_))));
    }

    #[tokio::test]
    async fn a_certificate_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        assert!(acceptor(&files).err().unwrap().to_string().contains("cert.pem"));
        std::fs::write(&files.certificate, "nothing").unwrap();
        assert!(acceptor(&files).err().unwrap().to_string().contains("no certificate"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        assert!(acceptor(&files).err().unwrap().to_string().contains("key.pem"));
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        assert!(acceptor(&files).is_ok());
    }

    /// Serves `ok` on a loopback port.
    async fn echo(patience: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(|| async { "ok" }));
        tokio::spawn(async move {
            let in_flight = GracefulShutdown::new();
            accept_callers(&Server::new(patience, patience), &in_flight, listener, None, router).await;
        });
        address
    }

    /// Set when what holds it is dropped.
    #[derive(Clone, Default)]
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Waits for it.
    async fn dropped(flag: &Arc<AtomicBool>) -> bool {
        for _ in 0..2000 {
            if flag.load(Ordering::SeqCst) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Serves a response without an end at `/endless`, and at `/slow` one that takes longer than a caller may.
    async fn giving(flag: &Arc<AtomicBool>) -> SocketAddr {
        let patience = Duration::from_millis(200);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flag = flag.clone();
        let endless = move || {
            let held = Dropped(flag.clone());
            async move {
                let piece = bytes::Bytes::from(vec![b'x'; 64 << 10]);
                let forever = futures_util::stream::repeat_with(move || {
                    let _held = &held;
                    Ok::<_, Infallible>(piece.clone())
                });
                axum::body::Body::from_stream(forever)
            }
        };
        let slow = move || async move {
            let pieces = futures_util::stream::iter(["at ", "last"]).then(move |piece| async move {
                tokio::time::sleep(2 * patience).await;
                Ok::<_, Infallible>(piece)
            });
            axum::body::Body::from_stream(pieces)
        };
        let router =
            Router::new().route("/endless", axum::routing::get(endless)).route("/slow", axum::routing::get(slow));
        tokio::spawn(async move {
            let in_flight = GracefulShutdown::new();
            let server = Server::new(Duration::from_secs(60), patience);
            accept_callers(&server, &in_flight, listener, None, router).await;
        });
        address
    }

    #[tokio::test]
    async fn a_caller_that_takes_nothing_is_cut_off() {
        let flag = Arc::new(AtomicBool::new(false));
        let address = giving(&flag).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(dropped(&flag).await, "the response is still held");
        // What the kernel had taken comes, and then the end of the connection.
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still there");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "what was cut off must not look whole");
    }

    #[tokio::test]
    async fn a_caller_that_waits_for_a_slow_answer_is_not_cut_off() {
        let address = giving(&Arc::default()).await;
        let reply = sent(address, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(reply.contains("at ") && reply.contains("last") && reply.ends_with("0\r\n\r\n"), "{reply}");
    }

    /// Its windows are full and it opens none; the connection is fine and serves others.
    #[tokio::test]
    async fn a_response_that_nobody_takes_is_given_up_and_its_connection_goes_on() {
        let flag = Arc::new(AtomicBool::new(false));
        let address = giving(&flag).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(1 << 20)
            .handshake::<_, axum::body::Body>(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let get = |path: &str| http::Request::get(format!("http://x{path}")).body(axum::body::Body::empty()).unwrap();
        let unread = client.send_request(get("/endless")).await.unwrap();
        assert!(dropped(&flag).await, "the response is still held");
        let slow = client.send_request(get("/slow")).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(slow.to_bytes(), "at last");
        assert!(unread.into_body().collect().await.is_err(), "what was given up must not look whole");
    }

    async fn sent(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        // A server that refuses may reset the connection with its answer on the way.
        let _reset = stream.read_to_end(&mut reply).await;
        String::from_utf8_lossy(&reply).into_owned()
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_or_never_ends_is_refused() {
        let address = echo(Duration::from_millis(50)).await;
        let ok = sent(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(ok.starts_with("HTTP/1.1 200"), "{ok}");
        let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
        let refused = sent(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n")).await;
        assert!(!refused.contains("200 OK"), "{refused}");
        let long = "x".repeat(HEAD_BYTES + 1);
        let refused = sent(address, &format!("GET / HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n")).await;
        assert!(!refused.contains("200 OK"), "{refused}");
        let slow = sent(address, "GET / HTTP/1.1\r\nhost:").await;
        assert!(!slow.contains("200 OK"), "a head that never ends is given up: {slow}");
    }
}
