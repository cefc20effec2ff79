//! The test bed is what the other tests take it for.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use suite::browser::Browser;
use suite::testbed::{ATTACHE_SECRET, AUDIENCE, Service, TestBed};

fn claims(token: &str) -> Result<Value> {
    let payload = token.split('.').nth(1).context("not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

#[tokio::test]
async fn an_app_gets_a_users_token_for_agents() -> Result<()> {
    let idp = Service::start(json!({"mode": "idp"})).await?;
    for user in ["alice", "bob"] {
        let claims = claims(&idp.sign_in(user).await?)?;
        assert_eq!(claims["sub"], user);
        assert_eq!(claims["iss"], idp.issuer());
        assert_eq!(claims["aud"], AUDIENCE);
        assert_eq!(claims["client_id"], "app");
        assert_eq!(claims["scope"], "agent.invoke");
        assert!(claims["groups"].is_array(), "{claims}");
    }
    let minted = claims(&idp.mint(json!({"user": "alice", "claims": {"extra": 1}})).await?)?;
    assert_eq!((&minted["sub"], &minted["aud"], &minted["extra"]), (&json!("alice"), &json!(AUDIENCE), &json!(1)));
    let all = idp.rotate(false).await?;
    assert_eq!(all.as_array().map(Vec::len), Some(4));
    assert_eq!(idp.rotate(true).await?.as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_third_party_grants_a_calendar_of_ones_own() -> Result<()> {
    let bed = TestBed::start().await?;
    bed.host_is_at(&"http://127.0.0.1:9/".parse()?, &["google-calendar"]).await?;
    let callback = "http://127.0.0.1:9/oauth2/callback/google-calendar";
    let mut browser = Browser::new().stopping_at(callback);
    let mut url = bed.saas.url.join("auth")?;
    // RFC 7636 appendix B.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    url.query_pairs_mut().extend_pairs([
        ("client_id", "attache"),
        ("response_type", "code"),
        ("redirect_uri", callback),
        ("scope", "calendar.read calendar.write"),
        ("state", "s"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]);
    let page = browser.get(url.as_str()).await?;
    let page = browser.as_user(page, "alice").await?;
    assert_eq!(page.parameter("state").as_deref(), Some("s"));
    assert_eq!(page.parameter("iss"), Some(bed.saas.issuer()));
    let code = page.parameter("code").context("no code")?;

    let token = post(
        &bed.saas,
        "token",
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", callback),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ],
    )
    .await?;
    assert_eq!(token["scope"], "calendar.read calendar.write", "{token}");
    let (access, refresh) = (token["access_token"].as_str().unwrap(), token["refresh_token"].as_str().unwrap());
    let events = get(&bed.saas, "calendar/v3/calendars/primary/events?timeMin=2026-11-24T00:00:00Z", access).await?;
    assert_eq!(events["items"][0]["summary"], "stand-up of alice", "{events}");
    assert_eq!(events["items"].as_array().map(Vec::len), Some(2));

    let again = post(&bed.saas, "token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await?;
    let rotated = again["refresh_token"].as_str().unwrap();
    assert_ne!(rotated, refresh);
    post(&bed.saas, "token/revocation", &[("token", rotated)]).await?;
    let refused = post(&bed.saas, "token", &[("grant_type", "refresh_token"), ("refresh_token", rotated)]).await?;
    assert_eq!(refused["error"], "invalid_grant", "{refused}");

    let stats = bed.saas.control("stats", json!({})).await?;
    assert_eq!(stats["token_requests"], json!({"authorization_code": 1, "refresh_token": 1}), "{stats}");
    assert_eq!(stats["token_errors"], json!({"refresh_token": 1}));
    assert_eq!(stats["revocations"][0]["token"], rotated);
    let tokens = bed.saas.control("tokens", json!({})).await?;
    assert!(tokens.as_array().is_some_and(|all| all.iter().any(|token| token["value"] == access)), "{tokens}");
    Ok(())
}

async fn send(request: http::Request<http_body_util::Full<bytes::Bytes>>) -> Result<Value> {
    use http_body_util::BodyExt as _;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let body = client.request(request).await?.into_body().collect().await?.to_bytes();
    Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
}

async fn post(to: &Service, path: &str, form: &[(&str, &str)]) -> Result<Value> {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let basic = STANDARD.encode(format!("attache:{ATTACHE_SECRET}"));
    let request = http::Request::post(to.url.join(path)?.as_str())
        .header("authorization", format!("Basic {basic}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(bytes::Bytes::from(form).into())?;
    send(request).await
}

async fn get(from: &Service, path: &str, token: &str) -> Result<Value> {
    let request = http::Request::get(from.url.join(path)?.as_str())
        .header("authorization", format!("Bearer {token}"))
        .body(bytes::Bytes::new().into())?;
    send(request).await
}
