//! The test bed does what RFCs say of every flow, so that what fails against it is the host's fault.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use suite::testbed::{ATTACHE_SECRET, Service, TestBed};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

async fn send(request: http::Request<Full<Bytes>>) -> Result<Answer> {
    let (parts, body) = Client::builder(TokioExecutor::new()).build_http().request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

async fn post(url: &str, form: &[(&str, &str)]) -> Result<Answer> {
    let basic = STANDARD.encode(format!("attache:{ATTACHE_SECRET}"));
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = http::Request::post(url)
        .header("authorization", format!("Basic {basic}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form).into())?;
    send(request).await
}

async fn token(at: &Service, form: &[(&str, &str)]) -> Result<Value> {
    let answer = post(at.url.join("token")?.as_str(), form).await?;
    anyhow::ensure!(answer.status == 200, "{form:?}: {} {}", answer.status, answer.body);
    Ok(answer.body)
}

async fn about(at: &Service, token: &Value) -> Result<Value> {
    let token = token["access_token"].as_str().context("no access_token")?;
    let request = http::Request::get(at.url.join("about")?.as_str())
        .header("authorization", format!("Bearer {token}"))
        .body(Bytes::new().into())?;
    Ok(send(request).await?.body)
}

#[tokio::test]
async fn machines_get_tokens_of_their_own_for_the_resource_that_they_name() -> Result<()> {
    let bed = TestBed::start().await?;
    let calendar = token(&bed.saas, &[("grant_type", "client_credentials"), ("scope", "calendar.read")]).await?;
    let tasks = token(
        &bed.saas,
        &[("grant_type", "client_credentials"), ("scope", "tasks.read"), ("resource", "https://tasks.test/")],
    )
    .await?;
    let (calendar, tasks) = (about(&bed.saas, &calendar).await?, about(&bed.saas, &tasks).await?);
    assert_eq!((&calendar["client"], &calendar["user"]), (&json!("attache"), &Value::Null));
    assert_eq!(calendar["audience"], "https://calendar.test/");
    assert_eq!(tasks["audience"], "https://tasks.test/");
    Ok(())
}

#[tokio::test]
async fn a_users_token_is_exchanged_and_the_actor_stands_outermost() -> Result<()> {
    let bed = TestBed::start().await?;
    let earlier = json!({"user": "alice", "claims": {"act": {"sub": "earlier"}}});
    let subject = bed.idp.mint(earlier).await?;
    let actor = token(&bed.saas, &[("grant_type", "client_credentials"), ("scope", "calendar.read")]).await?;
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", &subject),
        ("subject_token_type", JWT),
        ("actor_token", actor["access_token"].as_str().context("a token")?),
        ("actor_token_type", ACCESS_TOKEN),
        ("audience", "https://calendar.test/"),
        ("scope", "calendar.read"),
    ];
    let exchanged = token(&bed.saas, &form).await?;
    assert_eq!(exchanged["issued_token_type"], ACCESS_TOKEN);
    let about = about(&bed.saas, &exchanged).await?;
    assert_eq!(about["user"], "alice");
    assert_eq!(about["act"], json!({"sub": "attache", "iss": bed.saas.issuer(), "act": {"sub": "earlier"}}));

    let strangers = Service::start(json!({"mode": "idp"})).await?.mint(json!({"user": "alice"})).await?;
    let form = [("grant_type", EXCHANGE), ("subject_token", strangers.as_str()), ("subject_token_type", JWT)];
    let refused = post(bed.saas.url.join("token")?.as_str(), &form).await?;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]), (400, &json!("invalid_grant")));
    Ok(())
}

