//! Cosign's "simple signing": what is signed is a small JSON payload that names the digest of a manifest
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).

use super::{Digests, Signer, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

/// As cosign writes it, misleading though the word is for a component.
const TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// What to sign for the manifest of this digest (`sha256:…`) in this repository.
pub fn simple_payload(repository: &str, manifest: &str) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": manifest },
            "type": TYPE,
        },
        "optional": null,
    });
    payload.to_string().into_bytes()
}

/// Whose it is. The signature first: nothing of a payload is looked at that nobody trusted signed.
pub(super) fn verify(payload: &[u8], signature: &str, about: &Digests, trust: &Trust) -> Result<Signer, String> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| "it is no signature in base64".to_owned())?;
    let signer = trust.signer(payload, &signature)?;
    let payload: Payload = serde_json::from_slice(payload).map_err(|error| format!("it cannot be read: {error}"))?;
    if payload.critical.kind != TYPE {
        return Err(format!("it is of the kind `{}`", payload.critical.kind.escape_debug()));
    }
    match payload.critical.image.docker_manifest_digest.strip_prefix("sha256:") {
        Some(sha256) if about.manifest.as_deref() == Some(sha256) => Ok(signer),
        _ => Err("it is a signature of another manifest".to_owned()),
    }
}
