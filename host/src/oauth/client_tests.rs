use super::super::{ClientAuthentication, Pkce, ProviderError};
use super::*;
use crate::clock::Timestamp;
use crate::egress::ClientConfig;
use crate::egress::testing::{Upstream, response};
use crate::ids::{Issuer, Scope, Scopes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const GRANTED: &str =
    r#"{"access_token":"at","token_type":"bearer","refresh_token":"rt2","expires_in":60,"scope":"a"}"#;

pub(in crate::oauth) fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::from_text(text.into()))
}

pub(in crate::oauth) fn provider(endpoints: Endpoints) -> Provider {
    let authentication = ClientAuthentication::Basic(secret("s e+c:ret%"));
    Provider::new("third".parse().unwrap(), endpoints, "client:1", authentication)
}

/// Static endpoints on one upstream: `/authorize`, `/token`, `/revoke`.
pub(in crate::oauth) fn fixed(base: &str) -> Endpoints {
    let url = |path: &str| Url::parse(&format!("{base}{path}")).unwrap();
    let server = Server::new(Some(url("/authorize")), url("/token"));
    Endpoints::Static(Arc::new(Server { revocation: Some(url("/revoke")), ..server }))
}

/// Static endpoints, to change something about them.
pub(in crate::oauth) fn server(endpoints: &mut Endpoints) -> &mut Server {
    let Endpoints::Static(server) = endpoints else { panic!("it is discovered") };
    Arc::make_mut(server)
}

pub(in crate::oauth) fn oauth() -> (Arc<OAuth>, Clock) {
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    let client = Client::new(&ClientConfig::development()).unwrap();
    (OAuth::new(client, super::super::authentication::tests::issuer(), clock.clone()), clock)
}

pub(in crate::oauth) fn request(scopes: &[&str], nonce: Option<&str>) -> AuthorizationRequest {
    AuthorizationRequest {
        redirect_uri: "https://host.example/oauth2/callback/third".into(),
        state: Secret::from_text("st".into()),
        pkce_challenge: "ch".into(),
        scopes: Scopes::parse(scopes.iter().copied()).unwrap(),
        nonce: nonce.map(str::to_owned),
        more: More::default(),
        force: false,
    }
}

pub(in crate::oauth) fn form(request: &str) -> HashMap<String, Vec<String>> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let mut form: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
        form.entry(name.into()).or_default().push(value.into());
    }
    form
}

pub(in crate::oauth) fn form_is(request: &str, expect: &[(&str, &[&str])]) {
    let expect: HashMap<String, Vec<String>> = expect
        .iter()
        .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
        .collect();
    assert_eq!(form(request), expect);
}

/// How the same request is refused by providers that answer what is no answer. `good` is what would be one.
pub(in crate::oauth) async fn every_lie_is_caught<T>(
    good: &'static str,
    ask: impl AsyncFn(&str) -> Result<T, OAuthError>,
) {
    let lies: [(&str, &str, Vec<u8>); 10] = [
        ("200 OK", "", b"<html>".to_vec()),
        ("200 OK", "", b"[]".to_vec()),
        ("200 OK", "", vec![b' '; 300 * 1024]),
        ("200 OK", "content-encoding: gzip\r\n", good.into()),
        ("302 Found", "location: https://evil.example/\r\n", good.into()),
        ("307 Temporary Redirect", "location: https://evil.example/\r\n", good.into()),
        ("404 Not Found", "", b"<html>".to_vec()),
        ("500 Internal Server Error", "", good.into()),
        ("503 Service Unavailable", "", good.into()),
        ("429 Too Many Requests", "", good.into()),
    ];
    for (status, headers, body) in lies {
        let upstream = Upstream::answering(move |_| response(status, headers, &body)).await;
        let error = ask(&upstream.url("")).await.err().expect(status);
        let later = status.starts_with('5') || status.starts_with("429");
        assert_eq!(matches!(error, OAuthError::Unreachable(_)), later, "{status}: {error}");
        assert_eq!(matches!(error, OAuthError::Unreadable(_)), !later, "{status}: {error}");
        assert_eq!(upstream.connections(), 1, "{status}: nothing is asked twice");
    }
    let gone = Upstream::answering(|_| Vec::new()).await;
    assert!(matches!(ask(&gone.url("")).await, Err(OAuthError::Unreachable(_))));
    let upstream = Upstream::answering(move |_| response("200 OK", "", good)).await;
    assert!(ask(&upstream.url("")).await.is_ok());
}

