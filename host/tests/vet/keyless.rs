//! Signatures without a key: Sigstore bundles, those that its public instance and cosign made, and those of an instance of
//! our own, which signs what one asks it to.

use crate::agents::plain;
use crate::sigstore::{Identity, Sigstore};
use attache::ids::Digest;
use attache::vet::{By, Evidence, Provenance, SLSA, State, Subject, Trust, TrustFile};
use serde_json::{Value, json};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const RELEASE: Identity<'_> =
    Identity { issuer: ISSUER, subject: "https://github.com/acme/agent/.github/workflows/release.yml@refs/tags/v1" };
const NEXT: Identity<'_> =
    Identity { issuer: ISSUER, subject: "https://github.com/acme/agent/.github/workflows/release.yml@refs/tags/v2" };

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/vectors/sigstore/", $name))
    };
}

/// The identities of a trust file, each with its issuer and subject, and the root beside it.
fn trusting(identities: &[(&str, &str, &str)], root: &str) -> Trust {
    let mut text = "trusted-root = \"root.json\"\n".to_owned();
    for (name, issuer, subject) in identities {
        text += &format!("[[identities]]\nname = {name:?}\nissuer = {issuer:?}\nsubject = {subject:?}\n");
    }
    Trust::parse(&TrustFile { text, trusted_root: Some(root.to_owned()) }).unwrap()
}

fn judged(bytes: &[u8], bundle: &[u8], trust: &Trust) -> Provenance {
    let evidence = Evidence::Bundle { from: "agent.wasm.sigstore.json".into(), bytes: bundle.to_vec() };
    Provenance::judge(Subject { bytes, manifest: None }, &[evidence], trust)
}

/// That it does not count, and why.
fn refused(bytes: &[u8], bundle: &[u8], trust: &Trust, why: &str) {
    let found = judged(bytes, bundle, trust);
    assert!(found.signers.is_empty() && found.attestations.is_empty(), "{found:?}");
    assert_ne!(found.state, State::Verified);
    assert!(found.problems.len() == 1 && found.problems[0].contains(why), "{:?}", found.problems);
}

fn changed(bundle: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(bundle).unwrap();
    change(&mut bundle);
    bundle.to_string().into_bytes()
}

#[test]
fn what_the_public_instance_certified_is_verified_and_its_identity_told() {
    let root = std::str::from_utf8(vector!("public-good.json")).unwrap();
    let (text, bundle) = (vector!("cosign-v3-blob.txt"), vector!("cosign-v3-blob.sigstore.json"));
    let (mail, github) = ("w.vollprecht@gmail.com", "https://github.com/login/oauth");
    let found = judged(text, bundle, &trusting(&[("wolf", github, mail)], root));
    assert_eq!(found.state, State::Verified, "{:?}", found.problems);
    assert_eq!(found.signers[0].name, "wolf");
    assert_eq!(found.signers[0].by, By::Identity { issuer: github.into(), subject: mail.into() });
    assert_eq!(
        json!(found.signers[0]),
        json!({ "name": "wolf", "publisher": null, "identity": { "issuer": github, "subject": mail } })
    );
    let others = [("a", "https://accounts.google.com", mail), ("b", github, "w.vollprecht@gmail.com.evil.example")];
    refused(text, bundle, &trusting(&others, root), "the trust file does not name them");
    refused(b"other bytes", bundle, &trusting(&[("wolf", github, mail)], root), "it is about other bytes");

    // An attestation of a build service, over a package.
    let (package, bundle) =
        (vector!("signed-package-2.1.0-hb0f4dca_0.conda"), vector!("conda-attestation.sigstore.json"));
    let workflow = "https://github.com/prefix-dev/sigstore-example/*";
    let found = judged(package, bundle, &trusting(&[("conda", ISSUER, workflow)], root));
    assert_eq!((found.state, found.signers.len()), (State::Unsigned, 0), "a statement is no signature");
    assert_eq!(found.attestations[0].by.name, "conda", "{:?}", found.problems);
    assert_eq!(found.attestations[0].predicate_type, "https://schemas.conda.org/attestations-publish-1.schema.json");
    refused(text, bundle, &trusting(&[("conda", ISSUER, workflow)], root), "it is about other bytes");
}

