//! What an authorizer lets in.

use crate::issuer::{TestIssuer, bearer, documents_of};
use crate::{AUDIENCE, Bed};
use attache::clock::{Clock, Timestamp};
use attache::identity::{Algorithm, Authorizer, ClaimRule, Condition, IssuerRule, Rejected, TokenType, Verifier};
use serde_json::{Value, json};

/// Whether a token with these claims more passes a rule; the reason if not.
async fn check(rule: impl FnOnce(&mut IssuerRule), more: Value) -> Result<(), Rejected> {
    let bed = Bed::new();
    let mut issuer_rule = IssuerRule::new(bed.issuer.issuer());
    rule(&mut issuer_rule);
    let authorizer = Authorizer::new("test", vec![issuer_rule]).unwrap();
    let mut claims = bed.claims("alice");
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    bed.verifier.verify(&bearer(&bed.issuer.sign(claims)), &authorizer).await.map(drop)
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    for (wanted, aud, expected) in [
        (&["a"][..], json!("a"), Ok(())),
        (&["a"], json!(["a"]), Ok(())),
        (&["a", "b"], json!("b"), Ok(())),
        (&["a"], json!("A"), Err(Rejected::Audience)),
        (&["a"], json!("a/"), Err(Rejected::Audience)),
        (&["a"], json!([]), Err(Rejected::Audience)),
        // For several audiences: any of them could use it here, so its client must be one we know.
        (&["a"], json!(["a", "other"]), Err(Rejected::Client("``".into()))),
    ] {
        let verdict = check(|rule| rule.audiences = texts(wanted), json!({ "aud": aud })).await;
        assert_eq!(verdict, expected, "{wanted:?} {aud}");
    }
    let both = |rule: &mut IssuerRule| (rule.audiences, rule.clients) = (texts(&["a"]), texts(&["app"]));
    assert_eq!(check(both, json!({ "aud": ["a", "other"], "azp": "app" })).await, Ok(()));
    let stranger = check(both, json!({ "aud": ["a", "other"], "azp": "stranger" })).await;
    assert_eq!(stranger, Err(Rejected::Client("`stranger`".into())));
}

