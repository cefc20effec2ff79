use super::*;

fn vector(name: &str) -> (Issuer, Vec<u8>) {
    let path = format!("{}/../tests/vectors/discovery/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let metadata = &file["metadata"];
    (Issuer::parse(metadata["issuer"].as_str().unwrap()).unwrap(), serde_json::to_vec(metadata).unwrap())
}

fn refused(issuer: &str, document: &str, says: &str) {
    let error = parse(&Issuer::parse(issuer).unwrap(), document.as_bytes()).unwrap_err();
    assert!(matches!(&error, OAuthError::Unreadable(why) if why.contains(says)), "{document}: {error}");
}

#[test]
fn real_documents_are_read() {
    for (name, token, revocation) in [
        ("google", "https://oauth2.googleapis.com/token", Some("https://oauth2.googleapis.com/revoke")),
        ("apple", "https://appleid.apple.com/auth/token", Some("https://appleid.apple.com/auth/revoke")),
        ("gitlab", "https://gitlab.com/oauth/token", Some("https://gitlab.com/oauth/revoke")),
        ("slack", "https://slack.com/api/openid.connect.token", None),
    ] {
        let (issuer, document) = vector(name);
        let metadata = parse(&issuer, &document).unwrap();
        assert_eq!(metadata.token.as_str(), token);
        assert_eq!(metadata.revocation.as_ref().map(Url::as_str), revocation);
        assert!(!metadata.callback_issuer);
    }
}

#[test]
fn a_document_without_endpoints_says_what_to_do() {
    let (issuer, document) = vector("facebook");
    let error = parse(&issuer, &document).unwrap_err().to_string();
    assert!(error.contains("no `token_endpoint`; configure static endpoints"), "{error}");
}

/// Entra's common document names a template, which is nobody's issuer.
#[test]
fn a_document_of_another_issuer_is_not_believed() {
    let (_, document) = vector("entra-common");
    refused("https://login.microsoftonline.com/common/v2.0", std::str::from_utf8(&document).unwrap(), "another issuer");
    let (_, document) = vector("google");
    let document = String::from_utf8(document).unwrap();
    for issuer in [
        "https://accounts.google.com/",
        "https://ACCOUNTS.google.com",
        "http://accounts.google.com",
        "https://evil.example",
    ] {
        refused(issuer, &document, "another issuer");
    }
}

#[test]
fn endpoints_lead_nowhere_unsafe() {
    for bad in [
        "http://a.example/t",
        "file:///etc/passwd",
        "https://user:pass@a.example/t",
        "https://a.example/t#f",
        "/t",
        "",
        "javascript:alert(1)",
        "http://169.254.169.254/",
    ] {
        let document = |name: &str| {
            let mut document = serde_json::json!({
                "issuer": "https://a.example", "authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t",
            });
            document[name] = bad.into();
            document.to_string()
        };
        for name in ["authorization_endpoint", "token_endpoint", "revocation_endpoint"] {
            refused("https://a.example", &document(name), name);
        }
    }
}

#[test]
fn what_is_no_document_is_refused_without_being_quoted() {
    for document in
        ["", "[]", "null", "{}", "<hunter2>", r#"{"issuer":7}"#, r#"{"issuer":"https://a.example","issuer":"hunter2"}"#]
    {
        refused("https://a.example", document, "cannot be read");
        let error = parse(&Issuer::parse("https://a.example").unwrap(), document.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn both_places_follow_from_the_issuer() {
    let at = |issuer: &str| places(issuer).map(|both| both.map(String::from));
    assert_eq!(
        at("https://a.example/t/x/").unwrap(),
        [
            "https://a.example/t/x/.well-known/openid-configuration",
            "https://a.example/.well-known/oauth-authorization-server/t/x"
        ]
    );
    assert_eq!(at("https://a.example").unwrap()[0], "https://a.example/.well-known/openid-configuration");
    for issuer in ["a.example", "http://a.example", "https://a.example?b=c", "https://u@a.example"] {
        assert!(at(issuer).is_err(), "{issuer}");
    }
}

#[test]
fn a_document_says_what_a_server_can() {
    let plain = r#""issuer":"https://a.example","token_endpoint":"https://a.example/t""#;
    let read =
        |more: &str| parse(&Issuer::parse("https://a.example").unwrap(), format!("{{{plain}{more}}}").as_bytes());
    let server = read("").unwrap();
    assert_eq!(server.issuer.as_ref().map(Issuer::as_str), Some("https://a.example"));
    assert!(server.authorization.is_none() && !server.requires_pushed && !server.dpop);
    let server = read(
        r#","device_authorization_endpoint":"https://a.example/d","dpop_signing_alg_values_supported":["RS256","ES256"],
        "pushed_authorization_request_endpoint":"https://a.example/p","require_pushed_authorization_requests":true"#,
    )
    .unwrap();
    assert_eq!(server.device_authorization.unwrap().as_str(), "https://a.example/d");
    assert_eq!(server.pushed_authorization.unwrap().as_str(), "https://a.example/p");
    assert!(server.requires_pushed && server.dpop);
    assert!(!read(r#","dpop_signing_alg_values_supported":["RS256"]"#).unwrap().dpop, "ES256 is all we have");
    let error = read(r#","require_pushed_authorization_requests":true"#).unwrap_err().to_string();
    assert!(error.contains("pushed_authorization_request_endpoint"), "{error}");
    for endpoint in ["device_authorization_endpoint", "pushed_authorization_request_endpoint"] {
        assert!(read(&format!(r#","{endpoint}":"http://169.254.169.254/""#)).is_err(), "{endpoint}");
    }
}