#[test]
fn a_bundle_of_a_key_counts_by_that_key() {
    let (text, bundle) = (vector!("managed-key/artifact.txt"), vector!("managed-key/bundle.sigstore.json"));
    let key = std::str::from_utf8(vector!("managed-key/key.pub")).unwrap();
    let trust =
        Trust::parse(&TrustFile::alone(format!("[[keys]]\nname = \"k\"\npublic-key = '''\n{key}'''\n"))).unwrap();
    let found = judged(text, bundle, &trust);
    assert_eq!((found.state, &*found.signers[0].name), (State::Verified, "k"), "{:?}", found.problems);
    assert!(matches!(found.signers[0].by, By::Key(_)));
    refused(b"other bytes", bundle, &trust, "none of the 1 keys");
    // An identity does not count where only keys are trusted.
    refused(vector!("cosign-v3-blob.txt"), vector!("cosign-v3-blob.sigstore.json"), &trust, "`trusted-root`");
}

#[test]
fn what_is_not_just_as_it_was_certified_and_logged_does_not_count() {
    let (sigstore, other) = (Sigstore::new().unwrap(), Sigstore::new().unwrap());
    let bytes = plain();
    let trust = trusting(&[("acme", ISSUER, RELEASE.subject)], &sigstore.trusted_root());
    let good = sigstore.signature(RELEASE, &bytes).unwrap();
    let found = judged(&bytes, &good, &trust);
    assert_eq!((found.state, found.words().as_str()), (State::Verified, "signed by `acme`"), "{:?}", found.problems);

    refused(&bytes, &sigstore.signature(NEXT, &bytes).unwrap(), &trust, "does not name them");
    let elsewhere = Identity { issuer: "https://evil.example", ..RELEASE };
    refused(&bytes, &sigstore.signature(elsewhere, &bytes).unwrap(), &trust, "does not name them");
    refused(&bytes, &sigstore.late_signature(RELEASE, &bytes).unwrap(), &trust, "it does not verify");
    refused(&bytes, &other.signature(RELEASE, &bytes).unwrap(), &trust, "it does not verify");
    refused(&bytes, &sigstore.signature(RELEASE, b"other bytes").unwrap(), &trust, "it is about other bytes");
    let of_others: Value = serde_json::from_slice(&sigstore.signature(NEXT, &bytes).unwrap()).unwrap();
    let (material, entry) = ("verificationMaterial", "tlogEntries");
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(&str, Change<'_>); 8] = [
        ("a log that was not asked", &|b| b[material][entry] = json!([])),
        ("an entry of somebody else", &|b| b[material][entry] = of_others[material][entry].clone()),
        ("the certificate of somebody else", &|b| {
            b[material]["certificate"] = of_others[material]["certificate"].clone()
        }),
        ("the signature of somebody else", &|b| {
            b["messageSignature"]["signature"] = of_others["messageSignature"]["signature"].clone();
        }),
        ("another time", &|b| b[material][entry][0]["integratedTime"] = json!("1600000000")),
        ("no promise and so no time", &|b| b[material][entry][0]["inclusionPromise"] = Value::Null),
        ("another tree", &|b| b[material][entry][0]["inclusionProof"]["treeSize"] = json!("2")),
        ("no proof", &|b| b[material][entry][0]["inclusionProof"] = Value::Null),
    ];
    for (what, change) in changes {
        let found = judged(&bytes, &changed(&good, change), &trust);
        assert!(found.state == State::DoesNotVerify && found.problems.len() == 1, "{what}: {found:?}");
    }
    for junk in [&b""[..], b"{}", b"[]", b"\xff", &[b'['; 100_000]] {
        refused(&bytes, junk, &trust, "it is no Sigstore bundle");
    }
}

