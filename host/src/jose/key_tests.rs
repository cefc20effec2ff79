use super::super::SignError;
use super::*;
use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, json};
use std::sync::LazyLock;

/// One for all tests: it takes its time.
static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Rs256).unwrap());

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn read(pem: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(&Secret::from_text(pem.to_owned()), None, None)
}

fn text(key: &SigningKey) -> String {
    key.to_pem().unwrap().expose_text().unwrap().to_owned()
}

fn every_key() -> Vec<SigningKey> {
    let of_rsa = |algorithm| SigningKey::from_pem(&RSA.to_pem().unwrap(), Some(algorithm), None).unwrap();
    let mut keys = vec![of_rsa(SigningAlgorithm::Rs256), of_rsa(SigningAlgorithm::Ps256)];
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::EdDsa] {
        keys.push(SigningKey::generate(algorithm).unwrap());
    }
    keys
}

/// Verifies with nothing but the JWK, and gives back the header and the claims.
fn open(token: &Secret, jwk: &Value) -> Option<(Value, Value)> {
    let token = token.expose_text().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = || [vec![4], bytes("x"), bytes("y")].concat();
    let good = match jwk["alg"].as_str().unwrap() {
        "RS256" => RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .is_ok(),
        "PS256" => RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") }
            .verify(&RSA_PSS_2048_8192_SHA256, signed.as_bytes(), &signature)
            .is_ok(),
        "ES256" => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(signed.as_bytes(), &signature).is_ok()
        }
        "ES384" => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(signed.as_bytes(), &signature).is_ok()
        }
        "EdDSA" => UnparsedPublicKey::new(&ED25519, bytes("x")).verify(signed.as_bytes(), &signature).is_ok(),
        other => panic!("{other}"),
    };
    let (header, payload) = signed.split_once('.').unwrap();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    good.then(|| (json(header), json(payload)))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn sign(key: &SigningKey, extra: Value) -> Result<Secret, SignError> {
    key.sign_jws("JWT", &object(extra), &object(json!({ "sub": "me", "n": [1, "é"] })))
}

#[test]
fn what_each_algorithm_signs_its_jwk_verifies_and_no_other_does() {
    let keys = every_key();
    let strangers = every_key();
    for (key, stranger) in keys.iter().zip(&strangers) {
        let token = sign(key, json!({})).unwrap();
        let (header, claims) = open(&token, &key.public_jwk()).unwrap();
        assert_eq!(header, json!({ "alg": key.alg().as_str(), "typ": "JWT", "kid": key.kid() }));
        assert_eq!(claims, json!({ "sub": "me", "n": [1, "é"] }));
        if key.kid() != stranger.kid() {
            assert!(open(&token, &stranger.public_jwk()).is_none(), "{}", key.alg());
        }
    }
}

#[test]
fn a_jwk_shows_the_public_half_alone() {
    for key in every_key() {
        let jwk = object(key.public_jwk());
        let names: Vec<&str> = jwk.keys().map(String::as_str).collect();
        let expect: &[&str] = match jwk["kty"].as_str().unwrap() {
            "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "crv", "kid", "kty", "use", "x"],
        };
        assert_eq!(names, expect);
        assert_eq!(jwk["kid"], key.thumbprint());
    }
}

#[test]
fn a_key_that_was_kept_is_the_same_key() {
    for key in every_key() {
        let again = SigningKey::from_pem(&key.to_pem().unwrap(), Some(key.alg()), Some("named".into())).unwrap();
        assert_eq!((again.alg(), again.kid(), again.thumbprint()), (key.alg(), "named", key.thumbprint()));
        assert!(open(&sign(&again, json!({})).unwrap(), &key.public_jwk()).is_some());
        assert!(text(&key).lines().all(|line| line.len() <= 64));
    }
}

#[test]
fn a_header_names_the_key_once_and_its_algorithm_truly() {
    let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    let header = |extra| open(&sign(&key, extra).unwrap(), &key.public_jwk()).unwrap().0;
    assert_eq!(
        header(json!({ "alg": "none", "typ": "x", "x5t": "y" })),
        json!({
            "alg": "EdDSA", "typ": "JWT", "kid": key.kid(), "x5t": "y"
        })
    );
    assert_eq!(header(json!({ "kid": "mine" }))["kid"], "mine");
    assert_eq!(header(json!({ "jwk": {} })), json!({ "alg": "EdDSA", "typ": "JWT", "jwk": {} }));
}

