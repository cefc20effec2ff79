//! Keys over time: renewed, rotated, gone, out of reach.

use crate::issuer::{TestIssuer, bearer};
use crate::{AUDIENCE, Bed, ISSUER, settle};
use attache::identity::{Authorizer, IssuerRule, Rejected};
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A token that outlives the test.
fn lasting(bed: &Bed) -> String {
    let mut claims = bed.claims("alice");
    claims["exp"] = json!(bed.clock.now().secs() + 10 * 86_400);
    bed.issuer.sign(claims)
}

#[tokio::test]
async fn ten_thousand_made_up_key_ids_cost_one_fetch_in_thirty_seconds() {
    let bed = Bed::new();
    bed.verify(&bed.token("alice")).await.unwrap();
    bed.clock.advance(30 * SECOND);
    let before = bed.issuer.fetches();
    let claims = bed.claims("alice");
    for i in 0..10_000 {
        let header = json!({ "alg": "ES256", "kid": format!("made-up-{i}") });
        assert!(matches!(bed.refused(&bed.issuer.sign_with(header, claims.clone())).await, Rejected::Key(_)));
    }
    assert_eq!(bed.issuer.fetches() - before, 1);
    // Meanwhile honest users are served.
    bed.verify(&bed.token("bob")).await.unwrap();
    bed.clock.advance(29 * SECOND);
    let unknown = json!({ "alg": "ES256", "kid": "one more" });
    bed.refused(&bed.issuer.sign_with(unknown.clone(), claims.clone())).await;
    assert_eq!(bed.issuer.fetches() - before, 1);
    bed.clock.advance(SECOND);
    bed.refused(&bed.issuer.sign_with(unknown, claims)).await;
    assert_eq!(bed.issuer.fetches() - before, 2);
}

#[tokio::test]
async fn a_rotation_is_survived_and_the_old_key_is_done_for() {
    let mut bed = Bed::new();
    let old = lasting(&bed);
    bed.verify(&old).await.unwrap();
    bed.clock.advance(30 * SECOND);
    bed.issuer.rotate();
    // The first token of the new key renews the set.
    bed.verify(&bed.token("alice")).await.unwrap();
    // The old one was verified before and has days to live; its key is gone, so it is refused now.
    assert!(matches!(bed.refused(&old).await, Rejected::Key(_)));
    // Its key under the new id does not help.
    let forged = bed.issuer.kid("ES256");
    let other = TestIssuer::new(ISSUER);
    let token = other.sign_with(json!({ "alg": "ES256", "kid": forged }), bed.claims("alice"));
    assert_eq!(bed.refused(&token).await, Rejected::Signature);
}

#[tokio::test]
async fn a_key_that_is_gone_stops_verifying_at_the_next_renewal() {
    let mut bed = Bed::new();
    let token = lasting(&bed);
    bed.verify(&token).await.unwrap();
    bed.issuer.rotate();
    bed.clock.advance(10 * MINUTE - SECOND);
    bed.verify(&token).await.unwrap();
    assert_eq!(bed.issuer.fetches(), 1);
    // From ten minutes on it is renewed beside the request, which does not wait.
    bed.clock.advance(SECOND);
    bed.verify(&token).await.unwrap();
    settle().await;
    assert_eq!(bed.issuer.fetches(), 2);
    assert!(matches!(bed.refused(&token).await, Rejected::Key(_)));
}

#[tokio::test]
async fn after_a_quiet_time_the_first_request_waits_for_fresh_keys() {
    let mut bed = Bed::new();
    let token = lasting(&bed);
    bed.verify(&token).await.unwrap();
    bed.issuer.rotate();
    bed.clock.advance(5 * HOUR);
    assert!(matches!(bed.refused(&token).await, Rejected::Key(_)));
}

#[tokio::test]
async fn a_renewal_without_change_keeps_what_was_verified() {
    let bed = Bed::new();
    let token = lasting(&bed);
    let first = bed.verify(&token).await.unwrap();
    for _ in 0..10 {
        bed.clock.advance(11 * MINUTE);
        let again = bed.verify(&token).await.unwrap();
        settle().await;
        assert!(std::sync::Arc::ptr_eq(&first, &again));
    }
    assert_eq!(bed.issuer.fetches(), 11);
}