#[tokio::test]
async fn an_id_jag_is_obtained_at_one_provider_and_redeemed_once_at_the_other() -> Result<()> {
    let bed = TestBed::start().await?;
    let subject = bed.idp.mint(json!({"user": "bob"})).await?;
    let audience = bed.saas.issuer();
    let form = [
        ("grant_type", EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("subject_token", &subject),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", &audience),
        ("scope", "calendar.read"),
    ];
    let jag = token(&bed.idp, &form).await?;
    assert_eq!((&jag["issued_token_type"], &jag["token_type"]), (&json!(ID_JAG), &json!("N_A")));
    let form = [("grant_type", JWT_BEARER), ("assertion", jag["access_token"].as_str().context("a JWT")?)];
    assert_eq!(about(&bed.saas, &token(&bed.saas, &form).await?).await?["user"], "bob");
    assert_eq!(post(bed.saas.url.join("token")?.as_str(), &form).await?.body["error"], "invalid_grant");
    Ok(())
}

#[tokio::test]
async fn a_device_waits_until_somebody_agrees() -> Result<()> {
    let bed = TestBed::start().await?;
    let begin = async || {
        let form = [("client_id", "attache"), ("scope", "calendar.read offline_access")];
        anyhow::Ok(post(bed.saas.url.join("device/auth")?.as_str(), &form).await?.body)
    };
    let (first, second) = (begin().await?, begin().await?);
    let ask = async |of: &Value| {
        let code = of["device_code"].as_str().context("a code")?;
        post(bed.saas.url.join("token")?.as_str(), &[("grant_type", DEVICE), ("device_code", code)]).await
    };
    assert_eq!(ask(&first).await?.body["error"], "authorization_pending");
    bed.saas.control("device", json!({"user_code": first["user_code"], "user": "alice"})).await?;
    bed.saas.control("device", json!({"user_code": second["user_code"], "refuse": true})).await?;
    let granted = ask(&first).await?.body;
    assert_eq!(about(&bed.saas, &granted).await?["user"], "alice");
    assert!(granted["refresh_token"].is_string(), "{granted}");
    assert_eq!(ask(&second).await?.body["error"], "access_denied");
    Ok(())
}

#[tokio::test]
async fn an_answer_is_spoilt_after_it_took_effect_and_a_used_refresh_token_ends_the_grant() -> Result<()> {
    let bed = TestBed::start().await?;
    let form = [("client_id", "attache"), ("scope", "calendar.read")];
    let device = post(bed.saas.url.join("device/auth")?.as_str(), &form).await?.body;
    bed.saas.control("device", json!({"user_code": device["user_code"], "user": "alice"})).await?;
    let code = device["device_code"].as_str().context("a code")?;
    let first = token(&bed.saas, &[("grant_type", DEVICE), ("device_code", code)]).await?;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"].as_str().context("one")?)];
    let before = bed.saas.requests("token").await?;
    bed.saas.fault(json!({"route": "token", "grant": "refresh_token", "when": "after", "what": 503})).await?;
    assert_eq!(post(bed.saas.url.join("token")?.as_str(), &form).await?.status, 503);
    let again = post(bed.saas.url.join("token")?.as_str(), &form).await?;
    assert_eq!(again.body["error"], "invalid_grant", "it was rotated all the same");
    assert_eq!(about(&bed.saas, &first).await?["error"], "invalid_token", "and its grant is gone");
    assert_eq!(bed.saas.requests("token").await?, before + 2, "every request is counted");
    Ok(())
}

#[tokio::test]
async fn requests_are_held_until_they_are_let_go() -> Result<()> {
    let bed = TestBed::start().await?;
    bed.saas.fault(json!({"route": "token", "what": "hold", "times": 2})).await?;
    let url = bed.saas.url.join("token")?.to_string();
    let asking = (0..2).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { post(&url, &[("grant_type", "client_credentials")]).await.map(|a| a.status) })
    });
    let asking: Vec<_> = asking.collect();
    while bed.saas.requests("token").await? < 2 {
        tokio::task::yield_now().await;
    }
    assert!(asking.iter().all(|one| !one.is_finished()));
    bed.saas.control("release", json!({})).await?;
    for one in asking {
        assert_eq!(one.await??, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_liar_tells_the_lies_that_its_path_names_and_no_others() -> Result<()> {
    let liar = Service::start(json!({"mode": "liar"})).await?;
    let back = async |lies: &[&str]| {
        let issuer = liar.lying(lies);
        let mut url = url::Url::parse(&format!("{issuer}/authorize"))?;
        url.query_pairs_mut().extend_pairs([
            ("redirect_uri", "http://127.0.0.1:9/back"),
            ("state", "s"),
            ("scope", "a b"),
            ("code_challenge", CHALLENGE),
        ]);
        let answer = send(http::Request::get(url.as_str()).body(Bytes::new().into())?).await?;
        let back = answer.headers.get("location").and_then(|l| l.to_str().ok()).context("no way back")?;
        anyhow::Ok((issuer, url::Url::parse(back)?.query_pairs().into_owned().collect::<Vec<_>>()))
    };
    let of = |pairs: &[(String, String)], name: &str| pairs.iter().find(|p| p.0 == name).map(|p| p.1.clone());

    let (issuer, honest) = back(&[]).await?;
    assert_eq!((of(&honest, "state").as_deref(), of(&honest, "iss")), (Some("s"), Some(issuer.clone())));
    let code = of(&honest, "code").context("a code")?;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    let answer = post(&format!("{issuer}/token"), &form).await?;
    assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(300)));

    let (issuer, lied) = back(&["no-state", "wrong-iss", "form"]).await?;
    assert_eq!((of(&lied, "state"), of(&lied, "iss").as_deref()), (None, Some("https://other.example")));
    let code = of(&lied, "code").context("a code")?;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    let answer = post(&format!("{issuer}/token"), &form).await?;
    assert!(answer.body.as_str().is_some_and(|text| text.contains("access_token=liar-")), "{}", answer.body);

    for (lie, expect) in [
        ("type-mac", json!({"token_type": "mac"})),
        ("expires-text", json!({"expires_in": "300"})),
        ("error-with-200", json!({"error": "bad_verification_code"})),
        ("nested-error", json!({"ok": false})),
    ] {
        let url = format!("{}/token", liar.lying(&[lie]));
        let answer = post(&url, &[("grant_type", "client_credentials"), ("scope", "a")]).await?;
        for (name, value) in expect.as_object().context("an object")? {
            assert_eq!(&answer.body[name], value, "{lie}");
        }
    }
    let redirect =
        post(&format!("{}/token", liar.lying(&["redirect"])), &[("grant_type", "client_credentials")]).await?;
    assert_eq!(redirect.status, 302);
    Ok(())
}