/// RFC 8037 appendix A.4; Ed25519 has one signature per message.
#[test]
fn the_signature_of_rfc_8037() {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pkcs8 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &seed].concat();
    let key = read(&pem("PRIVATE KEY", &pkcs8)).unwrap();
    assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn keys_in_their_kinds_own_form_are_read() {
    // A PKCS#8 document of a 2048-bit key is a PKCS#1 document behind 26 bytes (RFC 5958 §2, RFC 8017 appendix A.1.2).
    let Pair::Rsa(pair) = &RSA.pair else { panic!() };
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    assert_eq!(read(&pem("RSA PRIVATE KEY", &der.as_ref()[26..])).unwrap().kid(), RSA.kid());

    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384] {
        let key = SigningKey::generate(algorithm).unwrap();
        let Pair::Elliptic(pair) = &key.pair else { panic!() };
        let der: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
        let again = read(&pem("EC PRIVATE KEY", der.as_ref())).unwrap();
        assert_eq!((again.alg(), again.kid()), (algorithm, key.kid()));
    }
}

#[test]
fn an_rsa_key_signs_by_rs256_unless_told_otherwise_and_no_key_by_anothers() {
    assert_eq!(read(&text(&RSA)).unwrap().alg(), SigningAlgorithm::Rs256);
    let refused = |key: &SigningKey, wanted| {
        SigningKey::from_pem(&key.to_pem().unwrap(), Some(wanted), None).err().unwrap().to_string()
    };
    let elliptic = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    assert_eq!(
        refused(&RSA, SigningAlgorithm::Es256),
        "its key does not sign with `ES256`; it signs with `RS256` or `PS256`"
    );
    assert_eq!(
        refused(&elliptic, SigningAlgorithm::Es384),
        "its key does not sign with `ES384`; it signs with `ES256`"
    );
}

#[test]
fn what_is_no_key_is_refused_without_being_repeated() {
    let good = text(&SigningKey::generate(SigningAlgorithm::Es256).unwrap());
    let check = |pem: &str, expect: &KeyError| {
        let error = read(pem).err().unwrap();
        assert_eq!(error, *expect, "{pem}");
    };
    for none in ["", "hunter2", &good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), &good[..100]] {
        check(none, &KeyError::NoKey);
    }
    check(&format!("{good}{good}"), &KeyError::Several);
    check(&pem("PRIVATE KEY", b"hunter2"), &KeyError::Unknown);
    check(&pem("RSA PRIVATE KEY", b"hunter2"), &KeyError::Unknown);
    check(&pem("EC PRIVATE KEY", b"hunter2"), &KeyError::Unknown);
    check(SHORT, &KeyError::Unknown);
    assert!(read(&format!("{}{good}", pem("CERTIFICATE", b"beside it"))).is_ok());
}

/// 1024 bits, made for this test.
const SHORT: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXgIBAAKBgQCrG3IZFAftY7IuBXWnEoJhYRzA5GT36fKK5v8WNvsJey34QQ/2
cP3G5SHAA2WZcBC3TsmVWAIG1x5cwzc2G68dfBEWRcXlMzhTrSQg5tbRYJoqFB+0
NaZ5LYg8bDzGvPwOu29aqAQEjV0xLxof7qmRiXoavE74Tz7DVrLr86Gf8wIDAQAB
AoGBAKGgkUyjIUHaVKsoORSSZVo684A5vi54bMVMolSHpuYz1x6TxtJRtUa1lgXc
r5Iay497+ur5cSCo/2M8e+C+kdBKhEIPtPaQnTCELQSv2r35v6fsp3W3WB5pi8H2
/hiimcUDcJNbrHVSsHrFnCtXfUtQd99y5WJrEFSnLsUHgFwRAkEA2OtjxgHhw2Hf
4Pp9ICw296rHa44JnVp/FHVDA3OiOokkH1US5QJRaMFOdVGt5JCwCWYK7hgwQRY/
OAwM8kaGbwJBAMnvIjoQp+7CaHHRBmIB29YsvPKG/M0np0kooPO9aH21SiWUDasB
kDYkt3yTnf/F2VR2aoXI7QXmrunyF2SloL0CQQCxnjUJansRQDBQiOsyD+JGc/ls
sVZgGTzbZJUl22ZoJemFGmUpTfeZHkf/Oo14DZ2HZJ3ojbfdY7kKTJvBOkxTAkAU
5mI1fknTRV3IAelWNXkKVsELnPsHRMZkpQbbk0wATsYo04UCoPvLDsvK4gBlW5Xd
zw/BXwVhKfoKjprrONVFAkEApBF80kTRMPiz6rH3k6QqHevgaBF8G4gY9yufV0Fk
8Rv1hcEZm4thHwWjjvtfw9ygICw1W9e/4+bMbRywi+iQVw==
-----END RSA PRIVATE KEY-----
";
