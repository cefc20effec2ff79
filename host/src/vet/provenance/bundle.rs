//! Sigstore bundles: a signature with what shows whose it is, as `cosign` and the build services of GitHub and npm write them
//! (<https://docs.sigstore.dev/about/bundle/>). Verified offline, against the trusted root that the trust file names.

use super::envelope;
use super::{Attestation, Digests, Signer, Subject, Trust};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{Error, VerificationPolicy, VerificationResult, Verifier};

/// Predicate type of a statement that says no more than that somebody signed: cosign 3 signs what lies in a registry so.
pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// What a bundle shows.
pub(super) enum Shown {
    /// That somebody signed the component.
    Signature(Signer),
    /// What somebody says of it.
    Attestation(Attestation),
}

/// As it was found; nothing of it is believed yet.
pub(super) fn read(json: &[u8]) -> Result<Bundle, String> {
    let unreadable = |why: &dyn std::fmt::Display| format!("it is no Sigstore bundle: {}", short(why));
    let json = std::str::from_utf8(json).map_err(|error| unreadable(&error))?;
    Bundle::from_json(json).map_err(|error| unreadable(&error))
}

/// Whether it says that it is a signature, and no other statement.
pub(super) fn signs(bundle: &Bundle) -> bool {
    match &bundle.content {
        SignatureContent::DsseEnvelope(signed) => envelope::is_of(signed.payload.as_bytes(), SIGNED),
        _ => true,
    }
}

/// Whose it is. The signature first: nothing of a payload is looked at that nobody trusted signed.
pub(super) fn verify(bundle: &Bundle, subject: Subject<'_>, about: &Digests, trust: &Trust) -> Result<Shown, String> {
    let by = match &bundle.verification_material.content {
        // The key decides by itself; whether a log saw it tells nothing more about whose it is.
        VerificationMaterialContent::PublicKey(_) => by_key(&bundle.content, subject, trust)?,
        _ => by_identity(bundle, subject, about, trust)?,
    };
    match &bundle.content {
        SignatureContent::DsseEnvelope(signed) => {
            let attestation = envelope::read(&signed.payload_type, signed.payload.as_bytes(), about, by)?;
            Ok(match attestation.predicate_type == SIGNED {
                true => Shown::Signature(attestation.by),
                false => Shown::Attestation(attestation),
            })
        }
        _ => Ok(Shown::Signature(by)),
    }
}

fn by_key(content: &SignatureContent, subject: Subject<'_>, trust: &Trust) -> Result<Signer, String> {
    match content {
        SignatureContent::MessageSignature(signed) => trust.signer(subject.bytes, signed.signature.as_bytes()),
        SignatureContent::DsseEnvelope(signed) => {
            let message = envelope::encoded(&signed.payload_type, signed.payload.as_bytes());
            trust.signer(&message, signed.signature.sig.as_bytes())
        }
        _ => Err("it holds no signature of a kind that is known here".to_owned()),
    }
}

/// By the certificate that an authority of the trusted root gave for an identity, at a time that a log or an authority for
/// time vouches for; whether the trust file names the identity comes last.
fn by_identity(bundle: &Bundle, subject: Subject<'_>, about: &Digests, trust: &Trust) -> Result<Signer, String> {
    let root = trust.root().ok_or_else(|| {
        let file = if trust.is_empty() { "a trust file with `--trust FILE`, and in it" } else { "in the trust file" };
        format!(
            "it is signed by an identity, without a key (Sigstore); to have it verified, name {file} the trusted root as \
             `trusted-root`, and who may sign under `[[identities]]`"
        )
    })?;
    let verifier =
        Verifier::new(root).map_err(|error| format!("the trusted root cannot be used: {}", short(&error)))?;
    // Any identity: the trust file has names for several, and is asked when it is clear which one it was.
    let policy = VerificationPolicy::any_identity();
    let over = |artifact: Artifact<'_>| verifier.verify(artifact, bundle, &policy);
    let found = match (over(Artifact::from_blob(subject.bytes)), about.manifest.as_deref()) {
        (Ok(found), _) => Ok(found),
        (Err(error), None) => Err(error),
        (Err(error), Some(manifest)) => match Sha256Hash::from_hex(manifest) {
            Ok(digest) => over(Artifact::from_digest(digest)),
            Err(_) => Err(error),
        },
    };
    let found: VerificationResult = found.map_err(|error| match error {
        Error::ArtifactMismatch(_) => "it is about other bytes".to_owned(),
        error => format!("it does not verify: {}", short(&error)),
    })?;
    let identity = found.identity().map_or("", |identity| identity.as_str());
    trust.identity(found.issuer().unwrap_or_default(), identity)
}

/// Words of a library, which may repeat what it was given.
fn short(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.escape_debug().to_string().chars().take(envelope::LONGEST).collect()
}