#[tokio::test]
async fn while_the_provider_is_down_its_last_keys_serve_for_a_day() {
    let bed = Bed::new();
    let token = lasting(&bed);
    bed.verify(&token).await.unwrap();
    bed.issuer.set_down(true);
    for _ in 0..23 {
        bed.clock.advance(HOUR);
        bed.verify(&token).await.unwrap();
        bed.verify(&bed.token("bob")).await.unwrap();
        settle().await;
    }
    let unknown = bed.issuer.sign_with(json!({ "alg": "ES256", "kid": "unknown" }), bed.claims("alice"));
    assert!(matches!(bed.refused(&unknown).await, Rejected::Key(_)));
    bed.clock.advance(HOUR);
    for token in [token.clone(), bed.token("bob")] {
        let why = bed.refused(&token).await;
        assert!(why.is_unavailable() && why.to_string().contains("connection refused"), "{why}");
    }
    // And back again, without a restart.
    bed.issuer.set_down(false);
    bed.clock.advance(30 * SECOND);
    bed.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_twice_a_minute() {
    let bed = Bed::new();
    bed.verify(&bed.token("alice")).await.unwrap();
    bed.issuer.set_down(true);
    bed.clock.advance(HOUR);
    let before = bed.issuer.asked().len();
    for _ in 0..60 {
        bed.verify(&bed.token("alice")).await.unwrap();
        settle().await;
        bed.clock.advance(SECOND);
    }
    assert_eq!(bed.issuer.asked().len() - before, 2);
}

#[tokio::test]
async fn a_provider_that_starts_late_is_found() {
    let bed = Bed::new();
    bed.issuer.set_down(true);
    assert!(bed.refused(&bed.token("alice")).await.is_unavailable());
    bed.issuer.set_down(false);
    assert!(bed.refused(&bed.token("alice")).await.is_unavailable(), "not asked again at once");
    bed.clock.advance(3 * SECOND);
    bed.verify(&bed.token("alice")).await.unwrap();
}

#[tokio::test]
async fn a_hundred_first_requests_are_one_fetch() {
    let bed = Bed::new();
    let tokens: Vec<String> = (0..100).map(|i| bed.token(&format!("user-{i}"))).collect();
    let verdicts = futures_util::future::join_all(tokens.iter().map(|token| bed.verify(token))).await;
    assert!(verdicts.iter().all(Result::is_ok));
    assert_eq!(bed.issuer.fetches(), 1);
}

/// The attempt is the host's, not the caller's: otherwise one caller that hangs up shuts everybody out until the next.
#[tokio::test]
async fn a_caller_that_goes_away_does_not_waste_the_fetch() {
    let bed = Bed::new();
    bed.issuer.set_held(true);
    let token = bed.token("alice");
    {
        let mut first = Box::pin(bed.verify(&token));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        settle().await;
    }
    bed.issuer.set_held(false);
    bed.verify(&token).await.unwrap();
    assert_eq!(bed.issuer.fetches(), 1);
}

#[tokio::test]
async fn metadata_of_somebody_else_is_refused() {
    for (metadata, expected) in [
        (json!({ "issuer": "https://login.example.com/", "jwks_uri": "https://login.example.com/jwks" }), "`issuer`"),
        (json!({ "issuer": "https://LOGIN.example.com", "jwks_uri": "https://login.example.com/jwks" }), "`issuer`"),
        (json!({ "issuer": [ISSUER], "jwks_uri": "https://login.example.com/jwks" }), "`issuer`"),
        (json!({ "jwks_uri": "https://login.example.com/jwks" }), "`issuer`"),
        (json!({ "issuer": ISSUER }), "no `jwks_uri`"),
        (json!({ "issuer": ISSUER, "jwks_uri": "/jwks" }), "no `jwks_uri`"),
        (json!({ "issuer": ISSUER, "jwks_uri": "http://login.example.com/jwks" }), "not an `https`"),
        (json!({ "issuer": ISSUER, "jwks_uri": "http://127.0.0.1/jwks" }), "not an `https`"),
        (json!({ "issuer": ISSUER, "jwks_uri": "file:///etc/passwd" }), "not an `https`"),
        (json!([]), "no JSON object"),
    ] {
        let bed = Bed::new();
        bed.issuer.publish_metadata(metadata.clone());
        let why = bed.refused(&bed.token("alice")).await;
        assert!(why.is_unavailable() && why.to_string().contains(expected), "{metadata}: {why}");
        assert_eq!(bed.issuer.fetches(), 0, "{metadata}");
    }
}

#[tokio::test]
async fn a_discovery_url_of_its_own_is_used() {
    let bed = Bed::new();
    let url = "https://login.example.com/jwks";
    let rule = IssuerRule {
        audiences: vec![AUDIENCE.into()],
        discovery_url: Some("https://login.example.com/.well-known/openid-configuration?v=2".parse().unwrap()),
        ..IssuerRule::new(bed.issuer.issuer())
    };
    let authorizer = Authorizer::new("test", vec![rule]).unwrap();
    let why = bed.verifier.verify(&bearer(&bed.token("alice")), &authorizer).await.unwrap_err();
    assert!(why.is_unavailable(), "{why}");
    assert_eq!(bed.issuer.asked(), [format!("{ISSUER}/.well-known/openid-configuration?v=2")], "not {url}");
}

/// Publishes this set before the first look, and says how a token of each algorithm fares.
async fn with_set(change: impl FnOnce(&mut Vec<Value>)) -> [bool; 3] {
    let bed = Bed::new();
    let mut set = bed.issuer.key_set();
    change(set["keys"].as_array_mut().unwrap());
    bed.issuer.publish(set);
    let mut good = [false; 3];
    for (place, alg) in ["ES256", "EdDSA", "RS256"].into_iter().enumerate() {
        good[place] = bed.verify(&bed.issuer.sign_as(alg, bed.claims("alice"))).await.is_ok();
    }
    good
}

#[tokio::test]
async fn an_odd_key_does_not_take_the_others_with_it() {
    for odd in [
        json!(7),
        json!({}),
        json!({ "kty": "oct", "k": "AAAA", "kid": "s" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AAAA", "kid": "x" }),
        json!({ "kty": "RSA", "kid": 5, "key_ops": "verify" }),
        json!({ "kty": "RSA", "n": "a+b/", "e": "AQAB" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AA" }),
    ] {
        assert_eq!(with_set(|keys| keys.insert(0, odd.clone())).await, [true; 3], "{odd}");
    }
}

#[tokio::test]
async fn a_key_that_says_it_is_for_something_else_is_not_used() {
    let all = |name: &str, value: Value| {
        let name = name.to_owned();
        move |keys: &mut Vec<Value>| keys.iter_mut().for_each(|key| key[&name] = value.clone())
    };
    assert_eq!(with_set(all("use", json!("enc"))).await, [false; 3]);
    assert_eq!(with_set(all("use", json!(null))).await, [false; 3]);
    assert_eq!(with_set(all("key_ops", json!(["encrypt"]))).await, [false; 3]);
    assert_eq!(with_set(all("key_ops", json!("verify"))).await, [false; 3]);
    assert_eq!(with_set(all("key_ops", json!(["verify"]))).await, [true; 3]);
    assert_eq!(with_set(all("alg", json!("RS256"))).await, [false, false, true]);
    assert_eq!(with_set(all("alg", json!("PS256"))).await, [false; 3], "not even within its family");
    assert_eq!(with_set(all("alg", json!("none"))).await, [false; 3]);
    assert_eq!(with_set(all("d", json!("AAAA"))).await, [false; 3], "its private part is known");
    assert_eq!(with_set(all("kid", json!("same"))).await, [false; 3]);
}

#[tokio::test]
async fn keys_that_cannot_be_told_apart_are_not_used() {
    let other = TestIssuer::new(ISSUER).key_set()["keys"][0].clone();
    for place in [0, 3] {
        assert_eq!(with_set(|keys| keys.insert(place, other.clone())).await, [false, true, true]);
    }
    // The very same key twice is one key.
    assert_eq!(with_set(|keys| keys.push(keys[0].clone())).await, [true; 3]);
    let padding =
        |count: usize| move |keys: &mut Vec<Value>| keys.extend((0..count).map(|i| json!({ "kty": "X", "kid": i })));
    assert_eq!(with_set(padding(61)).await, [true; 3]);
    assert_eq!(with_set(padding(62)).await, [false; 3], "65 keys are no honest set");
}

/// Some issuers of one key name it nowhere.
#[tokio::test]
async fn a_token_without_a_key_id_needs_a_set_without_a_choice() {
    let bed = Bed::new();
    let mut set = bed.issuer.key_set();
    let token = bed.issuer.sign_with(json!({ "alg": "ES256" }), bed.claims("alice"));
    set["keys"][0].as_object_mut().unwrap().remove("kid");
    bed.issuer.publish(set.clone());
    bed.verify(&token).await.unwrap();

    let bed = Bed::new();
    let mut second = TestIssuer::new(ISSUER).key_set()["keys"][0].clone();
    second["kid"] = json!("another");
    let mut set = bed.issuer.key_set();
    set["keys"].as_array_mut().unwrap().push(second);
    bed.issuer.publish(set);
    let token = bed.issuer.sign_with(json!({ "alg": "ES256" }), bed.claims("alice"));
    assert!(matches!(bed.refused(&token).await, Rejected::Key(_)));
}

#[tokio::test]
async fn an_unreadable_set_does_not_replace_a_good_one() {
    let bed = Bed::new();
    let token = lasting(&bed);
    bed.verify(&token).await.unwrap();
    bed.issuer.publish(json!({ "keys": "none" }));
    bed.clock.advance(11 * MINUTE);
    bed.verify(&token).await.unwrap();
    settle().await;
    bed.verify(&token).await.unwrap();
    // An empty one is readable: the provider says that no key counts.
    bed.issuer.publish(json!({ "keys": [] }));
    bed.clock.advance(11 * MINUTE);
    bed.verify(&token).await.unwrap();
    settle().await;
    assert!(matches!(bed.refused(&token).await, Rejected::Key(_)));
}
