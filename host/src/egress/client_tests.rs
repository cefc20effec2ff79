use super::super::Fetch;
use super::super::testing::{Upstream, response};
use super::*;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

/// A resolver that gives its answers in order, the last one for ever.
struct Scripted {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[SocketAddr]]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|answer| answer.to_vec()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Scripted {
    fn resolve(&self, _: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

fn development() -> Arc<Client> {
    Client::new(&ClientConfig::development()).unwrap()
}

fn ok() -> Vec<u8> {
    response("200 OK", "", "hello")
}

async fn fetch(client: &Client, url: &str) -> Result<String, FetchError> {
    let mut fetch = Fetch::get(Url::parse(url).unwrap());
    fetch.timeout = Duration::from_secs(5);
    client.fetch(fetch).await.map(|fetched| String::from_utf8(fetched.body.to_vec()).unwrap())
}

/// Everything in the list that is a URL with a host, aimed at the canary's port, under the names the list uses: whatever
/// is not a literal address resolves to this machine.
#[tokio::test]
async fn no_ssrf_url_reaches_the_canary() {
    let canary = Upstream::answering(|_| ok()).await;
    let here = Scripted::new(&[&[canary.address]]);
    // Without the platform's roots, which take long to read.
    let strict = Client::with_resolver(&ClientConfig::production(), here.clone() as Arc<dyn Resolve>).unwrap();
    let list = include_str!("../../../tests/vectors/payloads/ssrf_urls.txt");
    let mut tried = 0;
    for line in list.lines() {
        for scheme in ["http", "https"] {
            let text = line.replacen("http:", &format!("{scheme}:"), 1);
            let Ok(mut url) = Url::parse(&text) else { continue };
            // Names outside are for a resolver that says what an attacker's would: 127.0.0.1.
            if !matches!(url.scheme(), "http" | "https") || url.set_port(Some(canary.address.port())).is_err() {
                continue;
            }
            tried += 1;
            let outcome = strict.fetch(Fetch::get(url)).await;
            assert!(matches!(outcome, Err(FetchError::Url(_) | FetchError::NotPublic(_))), "{text}");
        }
    }
    assert!(tried >= 80, "{tried}");
    assert_eq!(canary.connections(), 0);
    // The canary sings when it is reached.
    assert_eq!(fetch(&development(), &canary.url("/")).await.unwrap(), "hello");
    assert_eq!(canary.connections(), 1);
}

/// The spellings that `inet_aton` knows and a URL parser would have normalised, as a guest could write them.
#[tokio::test]
async fn odd_spellings_of_loopback_are_what_they_resolve_to() {
    let canary = Upstream::answering(|_| ok()).await;
    let strict = Client::new(&ClientConfig::production()).unwrap();
    for host in ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "[::ffff:127.0.0.1]", "[::]", "[::1]"] {
        let uri = format!("https://{host}:{}/", canary.address.port());
        let Ok(uri) = uri.parse::<Uri>() else { continue };
        let request = Request::builder().uri(uri).body(empty()).unwrap();
        let outcome = strict.send(request).await.map(|_| ());
        assert!(matches!(outcome, Err(SendError::NotPublic(_) | SendError::Unreachable(_))), "{host}: {outcome:?}");
    }
    assert_eq!(canary.connections(), 0);
}

fn empty() -> Body {
    use http_body_util::BodyExt as _;
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

#[tokio::test]
async fn an_answer_with_one_bad_address_is_refused_whole() {
    let canary = Upstream::answering(|_| ok()).await;
    let public: SocketAddr = "93.184.216.34:443".parse().unwrap();
    let resolver = Scripted::new(&[&[canary.address, public]]);
    let strict = Client::with_resolver(&ClientConfig::production(), resolver.clone() as Arc<dyn Resolve>).unwrap();
    let url = format!("https://rebind.example:{}/", canary.address.port());
    assert!(matches!(fetch(&strict, &url).await, Err(FetchError::NotPublic(_))));
    assert_eq!(canary.connections(), 0);
}

/// The second lookup that would lead inside never happens: what was vetted is what is connected to. The answers here are
/// both this machine's, so that a connection can be made at all; only the first has somebody listening.
#[tokio::test]
async fn a_name_is_looked_up_once_per_connection() {
    let first = Upstream::answering(|_| ok()).await;
    let second = Upstream::answering(|_| ok()).await;
    let resolver = Scripted::new(&[&[first.address], &[second.address]]);
    let client = Client::with_resolver(&ClientConfig::development(), resolver.clone() as Arc<dyn Resolve>).unwrap();
    assert_eq!(fetch(&client, &format!("http://localhost:{}/", first.address.port())).await.unwrap(), "hello");
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    assert_eq!((first.connections(), second.connections()), (1, 0));
}

#[tokio::test]
async fn plain_http_stays_on_this_machine_even_in_development() {
    let canary = Upstream::answering(|_| ok()).await;
    let resolver = Scripted::new(&[&["93.184.216.34:80".parse().unwrap()]]);
    let client = Client::with_resolver(&ClientConfig::development(), resolver.clone() as Arc<dyn Resolve>).unwrap();
    for url in ["http://example.com/", "http://localhost.example.com/", "http://10.0.0.1/"] {
        assert!(matches!(fetch(&client, url).await, Err(FetchError::Url(_))), "{url}");
    }
    // `localhost` that resolves elsewhere.
    assert!(matches!(fetch(&client, "http://localhost/").await, Err(FetchError::NotPublic(_))));
    let strict = Client::new(&ClientConfig::production()).unwrap();
    assert!(matches!(fetch(&strict, &canary.url("/")).await, Err(FetchError::Url(_))));
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let canary = Upstream::answering(|_| ok()).await;
    let target = canary.url("/stolen");
    let upstream = Upstream::answering(move |request| {
        let status = request.split(['/', ' ']).nth(2).unwrap();
        response(&format!("{status} Moved"), &format!("location: {target}\r\n"), "")
    })
    .await;
    let client = development();
    for status in [301, 302, 303, 307, 308] {
        let fetched =
            client.fetch(Fetch::get(Url::parse(&upstream.url(&format!("/{status}"))).unwrap())).await.unwrap();
        assert_eq!(fetched.status.as_u16(), status);
    }
    assert_eq!((upstream.connections(), canary.connections()), (5, 0));
}

#[tokio::test]
async fn a_body_ends_at_its_cap() {
    let upstream = Upstream::start(|request, mut socket| async move {
        let head: &[u8] = if request.starts_with("GET /announced") {
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
        };
        let _ = socket.write_all(head).await;
        while socket.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    for path in ["/announced", "/endless"] {
        assert_eq!(fetch(&development(), &upstream.url(path)).await, Err(FetchError::TooLarge(256 * 1024)), "{path}");
    }
}

#[tokio::test]
async fn a_body_of_one_piece_is_measured_too() {
    let upstream = Upstream::start(|request, mut socket| async move {
        let body: &[u8] = if request.starts_with("GET /ten") { b"0123456789" } else { b"0123456789x" };
        let _ = socket.write_all(&[b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body].concat()).await;
    })
    .await;
    for (path, expect) in [("/ten", None), ("/eleven", Some(FetchError::TooLarge(10)))] {
        let mut fetch = Fetch::get(Url::parse(&upstream.url(path)).unwrap());
        fetch.max_bytes = 10;
        assert_eq!(development().fetch(fetch).await.err(), expect, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_drips_ends_in_time() {
    let upstream = Upstream::start(|_, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut fetch = Fetch::get(Url::parse(&upstream.url("/")).unwrap());
    fetch.timeout = Duration::from_millis(150);
    assert_eq!(development().fetch(fetch).await.err(), Some(FetchError::TimedOut));
}

#[tokio::test]
async fn a_compressed_or_broken_answer_is_refused() {
    let upstream = Upstream::answering(|request| {
        if request.starts_with("GET /gzip") {
            assert!(request.contains("accept-encoding: identity\r\n"));
            return response("200 OK", "content-encoding: gzip\r\n", "\u{1f}");
        }
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec()
    })
    .await;
    assert_eq!(fetch(&development(), &upstream.url("/gzip")).await, Err(FetchError::Encoded));
    assert_eq!(fetch(&development(), &upstream.url("/short")).await, Err(FetchError::Broken));
}

#[tokio::test]
async fn a_url_with_a_password_is_not_fetched() {
    let outcome = fetch(&development(), "https://user:hunter2@example.com/").await.unwrap_err();
    assert!(matches!(outcome, FetchError::Url(_)) && !outcome.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let resolver = Scripted::new(&[&[listener.local_addr().unwrap()]]);
    let config = ClientConfig { connect_timeout: Duration::from_millis(100), ..ClientConfig::development() };
    let client = Client::with_resolver(&config, resolver as Arc<dyn Resolve>).unwrap();
    assert_eq!(fetch(&client, &url).await, Err(FetchError::TimedOut));
}

#[tokio::test]
async fn only_a_trusted_certificate_of_that_name_is_talked_to() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("root.pem");
    std::fs::write(&pem, certificate.pem()).unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(&ok()).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    let resolver = || Scripted::new(&[&[address]]) as Arc<dyn Resolve>;
    let trusting = ClientConfig { extra_roots: vec![pem], ..ClientConfig::development() };
    let trusting = Client::with_resolver(&trusting, resolver()).unwrap();
    let wary = Client::with_resolver(&ClientConfig::development(), resolver()).unwrap();

    let port = address.port();
    assert_eq!(fetch(&trusting, &format!("https://localhost:{port}/")).await.unwrap(), "hello");
    for (client, url) in
        [(&trusting, format!("https://other.example:{port}/")), (&wary, format!("https://localhost:{port}/"))]
    {
        let outcome = fetch(client, &url).await.unwrap_err();
        assert!(matches!(&outcome, FetchError::Unreachable(why) if why.contains("certificate")), "{outcome}");
    }
}

#[test]
fn roots_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty, folder.path().join("missing.pem")] {
        let config = ClientConfig { extra_roots: vec![path.clone()], ..ClientConfig::production() };
        let error = Client::new(&config).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("name a file"), "{error}");
    }
}
