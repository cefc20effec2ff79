use super::*;

fn sent() -> Secret {
    Secret::from_text("sent-Refresh+Token/1".into())
}

fn grant(body: &str) -> Result<TokenSet, OAuthError> {
    granted(body.as_bytes(), ',', &[&sent()])
}

fn with(field: &str) -> Result<TokenSet, OAuthError> {
    grant(&format!(r#"{{"access_token":"at","token_type":"Bearer"{field}}}"#))
}

fn unreadable(outcome: Result<TokenSet, OAuthError>, says: &str) {
    match outcome.err() {
        Some(OAuthError::Unreadable(why)) => assert!(why.contains(says), "{why}"),
        other => panic!("{says}: {other:?}"),
    }
}

#[test]
fn a_whole_answer_is_read() {
    let tokens =
        with(r#","refresh_token":"r\u0074","expires_in":3599,"scope":"a b","id_token":"x.y.z","other":[1]"#).unwrap();
    assert_eq!(tokens.access.expose(), b"at");
    assert_eq!(tokens.refresh.unwrap().expose(), b"rt");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(3599)));
    assert_eq!(tokens.scopes.unwrap().joined(), "a b");
    assert_eq!(tokens.id_token.unwrap().expose(), b"x.y.z");
}

#[test]
fn a_lifetime_is_clamped_to_a_day() {
    for (written, seconds) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("\" 3600 \"", Some(3600)),
        ("3599.9", Some(3599)),
        ("0", Some(0)),
        ("-5", Some(0)),
        ("86400", Some(86_400)),
        ("31536000", Some(86_400)),
        ("99999999999999999999999", Some(86_400)),
        ("1e300", Some(86_400)),
        ("\"inf\"", Some(86_400)),
        ("null", None),
    ] {
        let tokens = with(&format!(r#","expires_in":{written}"#)).unwrap();
        assert_eq!(tokens.expires_in, seconds.map(Duration::from_secs), "{written}");
    }
    assert_eq!(with("").unwrap().expires_in, None);
    for written in ["\"soon\"", "\"\"", "\"NaN\"", "true", "[1]", "{}"] {
        unreadable(with(&format!(r#","expires_in":{written}"#)), "expires_in");
    }
}

#[test]
fn the_token_type_is_bearer_in_any_case_or_nothing() {
    for kind in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        grant(&format!(r#"{{"access_token":"at","token_type":"{kind}"}}"#)).unwrap();
    }
    for kind in ["mac", "DPoP", "", "Bearer "] {
        unreadable(grant(&format!(r#"{{"access_token":"at","token_type":"{kind}"}}"#)), "not `Bearer`");
    }
    unreadable(grant(r#"{"access_token":"at"}"#), "no token type");
}

#[test]
fn scopes_may_be_fewer_empty_or_separated_otherwise() {
    let scopes = |written: &str| with(&format!(r#","scope":"{written}""#)).unwrap().scopes.unwrap().joined();
    assert_eq!(scopes("calendar.readonly"), "calendar.readonly");
    assert_eq!(scopes("b,a"), "a b");
    assert_eq!(scopes("  b   a "), "a b");
    assert_eq!(scopes(""), "");
    assert!(with("").unwrap().scopes.is_none());
    unreadable(with(r#","scope":"caf\u00e9""#), "scope");
    unreadable(with(r#","scope":["a"]"#), "not the JSON");
}

#[test]
fn what_is_not_a_token_response_is_no_token() {
    for body in [
        "",
        "null",
        "[]",
        r#"["at","Bearer",null,null,null,null,null,null]"#,
        "\"at\"",
        "<html>",
        "access_token=at&token_type=bearer",
        r#"{"access_token":"at","token_type":"Bearer"} {}"#,
        r#"{"access_token":"at","token_type":"Bearer""#,
        r#"{"access_token":7,"token_type":"Bearer"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
        r#"{"access_token":"two words","token_type":"Bearer"}"#,
        r#"{"access_token":"a\r\nb","token_type":"Bearer"}"#,
        r#"{"access_token":"one","access_token":"two","token_type":"Bearer"}"#,
        r#"{"token_type":"Bearer"}"#,
        "{}",
    ] {
        unreadable(grant(body), "cannot be used");
    }
    unreadable(with(r#","token_type":"Bearer""#), "not the JSON");
    unreadable(grant(&format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(40_000))), "header");
}

#[test]
fn no_message_quotes_the_body() {
    for body in [r#"{"access_token":"hunter2","token_type":"hunter2"}"#, r#"{"access_token":"hunter2","#, "hunter2"] {
        assert!(!grant(body).err().unwrap().to_string().contains("hunter2"), "{body}");
    }
}

#[test]
fn an_empty_refresh_token_is_none() {
    assert!(with(r#","refresh_token":"""#).unwrap().refresh.is_none());
    assert!(with(r#","refresh_token":null"#).unwrap().refresh.is_none());
}

#[test]
fn refusals_are_told_apart() {
    let refuse = |body: &str| refused(400, body.as_bytes(), &[&sent()]);
    assert_eq!(refuse(r#"{"error":"invalid_grant","error_description":"x"}"#), OAuthError::GrantGone);
    let other = refuse(r#"{"error":"invalid_client","error_description":"who\nare you"}"#);
    assert_eq!(other, OAuthError::Refused { error: "invalid_client".into(), description: "who\\nare you".into() });
    for body in
        ["", "<html>", "{}", r#"{"error":7}"#, r#"{"error":""}"#, r#"{"error":"a\"b"}"#, r#"{"error":"a\u001b[31m"}"#]
    {
        assert!(matches!(refuse(body), OAuthError::Unreadable(_)), "{body}");
    }
    // GitHub refuses with status 200.
    let outcome = grant(r#"{"error":"bad_verification_code","error_description":"expired"}"#).err().unwrap();
    assert!(matches!(outcome, OAuthError::Refused { error, .. } if error == "bad_verification_code"));
}

#[test]
fn a_refusal_that_quotes_what_we_sent_is_withheld() {
    let secret = sent();
    let plain = secret.expose_text().unwrap();
    let encoded: String = url::form_urlencoded::byte_serialize(secret.expose()).collect();
    for quoted in [plain, &encoded, &crate::ids::hex(secret.expose())] {
        let in_words =
            refused(400, format!(r#"{{"error":"x","error_description":"no: {quoted}!"}}"#).as_bytes(), &[&secret]);
        assert!(in_words.to_string().contains("withheld"), "{in_words}");
        let in_code = refused(400, format!(r#"{{"error":"{quoted}"}}"#).as_bytes(), &[&secret]);
        assert!(!in_code.to_string().contains(quoted), "{in_code}");
    }
    let long = refused(400, format!(r#"{{"error":"x","error_description":"{}"}}"#, "é\\n".repeat(500)).as_bytes(), &[]);
    assert!(matches!(long, OAuthError::Refused { description, .. } if description.chars().count() == 200));
}