#[tokio::test]
async fn an_authorization_url_holds_every_parameter_once() {
    let (oauth, _) = oauth();
    let mut provider = provider(fixed("https://third.example"));
    server(&mut provider.endpoints).authorization.as_mut().unwrap().set_query(Some("tenant=7"));
    provider.offline_scope = Some(Scope::parse("offline_access").unwrap());
    provider.resource = vec!["https://api.example/".into()];
    provider.authorize_parameters = vec![("prompt".into(), "consent".into())];
    let url = oauth.authorization_url(&provider, Proofs::default(), &request(&["b", "a"], Some("n"))).await.unwrap();
    assert!(url.as_str().starts_with("https://third.example/authorize?tenant=7&response_type=code&"), "{url}");
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(n, v)| (n.into(), v.into())).collect();
    let expect = [
        ("tenant", "7"),
        ("response_type", "code"),
        ("client_id", "client:1"),
        ("redirect_uri", "https://host.example/oauth2/callback/third"),
        ("state", "st"),
        ("code_challenge", "ch"),
        ("code_challenge_method", "S256"),
        ("scope", "a b offline_access"),
        ("nonce", "n"),
        ("resource", "https://api.example/"),
        ("prompt", "consent"),
    ];
    assert_eq!(pairs, expect.map(|(n, v)| (n.to_owned(), v.to_owned())));

    provider.scope_separator = ',';
    let url = oauth.authorization_url(&provider, Proofs::default(), &request(&["b", "a"], None)).await.unwrap();
    assert!(url.as_str().contains("scope=a%2Cb%2Coffline_access"), "{url}");
    provider.offline_scope = None;
    let url = oauth.authorization_url(&provider, Proofs::default(), &request(&[], None)).await.unwrap();
    assert!(!url.as_str().contains("scope="), "{url}");
}

#[tokio::test]
async fn no_configuration_overrides_our_parameters() {
    let (oauth, _) = oauth();
    for name in super::super::provider::RESERVED.iter().map(|n| (*n).to_owned()).chain(["State".into(), "SCOPE".into()])
    {
        let mut added = provider(fixed("https://third.example"));
        added.authorize_parameters = vec![(name.clone(), "mine".into())];
        let mut queried = provider(fixed("https://third.example"));
        server(&mut queried.endpoints).authorization.as_mut().unwrap().set_query(Some(&format!("{name}=mine")));
        for provider in [added, queried] {
            let outcome = oauth.authorization_url(&provider, Proofs::default(), &request(&[], None)).await;
            assert!(matches!(outcome, Err(OAuthError::Configuration(why)) if why.contains(&name)), "{name}");
            assert!(matches!(provider.check(), Err(ProviderError::Reserved { parameter, .. }) if parameter == name));
        }
    }
}

#[test]
fn a_provider_that_cannot_work_is_refused_at_start() {
    let check = |change: fn(&mut Provider), says: &str| {
        let mut provider = provider(fixed("https://third.example"));
        assert!(provider.check().is_ok());
        change(&mut provider);
        let error = provider.check().unwrap_err().to_string();
        assert!(error.contains("provider `third`") && error.contains(says) && !error.contains("hunter2"), "{error}");
    };
    check(|p| p.client_id.clear(), "client id is empty");
    check(|p| p.scope_separator = 'x', "separated by `x`");
    check(|p| p.resource = vec!["relative".into()], "resource");
    check(|p| p.resource = vec!["https://a.example/#f".into()], "fragment");
    check(|p| p.endpoints = fixed("http://third.example"), "must be https");
    check(|p| p.endpoints = fixed("https://user:hunter2@third.example"), "user name");
    check(|p| p.endpoints = Endpoints::Discovery { issuer: Issuer::parse("third.example").unwrap() }, "issuer");
    check(|p| p.endpoints = Endpoints::Discovery { issuer: Issuer::parse("https://a.example/?b").unwrap() }, "query");
}

