use super::super::client::tests::{every_lie_is_caught, fixed, form, oauth, provider, request, secret, server};
use super::super::{AuthorizationRequest, ClientAuthentication};
use super::*;
use crate::egress::testing::{Upstream, response};
use url::Url;

const TAKEN: &str = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc","expires_in":60}"#;

fn pushing(base: &str) -> Provider {
    let mut endpoints = fixed(base);
    server(&mut endpoints).pushed_authorization = Some(Url::parse(&format!("{base}/par")).unwrap());
    provider(endpoints)
}

fn asked() -> AuthorizationRequest {
    request(&["a"], Some("n"))
}

#[tokio::test]
async fn the_browser_carries_only_a_reference() {
    let upstream = Upstream::answering(|_| response("201 Created", "", TAKEN)).await;
    let (oauth, _) = oauth();
    let mut provider = pushing(&upstream.url(""));
    provider.authorize_parameters = vec![("prompt".into(), "consent".into())];
    let plain = {
        let provider = Provider { pushed_authorization: When::Never, ..provider.clone() };
        oauth.authorization_url(&provider, Proofs::default(), &asked()).await.unwrap()
    };
    assert_eq!(upstream.connections(), 0);
    for authentication in
        [provider.client_authentication.clone(), ClientAuthentication::Post(secret("s")), ClientAuthentication::None]
    {
        provider.client_authentication = authentication;
        let url = oauth.authorization_url(&provider, Proofs::default(), &asked()).await.unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expect = [("client_id", "client:1"), ("request_uri", "urn:ietf:params:oauth:request_uri:6esc")];
        assert_eq!(pairs, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
        // What the URL would have said, and who says it, each once.
        let mut pushed = form(upstream.requests().last().unwrap());
        pushed.remove("client_secret");
        assert_eq!(pushed.len(), plain.query_pairs().count());
        for (name, value) in plain.query_pairs() {
            assert_eq!(pushed[&*name], [value.into_owned()], "{name}");
        }
    }
    assert!(
        upstream.requests()[0].starts_with("POST /par ") && upstream.requests()[0].contains("authorization: Basic")
    );
    every_lie_is_caught(TAKEN, async |base| oauth.authorization_url(&pushing(base), Proofs::default(), &asked()).await)
        .await;
}

#[tokio::test]
async fn a_reference_that_no_browser_could_carry_is_refused() {
    let long = format!("urn:{}", "x".repeat(1024));
    for reference in ["", "no-uri", "urn:two words", "urn:\\u0007", "urn:caf\\u00e9", &long] {
        let body = format!(r#"{{"request_uri":"{reference}","expires_in":60}}"#);
        let upstream = Upstream::answering(move |_| response("201 Created", "", &body)).await;
        let (oauth, _) = oauth();
        let outcome = oauth.authorization_url(&pushing(&upstream.url("")), Proofs::default(), &asked()).await;
        assert!(matches!(outcome, Err(OAuthError::Unreadable(_))), "{reference}");
    }
}

#[tokio::test]
async fn whether_to_push_is_configured_and_offered() {
    let upstream = Upstream::answering(|_| response("201 Created", "", TAKEN)).await;
    let (oauth, _) = oauth();
    let offering = pushing(&upstream.url(""));
    let silent = provider(fixed(&upstream.url("")));
    let mut demanding = offering.clone();
    server(&mut demanding.endpoints).requires_pushed = true;
    for (provider, when, expect) in [
        (&silent, When::Never, Ok(false)),
        (&silent, When::Offered, Ok(false)),
        (&silent, When::Always, Err("pushed_authorization_endpoint")),
        (&offering, When::Never, Ok(false)),
        (&offering, When::Offered, Ok(true)),
        (&offering, When::Always, Ok(true)),
        (&demanding, When::Never, Err("takes pushed authorization requests only")),
        (&demanding, When::Offered, Ok(true)),
    ] {
        let provider = Provider { pushed_authorization: when, ..provider.clone() };
        match (oauth.authorization_url(&provider, Proofs::default(), &asked()).await, expect) {
            (Ok(url), Ok(pushed)) => assert_eq!(url.as_str().contains("request_uri="), pushed, "{when:?}"),
            (Err(OAuthError::Configuration(why)), Err(expect)) => assert!(why.contains(expect), "{why}"),
            (outcome, expect) => panic!("{when:?}: {outcome:?}, not {expect:?}"),
        }
    }
}
