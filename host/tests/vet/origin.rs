//! Who made it and what it was made of: what a policy can want of signatures, builders and packages.

use crate::agents::{errors, of, plain, with_section};
use attache::vet::{
    Advisories, Evidence, Policy, Report, SLSA, SigningKey, Statement, Submission, Trust, TrustFile, VET_REPORT, judge,
    vet,
};
use serde_json::json;
use std::path::Path;

fn policy(signatures: &str) -> Policy {
    let (_, text) = attache::vet::PROFILES[0];
    Policy::parse(&format!("{text}\n[signatures]\n{signatures}")).unwrap()
}

fn judged(bytes: &[u8], evidence: &[Evidence], trust: &Trust, policy: &Policy) -> Report {
    let submission =
        Submission { file: "agent.wasm", bytes, before: None, manifest: None, evidence, trust, advisories: None };
    judge(&submission, policy)
}

/// Two keys, and a trust file that has both.
fn keys() -> ([SigningKey; 2], Trust) {
    let keys = [(); 2].map(|()| SigningKey::generate().unwrap());
    let entry = |name: &str, key: &SigningKey| {
        format!("[[keys]]\nname = {name:?}\npublic-key = '''\n{}'''\n", key.public_pem().unwrap())
    };
    let trust = Trust::parse(&TrustFile::alone(entry("acme", &keys[0]) + &entry("builder", &keys[1]))).unwrap();
    (keys, trust)
}

fn signature(key: &SigningKey, bytes: &[u8]) -> Evidence {
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::STANDARD.encode(key.sign(bytes)).into_bytes();
    Evidence::Detached { from: "agent.wasm.sig".into(), signature }
}

fn built_by(key: &SigningKey, bytes: &[u8], builder: &str, kind: &str) -> Evidence {
    let digest = attache::ids::Digest::of(bytes).to_string();
    let predicate = json!({ "runDetails": { "builder": { "id": builder } } });
    let bytes = Statement::new("agent.wasm", &digest, kind, predicate).signed(key);
    Evidence::Envelope { from: "agent.wasm.intoto.jsonl".into(), bytes }
}

#[test]
fn a_policy_names_who_must_have_signed_it() {
    let (bytes, ([acme, builder], trust)) = (plain(), keys());
    let (any, one) = (policy("required = true"), policy("required = true\nsigners = [\"acme\"]"));
    assert_eq!(errors(&judged(&bytes, &[], &trust, &any)), ["signature-missing"]);
    for (key, policy, wanted) in
        [(&acme, &any, true), (&builder, &any, true), (&acme, &one, true), (&builder, &one, false)]
    {
        let report = judged(&bytes, &[signature(key, &bytes)], &trust, policy);
        assert_eq!(errors(&report).is_empty(), wanted, "{:?}", report.findings);
    }
    // An attestation is no signature of whoever publishes it.
    let attested = judged(&bytes, &[built_by(&acme, &bytes, "https://b.example", SLSA)], &trust, &one);
    assert_eq!(errors(&attested), ["signature-missing"]);
    let trust_nobody = judged(&bytes, &[signature(&acme, &bytes)], &Trust::default(), &any);
    assert_eq!(errors(&trust_nobody), ["signature-missing"]);
}

#[test]
fn a_policy_names_who_must_have_built_it() {
    let (bytes, ([_, builder], trust)) = (plain(), keys());
    let wanted = policy("provenance = true\nbuilders = [\"https://ci.example/*\"]");
    assert_eq!(errors(&judged(&bytes, &[], &trust, &wanted)), ["provenance-missing"]);
    let by = |id: &str, kind: &str| errors(&judged(&bytes, &[built_by(&builder, &bytes, id, kind)], &trust, &wanted));
    assert!(by("https://ci.example/linux", SLSA).is_empty());
    assert_eq!(by("https://laptop.example", SLSA), ["other-builder"]);
    // What somebody found in it says nothing of how it was built.
    assert_eq!(by("https://ci.example/linux", VET_REPORT), ["provenance-missing"]);
    let (_, strangers) = keys();
    let evidence = [built_by(&builder, &bytes, "https://ci.example/linux", SLSA)];
    assert_eq!(errors(&judged(&bytes, &evidence, &strangers, &wanted)), ["provenance-missing"]);
}

/// Python: zlib.compress of a list with wasmtime 43.0.0 and 48.0.8 of crates.io, and a local package of that name.
const DEPENDENCIES: &str = "789cab562a484cce4e4c4f2d56b28aae56ca4bcc4d55b2522a4f2cce2dc904327594ca528b8a33f3f3808226c67a067a0640a1e2fcd2a26490b2e4a2c492d462bdcc7ca55a1d027a2d807a2dc8d48b616f4e7e72628e526d6c2d00f0d63cf6";

#[test]
fn a_package_that_an_advisory_warns_of_is_named() {
    let hex = |at: usize| u8::from_str_radix(&DEPENDENCIES[2 * at..2 * at + 2], 16).unwrap();
    let data: Vec<u8> = (0..DEPENDENCIES.len() / 2).map(hex).collect();
    let bytes = with_section(plain(), ".dep-v0", &data);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/advisory-db");
    let advisories = Advisories::open(&folder).unwrap();
    let trust = Trust::default();
    let submission = Submission {
        file: "agent.wasm",
        bytes: &bytes,
        before: None,
        manifest: None,
        evidence: &[],
        trust: &trust,
        advisories: Some(&advisories),
    };
    let report = judge(&submission, &Policy::profile("marketplace").unwrap());
    let found = of(&report, "known-vulnerability");
    assert!(found.iter().any(|one| one.message.contains("`wasmtime 43.0.0`, of which RUSTSEC-2026-0088")), "{found:?}");
    assert!(!found.iter().any(|one| one.message.contains("48.0.8")), "{found:?}");
    // Nobody gave a database: nothing is said, and the report tells that it was not asked.
    let unasked = vet("agent.wasm", &bytes, None, &Policy::profile("marketplace").unwrap());
    assert!(of(&unasked, "known-vulnerability").is_empty() && !unasked.facts.unwrap().advisories_asked);
    let none = tempfile::tempdir().unwrap();
    assert!(Advisories::open(none.path()).is_err(), "an empty folder is no database");
}
