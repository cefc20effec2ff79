use super::*;
use serde_json::json;

/// A key of its own, and a trust file that names it.
fn key(name: &str) -> (SigningKey, Trust) {
    let key = SigningKey::generate().unwrap();
    let text = format!(
        "[[keys]]\nname = {name:?}\npublisher = \"acme.example\"\npublic-key = '''\n{}'''\n",
        key.public_pem().unwrap()
    );
    (key, Trust::parse(&TrustFile::alone(text)).unwrap())
}

fn detached(key: &SigningKey, bytes: &[u8]) -> Evidence {
    Evidence::Detached { from: "agent.wasm.sig".into(), signature: STANDARD.encode(key.sign(bytes)).into_bytes() }
}

fn subject(bytes: &[u8]) -> Subject<'_> {
    Subject { bytes, manifest: None }
}

#[test]
fn a_component_is_unsigned_does_not_verify_or_is_verified_by_somebody() {
    let (acme, trust) = key("acme 2026");
    let (stranger, _) = key("stranger");
    let judge = |evidence: &[Evidence], trust: &Trust| Provenance::judge(subject(b"agent"), evidence, trust);
    assert_eq!(judge(&[], &trust).state, State::Unsigned);
    let verified = judge(&[detached(&acme, b"agent")], &trust);
    assert_eq!(verified.state, State::Verified);
    assert_eq!(verified.signers[0].name, "acme 2026");
    assert_eq!(verified.words(), "signed by `acme 2026`");
    for (evidence, why) in [
        (detached(&acme, b"agent, changed"), "none of the 1 keys"),
        (detached(&stranger, b"agent"), "none of the 1 keys"),
        (Evidence::Detached { from: "x".into(), signature: b"\xff".to_vec() }, "base64"),
    ] {
        let found = judge(&[evidence], &trust);
        assert_eq!((found.state, found.signers.len()), (State::DoesNotVerify, 0));
        assert!(found.problems[0].contains(why), "{:?}", found.problems);
    }
    let found = judge(&[detached(&acme, b"agent")], &Trust::default());
    assert!(found.problems[0].contains("`--trust FILE`"), "{:?}", found.problems);
    // One that counts is enough, and the other is told.
    let found = judge(&[detached(&stranger, b"agent"), detached(&acme, b"agent")], &trust);
    assert_eq!((found.state, found.problems.len()), (State::Verified, 1));
}

#[test]
fn a_signature_of_a_manifest_counts_for_that_manifest_alone() {
    let (acme, trust) = key("acme");
    let payload = simple_payload("registry.example/agent", "sha256:aa");
    let of = |payload: Vec<u8>, signature: Vec<u8>| Evidence::Simple {
        from: "registry".into(),
        payload,
        signature: STANDARD.encode(signature),
    };
    let judge = |evidence: Evidence, manifest| {
        Provenance::judge(Subject { bytes: b"agent", manifest }, &[evidence], &trust).state
    };
    let good = of(payload.clone(), acme.sign(&payload));
    assert_eq!(judge(good.clone(), Some("sha256:aa")), State::Verified);
    assert_eq!(judge(good.clone(), Some("sha256:ab")), State::DoesNotVerify);
    assert_eq!(judge(good, None), State::DoesNotVerify);
    let other = String::from_utf8(payload.clone()).unwrap().replace("sha256:aa", "sha256:ab").into_bytes();
    assert_eq!(judge(of(other, acme.sign(&payload)), Some("sha256:ab")), State::DoesNotVerify);
}

