//! The Wycheproof vectors for JWS and JWK against the path that every token takes, below its claims: taken apart, its
//! header checked, its key found in the set, its signature verified.

use super::Rejected;
use super::key::KeySet;
use super::precheck::Compact;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Valid vectors that we refuse on purpose.
const REFUSED_ON_PURPOSE: [(u64, &str); 4] = [
    (346, "the key says PS256 and the token PS384"),
    (347, "the token is signed with ES512 on P-521, which we do not do, and the key says `ES521`, which nobody does"),
    (350, "the key says PS256 and the token PS384"),
    (351, "the token is signed with ES512 on P-521, which we do not do, and the key says `ES521`, which nobody does"),
];
/// Labelled invalid, but byte for byte the valid tc357: there is nothing in them to refuse.
const MISLABELLED_INVALID: [u64; 2] = [367, 370];
/// Labelled valid, but with a `?` within header or payload, which is no base64url (RFC 7515 §2).
const MISLABELLED_VALID: [u64; 2] = [372, 373];

struct Vector {
    id: u64,
    valid: bool,
    jws: String,
    /// The group's key or key set, public where there is a public one.
    key: Value,
}

fn vectors(file: &str) -> Vec<Vector> {
    let file: Value = serde_json::from_str(file).unwrap();
    let mut vectors = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            vectors.push(Vector {
                id: test["tcId"].as_u64().unwrap(),
                valid: test["result"] == "valid",
                jws: test["jws"].as_str().unwrap().to_owned(),
                key: key.clone(),
            });
        }
    }
    assert_eq!(file["numberOfTests"].as_u64().unwrap(), vectors.len() as u64);
    vectors
}

fn signatures() -> Vec<Vector> {
    vectors(include_str!("../../../tests/vectors/wycheproof/json_web_signature_test.json"))
}

/// What every token goes through.
fn accept(jws: &str, set: &Value) -> Result<(), Rejected> {
    let token = Compact::split(jws.as_bytes())?;
    let header = token.header()?;
    let set = KeySet::parse(set.to_string().as_bytes()).map_err(Rejected::Unavailable)?;
    set.find(header.kid.as_deref(), header.algorithm)?.check(&token, header.algorithm)
}

#[test]
fn no_truly_invalid_signature_is_accepted() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in signatures() {
        let symmetric = vector.key["kty"] == "oct";
        let on_purpose = REFUSED_ON_PURPOSE.iter().any(|(id, _)| *id == vector.id);
        let verdict = accept(&vector.jws, &json!({ "keys": [vector.key] }));
        assert_eq!(verdict.is_ok(), vector.valid && !symmetric && !on_purpose, "tc{}: {verdict:?}", vector.id);
        if verdict.is_ok() { accepted += 1 } else { refused += 1 }
    }
    assert_eq!((accepted, refused), (32, 369));
}

/// No path of ours takes HMAC. So that these vectors test our reading of base64url and JSON all the same, the MAC is
/// checked here, beside it.
#[test]
fn a_token_has_one_spelling() {
    let mut accepted = Vec::new();
    for vector in signatures().into_iter().filter(|vector| vector.key["kty"] == "oct") {
        let good = spelled_well_and_authentic(&vector);
        let expected =
            (vector.valid || MISLABELLED_INVALID.contains(&vector.id)) && !MISLABELLED_VALID.contains(&vector.id);
        assert_eq!(good, expected, "tc{}", vector.id);
        if good {
            accepted.push(vector.id);
        }
    }
    assert_eq!(accepted, [1, 348, 352, 357, 358, 359, 367, 370, 376, 377]);
}

fn spelled_well_and_authentic(vector: &Vector) -> bool {
    let Ok(token) = Compact::split(vector.jws.as_bytes()) else { return false };
    // The header is read up to its algorithm, and that is HS256.
    let hs256 = matches!(token.header(), Err(Rejected::Algorithm(name)) if name == "`HS256`");
    let key = URL_SAFE_NO_PAD.decode(vector.key["k"].as_str().unwrap()).unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let mac = URL_SAFE_NO_PAD.decode(token.signature).unwrap();
    hs256 && aws_lc_rs::hmac::verify(&key, token.signed.as_bytes(), &mac).is_ok()
}

#[test]
fn the_mislabelled_vectors_are_what_we_say_they_are() {
    let all = signatures();
    let jws = |id: u64| all.iter().find(|vector| vector.id == id).unwrap().jws.as_str();
    for id in MISLABELLED_INVALID {
        assert_eq!(jws(id), jws(357), "tc{id}");
    }
    for id in MISLABELLED_VALID {
        assert!(jws(id).contains('?'), "tc{id}");
    }
}

/// Weak, mistyped, misused and ambiguous keys: none of them verifies anything.
#[test]
fn no_unfit_key_verifies() {
    let all = vectors(include_str!("../../../tests/vectors/wycheproof/json_web_key_test.json"));
    let accepted: Vec<u64> =
        all.iter().filter(|vector| accept(&vector.jws, &vector.key).is_ok()).map(|vector| vector.id).collect();
    // The other four that are labelled valid are HMAC keys: tc2, 13, 14 and 15.
    assert_eq!(accepted, [5]);
}

/// Each key above is refused for its own fault, not by the signature that happens to go with it.
#[test]
fn unfit_keys_are_not_even_in_the_set() {
    let all = vectors(include_str!("../../../tests/vectors/wycheproof/json_web_key_test.json"));
    for vector in all.iter().filter(|vector| !vector.valid && vector.id > 4) {
        let set = KeySet::parse(vector.key.to_string().as_bytes()).unwrap();
        assert_eq!(set.len(), 0, "tc{}", vector.id);
    }
}
