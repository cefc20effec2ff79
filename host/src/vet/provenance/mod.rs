//! Who says that they made these bytes. A signature or an attestation is found beside a component, and counts when a key of
//! the trust file, or an identity that it names, made it over just this digest; whatever else it says is shown and decides
//! nothing.

mod bundle;
mod envelope;
mod key;
mod simple;
mod trust;

pub use envelope::{SLSA, Statement, VET_REPORT};
pub use key::{KeyError, PublicKey, SigningKey};
pub use simple::simple_payload;
pub use trust::{Trust, TrustError, TrustFile};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::Shown;
use serde::{Deserialize, Serialize};

/// What was found beside a component, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// A signature over the component's bytes, in base64: `attache sign FILE`, `cosign sign-blob`.
    Detached {
        /// Where it was found.
        from: String,
        /// As it was read.
        signature: Vec<u8>,
    },
    /// Cosign's "simple signing": a signature over a payload that names the digest of a manifest in a registry.
    Simple {
        /// Where it was found.
        from: String,
        /// JSON.
        payload: Vec<u8>,
        /// Base64.
        signature: String,
    },
    /// A DSSE envelope around an in-toto statement.
    Envelope {
        /// Where it was found.
        from: String,
        /// JSON.
        bytes: Vec<u8>,
    },
    /// A Sigstore bundle: a signature or a statement, with what shows whose it is.
    Bundle {
        /// Where it was found.
        from: String,
        /// JSON.
        bytes: Vec<u8>,
    },
}

impl Evidence {
    fn from(&self) -> &str {
        match self {
            Self::Detached { from, .. }
            | Self::Simple { from, .. }
            | Self::Envelope { from, .. }
            | Self::Bundle { from, .. } => from,
        }
    }
}

/// What the evidence has to be about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The component.
    pub bytes: &'a [u8],
    /// `sha256:…` of the manifest that names it, where it came from a registry.
    pub manifest: Option<&'a str>,
}

/// How far its origin is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No signature was found.
    Unsigned,
    /// There is one, and nobody of the trust file made it over these bytes.
    DoesNotVerify,
    /// One at least is by a key or an identity of the trust file.
    Verified,
}

/// Who it was, by the trust file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// The name there.
    pub name: String,
    /// The publisher it stands for there.
    pub publisher: Option<String>,
    /// By what that is known.
    #[serde(flatten)]
    pub by: By,
}

/// By what a signer is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// `sha256:…` of the public key (its SubjectPublicKeyInfo).
    Key(String),
    /// An identity that an authority of the trusted root vouched for when it signed (Sigstore, "keyless").
    Identity {
        /// Who knows the identity: an OpenID provider.
        issuer: String,
        /// What it calls them: a mail address, or the address of a workflow.
        subject: String,
    },
}

/// As reports for people have it.
impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key {key}"),
            Self::Identity { issuer, subject } => write!(f, "{subject}, as {issuer} says"),
        }
    }
}

/// A statement about the component that somebody of the trust file signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attestation {
    /// Who says so.
    pub by: Signer,
    /// What kind of statement it is.
    pub predicate_type: String,
    /// Who built it, where it is SLSA provenance.
    pub builder: Option<String>,
    /// From which source, where it says so.
    pub source: Option<String>,
}

/// What is known of the origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// In a word.
    pub state: State,
    /// Who signed it.
    pub signers: Vec<Signer>,
    /// What else was said of it.
    pub attestations: Vec<Attestation>,
    /// Evidence that does not count, and why.
    pub problems: Vec<String>,
}

/// No file has more of it that anybody would read.
const MOST_EVIDENCE: usize = 64;

impl Provenance {
    /// Of these bytes, by this evidence.
    pub fn judge(subject: Subject<'_>, evidence: &[Evidence], trust: &Trust) -> Self {
        let mut found =
            Self { state: State::Unsigned, signers: Vec::new(), attestations: Vec::new(), problems: Vec::new() };
        let about = Digests::of(subject);
        let mut signed = false;
        for one in evidence.iter().take(MOST_EVIDENCE) {
            let outcome = match one {
                Evidence::Detached { signature, .. } => {
                    signed = true;
                    detached(subject.bytes, signature, trust).map(|signer| found.signers.push(signer))
                }
                Evidence::Simple { payload, signature, .. } => {
                    signed = true;
                    simple::verify(payload, signature, &about, trust).map(|signer| found.signers.push(signer))
                }
                Evidence::Envelope { bytes, .. } => {
                    envelope::verify(bytes, &about, trust).map(|attestation| found.attestations.push(attestation))
                }
                Evidence::Bundle { bytes, .. } => {
                    let bundle = bundle::read(bytes);
                    signed |= bundle.as_ref().map_or(true, bundle::signs);
                    let shown = bundle.and_then(|bundle| bundle::verify(&bundle, subject, &about, trust));
                    shown.map(|shown| match shown {
                        Shown::Signature(signer) => found.signers.push(signer),
                        Shown::Attestation(attestation) => found.attestations.push(attestation),
                    })
                }
            };
            if let Err(why) = outcome {
                found.problems.push(format!("{}: {why}", one.from()));
            }
        }
        if evidence.len() > MOST_EVIDENCE {
            found.problems.push(format!("there is more, and {MOST_EVIDENCE} of it were looked at"));
        }
        found.signers.dedup();
        found.state = match (signed, found.signers.is_empty()) {
            (_, false) => State::Verified,
            (true, true) => State::DoesNotVerify,
            (false, true) => State::Unsigned,
        };
        found
    }

    /// In a sentence.
    pub fn words(&self) -> String {
        match self.state {
            State::Unsigned => "unsigned".to_owned(),
            State::DoesNotVerify => "signed, and the signature does not verify".to_owned(),
            State::Verified => {
                let names: Vec<String> = self.signers.iter().map(|signer| format!("`{}`", signer.name)).collect();
                format!("signed by {}", names.join(" and "))
            }
        }
    }
}

/// The digests that evidence may name.
struct Digests {
    component: String,
    manifest: Option<String>,
}

impl Digests {
    fn of(subject: Subject<'_>) -> Self {
        let bare = |name: &str| name.trim_start_matches("sha256:").to_owned();
        Self { component: bare(&super::name_of(subject.bytes)), manifest: subject.manifest.map(bare) }
    }

    /// Of the component or of the manifest that names it.
    fn is(&self, sha256: &str) -> bool {
        sha256 == self.component || self.manifest.as_deref() == Some(sha256)
    }
}

fn detached(bytes: &[u8], signature: &[u8], trust: &Trust) -> Result<Signer, String> {
    let text = std::str::from_utf8(signature).ok().map(str::trim).filter(|text| !text.is_empty());
    let signature = text.and_then(|text| STANDARD.decode(text).ok());
    let signature = signature.ok_or_else(|| "it is no signature in base64".to_owned())?;
    trust.signer(bytes, &signature)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