#[test]
fn a_challenge_is_the_hash_of_its_verifier() {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (one, two) = (Pkce::new(), Pkce::new());
    assert_eq!(one.verifier.len(), 43);
    assert!(!one.verifier.matches(&two.verifier));
    assert_eq!(URL_SAFE_NO_PAD.decode(&one.challenge).unwrap(), crate::ids::sha256(one.verifier.expose()));
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_verifier() {
    let upstream = Upstream::answering(|_| response("200 OK", "content-type: application/json\r\n", GRANTED)).await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    provider.resource = vec!["https://a.example/".into(), "https://b.example/".into()];
    let (code, verifier) = (secret("co&de"), secret("ver"));
    let tokens =
        oauth.exchange(&provider, Proofs::default(), &code, &verifier, "https://host.example/cb").await.unwrap();
    assert_eq!(tokens.access.expose(), b"at");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(60)));

    let sent = upstream.requests().remove(0);
    // RFC 6749 §2.3.1: both halves encoded, then joined.
    let basic = STANDARD.encode("client%3A1:s+e%2Bc%3Aret%25");
    assert!(
        sent.starts_with("POST /token HTTP/1.1\r\n") && sent.contains(&format!("authorization: Basic {basic}\r\n")),
        "{sent}"
    );
    form_is(
        &sent,
        &[
            ("grant_type", &["authorization_code"]),
            ("code", &["co&de"]),
            ("code_verifier", &["ver"]),
            ("redirect_uri", &["https://host.example/cb"]),
            ("resource", &["https://a.example/", "https://b.example/"]),
        ],
    );
}

#[tokio::test]
async fn a_client_proves_itself_as_configured() {
    let upstream = Upstream::answering(|_| response("200 OK", "", GRANTED)).await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    let common: [(&str, &[&str]); 3] =
        [("grant_type", &["refresh_token"]), ("refresh_token", &["rt"]), ("client_id", &["client:1"])];
    provider.client_authentication = ClientAuthentication::None;
    oauth.refresh(&provider, Proofs::default(), &secret("rt")).await.unwrap();
    form_is(&upstream.requests()[0], &common);
    provider.client_authentication = ClientAuthentication::Post(secret("shh"));
    oauth.refresh(&provider, Proofs::default(), &secret("rt")).await.unwrap();
    form_is(&upstream.requests()[1], &[&common[..], &[("client_secret", &["shh"][..])]].concat());
    assert!(!upstream.requests().iter().any(|request| request.contains("authorization:")));
}