#[test]
fn an_attestation_counts_for_its_own_digest_and_its_builder_is_told() {
    let (acme, trust) = key("acme");
    let digest = format!("sha256:{}", Digests::of(subject(b"agent")).component);
    let predicate = json!({
        "runDetails": { "builder": { "id": "https://builder.example" } },
        "buildDefinition": { "externalParameters": { "workflow": { "repository": "https://code.example/agent" } } },
    });
    let of = |digest: &str, kind: &str| Evidence::Envelope {
        from: "agent.wasm.att".into(),
        bytes: Statement::new("agent.wasm", digest, kind, predicate.clone()).signed(&acme),
    };
    let found = Provenance::judge(subject(b"agent"), &[of(&digest, SLSA)], &trust);
    let attestation = &found.attestations[0];
    assert_eq!(attestation.builder.as_deref(), Some("https://builder.example"));
    assert_eq!(attestation.source.as_deref(), Some("https://code.example/agent"));
    // It is no signature of whoever publishes it.
    assert_eq!(found.state, State::Unsigned);
    let found = Provenance::judge(subject(b"agent"), &[of("sha256:aa", SLSA)], &trust);
    assert!(found.attestations.is_empty() && found.problems[0].contains("about other bytes"), "{:?}", found.problems);
    // Every byte of the envelope matters.
    let Evidence::Envelope { bytes, .. } = of(&digest, SLSA) else { unreachable!() };
    let mut accepted = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let evidence = Evidence::Envelope { from: "x".into(), bytes: changed };
        let found = Provenance::judge(subject(b"agent"), &[evidence], &trust);
        // The hint which key it was is not signed and not used.
        accepted += usize::from(found.attestations.iter().any(|other| other != attestation));
    }
    assert_eq!(accepted, 0);
}

/// The example of DSSE's own protocol document, and a key of another program's making.
#[test]
fn keys_and_encodings_are_those_of_others() {
    // RFC 8032 §7.1, test 2: the key as PKCS #8 (RFC 8410 §7).
    let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let der: Vec<u8> =
        (0..seed.len()).step_by(2).map(|at| u8::from_str_radix(&seed[at..at + 2], 16).unwrap()).collect();
    let mut pkcs8 =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    pkcs8.extend(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&pkcs8));
    let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
    let signature: String = key.sign(&[0x72]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(signature.starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"), "{signature}");
    assert_eq!(*key.to_pem().unwrap(), pem);
}

#[test]
fn a_trust_file_that_is_not_understood_trusts_nobody() {
    let (key, _) = key("x");
    let pem = key.public_pem().unwrap();
    let refused = |text: &str, why: &str| {
        let error = Trust::parse(&TrustFile::alone(text)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused("", "names nobody");
    refused("[[key]]\n", "unknown field `key`");
    refused("[[keys]]\nname = \"a\"\npublic-key = \"MCow\"\n", "the key `a` of the trust file: it holds no public key");
    let one = format!("[[keys]]\nname = \"a\"\npublic-key = '''\n{pem}'''\n");
    refused(&format!("{one}{one}"), "two signers with the name `a`");
}

/// What fuzzing begins with counts: one of them was signed by OpenSSL.
#[test]
fn evidence_that_others_made_counts() {
    let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----\n";
    let trust =
        Trust::parse(&TrustFile::alone(format!("[[keys]]\nname = \"a\"\npublic-key = '''\n{key}'''\n"))).unwrap();
    let seed = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/evidence");
        std::fs::read(folder.join(name)).unwrap().split_off(1)
    };
    let manifest = format!("sha256:{}", "a".repeat(64));
    let subject = Subject { bytes: b"agent", manifest: Some(&manifest) };
    let simple = seed("simple");
    let line = simple.iter().position(|byte| *byte == b'\n').unwrap();
    let found = Provenance::judge(
        subject,
        &[
            Evidence::Detached { from: "d".into(), signature: seed("detached") },
            Evidence::Simple {
                from: "s".into(),
                payload: simple[line + 1..].to_vec(),
                signature: String::from_utf8(simple[..line].to_vec()).unwrap(),
            },
            Evidence::Envelope { from: "e".into(), bytes: seed("envelope") },
        ],
        &trust,
    );
    assert_eq!((found.state, found.attestations.len(), found.problems.len()), (State::Verified, 1, 0), "{found:?}");
    assert_eq!(found.attestations[0].builder.as_deref(), Some("https://builder.example"));
}
