//! What is read beside a component, for fuzzing.

use super::provenance::{Evidence, PublicKey, SLSA, State, Statement, simple_payload};
use super::{Provenance, Subject, Trust, TrustFile};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The key of RFC 8032 §7.1, test 2: anybody can sign with it, and in the seeds it signed one of each.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----\n";
/// Of Sigstore's public instance: it certifies many, and the trust file names none of them.
const ROOT: &str = include_str!("../../../tests/vectors/sigstore/public-good.json");
const COMPONENT: &[u8] = b"agent";
const MANIFEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let text = format!("trusted-root = \"r\"\n[[keys]]\nname = \"a\"\npublic-key = '''\n{KEY}'''\n");
    Trust::parse(&TrustFile { text, trusted_root: Some(ROOT.into()) }).expect("a trust file")
});

/// What counts of an envelope: a field that nobody knows may hold anything, even what is no text.
#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// The kind of evidence, and the evidence: it counts only where it says what was signed.
pub fn evidence(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let trust = &*TRUST;
    let subject = Subject { bytes: COMPONENT, manifest: Some(MANIFEST) };
    let from = "x".to_owned();
    let simple = simple_payload("r.example/agent", MANIFEST);
    let one = match kind {
        b'd' => Evidence::Detached { from, signature: rest.to_vec() },
        b's' => {
            let (signature, payload) = rest.split_at(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
            let payload = payload.get(1..).unwrap_or_default().to_vec();
            Evidence::Simple { from, payload, signature: String::from_utf8_lossy(signature).into_owned() }
        }
        b'b' => Evidence::Bundle { from, bytes: rest.to_vec() },
        _ => Evidence::Envelope { from, bytes: rest.to_vec() },
    };
    let found = Provenance::judge(subject, std::slice::from_ref(&one), trust);
    match &one {
        Evidence::Simple { payload, .. } if found.state == State::Verified => assert_eq!(*payload, simple),
        Evidence::Envelope { bytes, .. } if !found.attestations.is_empty() => {
            let Envelope { payload } = serde_json::from_slice(bytes).expect("it was read");
            let payload = STANDARD.decode(&payload).or_else(|_| URL_SAFE.decode(&payload)).expect("it was read");
            let sha256 = super::name_of(COMPONENT);
            let predicate = json!({ "runDetails": { "builder": { "id": "https://builder.example" } } });
            let signed = json!(Statement::new("agent.wasm", &sha256, SLSA, predicate));
            assert_eq!(serde_json::from_slice::<Value>(&payload).expect("it was read"), signed);
        }
        _ => {}
    }
    assert!(found.signers.iter().all(|signer| signer.name == "a"));
}

/// A trust file: one that is taken trusts somebody.
pub fn trust(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = PublicKey::from_pem(text);
    if let Ok(trust) = Trust::parse(&TrustFile::alone(text)) {
        assert!(!trust.is_empty());
    }
}
