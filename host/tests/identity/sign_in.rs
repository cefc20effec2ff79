//! The ID token that answers the host's own sign-in (OIDC Core §3.1.3.7).

use crate::Bed;
use attache::identity::{Algorithm, Rejected, RelyingParty};
use attache::ids::Issuer;
use attache::secret::Secret;
use serde_json::{Value, json};

const CLIENT: &str = "attache";
const NONCE: &str = "n-0S6_WzA2Mj";

fn party(bed: &Bed) -> RelyingParty {
    RelyingParty {
        issuer: bed.issuer.issuer(),
        discovery_url: None,
        algorithms: Algorithm::ALL.to_vec(),
        client_id: CLIENT.into(),
    }
}

async fn check(bed: &Bed, header: Option<Value>, change: impl FnOnce(&mut Value)) -> Result<(), Rejected> {
    let mut claims = bed.issuer.claims("alice", CLIENT, bed.clock.now());
    claims["nonce"] = json!(NONCE);
    change(&mut claims);
    let token = match header {
        Some(header) => bed.issuer.sign_with(header, claims),
        None => bed.issuer.sign(claims),
    };
    let token = Secret::from_text(token);
    bed.verifier.verify_sign_in(&token, &party(bed), NONCE).await.map(|user| {
        assert_eq!(user.id().subject.as_str(), "alice");
    })
}

#[tokio::test]
async fn an_answer_to_this_sign_in_is_a_user() {
    let bed = Bed::new();
    assert_eq!(check(&bed, None, |_| {}).await, Ok(()));
    assert_eq!(check(&bed, None, |claims| claims["azp"] = json!(CLIENT)).await, Ok(()));
    assert_eq!(check(&bed, None, |claims| claims["aud"] = json!([CLIENT])).await, Ok(()));
}

#[tokio::test]
async fn an_answer_that_is_for_others_besides_is_refused() {
    let bed = Bed::new();
    let several = |claims: &mut Value| (claims["aud"], claims["azp"]) = (json!([CLIENT, "other"]), json!(CLIENT));
    assert!(matches!(check(&bed, None, several).await, Err(Rejected::SignIn(why)) if why.contains("others")));
}

#[tokio::test]
async fn an_answer_is_signed_as_the_operator_said() {
    let bed = Bed::new();
    let mut claims = bed.issuer.claims("alice", CLIENT, bed.clock.now());
    claims["nonce"] = json!(NONCE);
    for (algorithm, good) in [(Algorithm::Es256, true), (Algorithm::EdDsa, false), (Algorithm::Rs256, false)] {
        let token = Secret::from_text(bed.issuer.sign_as(algorithm.as_str(), claims.clone()));
        let party = RelyingParty { algorithms: vec![Algorithm::Es256], ..party(&bed) };
        let verdict = bed.verifier.verify_sign_in(&token, &party, NONCE).await;
        assert_eq!(verdict.is_ok(), good, "{algorithm}");
        assert!(good || matches!(verdict, Err(Rejected::Algorithm(_))), "{algorithm}");
    }
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused() {
    let bed = Bed::new();
    let now = bed.clock.now().secs();
    for (name, value) in [
        ("iss", json!("https://login.example.com/")),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!([CLIENT, "other"])),
        ("azp", json!("other")),
        ("nonce", json!("other")),
        ("nonce", json!("")),
        ("nonce", json!(7)),
        ("nonce", json!(format!("{NONCE}x"))),
        ("exp", json!(now - 30)),
        ("iat", json!(now + 31)),
        ("nbf", json!(now + 31)),
    ] {
        let verdict = check(&bed, None, |claims| claims[name] = value.clone()).await;
        assert!(verdict.is_err(), "{name} {value}");
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        let verdict = check(&bed, None, |claims| drop(claims.as_object_mut().unwrap().remove(name))).await;
        assert!(verdict.is_err(), "without {name}");
    }
    let header = json!({ "alg": "ES256", "kid": bed.issuer.kid("ES256"), "typ": "at+jwt" });
    assert!(matches!(check(&bed, Some(header), |_| {}).await, Err(Rejected::Type(_))));
}

#[tokio::test]
async fn a_sign_in_without_a_nonce_of_ours_is_refused() {
    let bed = Bed::new();
    let mut claims = bed.issuer.claims("alice", CLIENT, bed.clock.now());
    claims["nonce"] = json!("");
    let token = Secret::from_text(bed.issuer.sign(claims));
    let verdict = bed.verifier.verify_sign_in(&token, &party(&bed), "").await;
    assert!(matches!(verdict, Err(Rejected::SignIn(_))));
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    let bed = Bed::new();
    let token = Secret::from_text(bed.issuer.sign(bed.claims("alice")));
    let other = RelyingParty { issuer: Issuer::parse("https://other.example.com").unwrap(), ..party(&bed) };
    let verdict = bed.verifier.verify_sign_in(&token, &other, NONCE).await;
    assert!(matches!(verdict, Err(Rejected::Issuer(_))));
}
