use super::super::testing::{Upstream, response};
use super::super::{BodyError, ClientConfig};
use super::*;
use futures_util::StreamExt as _;
use http::Method;
use http_body_util::{Full, StreamBody};
use tokio::io::AsyncWriteExt as _;

const CANARY: &str = "ya29.canary-Token_0123456789";

fn client() -> Arc<Client> {
    Client::new(&ClientConfig::development()).unwrap()
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

fn get(url: &str) -> Request<Body> {
    Request::builder().uri(url).body(full("")).unwrap()
}

fn passage(destinations: &Destinations) -> Passage<'_> {
    Passage {
        destinations,
        attach: Some(Attach::Placed(Placement::Bearer, Arc::new(Secret::from_text(CANARY.into())))),
        connect_timeout: None,
        first_byte_timeout: None,
        between_bytes_timeout: None,
    }
}

fn to(url: &str) -> Destinations {
    Destinations::parse([url]).unwrap()
}

async fn send(upstream: &Upstream, request: Request<Body>) -> Result<Response<Body>, CarryError> {
    carry(&client(), passage(&to(&upstream.url(""))), request).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_credential_arrives_and_the_guest_never_sees_it() {
    let upstream = Upstream::answering(|request| {
        let echo = format!("content-type: text/plain\r\nx-echo: {CANARY}\r\nx-{}: 1\r\n", CANARY.to_lowercase());
        response("200 OK", &echo, request)
    })
    .await;
    let mut request = get(&upstream.url("/events?x=1"));
    request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
    request.headers_mut().insert("x-own", HeaderValue::from_static("kept"));
    let response = send(&upstream, request).await.unwrap();

    let sent = upstream.requests().remove(0);
    assert!(sent.starts_with("GET /events?x=1 HTTP/1.1\r\n"), "{sent}");
    for header in [format!("authorization: Bearer {CANARY}"), "x-own: kept".into(), "accept-encoding: identity".into()]
    {
        assert!(sent.contains(&format!("{header}\r\n")), "{header} in {sent}");
    }
    let stars = "*".repeat(CANARY.len());
    assert_eq!(response.headers()["x-echo"], stars);
    assert!(!response.headers().keys().any(|name| name.as_str().contains("canary")));
    let hits = response.extensions().get::<ScrubHits>().unwrap().clone();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let body = text(response).await;
    assert!(body.contains(&format!("authorization: Bearer {stars}")) && !body.contains(CANARY), "{body}");
    assert_eq!((body.len(), hits.count()), (length, 3));
}

#[tokio::test]
async fn without_a_credential_nothing_is_attached() {
    let upstream = Upstream::answering(|_| response("200 OK", "content-encoding: gzip\r\n", "whatever")).await;
    let destinations = to(&upstream.url(""));
    let plain = Passage { attach: None, ..passage(&destinations) };
    assert_eq!(text(carry(&client(), plain, get(&upstream.url("/"))).await.unwrap()).await, "whatever");
    assert!(!upstream.requests()[0].contains("authorization"));
}

#[tokio::test]
async fn what_is_not_allowed_opens_no_connection() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let url = upstream.url("/v1/x");
    let with = |name: &'static str, value: &'static str| {
        let mut request = get(&url);
        request.headers_mut().append(name, HeaderValue::from_static(value));
        request
    };
    let method = |method: &str| {
        let mut request = get(&url);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        request
    };
    let mut twice = with("content-length", "0");
    twice.headers_mut().append("content-length", HeaderValue::from_static("0"));
    let mut both = with("content-length", "0");
    both.headers_mut().append("transfer-encoding", HeaderValue::from_static("chunked"));
    let port = upstream.address.port();
    let invalid = [
        method("TRACE"),
        method("trace"),
        method("CONNECT"),
        method("TRACK"),
        with("Authorization", "Bearer mine"),
        with("cookie", "a=b"),
        with("proxy-authorization", "Basic x"),
        with("x-api-key", "mine"),
        with("x-forwarded-for", "10.0.0.1"),
        with("content-length", "5"),
        with("content-length", "+0"),
        with("content-length", "0x0"),
        twice,
        both,
        get(&format!("http://user:pass@127.0.0.1:{port}/v1/x")),
        get("/v1/x"),
        get("http://example.com/v1/x"),
        get(&format!("ftp://127.0.0.1:{port}/v1/x")),
    ];
    let destinations = to(&upstream.url("/v1/"));
    for (number, request) in invalid.into_iter().enumerate() {
        let outcome = carry(&client(), passage(&destinations), request).await.map(|_| ());
        assert!(matches!(outcome, Err(CarryError::InvalidRequest(_))), "{number}: {outcome:?}");
    }
    for elsewhere in [
        format!("http://127.0.0.1:{port}/v2/x"),
        format!("http://127.0.0.1:{port}/v1/../v2"),
        format!("http://127.0.0.1:{port}/v1/%2e%2e/v2"),
        format!("http://localhost:{port}/v1/x"),
        format!("http://127.0.0.2:{port}/v1/x"),
        format!("https://127.0.0.1:{port}/v1/x"),
        "https://evil.example/v1/x".into(),
    ] {
        let outcome = carry(&client(), passage(&destinations), get(&elsewhere)).await.map(|_| ());
        assert!(matches!(outcome, Err(CarryError::Destination { .. })), "{elsewhere}: {outcome:?}");
    }
    let nowhere = Destinations::default();
    assert!(carry(&client(), passage(&nowhere), get(&url)).await.is_err());
    assert_eq!(upstream.connections(), 0);
    carry(&client(), passage(&destinations), get(&url)).await.unwrap();
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn headers_of_the_connection_are_the_clients_own() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let mut request = get(&upstream.url("/"));
    for (name, value) in
        [("host", "evil.example"), ("connection", "x-own"), ("te", "trailers"), ("expect", "100-continue")]
    {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    send(&upstream, request).await.unwrap();
    let sent = upstream.requests().remove(0);
    assert!(sent.contains(&format!("host: {}\r\n", upstream.address)), "{sent}");
    assert!(!["evil", "x-own", "trailers", "100-continue"].iter().any(|word| sent.contains(word)), "{sent}");
}

/// Whoever asks a body whether it has ended, as servers do, loses nothing of what looked like the beginning of a credential.
#[tokio::test]
async fn what_was_held_back_at_the_end_is_no_end() {
    let beginning = &CANARY[..CANARY.len() - 1];
    let upstream = Upstream::answering(move |_| response("200 OK", "", format!("text, and {beginning}"))).await;
    let mut body = send(&upstream, get(&upstream.url("/"))).await.unwrap().into_body();
    let whole = format!("text, and {beginning}");
    let mut text = Vec::new();
    while !body.is_end_stream() {
        let left = (whole.len() - text.len()) as u64;
        assert_eq!(body.size_hint().exact(), Some(left), "after {} bytes", text.len());
        let Some(frame) = body.frame().await else { break };
        text.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    assert_eq!(text, whole.as_bytes());
}

/// What an earlier layer left beside the message would decide how it is sent, or watch it.
#[tokio::test]
async fn nothing_beside_the_message_goes_along() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let mut request = get(&upstream.url("/"));
    let watching = capture_connection(&mut request);
    send(&upstream, request).await.unwrap();
    assert!(watching.connection_metadata().is_none(), "whoever watched the request saw its connection");
}

#[tokio::test]
async fn a_redirect_comes_back_and_carries_nothing_elsewhere() {
    let canary = Upstream::answering(|_| response("200 OK", "", "")).await;
    let target = canary.url("/");
    let upstream = Upstream::answering(move |request| {
        let status = request.split(['/', ' ']).nth(2).unwrap();
        response(&format!("{status} {CANARY}"), &format!("location: {target}?token={CANARY}\r\n"), "")
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        let response = send(&upstream, get(&upstream.url(&format!("/{status}")))).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let location = response.headers()["location"].to_str().unwrap();
        assert!(location.ends_with(&"*".repeat(CANARY.len())), "{location}");
        assert!(!format!("{:?}", response.extensions()).contains(CANARY));
        assert!(response.extensions().get::<hyper::ext::ReasonPhrase>().is_none());
    }
    assert_eq!((upstream.connections(), canary.connections()), (5, 0));
}

#[tokio::test]
async fn identity_headers_of_an_upstream_stop_here() {
    let headers =
        "set-cookie: sid=1\r\nwww-authenticate: Bearer\r\nauthorization: Bearer x\r\nx-api-key: y\r\netag: z\r\n";
    let upstream = Upstream::answering(move |_| response("200 OK", headers, "")).await;
    let response = send(&upstream, get(&upstream.url("/"))).await.unwrap();
    let names: std::collections::BTreeSet<_> = response.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["content-length", "etag"].into());
}

#[tokio::test]
async fn an_encoded_answer_to_a_credential_is_withheld() {
    for headers in [
        "content-encoding: gzip\r\n",
        "content-encoding: identity, br\r\n",
        "content-encoding: identity\r\ncontent-encoding: GZIP\r\n",
    ] {
        let upstream = Upstream::answering(move |_| response("200 OK", headers, "???")).await;
        let outcome = send(&upstream, get(&upstream.url("/"))).await.map(|_| ());
        assert!(matches!(outcome, Err(CarryError::Encoded(_))), "{headers}");
    }
    let upstream = Upstream::answering(|_| response("204 No Content", "content-encoding: gzip\r\n", "")).await;
    assert_eq!(send(&upstream, get(&upstream.url("/"))).await.unwrap().status(), 204);
}

#[tokio::test]
async fn an_echo_cut_across_chunks_and_trailers_is_covered() {
    let upstream = Upstream::start(|_, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n").await;
        for byte in format!("[{CANARY}]").bytes() {
            let _ = socket.write_all(format!("1\r\n{}\r\n", byte as char).as_bytes()).await;
            let _ = socket.flush().await;
        }
        let trailers = format!("0\r\nx-t: {CANARY}\r\nset-cookie: a\r\n\r\n");
        let _ = socket.write_all(trailers.as_bytes()).await;
    })
    .await;
    let response = send(&upstream, get(&upstream.url("/"))).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    if let Some(trailers) = collected.trailers() {
        assert!(trailers.values().all(|value| !value.as_bytes().windows(CANARY.len()).any(|w| w == CANARY.as_bytes())));
        assert!(!trailers.contains_key("set-cookie"));
    }
    assert_eq!(collected.to_bytes(), format!("[{}]", "*".repeat(CANARY.len())));
}

