//! Tokens and key sets of strangers, for fuzzing.

use super::key::KeySet;
use super::precheck::{Claims, Compact, MAX_KID_BYTES, MAX_TOKEN_BYTES};
use super::{Algorithm, strict};
use serde_json::Value;

/// A token: what is taken apart is what was sent, and its header asks for nothing that is not understood.
pub fn token(bytes: &[u8]) {
    let Ok(token) = Compact::split(bytes) else { return };
    assert!(bytes.len() <= MAX_TOKEN_BYTES);
    assert_eq!(format!("{}.{}", token.signed, token.signature).as_bytes(), bytes);
    assert_eq!(token.signed.matches('.').count(), 1, "three parts");
    if let Ok(header) = token.header() {
        assert!(header.kid.is_none_or(|kid| kid.len() <= MAX_KID_BYTES));
        let sent = token.signed.split('.').next().unwrap_or_default();
        let sent = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, sent);
        // A second reader sees the same algorithm, and no member that we do not understand.
        let seen: Value = serde_json::from_slice(&sent.unwrap_or_default()).expect("what we read, others can read");
        assert_eq!(seen["alg"].as_str().map(Algorithm::parse), Some(Ok(header.algorithm)));
        assert!(["crit", "zip", "enc", "b64", "cty"].iter().all(|name| seen.get(name).is_none()));
    }
    claims(&token.payload);
}

/// A payload: where there are claims, another reader of JSON sees the same, of the types that the standard gives them.
pub fn claims(payload: &[u8]) {
    let Ok(claims) = Claims::parse(payload) else { return };
    let seen: Value = serde_json::from_slice(payload).expect("what we read, others can read");
    assert_eq!(seen["iss"].as_str(), Some(claims.issuer.as_str()));
    assert_eq!(seen["sub"].as_str(), Some(claims.subject.as_str()));
    assert!(seen["exp"].is_number());
    assert!(!claims.subject.as_str().is_empty() && claims.subject.as_str().len() <= 255);
    assert_eq!(claims.all.len(), seen.as_object().map_or(0, serde_json::Map::len));
    let names: Vec<_> = ["azp", "client_id"].iter().filter_map(|name| seen.get(name)).collect();
    assert!(names.iter().all(|name| name.as_str() == claims.client.as_deref()));
}

/// A key set: a second reading finds the same keys, and no key is found by two names.
pub fn keys(bytes: &[u8]) {
    let Ok(set) = KeySet::parse(bytes) else { return };
    let listed = strict::object(bytes).expect("it was read before")["keys"].as_array().map_or(0, Vec::len);
    assert!(set.len() <= listed && listed <= 64);
    assert!(set.is(&KeySet::parse(bytes).expect("it was read before")));
    for algorithm in Algorithm::ALL {
        let _none_or_one = set.find(None, algorithm);
        let _unknown = set.find(Some("a key that nobody has"), algorithm);
    }
}