#[test]
fn a_statement_counts_for_its_digest_and_cosigns_own_is_a_signature() {
    let sigstore = Sigstore::new().unwrap();
    let bytes = plain();
    let digest = Digest::of(&bytes).to_string();
    let trust = trusting(
        &[("acme", ISSUER, "https://github.com/acme/agent/.github/workflows/release.yml@refs/tags/*")],
        &sigstore.trusted_root(),
    );
    let statement = |kind: &str, digest: &str| {
        let predicate = json!({ "runDetails": { "builder": { "id": "https://builder.example" } } });
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "agent", "digest": { "sha256": digest.trim_start_matches("sha256:") } }],
            "predicateType": kind,
            "predicate": predicate,
        })
    };
    let found = judged(&bytes, &sigstore.statement(NEXT, &statement(SLSA, &digest)).unwrap(), &trust);
    assert_eq!(found.state, State::Unsigned);
    assert_eq!(found.attestations[0].builder.as_deref(), Some("https://builder.example"), "{:?}", found.problems);
    let other = Digest::of(b"other").to_string();
    refused(&bytes, &sigstore.statement(NEXT, &statement(SLSA, &other)).unwrap(), &trust, "about other bytes");

    // As cosign signs what lies in a registry: of the manifest's digest.
    let cosigns = "https://sigstore.dev/cosign/sign/v1";
    let bundle = sigstore.statement(RELEASE, &statement(cosigns, &other)).unwrap();
    let evidence = [Evidence::Bundle { from: "a registry".into(), bytes: bundle.clone() }];
    let of = |manifest| Provenance::judge(Subject { bytes: &bytes, manifest: Some(manifest) }, &evidence, &trust);
    assert_eq!(of(&other).state, State::Verified, "{:?}", of(&other).problems);
    assert_eq!(of(&digest).state, State::DoesNotVerify);
    assert_eq!(judged(&bytes, &bundle, &trust).state, State::DoesNotVerify);
}

#[test]
fn a_star_stands_for_part_of_an_address_and_never_for_whose_it_is() {
    let root = Sigstore::new().unwrap().trusted_root();
    let parsed = |subject: &str| {
        let text =
            format!("trusted-root = \"r\"\n[[identities]]\nname = \"a\"\nissuer = \"i\"\nsubject = {subject:?}\n");
        Trust::parse(&TrustFile { text, trusted_root: Some(root.clone()) })
    };
    for subject in [
        "*",
        "*@acme.example",
        "alice@*",
        "https://*",
        "https://github.com/*",
        "https://github.com/acme*",
        "https://a/b/*/c",
        "",
    ] {
        let error = parsed(subject).unwrap_err().to_string();
        assert!(error.starts_with("the identity `a` of the trust file: "), "{error}");
    }
    for subject in ["alice@acme.example", "https://github.com/acme/*", "https://github.com/acme/a/w.yml@*"] {
        assert!(parsed(subject).is_ok(), "{subject}");
    }
}

#[test]
fn a_trust_file_with_identities_says_what_it_lacks() {
    let identity = "[[identities]]\nname = \"a\"\nissuer = \"https://i\"\nsubject = \"s\"\n";
    let named = format!("trusted-root = \"r\"\n{identity}");
    for (text, root, why) in [
        (identity.to_owned(), None, "no trusted root"),
        (named.clone(), None, "was not read"),
        (named.clone(), Some("{}"), "cannot be used"),
        (named.clone(), Some("no JSON"), "cannot be used"),
        (
            format!("{named}{identity}"),
            Some(include_str!("../../../tests/vectors/sigstore/public-good.json")),
            "two signers",
        ),
        ("trusted-root = \"r\"\n".to_owned(), Some("{}"), ""),
        (named.replace("https://i", ""), None, "no issuer"),
    ] {
        let error = Trust::parse(&TrustFile { text: text.clone(), trusted_root: root.map(str::to_owned) }).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
    assert_eq!(TrustFile::root_of(&named).unwrap().as_deref(), Some("r"));
}
