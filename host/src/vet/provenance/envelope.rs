//! DSSE envelopes around in-toto statements: who says what of which digest
//! (<https://github.com/secure-systems-lab/dsse>, <https://github.com/in-toto/attestation>, <https://slsa.dev/spec/v1.0>).

use super::{Attestation, Digests, Signer, SigningKey, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Predicate type of SLSA provenance.
pub const SLSA: &str = "https://slsa.dev/provenance/v1";
/// Of one version before.
const SLSA_BEFORE: &str = "https://slsa.dev/provenance/v0.2";
/// Predicate type of a report of `attache vet`.
pub const VET_REPORT: &str = "https://github.com/attache/attache/vet-report/v1";

const IN_TOTO: &str = "application/vnd.in-toto+json";
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// Longer than any name or address that somebody reads.
pub(super) const LONGEST: usize = 300;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// An in-toto statement.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<About>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    #[serde(default)]
    name: String,
    digest: std::collections::BTreeMap<String, String>,
}

impl Statement {
    /// That this predicate holds for the bytes of this digest (`sha256:…`).
    pub fn new(name: &str, digest: &str, predicate_type: &str, predicate: Value) -> Self {
        let sha256 = digest.trim_start_matches("sha256:").to_owned();
        let about = About { name: name.to_owned(), digest: [("sha256".to_owned(), sha256)].into() };
        Self {
            kind: STATEMENTS[0].to_owned(),
            subject: vec![about],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// In an envelope, signed.
    pub fn signed(&self, key: &SigningKey) -> Vec<u8> {
        let payload = json!(self).to_string().into_bytes();
        let sig = STANDARD.encode(key.sign(&encoded(IN_TOTO, &payload)));
        let keyid = key.public().ok().map(|public| public.id());
        let payload = STANDARD.encode(payload);
        let envelope =
            Envelope { payload_type: IN_TOTO.to_owned(), payload, signatures: vec![Signature { keyid, sig }] };
        json!(envelope).to_string().into_bytes()
    }
}

/// DSSE's pre-authentication encoding: what is signed of a payload and its type.
pub(super) fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// What somebody trusted says of these bytes. The signature first: nothing of a payload is looked at that nobody trusted
/// signed.
pub(super) fn verify(envelope: &[u8], about: &Digests, trust: &Trust) -> Result<Attestation, String> {
    let unreadable = |error: serde_json::Error| format!("it is no DSSE envelope: {error}");
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(unreadable)?;
    let payload = bytes(&envelope.payload).ok_or("its payload is not in base64")?;
    let signed = encoded(&envelope.payload_type, &payload);
    let mut by = Err("nobody signed it".to_owned());
    for signature in envelope.signatures.iter().take(16) {
        by = match bytes(&signature.sig) {
            Some(signature) => trust.signer(&signed, &signature),
            None => Err("a signature is not in base64".to_owned()),
        };
        if by.is_ok() {
            break;
        }
    }
    read(&envelope.payload_type, &payload, about, by?)
}

/// Whether a payload is a statement of this kind, by its own word.
pub(super) fn is_of(payload: &[u8], predicate_type: &str) -> bool {
    serde_json::from_slice::<Statement>(payload).is_ok_and(|statement| statement.predicate_type == predicate_type)
}

/// What a payload says that was signed by somebody trusted.
pub(super) fn read(payload_type: &str, payload: &[u8], about: &Digests, by: Signer) -> Result<Attestation, String> {
    if payload_type != IN_TOTO {
        return Err(format!("its payload is `{}` and not an in-toto statement", payload_type.escape_debug()));
    }
    let statement: Statement =
        serde_json::from_slice(payload).map_err(|error| format!("it is no in-toto statement: {error}"))?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return Err(format!("it is a statement of the kind `{}`", statement.kind.escape_debug()));
    }
    if !statement.subject.iter().any(|subject| subject.digest.get("sha256").is_some_and(|sha256| about.is(sha256))) {
        return Err("it is about other bytes".to_owned());
    }
    let text = |pointer: &str| {
        let text = statement.predicate.pointer(pointer)?.as_str()?;
        Some(text.chars().take(LONGEST).collect::<String>())
    };
    let (builder, source) = match statement.predicate_type.as_str() {
        SLSA => (
            text("/runDetails/builder/id"),
            text("/buildDefinition/externalParameters/workflow/repository")
                .or_else(|| text("/buildDefinition/resolvedDependencies/0/uri")),
        ),
        SLSA_BEFORE => (text("/builder/id"), text("/invocation/configSource/uri")),
        _ => (None, None),
    };
    let predicate_type = statement.predicate_type.chars().take(LONGEST).collect();
    Ok(Attestation { by, predicate_type, builder, source })
}