#[tokio::test]
async fn a_token_of_another_client_is_refused() {
    for (claims, good) in [
        (json!({ "azp": "app" }), true),
        (json!({ "client_id": "app" }), true),
        (json!({ "cid": "app" }), true),
        (json!({ "azp": "app", "client_id": "app" }), true),
        (json!({ "azp": "other", "cid": "app" }), false),
        (json!({ "azp": "other" }), false),
        (json!({ "cid": 7 }), false),
        (json!({ "client": "app" }), false),
        (json!({ "azp": "" }), false),
        (json!({}), false),
    ] {
        let verdict = check(|rule| rule.clients = texts(&["app"]), claims.clone()).await;
        assert_eq!(verdict.is_ok(), good, "{claims}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_token_without_a_scope_of_ours_is_refused() {
    for (claims, good) in [
        (json!({ "scope": "openid agent" }), true),
        (json!({ "scope": " agent " }), true),
        (json!({ "scp": "openid agent" }), true),
        (json!({ "scp": ["openid", "agent"] }), true),
        (json!({ "scope": "", "scp": ["agent"] }), false),
        (json!({ "scope": "agents" }), false),
        (json!({ "scp": ["openid agent"] }), false),
        (json!({}), false),
    ] {
        let verdict = check(|rule| rule.scopes = texts(&["agent", "admin"]), claims.clone()).await;
        assert_eq!(verdict, if good { Ok(()) } else { Err(Rejected::Scope) }, "{claims}");
    }
    assert_eq!(Rejected::Scope.error_code(), "insufficient_scope");
}

#[tokio::test]
async fn claim_rules_hold_or_the_token_is_refused() {
    use Condition::{Contains, ContainsAny, Equals, Not};
    let token = json!({
        "tid": "t1", "level": 3, "verified": true, "groups": ["staff", "blue"], "one": "staff",
        "realm": { "roles": ["admin"], "deep": { "er": "x" } }, "https://example.com/org": "acme", "nothing": null,
    });
    let not = |condition| Not(Box::new(condition));
    for (path, condition, good) in [
        (&["tid"][..], Equals(json!("t1")), true),
        (&["tid"], Equals(json!("t2")), false),
        (&["level"], Equals(json!(3)), true),
        (&["level"], Equals(json!("3")), false),
        (&["verified"], Equals(json!(true)), true),
        (&["groups"], Equals(json!(["staff", "blue"])), true),
        (&["groups"], Contains(json!("staff")), true),
        (&["groups"], Contains(json!("sta")), false),
        (&["one"], Contains(json!("staff")), false),
        (&["groups"], ContainsAny(vec![json!("red"), json!("blue")]), true),
        (&["groups"], ContainsAny(vec![json!("red")]), false),
        (&["groups"], ContainsAny(vec![]), false),
        (&["realm", "roles"], Contains(json!("admin")), true),
        (&["realm", "deep", "er"], Equals(json!("x")), true),
        (&["realm", "deep", "er", "y"], Equals(json!("x")), false),
        (&["realm.roles"], Contains(json!("admin")), false),
        (&["https://example.com/org"], Equals(json!("acme")), true),
        (&["nothing"], Equals(json!(null)), true),
        (&["tid"], not(Equals(json!("t2"))), true),
        (&["tid"], not(Equals(json!("t1"))), false),
        (&["groups"], not(Contains(json!("contractors"))), true),
        (&["groups"], not(not(Contains(json!("staff")))), true),
        // What the token does not say admits nobody, however the rule is turned.
        (&["absent"], Equals(json!(null)), false),
        (&["absent"], not(Equals(json!("x"))), false),
        (&["realm", "absent"], not(Contains(json!("x"))), false),
    ] {
        let claim = ClaimRule { path: texts(path), condition: condition.clone() };
        let verdict = check(|rule| rule.claims = vec![claim], token.clone()).await;
        assert_eq!(verdict.is_ok(), good, "{path:?} {condition:?}: {verdict:?}");
        assert!(good || matches!(verdict, Err(Rejected::Claim(_))));
    }
}

#[tokio::test]
async fn every_rule_must_hold() {
    let rules = |rule: &mut IssuerRule| {
        (rule.audiences, rule.clients, rule.scopes) = (texts(&[AUDIENCE]), texts(&["app"]), texts(&["agent"]));
        rule.claims =
            ["a", "b"].map(|name| ClaimRule { path: texts(&[name]), condition: Condition::Equals(json!(1)) }).into();
    };
    let whole = json!({ "azp": "app", "scope": "agent", "a": 1, "b": 1 });
    assert_eq!(check(rules, whole.clone()).await, Ok(()));
    for name in ["azp", "scope", "a", "b"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(name);
        assert!(check(rules, less).await.is_err(), "without {name}");
    }
}

#[tokio::test]
async fn only_the_named_algorithms_and_types_are_accepted() {
    let bed = Bed::new();
    let mut rule = IssuerRule { audiences: texts(&[AUDIENCE]), ..IssuerRule::new(bed.issuer.issuer()) };
    (rule.algorithms, rule.token_types) = (vec![Algorithm::Es256], vec![TokenType::AccessToken]);
    let authorizer = Authorizer::new("test", vec![rule]).unwrap();
    let verify = async |alg: &str, typ: &str| {
        let header = json!({ "alg": alg, "typ": typ, "kid": bed.issuer.kid(alg) });
        let token = bed.issuer.sign_with(header, bed.claims("alice"));
        bed.verifier.verify(&bearer(&token), &authorizer).await.map(drop)
    };
    assert_eq!(verify("ES256", "at+jwt").await, Ok(()));
    assert!(matches!(verify("EdDSA", "at+jwt").await, Err(Rejected::Algorithm(_))));
    assert!(matches!(verify("ES256", "JWT").await, Err(Rejected::Type(_))));
}

#[tokio::test]
async fn rules_of_one_issuer_are_alternatives() {
    let bed = Bed::new();
    let rule = |client: &str| IssuerRule { clients: texts(&[client]), ..IssuerRule::new(bed.issuer.issuer()) };
    let authorizer = Authorizer::new("test", vec![rule("web"), rule("phone")]).unwrap();
    for (client, good) in [("web", true), ("phone", true), ("tv", false)] {
        let mut claims = bed.claims("alice");
        claims["azp"] = json!(client);
        let verdict = bed.verifier.verify(&bearer(&bed.issuer.sign(claims)), &authorizer).await;
        assert_eq!(verdict.is_ok(), good, "{client}");
    }
}

/// What one agent's authorizer admits counts for that agent alone, however often it was seen.
#[tokio::test]
async fn a_token_admitted_for_one_agent_is_not_admitted_for_another() {
    let bed = Bed::new();
    let token = bed.token("alice");
    bed.verify(&token).await.unwrap();
    let rule = IssuerRule { audiences: texts(&["elsewhere"]), ..IssuerRule::new(bed.issuer.issuer()) };
    // Even one of the same name: a configuration that was read again.
    let other = Authorizer::new(bed.authorizer.id(), vec![rule]).unwrap();
    assert_eq!(bed.verifier.verify(&bearer(&token), &other).await.map(drop), Err(Rejected::Audience));
}

#[tokio::test]
async fn the_same_subject_of_two_issuers_is_two_users() {
    let (one, two) = (TestIssuer::new("https://one.example.com"), TestIssuer::new("https://two.example.com"));
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    let verifier = Verifier::new(documents_of(&[&one, &two]), clock.clone());
    let rule = |issuer: &TestIssuer| IssuerRule { audiences: texts(&[AUDIENCE]), ..IssuerRule::new(issuer.issuer()) };
    let authorizer = Authorizer::new("test", vec![rule(&one), rule(&two)]).unwrap();
    let verify = async |signer: &TestIssuer, claimed: &TestIssuer| {
        let claims = claimed.claims("alice", AUDIENCE, clock.now());
        verifier.verify(&bearer(&signer.sign(claims)), &authorizer).await
    };
    let (alice_of_one, alice_of_two) = (verify(&one, &one).await.unwrap(), verify(&two, &two).await.unwrap());
    assert_ne!(alice_of_one.id(), alice_of_two.id());
    // Both name their key `ec-1`; neither signs for the other.
    assert_eq!(verify(&one, &two).await.map(drop), Err(Rejected::Signature));
    assert_eq!(verify(&two, &one).await.map(drop), Err(Rejected::Signature));

    let stranger = TestIssuer::new("https://three.example.com");
    assert!(matches!(verify(&stranger, &stranger).await, Err(Rejected::Issuer(_))));
    assert!(stranger.asked().is_empty(), "nothing is fetched for an issuer that nobody named");
}

#[test]
fn an_authorizer_that_admits_everybody_is_not_made() {
    let rule = |issuer: &str| IssuerRule {
        audiences: texts(&["a"]),
        ..IssuerRule::new(attache::ids::Issuer::parse(issuer).unwrap())
    };
    let good = "https://login.example.com/realm/";
    let bad = |rules: Vec<IssuerRule>, expected: &str| {
        let why = Authorizer::new("staff", rules).unwrap_err().0;
        assert!(why.contains("`staff`") && why.contains(expected), "{why}");
    };
    assert!(Authorizer::new("staff", vec![rule(good)]).is_ok());
    bad(vec![], "names no issuer");
    bad(vec![IssuerRule { audiences: vec![], ..rule(good) }], "there is no rule");
    bad(vec![rule(good), IssuerRule { audiences: vec![], ..rule("https://b.example.com") }], "there is no rule");
    bad(vec![IssuerRule { algorithms: vec![], ..rule(good) }], "no algorithm");
    bad(vec![IssuerRule { token_types: vec![], ..rule(good) }], "no token type");
    let pathless = ClaimRule { path: vec![], condition: Condition::Equals(json!(1)) };
    bad(vec![IssuerRule { claims: vec![pathless], ..rule(good) }], "has no path");
    bad(vec![rule("http://login.example.com")], "`https`");
    bad(vec![rule("login.example.com")], "is no address");
    bad(vec![rule("ftp://login.example.com")], "`https`");
    bad(vec![rule("https://user:pw@login.example.com")], "`https`");
    assert!(Authorizer::new("staff", vec![rule("http://127.0.0.1:8080")]).is_ok());
    assert!(Authorizer::new("staff", vec![rule("http://localhost:8080")]).is_ok());
    // A good issuer does not lead to plain loopback.
    let inward = Some("http://127.0.0.1/metadata".parse().unwrap());
    bad(vec![IssuerRule { discovery_url: inward, ..rule(good) }], "`https`");
    let elsewhere = Some("https://elsewhere.example.com/metadata".parse().unwrap());
    bad(vec![rule(good), IssuerRule { discovery_url: elsewhere, ..rule(good) }], "different discovery URLs");
}