/// CR and LF never reach the wire: what is percent-encoded stays so, what is not is no URI and no header.
#[tokio::test]
async fn no_payload_adds_a_line_to_a_request() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let client = client();
    let mut sent = 0;
    for line in include_str!("../../../tests/vectors/payloads/crlfinjection.txt").lines() {
        let Ok(uri) = upstream.url(line).parse::<Uri>() else { continue };
        let mut request = get("http://x/");
        *request.uri_mut() = uri;
        carry(&client, passage(&to(&upstream.url(""))), request).await.unwrap();
        let raw = upstream.requests().pop().unwrap();
        assert!(raw.starts_with(&format!("GET {line} HTTP/1.1\r\n")), "{raw}");
        assert_eq!(raw.split("\r\n").filter(|l| l.starts_with("Set-Cookie")).count(), 0, "{raw}");
        assert_eq!(raw.lines().count(), upstream.requests()[0].lines().count());
        sent += 1;
    }
    assert!(sent > 10, "{sent}");
    assert!(HeaderValue::from_bytes(b"a\r\nb: c").is_err());
}

#[tokio::test]
async fn a_streamed_request_arrives_whole() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let frames = futures_util::stream::iter(["one ", "two ", "three"])
        .map(|part| Ok::<_, BodyError>(Frame::data(Bytes::from(part))));
    let mut request = get(&upstream.url("/"));
    *request.method_mut() = Method::POST;
    *request.body_mut() = StreamBody::new(frames).boxed_unsync();
    send(&upstream, request).await.unwrap();
    let sent = upstream.requests().remove(0);
    for part in ["transfer-encoding: chunked", "one ", "two ", "three"] {
        assert!(sent.contains(part), "{sent}");
    }
}

