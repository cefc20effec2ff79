//! A Sigstore of its own: an authority that certifies identities, a log of certificates and a log of signatures, each with
//! its key, and the bundles that signing there makes (<https://docs.sigstore.dev/about/bundle/>). The real one is for
//! identities of the internet; what it made stands in `tests/vectors/sigstore`.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
    SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Fulcio's "issuer (v2)", and the list of RFC 6962 §3.3.
const ISSUER: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];
const TIMESTAMPS: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// One instance.
pub struct Sigstore {
    authority: Issuer<'static, KeyPair>,
    certificate: Certificate,
    certificates: KeyPair,
    log: KeyPair,
}

/// Somebody who signs, as an identity provider knows them.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Whose word it is.
    pub issuer: &'a str,
    /// The address of a workflow.
    pub subject: &'a str,
}

struct Signed {
    certificate: Certificate,
    signature: Vec<u8>,
}

impl Sigstore {
    /// With keys that nobody had before.
    pub fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2060, 1, 1));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let authority = Issuer::new(params, key);
        Ok(Self { authority, certificate, certificates: KeyPair::generate()?, log: KeyPair::generate()? })
    }

    /// What its signatures are verified by.
    pub fn trusted_root(&self) -> String {
        let start = json!({ "start": "2020-01-01T00:00:00Z" });
        let log = |key: &KeyPair, at: &str| {
            json!({
                "baseUrl": at,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(key.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": start,
                },
                "logId": { "keyId": STANDARD.encode(id(key)) },
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log, "https://log.example")],
            "certificateAuthorities": [{
                "subject": { "organization": "tests", "commonName": "an authority of a test" },
                "uri": "https://authority.example",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(self.certificate.der()) }] },
                "validFor": start,
            }],
            "ctlogs": [log(&self.certificates, "https://certificates.example")],
            "timestampAuthorities": [],
        })
        .to_string()
    }

    /// A bundle in which somebody signs these bytes, now.
    pub fn signature(&self, by: Identity<'_>, bytes: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature_of(by, bytes, 2060)
    }

    /// One whose certificate was over long ago.
    pub fn late_signature(&self, by: Identity<'_>, bytes: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature_of(by, bytes, 2021)
    }

    fn signature_of(&self, by: Identity<'_>, bytes: &[u8], until: i32) -> Result<Vec<u8>, rcgen::Error> {
        let signed = self.sign(by, bytes, until)?;
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&sha256(bytes)) } },
                "signature": {
                    "content": STANDARD.encode(&signed.signature),
                    "publicKey": { "content": STANDARD.encode(signed.certificate.pem()) },
                },
            },
        });
        let mut bundle = self.bundle(&signed.certificate, &body)?;
        bundle["messageSignature"] = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(sha256(bytes)) },
            "signature": STANDARD.encode(&signed.signature),
        });
        Ok(bundle.to_string().into_bytes())
    }

    /// A bundle in which somebody makes an in-toto statement, now.
    pub fn statement(&self, by: Identity<'_>, statement: &Value) -> Result<Vec<u8>, rcgen::Error> {
        let payload = statement.to_string().into_bytes();
        let mut message = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len()).into_bytes();
        message.extend_from_slice(&payload);
        let signed = self.sign(by, &message, 2060)?;
        let signature = STANDARD.encode(&signed.signature);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": { "algorithm": "sha256", "value": hex(&sha256(b"as it was sent")) },
                "payloadHash": { "algorithm": "sha256", "value": hex(&sha256(&payload)) },
                "signatures": [{ "signature": signature, "verifier": STANDARD.encode(signed.certificate.pem()) }],
            },
        });
        let mut bundle = self.bundle(&signed.certificate, &body)?;
        bundle["dsseEnvelope"] = json!({
            "payload": STANDARD.encode(&payload),
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": signature }],
        });
        Ok(bundle.to_string().into_bytes())
    }

    fn sign(&self, by: Identity<'_>, message: &[u8], until: i32) -> Result<Signed, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(sha256(message)[..16].to_vec()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(by.subject)?)];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params.custom_extensions = vec![CustomExtension::from_oid_content(ISSUER, der(0x0c, by.issuer.as_bytes()))];
        let before = params.clone().signed_by(&key, &self.authority)?;
        let seen = self.seen(element(content(before.der())))?;
        params.custom_extensions.push(CustomExtension::from_oid_content(TIMESTAMPS, der(0x04, &seen)));
        let certificate = params.signed_by(&key, &self.authority)?;
        Ok(Signed { certificate, signature: key.sign(message)? })
    }

    /// That the log of certificates saw this one: a list of one timestamp (RFC 6962 §3.2, §3.3).
    fn seen(&self, certificate: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let at = now().as_millis() as u64;
        let mut message = vec![0, 0];
        message.extend_from_slice(&at.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&id(self.authority.key()));
        message.extend_from_slice(&(certificate.len() as u32).to_be_bytes()[1..]);
        message.extend_from_slice(certificate);
        message.extend_from_slice(&[0, 0]);
        let mut one = vec![0];
        one.extend_from_slice(&id(&self.certificates));
        one.extend_from_slice(&at.to_be_bytes());
        // No extensions; SHA-256 and ECDSA.
        one.extend_from_slice(&[0, 0, 4, 3]);
        one.extend(with_length(self.certificates.sign(&message)?));
        Ok(with_length(with_length(one)))
    }

    /// What a log with this one entry gives back.
    fn bundle(&self, certificate: &Certificate, body: &Value) -> Result<Value, rcgen::Error> {
        let body = body.to_string().into_bytes();
        let root = STANDARD.encode(sha256(&[&[0], &body[..]].concat()));
        let at = now().as_secs();
        let promised = json!({
            "body": STANDARD.encode(&body),
            "integratedTime": at,
            "logID": hex(&id(&self.log)),
            "logIndex": 0,
        });
        let note = format!("log.example - 1\n1\n{root}\n");
        let of_note = [&id(&self.log)[..4], &self.log.sign(note.as_bytes())?].concat();
        Ok(json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(certificate.der()) },
                "tlogEntries": [{
                    "logIndex": "0",
                    "logId": { "keyId": STANDARD.encode(id(&self.log)) },
                    "kindVersion": { "kind": serde_json::from_slice::<Value>(&body).unwrap_or_default()["kind"], "version": "0.0.1" },
                    "integratedTime": at.to_string(),
                    "inclusionPromise": { "signedEntryTimestamp": STANDARD.encode(self.log.sign(promised.to_string().as_bytes())?) },
                    "inclusionProof": {
                        "logIndex": "0",
                        "rootHash": root,
                        "treeSize": "1",
                        "hashes": [],
                        "checkpoint": { "envelope": format!("{note}\n— log.example {}\n", STANDARD.encode(of_note)) },
                    },
                    "canonicalizedBody": STANDARD.encode(&body),
                }],
                "timestampVerificationData": { "rfc3161Timestamps": [] },
            },
        }))
    }
}

fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As logs name their keys.
fn id(key: &KeyPair) -> Vec<u8> {
    sha256(&key.subject_public_key_info())
}

/// A vector of TLS with a length of two bytes.
fn with_length(bytes: Vec<u8>) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()
}

/// An element of DER with a tag and this content, of less than 64 KiB.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    let head = match (high, low) {
        (0, ..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// The length of an element's head, and of its content.
fn lengths(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ ..0x80 => (2, short.into()),
        long => {
            let more = usize::from(long & 0x7f);
            (2 + more, der[2..2 + more].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
        }
    }
}

/// What is in the first element.
fn content(der: &[u8]) -> &[u8] {
    let (head, length) = lengths(der);
    &der[head..head + length]
}

/// The first element, with its head.
fn element(der: &[u8]) -> &[u8] {
    let (head, length) = lengths(der);
    &der[..head + length]
}
