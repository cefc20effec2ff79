//! One token at a time: what is accepted, and what is refused for which reason.

use crate::{AUDIENCE, Bed, ISSUER};
use attache::identity::{Bearer, Rejected};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[tokio::test]
async fn a_good_token_of_each_algorithm_is_a_user() {
    let bed = Bed::new();
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let mut claims = bed.claims("alice");
        claims["azp"] = json!("app");
        claims["scope"] = json!("openid calendar");
        claims["name"] = json!("Alice\u{202e}\n A.");
        let token = bed.issuer.sign_as(alg, claims);
        let user = bed.verify(&token).await.unwrap();
        assert_eq!(user.id().issuer.as_str(), ISSUER);
        assert_eq!(user.id().subject.as_str(), "alice");
        assert_eq!(user.client(), Some("app"));
        assert_eq!(user.scopes(), ["openid", "calendar"]);
        assert_eq!(user.claim("aud"), Some(&json!(AUDIENCE)));
        assert_eq!(user.display_name(), "Alice A.");
        assert_eq!(user.token().expose(), token.as_bytes());
        assert_eq!(user.expires_at().secs(), bed.clock.now().secs() + 300);
    }
}

#[tokio::test]
async fn a_refreshed_token_is_the_same_user() {
    let bed = Bed::new();
    let first = bed.verify(&bed.token("alice")).await.unwrap();
    bed.clock.advance(std::time::Duration::from_secs(120));
    let second = bed.verify(&bed.token("alice")).await.unwrap();
    assert!(!first.token().matches(second.token()));
    assert_eq!(first.id(), second.id());
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_it_is_spelled() {
    let bed = Bed::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": alg, "typ": "JWT" }).to_string();
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(bed.claims("alice").to_string()));
        assert!(matches!(bed.refused(&format!("{signed}.")).await, Rejected::Malformed(_)));
        assert!(matches!(bed.refused(&format!("{signed}.AAAA")).await, Rejected::Algorithm(_)));
    }
}

/// The classic confusion: the public key, which everybody has, taken as a shared secret.
#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let bed = Bed::new();
    let set = bed.issuer.key_set();
    for (alg, hash) in [("HS256", aws_lc_rs::hmac::HMAC_SHA256), ("HS512", aws_lc_rs::hmac::HMAC_SHA512)] {
        for key in set["keys"].as_array().unwrap() {
            let shown = key["n"].as_str().or(key["x"].as_str()).unwrap();
            for secret in
                [URL_SAFE_NO_PAD.decode(shown).unwrap(), shown.as_bytes().to_vec(), key.to_string().into_bytes()]
            {
                let header = json!({ "alg": alg, "kid": key["kid"] }).to_string();
                let claims = bed.claims("alice").to_string();
                let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
                let mac = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hash, &secret), signed.as_bytes());
                let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac));
                assert!(matches!(bed.refused(&token).await, Rejected::Algorithm(_)));
            }
        }
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let bed = Bed::new();
    let token = bed.token("alice");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(bed.claims("bob").to_string());
    assert_eq!(bed.refused(&format!("{header}.{other}.{signature}")).await, Rejected::Signature);

    let mut raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    raw[10] ^= 1;
    assert_eq!(bed.refused(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw))).await, Rejected::Signature);

    // The same bytes, spelled otherwise.
    for spelled in [format!("{token}="), format!("{token}.AAAA"), format!("{token}."), format!("{signed}..{signature}")]
    {
        assert!(matches!(bed.refused(&spelled).await, Rejected::Malformed(_)), "{spelled}");
    }
    assert!(bed.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_header_that_asks_for_more_than_we_do_is_refused() {
    let bed = Bed::new();
    let kid = bed.issuer.kid("ES256");
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("cty", json!("JWT")),
        ("kid", json!(5)),
        ("kid", json!(null)),
        ("kid", json!("k".repeat(257))),
        ("typ", json!(7)),
        ("alg", json!(["ES256"])),
        ("alg", json!(null)),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": kid });
        header[name] = value.clone();
        let why = bed.refused(&bed.issuer.sign_with(header, bed.claims("alice"))).await;
        assert!(matches!(why, Rejected::Malformed(_)), "{name} {value}: {why}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "", "JWT "] {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": typ });
        let why = bed.refused(&bed.issuer.sign_with(header, bed.claims("alice"))).await;
        assert!(matches!(why, Rejected::Type(_)), "{typ}: {why}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"] {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": typ });
        assert!(bed.verify(&bed.issuer.sign_with(header, bed.claims("alice"))).await.is_ok(), "{typ}");
    }
}

