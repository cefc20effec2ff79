use super::*;

fn sent() -> Secret {
    Secret::from_text("sent-Refresh+Token/1".into())
}

/// As the standard has it, but with commas between scopes.
fn standard() -> Quirks {
    Quirks::default()
}

fn reading<'a>(quirks: &'a Quirks, sent: &'a [&'a Secret]) -> Reading<'a> {
    Reading { separator: ',', quirks, bound: false, assertion: false, sent }
}

fn grant(body: &str) -> Result<TokenSet, OAuthError> {
    grant_of(&standard(), body)
}

fn grant_of(quirks: &Quirks, body: &str) -> Result<TokenSet, OAuthError> {
    granted(&reading(quirks, &[&sent()]), body.as_bytes())
}

fn refuse(body: &str, sent: &[&Secret]) -> OAuthError {
    refused(&reading(&standard(), sent), 400, body.as_bytes())
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
fn a_lifetime_is_clamped_to_a_day_or_to_ninety_where_nothing_renews_it() {
    let alone = |written: &str| with(&format!(r#","expires_in":{written}"#)).unwrap().expires_in.unwrap().as_secs();
    assert_eq!(alone("5184000"), 5_184_000, "LinkedIn's sixty days");
    assert_eq!(alone("31536000"), 90 * 86_400);
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
        let tokens = with(&format!(r#","refresh_token":"rt","expires_in":{written}"#)).unwrap();
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
    for kind in ["mac", "N_A", "user", "Bearer "] {
        unreadable(grant(&format!(r#"{{"access_token":"at","token_type":"{kind}"}}"#)), "not `Bearer`");
    }
    unreadable(grant(r#"{"access_token":"at"}"#), "no token type");
    unreadable(grant(r#"{"access_token":"at","token_type":""}"#), "no token type");
    unreadable(grant(r#"{"access_token":"at","token_type":"DPoP"}"#), "the request named none");
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
    assert_eq!(with(r#","scope":["b","a"]"#).unwrap().scopes.unwrap().joined(), "a b");
    unreadable(with(r#","scope":["a b"]"#), "scope");
    unreadable(with(r#","scope":7"#), "not the JSON");
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
    let refuse = |body: &str| refuse(body, &[&sent()]);
    assert_eq!(refuse(r#"{"error":"invalid_grant","error_description":"x"}"#), OAuthError::GrantGone);
    let other = refuse(r#"{"error":"invalid_client","error_description":"who\nare you"}"#);
    assert_eq!(other, OAuthError::Refused { error: "invalid_client".into(), description: "who\\nare you".into() });
    for body in
        ["", "<html>", "{}", r#"{"error":[7]}"#, r#"{"error":""}"#, r#"{"error":"a\"b"}"#, r#"{"error":"a\u001b[31m"}"#]
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
        let in_words = refuse(&format!(r#"{{"error":"x","error_description":"no: {quoted}!"}}"#), &[&secret]);
        assert!(in_words.to_string().contains("withheld"), "{in_words}");
        let in_code = refuse(&format!(r#"{{"error":"{quoted}"}}"#), &[&secret]);
        assert!(!in_code.to_string().contains(quoted), "{in_code}");
    }
    let long = refuse(&format!(r#"{{"error":"x","error_description":"{}"}}"#, "é\\n".repeat(500)), &[]);
    assert!(matches!(long, OAuthError::Refused { description, .. } if description.chars().count() == 200));
}

/// What the table says of this vendor.
fn vendor(name: &str) -> &'static Quirks {
    super::super::Vendor::parse(name).unwrap().quirks()
}

#[test]
fn a_bound_token_is_taken_where_a_key_was_named() {
    let answer = |kind: &str| format!(r#"{{"access_token":"at","token_type":"{kind}"}}"#);
    let (quirks, sent) = (standard(), sent());
    let sent = [&sent];
    let bound = Reading { bound: true, ..reading(&quirks, &sent) };
    assert_eq!(granted(&bound, answer("dpop").as_bytes()).unwrap().token_type, TokenType::Dpop);
    // RFC 9449 §5: the server may leave it unbound.
    assert_eq!(granted(&bound, answer("Bearer").as_bytes()).unwrap().token_type, TokenType::Bearer);
}

#[test]
fn an_assertion_is_no_access_token() {
    let (quirks, sent) = (standard(), sent());
    let sent = [&sent];
    let assertion = Reading { assertion: true, ..reading(&quirks, &sent) };
    let answer = |kind: &str| format!(r#"{{"access_token":"jag","token_type":"{kind}","issued_token_type":"urn:x"}}"#);
    let tokens = granted(&assertion, answer("N_A").as_bytes()).unwrap();
    assert_eq!(tokens.issued_token_type.as_deref(), Some("urn:x"));
    unreadable(granted(&assertion, answer("Bearer").as_bytes()), "not `N_A`");
}

#[test]
fn github_answers_in_a_form_and_lists_scopes_with_commas() {
    let github = vendor("GithubOauth2");
    let form = "access_token=gho_a%2Bb&scope=repo%2Cgist&token_type=bearer&expires_in=28800&refresh_token=ghr_1";
    let json = r#"{"access_token":"gho_a+b","scope":"repo,gist","token_type":"bearer","expires_in":28800,"refresh_token":"ghr_1"}"#;
    for body in [form, json] {
        let tokens = granted(&Reading { separator: ' ', ..reading(github, &[]) }, body.as_bytes()).unwrap();
        assert_eq!(tokens.access.expose(), b"gho_a+b");
        assert_eq!(tokens.refresh.unwrap().expose(), b"ghr_1");
        assert_eq!(tokens.scopes.unwrap().joined(), "gist repo");
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(28800)));
    }
    unreadable(grant_of(github, "access_token=a&access_token=b&token_type=bearer"), "twice");
    unreadable(grant_of(github, "token_type=bearer"), "no access token");
    unreadable(grant_of(github, ""), "not a JSON object");
    for body in ["error=bad_refresh_token&error_description=no", r#"{"error":"bad_refresh_token"}"#] {
        assert_eq!(grant_of(github, body).err(), Some(OAuthError::GrantGone), "{body}");
    }
    let other = grant_of(github, "error=incorrect_client_credentials&error_description=wrong").err();
    assert!(matches!(other, Some(OAuthError::Refused { error, .. }) if error == "incorrect_client_credentials"));
}

#[test]
fn slack_puts_the_users_token_within_and_refuses_with_ok_false() {
    let slack = vendor("SlackOauth2");
    let nested = r#"{"ok":true,"access_token":"xoxb-bot","token_type":"bot","scope":"commands","team":{"id":"T1"},
        "authed_user":{"id":"U1","scope":"chat:write,search:read","access_token":"xoxp-user","token_type":"user",
        "expires_in":43200,"refresh_token":"xoxe-1"}}"#;
    let tokens = grant_of(slack, nested).unwrap();
    assert_eq!(tokens.access.expose(), b"xoxp-user", "the user's, never the bot's");
    assert_eq!(tokens.refresh.unwrap().expose(), b"xoxe-1");
    assert_eq!(tokens.scopes.unwrap().joined(), "chat:write search:read");
    let renewed =
        r#"{"ok":true,"access_token":"xoxp-2","token_type":"user","scope":"chat:write","refresh_token":"xoxe-2"}"#;
    assert_eq!(grant_of(slack, renewed).unwrap().access.expose(), b"xoxp-2");
    assert_eq!(grant_of(slack, r#"{"ok":false,"error":"invalid_refresh_token"}"#).err(), Some(OAuthError::GrantGone));
    let other = grant_of(slack, r#"{"ok":false,"error":"bad_client_secret"}"#).err();
    assert!(matches!(other, Some(OAuthError::Refused { error, .. }) if error == "bad_client_secret"));
    unreadable(grant_of(slack, r#"{"ok":false,"access_token":"x","token_type":"user"}"#), "neither token nor error");
    unreadable(grant_of(slack, r#"{"access_token":"x","token_type":"user"}"#), "not the JSON");
    // Nobody else may call a token so.
    unreadable(grant(renewed), "not `Bearer`");
}

#[test]
fn others_say_in_their_own_words_what_is_wrong() {
    let said = |name: &str, body: &str| refused(&reading(vendor(name), &[]), 400, body.as_bytes());
    assert_eq!(said("TwitchOauth2", r#"{"status":400,"message":"Invalid refresh token"}"#), OAuthError::GrantGone);
    assert_eq!(said("HubspotOauth2", r#"{"status":"BAD_REFRESH_TOKEN","message":"gone"}"#), OAuthError::GrantGone);
    let facebook = said("FacebookOauth2", r#"{"error":{"message":"Bad code.","type":"OAuthException","code":100}}"#);
    assert_eq!(facebook, OAuthError::Refused { error: "OAuthException".into(), description: "Bad code.".into() });
    let reddit = said("RedditOauth2", r#"{"message":"Unauthorized","error":401}"#);
    assert_eq!(reddit, OAuthError::Refused { error: "401".into(), description: String::new() });
    let linkedin = r#"{"access_token":"at","expires_in":5184000,"scope":"openid,profile"}"#;
    let tokens = granted(&Reading { separator: ' ', ..reading(vendor("LinkedinOauth2"), &[]) }, linkedin.as_bytes());
    assert_eq!(tokens.unwrap().scopes.unwrap().joined(), "openid profile");
    let twitch = r#"{"access_token":"at","token_type":"bearer","scope":["a:read","b"],"expires_in":14124}"#;
    assert_eq!(grant_of(vendor("TwitchOauth2"), twitch).unwrap().scopes.unwrap().joined(), "a:read b");
}