#[tokio::test]
async fn trailers_of_a_guest_say_nothing_about_who_asks() {
    let mut trailers = HeaderMap::new();
    for name in ["authorization", "x-api-key", "x-checksum"] {
        trailers.insert(name, HeaderValue::from_static("x"));
    }
    let frames = [Frame::data(Bytes::from("x")), Frame::trailers(trailers)].map(Ok::<_, BodyError>);
    let body = Departing(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
    let collected = body.collect().await.unwrap();
    let names: Vec<_> = collected.trailers().unwrap().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-checksum"]);
}

#[tokio::test]
async fn the_head_comes_in_time_or_not_at_all() {
    let upstream = Upstream::start(|_, socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let destinations = to(&upstream.url(""));
    let limit = Some(Duration::from_millis(80));
    let hasty = Passage { first_byte_timeout: limit, ..passage(&destinations) };
    assert_eq!(carry(&client(), hasty, get(&upstream.url("/"))).await.err(), Some(CarryError::TimedOut));

    let config = ClientConfig { total_timeout: Duration::from_millis(80), ..ClientConfig::development() };
    let short = Client::new(&config).unwrap();
    assert_eq!(carry(&short, passage(&destinations), get(&upstream.url("/"))).await.err(), Some(CarryError::TimedOut));

    // Connected at once, so this limit does not matter.
    let connecting = Passage {
        connect_timeout: limit,
        first_byte_timeout: Some(Duration::from_millis(200)),
        ..passage(&destinations)
    };
    let began = Instant::now();
    assert_eq!(carry(&client(), connecting, get(&upstream.url("/"))).await.err(), Some(CarryError::TimedOut));
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_body_that_stalls_or_never_ends_breaks_off() {
    let upstream = Upstream::start(|request, mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst").await;
        if request.starts_with("GET /stall") {
            std::future::pending::<()>().await;
        }
        while socket.write_all(&[b'x'; 1024]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let destinations = to(&upstream.url(""));
    let config = ClientConfig { total_timeout: Duration::from_millis(300), ..ClientConfig::development() };
    let client = Client::new(&config).unwrap();
    for (path, between) in [("/stall", Some(Duration::from_millis(60))), ("/stall", None), ("/endless", None)] {
        let passage = Passage { between_bytes_timeout: between, ..passage(&destinations) };
        let response = carry(&client, passage, get(&upstream.url(path))).await.unwrap();
        let mut body = response.into_body();
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "the response took too long", "{path}");
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_credential_that_fits_no_header_is_not_sent() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let destinations = to(&upstream.url(""));
    for secret in ["", "two words", "line\r\nx: y", "n\0l", "ümlaut"] {
        let attach = Some(Attach::Placed(Placement::Bearer, Arc::new(Secret::from_text(secret.into()))));
        let passage = Passage { attach, ..passage(&destinations) };
        assert_eq!(carry(&client(), passage, get(&upstream.url("/"))).await.err(), Some(CarryError::Credential));
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn an_error_says_what_would_do_and_holds_no_secret() {
    let error = carry(&client(), passage(&to("https://api.example.com/v1/")), get("https://evil.example/x?token=abc"))
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "`https://evil.example` may not be reached with this; the configuration allows `https://api.example.com/v1/`"
    );
}

fn bound() -> (Attach, DpopProver) {
    let clock = crate::clock::Clock::held(crate::clock::Timestamp::from_secs(1_800_000_000));
    let key = Arc::new(crate::jose::DpopKey::generate().unwrap());
    let prover = DpopProver::new(key, Arc::default(), clock);
    (Attach::Dpop(Arc::new(Secret::from_text(CANARY.into())), prover.clone()), prover)
}

async fn send_bound(upstream: &Upstream, attach: &Attach, request: Request<Body>) -> Response<Body> {
    let destinations = to(&upstream.url(""));
    let passage = Passage { attach: Some(attach.clone()), ..passage(&destinations) };
    carry(&client(), passage, request).await.unwrap()
}

/// The claims of the proof in a raw request.
fn proof(request: &str) -> serde_json::Value {
    use base64::Engine as _;
    let line = request.lines().find_map(|line| line.strip_prefix("dpop: ")).unwrap();
    let claims = line.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Answers 401 until a proof has the nonce `n-1`, and shows the guest's body and every header otherwise.
async fn wanting_a_nonce() -> Upstream {
    Upstream::answering(|request| match proof(request)["nonce"].as_str() {
        Some("n-1") => response("200 OK", "dpop-nonce: n-1\r\n", request),
        _ => {
            let wants = "www-authenticate: DPoP error=\"use_dpop_nonce\"\r\ndpop-nonce: n-1\r\n";
            response("401 Unauthorized", wants, "")
        }
    })
    .await
}

#[tokio::test]
async fn a_bound_token_leaves_with_a_proof_for_this_very_request() {
    let upstream = Upstream::answering(|request| response("200 OK", "", request)).await;
    let (attach, _) = bound();
    let request = Request::builder().method(Method::PUT).uri(upstream.url("/a?b=c")).body(full("x")).unwrap();
    let body = text(send_bound(&upstream, &attach, request).await).await;
    let sent = upstream.requests().remove(0);
    assert!(sent.contains(&format!("authorization: DPoP {CANARY}\r\n")), "{sent}");
    let claims = proof(&sent);
    assert_eq!((&claims["htm"], &claims["htu"]), (&"PUT".into(), &upstream.url("/a").into()));
    assert!(claims["ath"].is_string() && claims.get("nonce").is_none());
    assert!(!body.contains(CANARY), "the token is covered as ever: {body}");
}

#[tokio::test]
async fn a_nonce_is_answered_at_once_where_there_is_no_body_to_repeat() {
    let upstream = wanting_a_nonce().await;
    let (attach, _) = bound();
    let mut request = get(&upstream.url("/events"));
    request.headers_mut().insert("x-own", HeaderValue::from_static("kept"));
    let answer = send_bound(&upstream, &attach, request).await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("dpop-nonce"), "the nonce is the host's business");
    let requests = upstream.requests();
    let [first, second] = &requests[..] else { panic!("{requests:?}") };
    assert!(second.starts_with("GET /events HTTP/1.1\r\n") && second.contains("x-own: kept\r\n"));
    assert_ne!(proof(first)["jti"], proof(second)["jti"]);
}

/// As the scheme of any challenge (RFC 9110 §11.1).
#[tokio::test]
async fn a_challenge_is_understood_in_any_case() {
    for scheme in ["dpop", "DPOP", "dPoP"] {
        let wants = format!("www-authenticate: {scheme} error=\"use_dpop_nonce\"\r\ndpop-nonce: n-1\r\n");
        let upstream = Upstream::answering(move |request| match proof(request)["nonce"].as_str() {
            Some("n-1") => response("200 OK", "", request),
            _ => response("401 Unauthorized", &wants, ""),
        });
        let upstream = upstream.await;
        let (attach, _) = bound();
        assert_eq!(send_bound(&upstream, &attach, get(&upstream.url("/"))).await.status(), 200, "{scheme}");
    }
}

#[tokio::test]
async fn a_body_is_not_sent_twice_and_the_next_call_knows_the_nonce() {
    let upstream = wanting_a_nonce().await;
    let (attach, _) = bound();
    let post = || Request::builder().method(Method::POST).uri(upstream.url("/")).body(full("once")).unwrap();
    assert_eq!(send_bound(&upstream, &attach, post()).await.status(), 401);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(send_bound(&upstream, &attach, post()).await.status(), 200);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_never_content_with_a_nonce_is_asked_twice() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| {
        let serial = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let wants = format!("www-authenticate: DPoP error=\"use_dpop_nonce\"\r\ndpop-nonce: n-{serial}\r\n");
        response("401 Unauthorized", &wants, "")
    })
    .await;
    assert_eq!(send_bound(&upstream, &bound().0, get(&upstream.url("/"))).await.status(), 401);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_401_of_another_kind_is_the_answer() {
    for head in ["dpop-nonce: n\r\n", "www-authenticate: DPoP error=\"use_dpop_nonce\"\r\n", ""] {
        let upstream = Upstream::answering(move |_| response("401 Unauthorized", head, "")).await;
        assert_eq!(send_bound(&upstream, &bound().0, get(&upstream.url("/"))).await.status(), 401);
        assert_eq!(upstream.requests().len(), 1, "{head}");
    }
}

fn with_key<'a>(destinations: &'a Destinations, placement: Placement, key: &str) -> Passage<'a> {
    Passage {
        attach: Some(Attach::Placed(placement, Arc::new(Secret::from_text(key.into())))),
        ..passage(destinations)
    }
}

#[tokio::test]
async fn a_key_in_the_query_arrives_encoded_and_is_covered_where_a_redirect_repeats_it() {
    const KEY: &str = "AIza/canary+key=&0123";
    let upstream = Upstream::answering(|request| {
        let target = request.split(' ').nth(1).unwrap();
        response("302 Found", &format!("location: https://elsewhere.example{target}\r\n"), request)
    })
    .await;
    let destinations = to(&upstream.url(""));
    let passage = with_key(&destinations, Placement::query("key").unwrap(), KEY);
    let response = carry(&client(), passage, get(&upstream.url("/v1/x?q=a"))).await.unwrap();
    let sent = upstream.requests().remove(0);
    assert!(sent.starts_with("GET /v1/x?q=a&key=AIza%2Fcanary%2Bkey%3D%260123 HTTP/1.1\r\n"), "{sent}");
    assert!(!sent.contains("authorization"), "{sent}");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(
        location.starts_with("https://elsewhere.example/v1/x?q=a&key=***") && !location.contains("canary"),
        "{location}"
    );
    let body = text(response).await;
    assert!(body.contains("&key=***") && !body.contains("canary"), "{body}");
}

#[tokio::test]
async fn a_key_in_a_header_arrives_with_its_prefix_and_is_covered() {
    const KEY: &str = "k3y\\canary\"0123";
    let upstream = Upstream::answering(|request| {
        response("200 OK", "x-api-token: k3y\\canary\"0123\r\n", format!("{:?} {}", KEY, request.to_uppercase()))
    })
    .await;
    let destinations = to(&upstream.url(""));
    let passage = with_key(&destinations, Placement::header("X-Api-Token", "Token ").unwrap(), KEY);
    let response = carry(&client(), passage, get(&upstream.url("/"))).await.unwrap();
    assert!(upstream.requests()[0].contains("x-api-token: Token k3y\\canary\"0123\r\n"));
    assert_eq!(response.headers()["x-api-token"], "*".repeat(KEY.len()));
    let body = text(response).await.to_lowercase();
    assert!(body.contains("token ***") && !body.contains("canary"), "{body}");
}

#[tokio::test]
async fn where_the_key_goes_a_guest_puts_nothing() {
    let upstream = Upstream::answering(|_| response("200 OK", "", "")).await;
    let destinations = to(&upstream.url(""));
    let check = async |placement: Placement, request: Request<Body>| {
        let error = carry(&client(), with_key(&destinations, placement, CANARY), request).await.err().unwrap();
        assert!(matches!(&error, CarryError::InvalidRequest(why) if why.ends_with("is the host's to set")), "{error}");
    };
    let mut own = get(&upstream.url("/"));
    own.headers_mut().insert("x-figma-token", HeaderValue::from_static("mine"));
    check(Placement::header("X-Figma-Token", "").unwrap(), own).await;
    check(Placement::query("key").unwrap(), get(&upstream.url("/?a=b&Key=mine"))).await;
    check(Placement::query("key").unwrap(), get(&upstream.url("/?%6Bey=mine"))).await;
    assert_eq!(upstream.connections(), 0);
}