/// `jku`, `x5u` and `jwk` offer a key of the sender's own. They are not looked at, and nothing is fetched from there.
#[tokio::test]
async fn a_token_does_not_bring_its_own_key() {
    let bed = Bed::new();
    let forger = crate::issuer::TestIssuer::new("https://forger.example.com");
    let key = forger.key_set()["keys"][0].clone();
    let header = json!({
        "alg": "ES256", "kid": bed.issuer.kid("ES256"), "jwk": key,
        "jku": "https://forger.example.com/jwks", "x5u": "https://forger.example.com/x5u", "x5c": ["MIIB"],
    });
    assert_eq!(bed.refused(&forger.sign_with(header.clone(), bed.claims("alice"))).await, Rejected::Signature);
    assert!(bed.verify(&bed.issuer.sign_with(header, bed.claims("alice"))).await.is_ok());
    assert_eq!(bed.issuer.asked(), [format!("{ISSUER}/.well-known/openid-configuration"), format!("{ISSUER}/jwks")]);
}

#[tokio::test]
async fn a_claim_of_the_wrong_type_is_refused() {
    let bed = Bed::new();
    let absent = &Value::Null;
    for (name, values) in [
        ("iss", vec![json!(7), json!([ISSUER]), json!({}), json!(""), absent.clone()]),
        ("sub", vec![json!(7), json!(""), json!(["alice"]), json!("a\u{0}b"), json!("s".repeat(256)), absent.clone()]),
        ("aud", vec![json!(7), json!({}), json!([AUDIENCE, 1]), json!(true), absent.clone()]),
        ("exp", vec![json!("1900000000"), json!(1e308), json!(-1), json!(1e18), json!([]), absent.clone()]),
        ("nbf", vec![json!("0"), json!(1e308), json!(-1), absent.clone()]),
        ("iat", vec![json!("0"), json!(1e308), json!({}), absent.clone()]),
        ("scope", vec![json!(["a"]), json!(7), absent.clone()]),
        ("scp", vec![json!(7), json!(["a", 1]), absent.clone()]),
        ("azp", vec![json!(7), json!(["app"]), absent.clone()]),
        ("client_id", vec![json!(7), absent.clone()]),
    ] {
        for value in values {
            let mut claims = bed.claims("alice");
            claims[name] = value.clone();
            let why = bed.refused(&bed.issuer.sign(claims)).await;
            assert!(matches!(why, Rejected::Malformed(_)), "{name} {value}: {why}");
        }
    }
    for name in ["iss", "sub", "exp"] {
        let mut claims = bed.claims("alice");
        claims.as_object_mut().unwrap().remove(name);
        assert!(matches!(bed.refused(&bed.issuer.sign(claims)).await, Rejected::Malformed(_)), "without {name}");
    }
    let mut claims = bed.claims("alice");
    (claims["azp"], claims["client_id"]) = (json!("app"), json!("other"));
    assert!(matches!(bed.refused(&bed.issuer.sign(claims)).await, Rejected::Malformed(_)));
}