#[tokio::test]
async fn a_failing_token_endpoint_is_told_apart() {
    let upstream = Upstream::answering(|request| match form(request)["refresh_token"][0].as_str() {
        "gone" => response("400 Bad Request", "", r#"{"error":"invalid_grant"}"#),
        "refused" => {
            response("401 Unauthorized", "", r#"{"error":"invalid_client","error_description":"bad refused"}"#)
        }
        "down" => response("503 Service Unavailable", "", "down"),
        "busy" => response("429 Too Many Requests", "", r#"{"error":"slow_down"}"#),
        "html" => response("404 Not Found", "", "<html>"),
        "moved" => response("307 Temporary Redirect", "location: https://evil.example/\r\n", ""),
        "huge" => response("200 OK", "", vec![b' '; 300 * 1024]),
        "bomb" => response("200 OK", "content-encoding: gzip\r\n", "x"),
        _ => Vec::new(),
    })
    .await;
    let (oauth, _) = oauth();
    let provider = provider(fixed(&upstream.url("")));
    let ask = async |token: &str| oauth.refresh(&provider, Proofs::default(), &secret(token)).await.err().unwrap();
    assert_eq!(ask("gone").await, OAuthError::GrantGone);
    // The description repeats the token.
    assert!(
        matches!(ask("refused").await, OAuthError::Refused { error, description } if error == "invalid_client" && description.contains("withheld"))
    );
    for token in ["down", "busy", "broken"] {
        assert!(matches!(ask(token).await, OAuthError::Unreachable(_)), "{token}");
    }
    for token in ["html", "moved", "huge", "bomb"] {
        assert!(matches!(ask(token).await, OAuthError::Unreadable(_)), "{token}");
    }
    assert_eq!(upstream.connections(), 9);
}

#[tokio::test]
async fn a_revocation_is_told_or_cannot_be() {
    let upstream = Upstream::answering(|request| match form(request)["token"][0].as_str() {
        "known" => response("200 OK", "", ""),
        "unsupported" => response("400 Bad Request", "", r#"{"error":"unsupported_token_type"}"#),
        "expired" => response("400 Bad Request", "", r#"{"error":"invalid_token"}"#),
        "refused" => response("401 Unauthorized", "", r#"{"error":"invalid_client"}"#),
        _ => response("503 Service Unavailable", "", ""),
    })
    .await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    for (token, expect) in [("known", Revoked::Told), ("unsupported", Revoked::NoEndpoint), ("expired", Revoked::Told)]
    {
        assert_eq!(
            oauth.revoke(&provider, Proofs::default(), &secret(token), "refresh_token").await,
            Ok(expect),
            "{token}"
        );
    }
    form_is(&upstream.requests()[0], &[("token", &["known"]), ("token_type_hint", &["refresh_token"])]);
    assert!(upstream.requests()[0].starts_with("POST /revoke "));
    assert!(matches!(
        oauth.revoke(&provider, Proofs::default(), &secret("refused"), "access_token").await,
        Err(OAuthError::Refused { .. })
    ));
    assert!(matches!(
        oauth.revoke(&provider, Proofs::default(), &secret("down"), "access_token").await,
        Err(OAuthError::Unreachable(_))
    ));
    server(&mut provider.endpoints).revocation = None;
    assert_eq!(
        oauth.revoke(&provider, Proofs::default(), &secret("known"), "refresh_token").await,
        Ok(Revoked::NoEndpoint)
    );
    assert_eq!(upstream.connections(), 5);
}

/// An issuer whose document is made from its own address; `down` makes it fail.
async fn issuer(path: &'static str, extra: &'static str, down: Arc<AtomicUsize>) -> (Upstream, Endpoints) {
    let upstream = Upstream::answering(move |request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        if down.load(Ordering::SeqCst) > 0 {
            return response("503 Service Unavailable", "", "");
        }
        if !request.starts_with(&format!("GET {path} ")) {
            return response("404 Not Found", "", "");
        }
        let base = format!("http://{host}");
        let document = format!(
            r#"{{"issuer":"{base}/t","authorization_endpoint":"{base}/a","token_endpoint":"{base}/token","id_token_signing_alg_values_supported":["none"]{extra}}}"#
        );
        response("200 OK", "", document)
    })
    .await;
    let endpoints = Endpoints::Discovery { issuer: Issuer::parse(&upstream.url("/t")).unwrap() };
    (upstream, endpoints)
}

#[tokio::test]
async fn a_document_is_asked_for_once_in_ten_minutes_and_used_for_a_day_without_answer() {
    let down = Arc::new(AtomicUsize::new(0));
    let (upstream, endpoints) = issuer("/t/.well-known/openid-configuration", "", Arc::clone(&down)).await;
    let (oauth, clock) = oauth();
    let provider = provider(endpoints);
    let ask = async || oauth.authorization_url(&provider, Proofs::default(), &request(&[], None)).await;
    for _ in 0..3 {
        assert!(ask().await.unwrap().as_str().starts_with(&upstream.url("/a?response_type=code")));
    }
    assert_eq!(upstream.connections(), 1);
    clock.advance(Duration::from_secs(601));
    ask().await.unwrap();
    assert_eq!(upstream.connections(), 2);

    down.store(1, Ordering::SeqCst);
    clock.advance(Duration::from_secs(23 * 3600));
    for _ in 0..3 {
        ask().await.unwrap();
    }
    assert_eq!(upstream.connections(), 3, "a provider that is down is not asked with every call");
    clock.advance(Duration::from_secs(2 * 3600));
    assert!(matches!(ask().await, Err(OAuthError::Unreachable(_))));
    down.store(0, Ordering::SeqCst);
    ask().await.unwrap();
}

#[tokio::test]
async fn a_document_may_be_at_either_place() {
    let up = Arc::new(AtomicUsize::new(0));
    let (upstream, endpoints) = issuer("/.well-known/oauth-authorization-server/t", "", up).await;
    let (oauth, _) = oauth();
    oauth.authorization_url(&provider(endpoints), Proofs::default(), &request(&[], None)).await.unwrap();
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_callback_names_the_issuer_that_was_asked() {
    let up = Arc::new(AtomicUsize::new(0));
    let place = "/t/.well-known/openid-configuration";
    let (oauth, _) = oauth();
    let (upstream, endpoints) = issuer(place, "", Arc::clone(&up)).await;
    let silent = provider(endpoints);
    let right = upstream.url("/t");
    assert!(oauth.check_callback_issuer(&silent, None).await.is_ok());
    assert!(oauth.check_callback_issuer(&silent, Some(&right)).await.is_ok());
    for wrong in ["", "https://evil.example", &format!("{right}/"), &right.to_uppercase(), &format!(" {right}")] {
        let outcome = oauth.check_callback_issuer(&silent, Some(wrong)).await;
        assert!(matches!(outcome, Err(CallbackError::Mismatch(_))), "{wrong}");
    }
    let (_upstream, endpoints) = issuer(place, r#","authorization_response_iss_parameter_supported":true"#, up).await;
    assert!(matches!(oauth.check_callback_issuer(&provider(endpoints), None).await, Err(CallbackError::Missing)));

    let mut fixed = provider(fixed("https://third.example"));
    assert!(oauth.check_callback_issuer(&fixed, None).await.is_ok());
    let unknown = oauth.check_callback_issuer(&fixed, Some("https://third.example")).await;
    assert!(matches!(unknown, Err(CallbackError::Unknown(_))));
    server(&mut fixed.endpoints).issuer = Some(Issuer::parse("https://third.example").unwrap());
    assert!(oauth.check_callback_issuer(&fixed, Some("https://third.example")).await.is_ok());
    assert!(oauth.check_callback_issuer(&fixed, Some("https://third.example/")).await.is_err());
}

#[tokio::test]
async fn what_an_agent_adds_to_an_authorization_url_overrides_nothing() {
    let (oauth, _) = oauth();
    let mut provider = provider(fixed("https://third.example"));
    provider.authorize_parameters = vec![("access_type".into(), "offline".into()), ("prompt".into(), "none".into())];
    provider.resource = vec!["https://api.example/".into()];
    let mut asked = request(&["a"], None);
    let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    asked.more = More {
        resources: vec!["https://api.example/".into(), "urn:two".into()],
        audiences: vec!["one".into(), "two".into()],
        parameters: vec![parameter("access_type", "online"), parameter("login_hint", "x")],
    };
    let url = oauth.authorization_url(&provider, Proofs::default(), &asked).await.unwrap();
    let all = |url: &Url, name: &str| {
        url.query_pairs().filter(|(n, _)| n == name).map(|(_, v)| v.into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(all(&url, "access_type"), ["offline"], "the configuration's");
    assert_eq!(all(&url, "login_hint"), ["x"]);
    assert_eq!(all(&url, "resource"), ["https://api.example/", "urn:two"]);
    assert_eq!(all(&url, "audience"), ["one", "two"]);
    assert_eq!(all(&url, "prompt"), ["none"]);

    asked.force = true;
    let url = oauth.authorization_url(&provider, Proofs::default(), &asked).await.unwrap();
    assert_eq!(all(&url, "prompt"), ["login"], "the user decides anew");

    for name in ["state", "redirect_uri", "Client_ID", "code_challenge", "request_uri"] {
        asked.more.parameters = vec![parameter(name, "mine")];
        let outcome = oauth.authorization_url(&provider, Proofs::default(), &asked).await;
        assert!(matches!(outcome, Err(OAuthError::Asked(why)) if why.contains(name)), "{name}");
    }
}

#[tokio::test]
async fn a_client_asks_for_itself() {
    let answer = r#"{"access_token":"m2m","token_type":"Bearer","refresh_token":"no","expires_in":300}"#;
    let upstream = Upstream::answering(move |_| response("200 OK", "", answer)).await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    provider.offline_scope = Some(Scope::parse("offline_access").unwrap());
    let more = More {
        resources: vec!["urn:api".into()],
        audiences: vec!["https://aud.example".into()],
        parameters: vec![("organization".into(), "org_1".into())],
    };
    let scopes = Scopes::parse(["b", "a"]).unwrap();
    let tokens = oauth.client_credentials(&provider, Proofs::default(), &scopes, &more).await.unwrap();
    assert_eq!(tokens.access.expose(), b"m2m");
    assert!(tokens.refresh.is_none(), "a client asks again instead");
    form_is(
        &upstream.requests()[0],
        &[
            ("grant_type", &["client_credentials"]),
            ("scope", &["a b"]),
            ("resource", &["urn:api"]),
            ("audience", &["https://aud.example"]),
            ("organization", &["org_1"]),
        ],
    );
    let more = More { parameters: vec![("grant_type".into(), "password".into())], ..More::default() };
    let outcome = oauth.client_credentials(&provider, Proofs::default(), &scopes, &more).await;
    assert!(matches!(outcome, Err(OAuthError::Asked(_))));
    assert_eq!(upstream.connections(), 1);
    let scopes = Scopes::default();
    every_lie_is_caught(answer, async |base| {
        let provider = super::tests::provider(fixed(base));
        oauth.client_credentials(&provider, Proofs::default(), &scopes, &More::default()).await
    })
    .await;
}

#[tokio::test]
async fn a_key_goes_along_and_a_token_that_is_not_bound_to_it_is_refused_where_that_is_demanded() {
    let upstream = Upstream::answering(|request| {
        let proven = request.lines().any(|line| line.starts_with("dpop: "));
        let kind = if form(request)["refresh_token"] == ["lazy"] || !proven { "Bearer" } else { "DPoP" };
        response("200 OK", "", format!(r#"{{"access_token":"at","token_type":"{kind}"}}"#))
    })
    .await;
    let (oauth, _) = oauth();
    let prover = oauth.prover(Arc::new(DpopKey::generate().ok().unwrap()));
    let proofs = Proofs { dpop: Some(&prover), ..Proofs::default() };
    let mut provider = provider(fixed(&upstream.url("")));
    provider.dpop = When::Offered;
    assert_eq!(oauth.refresh(&provider, proofs, &secret("rt")).await.unwrap().token_type, TokenType::Dpop);
    assert_eq!(oauth.refresh(&provider, proofs, &secret("lazy")).await.unwrap().token_type, TokenType::Bearer);
    provider.dpop = When::Always;
    assert_eq!(oauth.refresh(&provider, proofs, &secret("rt")).await.unwrap().token_type, TokenType::Dpop);
    let outcome = oauth.refresh(&provider, proofs, &secret("lazy")).await;
    assert!(matches!(outcome, Err(OAuthError::Unreadable(why)) if why.contains("always")));
    let url = oauth.authorization_url(&provider, proofs, &request(&[], None)).await.unwrap();
    let jkt = prover.key().jkt();
    assert!(url.query_pairs().any(|(name, value)| name == "dpop_jkt" && value == jkt), "{url}");
    for (when, offered, expect) in [
        (When::Never, true, false),
        (When::Offered, false, false),
        (When::Offered, true, true),
        (When::Always, false, true),
    ] {
        provider.dpop = when;
        server(&mut provider.endpoints).dpop = offered;
        assert_eq!(oauth.binds_tokens(&provider).await, Ok(expect), "{when:?} {offered}");
    }
}

#[tokio::test]
async fn a_discovery_place_tells_its_issuer_if_it_is_one_of_its_own() {
    let up = Arc::new(AtomicUsize::new(0));
    for place in ["/t/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t"] {
        let (upstream, _) = issuer(place, "", Arc::clone(&up)).await;
        let (oauth, _) = oauth();
        let found = oauth.issuer_at(&upstream.url(place).parse().unwrap()).await.unwrap();
        assert_eq!(found.as_str(), upstream.url("/t"));
    }
    let (upstream, _) = issuer("/elsewhere/.well-known/openid-configuration", "", up).await;
    let (oauth, _) = oauth();
    let place = upstream.url("/elsewhere/.well-known/openid-configuration").parse().unwrap();
    let outcome = oauth.issuer_at(&place).await;
    assert!(matches!(outcome, Err(OAuthError::Unreadable(why)) if why.contains("stands elsewhere")));
    let missing = upstream.url("/none").parse().unwrap();
    assert!(matches!(oauth.issuer_at(&missing).await, Err(OAuthError::Unreachable(_))));
}

#[tokio::test]
async fn a_server_without_a_page_for_browsers_is_told_so() {
    let (oauth, _) = oauth();
    let mut provider = provider(fixed("https://third.example"));
    server(&mut provider.endpoints).authorization = None;
    let outcome = oauth.authorization_url(&provider, Proofs::default(), &request(&[], None)).await;
    assert!(matches!(outcome, Err(OAuthError::Configuration(why)) if why.contains("authorization_endpoint")));
}
