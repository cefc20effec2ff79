use super::super::nonces::NONCE;
use super::*;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::json;
use std::time::Duration;

fn read(proof: &str) -> (Value, Value) {
    let mut parts = proof.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let (header, claims, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let header: Value = serde_json::from_slice(&header).unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = proof.rsplit_once('.').unwrap().0;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
    (header, serde_json::from_slice(&claims).unwrap())
}

fn prover() -> (DpopProver, Clock) {
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    (DpopProver::new(Arc::new(DpopKey::generate().unwrap()), Arc::default(), clock.clone()), clock)
}

fn prove(prover: &DpopProver, uri: &str, token: Option<&str>) -> (Value, Value) {
    let token = token.map(|token| Secret::from_text(token.into()));
    let value = prover.header(&Method::POST, &uri.parse().unwrap(), token.as_ref()).unwrap();
    assert!(value.is_sensitive());
    read(value.to_str().unwrap())
}

#[test]
fn a_proof_is_for_one_request_and_shows_the_public_key_alone() {
    let (prover, _) = prover();
    let (header, claims) = prove(&prover, "https://server.example.com/token", None);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&header), ["alg", "jwk", "typ"]);
    assert_eq!(names(&header["jwk"]), ["crv", "kty", "x", "y"]);
    assert_eq!(names(&claims), ["htm", "htu", "iat", "jti"]);
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["htu"], "https://server.example.com/token");
    assert_eq!(claims["iat"], 1_800_000_000_u64);
    let (_, again) = prove(&prover, "https://server.example.com/token", None);
    assert_ne!(claims["jti"], again["jti"]);
}

/// RFC 9449 §7.1's token and its hash.
#[test]
fn the_token_hash_of_rfc_9449() {
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let (_, claims) = prove(&prover().0, "https://resource.example.org/protectedresource", Some(token));
    assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

#[test]
fn the_target_is_normal_and_has_no_query() {
    for (uri, expect) in [
        ("https://API.example.com/a/b?secret=1", "https://api.example.com/a/b"),
        ("https://api.example.com:443/a", "https://api.example.com/a"),
        ("https://api.example.com:8443/a", "https://api.example.com:8443/a"),
        ("http://127.0.0.1:80/", "http://127.0.0.1/"),
        ("https://api.example.com", "https://api.example.com/"),
        ("https://[::1]:9/a%2Fb", "https://[::1]:9/a%2Fb"),
    ] {
        assert_eq!(target(&uri.parse().unwrap()), expect);
    }
}

#[test]
fn a_nonce_is_in_the_next_proof_for_that_server_and_for_no_other() {
    let (prover, _) = prover();
    let said = HeaderMap::from_iter([(NONCE, "eyJ7S_zG.eyJH0-Z.HX4w-7v".parse().unwrap())]);
    assert!(prover.remember(&"https://server.example.com/token".parse().unwrap(), false, &said));
    let nonce = |uri, token| prove(&prover, uri, token).1.get("nonce").cloned();
    assert_eq!(nonce("https://server.example.com/other", None), Some("eyJ7S_zG.eyJH0-Z.HX4w-7v".into()));
    assert_eq!(nonce("https://server.example.com/api", Some("token")), None);
    assert_eq!(nonce("https://other.example.com/token", None), None);
}

#[test]
fn a_key_that_was_sealed_is_the_same_key() {
    let key = DpopKey::generate().unwrap();
    let again = DpopKey::from_secret(&key.to_secret().unwrap()).unwrap();
    assert_eq!(key.jkt(), again.jkt());
    assert_ne!(key.jkt(), DpopKey::generate().unwrap().jkt());
    let other = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap().to_pem().unwrap();
    assert!(DpopKey::from_secret(&other).is_err());
    assert!(DpopKey::from_secret(&Secret::from_text("junk".into())).is_err());
}

#[test]
fn a_proof_is_as_old_as_the_clock_says() {
    let (prover, clock) = prover();
    clock.advance(Duration::from_secs(7));
    assert_eq!(prove(&prover, "https://a.example/", None).1["iat"], 1_800_000_007_u64);
}