/// Two readers of such a token could read two different ones.
#[tokio::test]
async fn a_member_that_appears_twice_is_refused() {
    let bed = Bed::new();
    let kid = bed.issuer.kid("ES256");
    let header = json!({ "alg": "ES256", "kid": kid }).to_string();
    let claims = bed.claims("alice").to_string();
    let with = |object: &str, more: &str| format!("{},{more}}}", object.strip_suffix('}').unwrap());
    for twice in [r#""sub":"bob""#, r#""tid":"a","tid":"b""#, r#""a":{"b":1,"b":2}"#, r#""s\u0075b":"bob""#] {
        let why = bed.refused(&bed.issuer.sign_text(&header, &with(&claims, twice))).await;
        assert!(matches!(&why, Rejected::Malformed(why) if why.contains("appears twice")), "{twice}: {why}");
    }
    let why = bed.refused(&bed.issuer.sign_text(&with(&header, r#""alg":"ES256""#), &claims)).await;
    assert!(matches!(&why, Rejected::Malformed(why) if why.contains("appears twice")), "{why}");
    for no_object in ["[]", "1", "", "null", "{} {}", "{\"a\":"] {
        assert!(matches!(bed.refused(&bed.issuer.sign_text(&header, no_object)).await, Rejected::Malformed(_)));
    }
}

#[tokio::test]
async fn times_hold_to_thirty_seconds() {
    let bed = Bed::new();
    let now = bed.clock.now().secs();
    for (name, at, good) in [
        ("exp", json!(now + 1), true),
        ("exp", json!(now), true),
        ("exp", json!(now - 29), true),
        ("exp", json!(now - 30), false),
        ("exp", json!((now - 30) as f64 + 0.5), true),
        ("exp", json!((now + 60) as f64 + 0.25), true),
        ("exp", json!(0), false),
        ("nbf", json!(now + 30), true),
        ("nbf", json!(now + 31), false),
        ("nbf", json!(0), true),
        ("iat", json!(now + 30), true),
        ("iat", json!(now + 31), false),
        ("iat", json!(now - 1_000_000), true),
    ] {
        let mut claims = bed.claims("alice");
        claims[name] = at.clone();
        let verdict = bed.verify(&bed.issuer.sign(claims)).await;
        assert_eq!(verdict.is_ok(), good, "{name} {at}: {verdict:?}");
        if !good {
            let why = verdict.unwrap_err();
            assert!(matches!((name, why), ("exp", Rejected::Expired(_)) | ("nbf" | "iat", Rejected::TooEarly(_))));
        }
    }
}

#[tokio::test]
async fn a_remembered_token_expires_too() {
    let bed = Bed::new();
    let token = bed.token("alice");
    let first = bed.verify(&token).await.unwrap();
    let again = bed.verify(&token).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again), "the second look is the cache's");
    bed.clock.advance(std::time::Duration::from_secs(329));
    assert!(bed.verify(&token).await.is_ok());
    bed.clock.advance(std::time::Duration::from_secs(1));
    assert!(matches!(bed.refused(&token).await, Rejected::Expired(_)));
}

#[test]
fn a_request_carries_one_token_in_one_place() {
    let read = |values: &[&[u8]]| {
        let mut headers = http::HeaderMap::new();
        for value in values {
            headers.append("authorization", http::HeaderValue::from_bytes(value).unwrap());
        }
        Bearer::from_header(&headers).map(drop)
    };
    let long = [b"Bearer ".as_slice(), &[b'a'; 16 * 1024]].concat();
    for good in [b"Bearer a.b.c".as_slice(), b"bearer a.b.c", b"BEARER a.b.c", b"Bearer   a.b.c ", &long] {
        assert_eq!(read(&[good]), Ok(()));
    }
    let longer = [long.as_slice(), b"a"].concat();
    for bad in [b"Bearer".as_slice(), b"Bearer ", b"Bearer a b", b"Bearer a,b", b"Bearer \xff", &longer] {
        assert!(matches!(read(&[bad]), Err(Rejected::Header(_))), "{bad:?}");
    }
    for missing in [b"".as_slice(), b"Basic YTpi", b"Bearera.b.c", b"a.b.c"] {
        assert_eq!(read(&[missing]), Err(Rejected::Missing));
    }
    assert_eq!(read(&[]), Err(Rejected::Missing));
    assert!(matches!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(Rejected::Header(_))));
    assert!(matches!(read(&[b"Bearer a.b.c", b"Basic YTpi"]), Err(Rejected::Header(_))));
}

#[tokio::test]
async fn no_refusal_shows_the_token_or_breaks_a_log_line() {
    let bed = Bed::new();
    let mut wrong_issuer = bed.claims("alice");
    wrong_issuer["iss"] = json!(format!("https://x\u{85}\u{2028}{}", "y".repeat(400)));
    let mut expired = bed.claims("alice");
    expired["exp"] = json!(1);
    let kid = json!({ "alg": "ES256", "kid": "a\n{\"level\":\"info\"}\u{1b}[2J" });
    for token in [
        bed.issuer.sign(wrong_issuer),
        bed.issuer.sign(expired),
        bed.issuer.sign_with(kid, bed.claims("alice")),
        bed.issuer.sign_with(json!({ "alg": "HS\n256" }), bed.claims("alice")),
        bed.issuer.sign_text(r#"{"alg":"ES256","a\n":1,"a\n":1}"#, "{}"),
    ] {
        let why = bed.refused(&token).await;
        for text in [why.to_string(), why.public().to_owned()] {
            let signature = token.rsplit('.').next().unwrap();
            assert!(!text.contains(&token) && !text.contains(signature), "{text}");
            assert!(!text.contains(char::is_control) && text.len() < 300, "{text:?}");
        }
        assert_eq!(why.error_code(), "invalid_token");
    }
}
