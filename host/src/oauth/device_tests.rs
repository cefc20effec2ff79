use super::super::client::tests::{every_lie_is_caught, fixed, form_is, oauth, provider, secret, server};
use super::super::{ClientAuthentication, Endpoints};
use super::*;
use crate::egress::testing::{Upstream, response};

const CODES: &str = r#"{"device_code":"dc","user_code":"WDJB-MJHT","verification_uri":"https://third.example/device",
    "verification_uri_complete":"https://third.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":7}"#;

fn device(base: &str) -> Provider {
    let mut endpoints = fixed(base);
    server(&mut endpoints).device_authorization = Some(Url::parse(&format!("{base}/device")).unwrap());
    provider(endpoints)
}

fn scopes() -> Scopes {
    Scopes::parse(["a"]).unwrap()
}

#[tokio::test]
async fn a_pair_of_codes_is_asked_for() {
    let upstream = Upstream::answering(|_| response("200 OK", "", CODES)).await;
    let (oauth, _) = oauth();
    let mut provider = device(&upstream.url(""));
    provider.offline_scope = Some("offline_access".parse().unwrap());
    let more = More { resources: vec!["urn:r".into()], ..More::default() };
    let codes = oauth.device_authorization(&provider, Proofs::default(), &scopes(), &more).await.unwrap();
    assert_eq!(codes.device_code.expose(), b"dc");
    assert_eq!(codes.user_code, "WDJB-MJHT");
    assert_eq!(codes.verification_uri.as_str(), "https://third.example/device");
    assert_eq!(codes.verification_uri_complete.unwrap().query(), Some("user_code=WDJB-MJHT"));
    assert_eq!((codes.expires_in.as_secs(), codes.interval.as_secs()), (900, 7));
    // The client names itself, and once, however it is authenticated.
    for authentication in [None, Some(ClientAuthentication::None)] {
        if let Some(authentication) = authentication {
            provider.client_authentication = authentication;
            oauth.device_authorization(&provider, Proofs::default(), &scopes(), &more).await.unwrap();
        }
        let expect: [(&str, &[&str]); 3] =
            [("scope", &["a offline_access"]), ("resource", &["urn:r"]), ("client_id", &["client:1"])];
        form_is(upstream.requests().last().unwrap(), &expect);
    }
    assert!(upstream.requests()[0].starts_with("POST /device "));
    every_lie_is_caught(CODES, async |base| {
        oauth.device_authorization(&device(base), Proofs::default(), &scopes(), &More::default()).await
    })
    .await;
}

#[test]
fn codes_that_cannot_be_shown_or_lead_nowhere_safe_are_refused() {
    let with = |from: &str, to: &str| {
        assert!(CODES.contains(from), "{from}");
        read(CODES.replace(from, to).as_bytes())
    };
    assert_eq!(with(r#","interval":7"#, "").unwrap().interval.as_secs(), 5);
    assert_eq!(with(r#""interval":7"#, r#""interval":0"#).unwrap().interval.as_secs(), 1);
    assert_eq!(with(r#""interval":7"#, r#""interval":1e9"#).unwrap().interval.as_secs(), 60);
    assert_eq!(with(r#""expires_in":900"#, r#""expires_in":"999999""#).unwrap().expires_in.as_secs(), 3600);
    assert!(with("verification_uri\"", "verification_url\"").is_ok());
    for (from, to) in [
        ("\"WDJB-MJHT\"", "\"\""),
        ("\"WDJB-MJHT\"", "\" x\""),
        ("\"WDJB-MJHT\"", "\"a\\u001b[31m\""),
        ("\"WDJB-MJHT\"", "\"\u{202e}abc\""),
        ("\"dc\"", "\"\""),
        ("\"dc\"", "7"),
        ("\"https://third.example/device\"", "\"javascript:alert(1)\""),
        ("\"https://third.example/device\"", "\"http://third.example/\""),
        ("\"https://third.example/device\"", "\"https://user@third.example/\""),
        ("\"https://third.example/device?user_code=WDJB-MJHT\"", "\"data:text/html,x\""),
        (r#""expires_in":900"#, r#""expires_in":"soon""#),
        (r#""expires_in":900,"#, ""),
        (r#""interval":7"#, r#""interval":[]"#),
    ] {
        assert!(matches!(with(from, to), Err(OAuthError::Unreadable(_))), "{from} {to}");
    }
    let long = format!("\"{}\"", "A".repeat(65));
    assert!(with("\"WDJB-MJHT\"", &long).is_err());
}

#[tokio::test]
async fn each_answer_while_the_user_decides_is_told_apart() {
    let upstream = Upstream::answering(|request| {
        let refused = |error: &str| response("400 Bad Request", "", format!(r#"{{"error":"{error}"}}"#));
        let codes = ["authorization_pending", "slow_down", "expired_token", "access_denied", "invalid_grant", "odd"];
        match codes.iter().find(|code| request.contains(**code)) {
            Some(code) => refused(code),
            None => response("200 OK", "", r#"{"access_token":"at","token_type":"bearer","refresh_token":"rt"}"#),
        }
    })
    .await;
    let (oauth, _) = oauth();
    let provider = device(&upstream.url(""));
    let ask = async |code: &str| oauth.device_token(&provider, Proofs::default(), &secret(code)).await;
    assert!(matches!(ask("authorization_pending").await, Ok(DeviceAnswer::Pending)));
    assert!(matches!(ask("slow_down").await, Ok(DeviceAnswer::SlowDown)));
    assert!(matches!(ask("expired_token").await, Ok(DeviceAnswer::Expired)));
    assert!(matches!(ask("invalid_grant").await, Ok(DeviceAnswer::Expired)));
    assert!(matches!(ask("access_denied").await, Ok(DeviceAnswer::Denied)));
    assert!(matches!(ask("odd").await, Err(OAuthError::Refused { .. }) | Err(OAuthError::Unreadable(_))));
    let Ok(DeviceAnswer::Granted(tokens)) = ask("dc").await else { panic!("it was granted") };
    assert_eq!(tokens.refresh.unwrap().expose(), b"rt");
    form_is(
        upstream.requests().last().unwrap(),
        &[("grant_type", &[DEVICE_CODE]), ("device_code", &["dc"]), ("client_id", &["client:1"])],
    );
}

#[tokio::test]
async fn a_server_without_device_codes_is_told_so() {
    let (oauth, _) = oauth();
    let provider = provider(fixed("https://third.example"));
    assert!(matches!(provider.endpoints, Endpoints::Static(_)));
    let outcome = oauth.device_authorization(&provider, Proofs::default(), &scopes(), &More::default()).await;
    assert!(matches!(outcome, Err(OAuthError::Configuration(why)) if why.contains("device_authorization_endpoint")));
}
