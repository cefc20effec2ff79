//! Keys in a PKCS #11 token, in SoftHSM 2 (Debian: `softhsm2`).
//!
//! SoftHSM reads where its tokens are from the environment, so each test makes a folder and runs itself once more in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use attache::jose::{KeyError, SigningAlgorithm, SigningKey, TokenKey};
use attache::secret::Secret;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const FOLDER: &str = "ATTACHE_TEST_TOKEN_FOLDER";

/// Debian's place for it, on every architecture.
fn module() -> PathBuf {
    "/usr/lib/softhsm/libsofthsm2.so".into()
}

/// The folder, where this is the second run; the first makes it, starts the second and is done.
fn in_a_token(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(folder.into());
    }
    if !module().exists() {
        eprintln!("SKIPPED: there is no SoftHSM; install it (`apt-get install softhsm2`) and run this again");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    let tool = |arguments: &[&str]| {
        let made = Command::new("softhsm2-util").args(arguments).env("SOFTHSM2_CONF", &configuration).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    tool(&["--init-token", "--free", "--label", "attache", "--so-pin", "123456", "--pin", "1234"]);
    let keys = [("rsa", SigningAlgorithm::Rs256), ("p256", SigningAlgorithm::Es256), ("p384", SigningAlgorithm::Es384)];
    for (id, (label, algorithm)) in keys.into_iter().enumerate() {
        let key = SigningKey::generate(algorithm).unwrap();
        let file = folder.path().join(label);
        std::fs::write(&file, key.to_pem().unwrap().expose()).unwrap();
        std::fs::write(folder.path().join(format!("{label}.thumbprint")), key.thumbprint()).unwrap();
        let (file, id) = (file.display().to_string(), format!("0{id}"));
        tool(&["--import", &file, "--token", "attache", "--label", label, "--id", &id, "--pin", "1234"]);
    }
    let again = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("SOFTHSM2_CONF", &configuration)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(
        again.status.success() && String::from_utf8_lossy(&again.stdout).contains("1 passed"),
        "{}{}",
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&again.stderr)
    );
    None
}

fn at(token: &str, key: &str, pin: &str) -> TokenKey {
    let pin = Arc::new(Secret::from_text(pin.into()));
    TokenKey { module: module(), token: token.into(), key: key.into(), pin }
}

/// Checks a token with nothing but the public key.
fn verifies(token: &Secret, jwk: &Value) -> bool {
    let (signed, signature) = token.expose_text().unwrap().rsplit_once('.').unwrap();
    let (signed, signature) = (signed.as_bytes(), URL_SAFE_NO_PAD.decode(signature).unwrap());
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = || [vec![4], bytes("x"), bytes("y")].concat();
    let rsa = || RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
    match jwk["alg"].as_str().unwrap() {
        "RS256" => rsa().verify(&RSA_PKCS1_2048_8192_SHA256, signed, &signature).is_ok(),
        "PS256" => rsa().verify(&RSA_PSS_2048_8192_SHA256, signed, &signature).is_ok(),
        "ES256" => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(signed, &signature).is_ok(),
        _ => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(signed, &signature).is_ok(),
    }
}

fn thumbprint(folder: &Path, label: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{label}.thumbprint"))).unwrap()
}

#[test]
fn a_key_in_a_token_signs_and_stays_there() {
    let Some(folder) = in_a_token("a_key_in_a_token_signs_and_stays_there") else { return };
    for (label, algorithm) in [
        ("rsa", SigningAlgorithm::Rs256),
        ("rsa", SigningAlgorithm::Ps256),
        ("p256", SigningAlgorithm::Es256),
        ("p384", SigningAlgorithm::Es384),
    ] {
        let key = SigningKey::in_token(at("attache", label, "1234"), Some(algorithm), None).unwrap();
        assert_eq!((key.alg(), key.kid()), (algorithm, &*thumbprint(&folder, label)));
        let claims = Map::from_iter([("sub".to_owned(), Value::from("me"))]);
        let (one, two) =
            (key.sign_jws("JWT", &Map::new(), &claims).unwrap(), key.sign_jws("JWT", &Map::new(), &claims).unwrap());
        assert!(verifies(&one, &key.public_jwk()) && verifies(&two, &key.public_jwk()), "{algorithm}");
        assert!(matches!(key.to_pem(), Err(KeyError::Stays)));
    }
}

#[test]
fn a_token_that_cannot_be_used_says_why_and_never_its_pin() {
    let Some(_) = in_a_token("a_token_that_cannot_be_used_says_why_and_never_its_pin") else { return };
    let check = |at: TokenKey, algorithm: Option<SigningAlgorithm>, expect: &str| {
        let said = SigningKey::in_token(at, algorithm, None).err().unwrap().to_string();
        assert!(said.contains(expect) && !said.contains("hunter2"), "{said}");
    };
    check(at("attache", "rsa", "hunter2"), None, "the token `attache` does not take the PIN: PinIncorrect");
    check(at("other", "rsa", "1234"), None, "the token `other` is not there; compare its label with `token`");
    check(at("attache", "other", "1234"), None, "has no private key `other`; compare its label with `key`");
    check(at("attache", "rsa", "1234"), Some(SigningAlgorithm::Es256), "it signs with `RS256` or `PS256`");
    let nowhere = TokenKey { module: "/nowhere/module.so".into(), ..at("attache", "rsa", "1234") };
    check(nowhere, None, "the PKCS #11 module `/nowhere/module.so` cannot be used");
}
