//! What is done with a registry: pull a component, push one, and what lies beside it.

use super::auth::Credentials;
use super::client::{Answer, Ask, Client};
use super::manifest::{
    BUNDLE, DSSE, Descriptor, IMAGE_CONFIG, INDEX, Index, MANIFEST, Manifest, SIGNATURE, SIMPLE_SIGNING, WASM,
    WASM_CONFIG,
};
use super::{OciError, Reference};
use crate::ids::Digest;
use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::json;

/// Of a component; of a manifest; of a signature or attestation.
const MOST_COMPONENT: u64 = 256 << 20;
const MOST_MANIFEST: usize = 4 << 20;
const MOST_BESIDE: u64 = 4 << 20;
/// More signatures than anybody looks at.
const MOST_LAYERS: usize = 64;

/// One registry.
pub struct Registry {
    client: Client,
}

/// A component that was pulled.
pub struct Pulled {
    /// Its bytes, of the digest that the manifest names.
    pub bytes: Vec<u8>,
    /// `sha256:…` of the manifest.
    pub manifest: String,
}

/// Something that lies beside a component, as cosign puts it there.
pub enum Beside {
    /// A payload that names a manifest, and its signature in base64.
    Signature {
        /// JSON.
        payload: Vec<u8>,
        /// Base64.
        signature: String,
    },
    /// A DSSE envelope.
    Attestation(Vec<u8>),
}

impl Registry {
    /// The one of this reference. Connects to nothing yet.
    ///
    /// # Errors
    /// [`OciError::Unreachable`] when this machine has no certificates to trust.
    pub fn new(reference: &Reference, credentials: Option<Credentials>) -> Result<Self, OciError> {
        Ok(Self { client: Client::new(reference, credentials)? })
    }

    /// The component of this name. What a tag names is looked up once.
    ///
    /// # Errors
    /// [`OciError`]: among them bytes that are not of the digest that was asked for.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, OciError> {
        let (manifest, digest) =
            self.manifest(reference, reference.wanted()).await?.ok_or_else(|| missing(reference))?;
        let malformed = |why: &str| OciError::Malformed(format!("`{reference}` cannot be pulled: {why}"));
        let layer = manifest.component().map_err(malformed)?;
        let bytes = self.blob(reference, layer, MOST_COMPONENT).await?;
        Ok(Pulled { bytes, manifest: digest })
    }

    /// Puts a component there; returns `sha256:…` of its manifest. `imports` and `exports` are told in its configuration.
    ///
    /// # Errors
    /// [`OciError`]. What was sent before stays, and nothing names it.
    pub async fn push(
        &self,
        reference: &Reference,
        bytes: Vec<u8>,
        imports: &[String],
        exports: &[String],
    ) -> Result<String, OciError> {
        let layer = Descriptor::of(WASM, &bytes);
        let config = json!({
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.digest],
            "component": { "imports": imports, "exports": exports },
        });
        let config = config.to_string().into_bytes();
        let manifest = Manifest::new(Descriptor::of(WASM_CONFIG, &config), vec![layer]);
        self.put_blob(reference, bytes).await?;
        self.put_blob(reference, config).await?;
        self.put_manifest(reference, &reference.tag, &manifest).await
    }

    /// Signatures and attestations of a manifest, by the tags that cosign gives them.
    ///
    /// # Errors
    /// [`OciError`]; that there are none is no error.
    pub async fn beside(&self, reference: &Reference, manifest: &str) -> Result<Vec<Beside>, OciError> {
        let mut found = Vec::new();
        for ending in ["sig", "att"] {
            let Some((list, _)) = self.manifest(reference, &tag_of(manifest, ending)).await? else { continue };
            for layer in list.layers.iter().take(MOST_LAYERS) {
                let signature = layer.annotations.get(SIGNATURE);
                match (layer.media_type.as_str(), signature) {
                    (SIMPLE_SIGNING, Some(signature)) => found.push(Beside::Signature {
                        payload: self.blob(reference, layer, MOST_BESIDE).await?,
                        signature: signature.clone(),
                    }),
                    (DSSE, _) => found.push(Beside::Attestation(self.blob(reference, layer, MOST_BESIDE).await?)),
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    /// Sigstore bundles that say they belong to a manifest: what the registry lists of such, or a list that is kept under a
    /// tag where it does not (distribution-spec, "Listing Referrers").
    ///
    /// # Errors
    /// [`OciError`]; that there are none is no error.
    pub async fn bundles(&self, reference: &Reference, manifest: &str) -> Result<Vec<Vec<u8>>, OciError> {
        let repository = &reference.repository;
        let mut answer = self.get(&format!("{repository}/referrers/{manifest}"), INDEX, MOST_MANIFEST).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let tag = manifest.replace(':', "-");
            answer = self.get(&format!("{repository}/manifests/{tag}"), INDEX, MOST_MANIFEST).await?;
        }
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        self.good(&answer, "the request for what belongs to it")?;
        let list: Index = serde_json::from_slice(&answer.body).map_err(|error| {
            OciError::Malformed(format!("what belongs to `{}` is no list: {error}", reference.name()))
        })?;
        let mut found = Vec::new();
        let bundles = list.manifests.iter().filter(|one| one.artifact_type.starts_with(BUNDLE));
        for one in bundles.take(MOST_LAYERS) {
            if !super::reference::is_digest(&one.digest) {
                return Err(OciError::Malformed(format!("what belongs to `{}` has no digest", reference.name())));
            }
            let Some((manifest, _)) = self.manifest(reference, &one.digest).await? else { continue };
            for layer in manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE)).take(1) {
                found.push(self.blob(reference, layer, MOST_BESIDE).await?);
            }
        }
        Ok(found)
    }

    /// Adds a signature or an attestation to those that a manifest has.
    ///
    /// # Errors
    /// [`OciError`]; those that were there are there still.
    pub async fn add_beside(&self, reference: &Reference, manifest: &str, one: Beside) -> Result<(), OciError> {
        let (ending, layer, bytes) = match one {
            Beside::Signature { payload, signature } => {
                let mut layer = Descriptor::of(SIMPLE_SIGNING, &payload);
                layer.annotations.insert(SIGNATURE.to_owned(), signature);
                ("sig", layer, payload)
            }
            Beside::Attestation(envelope) => {
                let mut layer = Descriptor::of(DSSE, &envelope);
                // Cosign looks for it, and finds the signature in the envelope.
                layer.annotations.insert(SIGNATURE.to_owned(), String::new());
                ("att", layer, envelope)
            }
        };
        let tag = tag_of(manifest, ending);
        let mut layers = self.manifest(reference, &tag).await?.map_or_else(Vec::new, |(before, _)| before.layers);
        if layers.len() >= MOST_LAYERS {
            return Err(OciError::Malformed(format!("`{reference}` has {MOST_LAYERS} of them already")));
        }
        self.put_blob(reference, bytes).await?;
        layers.push(layer);
        let ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config =
            json!({ "architecture": "", "os": "", "config": {}, "rootfs": { "type": "layers", "diff_ids": ids } });
        let config = config.to_string().into_bytes();
        let list = Manifest::new(Descriptor::of(IMAGE_CONFIG, &config), layers);
        self.put_blob(reference, config).await?;
        self.put_manifest(reference, &tag, &list).await.map(drop)
    }

    /// A manifest and its digest, over the bytes as they came; none where there is none.
    async fn manifest(&self, reference: &Reference, wanted: &str) -> Result<Option<(Manifest, String)>, OciError> {
        let path = format!("{}/manifests/{wanted}", reference.repository);
        let answer = self.get(&path, &format!("{MANIFEST}, {INDEX}"), MOST_MANIFEST).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.good(&answer, &format!("the request for `{}`", reference.name()))?;
        let digest = Digest::of(&answer.body).to_string();
        if wanted.starts_with("sha256:") && wanted != digest {
            return Err(OciError::Malformed(format!("the registry gave another manifest than `{wanted}`")));
        }
        let value: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| OciError::Malformed(format!("the manifest of `{}` is no JSON", reference.name())))?;
        if value.get("manifests").is_some() {
            return Err(OciError::Malformed(format!(
                "`{}` is a list of several; name one of them by its digest",
                reference.name()
            )));
        }
        let manifest = serde_json::from_value(value)
            .map_err(|error| OciError::Malformed(format!("the manifest of `{}` is none: {error}", reference.name())))?;
        Ok(Some((manifest, digest)))
    }

    /// Bytes of just this digest and size.
    async fn blob(&self, reference: &Reference, wanted: &Descriptor, most: u64) -> Result<Vec<u8>, OciError> {
        let Descriptor { digest, size, .. } = wanted;
        if !super::reference::is_digest(digest) || *size > most {
            let why = format!("`{}` names bytes of {size}, or by another digest than SHA-256", reference.name());
            return Err(OciError::Malformed(why));
        }
        let path = format!("{}/blobs/{digest}", reference.repository);
        let answer = self.get(&path, "", usize::try_from(*size).unwrap_or(usize::MAX)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(OciError::NotFound(format!("{}@{digest}", reference.name())));
        }
        self.good(&answer, "the request for its bytes")?;
        if answer.body.len() as u64 != *size || Digest::of(&answer.body).to_string() != *digest {
            return Err(OciError::Malformed(format!(
                "the registry gave other bytes than `{digest}`; nothing of them is used"
            )));
        }
        Ok(answer.body.to_vec())
    }

    async fn put_blob(&self, reference: &Reference, bytes: Vec<u8>) -> Result<(), OciError> {
        let digest = Digest::of(&bytes).to_string();
        let path = format!("{}/blobs/{digest}", reference.repository);
        let there = Ask { method: Method::HEAD, ..plain(&path) };
        if self.client.ask(&there).await?.status.is_success() {
            return Ok(());
        }
        let begin = format!("{}/blobs/uploads/", reference.repository);
        let begun = self.client.ask(&Ask { method: Method::POST, ..plain(&begin) }).await?;
        self.expect(&begun, StatusCode::ACCEPTED, "the beginning of an upload")?;
        let place = begun.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let place = place.ok_or_else(|| begun.error("the beginning of an upload, without saying where"))?;
        let sign = if place.contains('?') { '&' } else { '?' };
        let place = format!("{place}{sign}digest={digest}");
        let upload = Ask {
            method: Method::PUT,
            content_type: "application/octet-stream",
            body: Bytes::from(bytes),
            ..plain(&place)
        };
        let answer = self.client.ask(&upload).await?;
        self.expect(&answer, StatusCode::CREATED, "an upload")
    }

    async fn put_manifest(&self, reference: &Reference, tag: &str, manifest: &Manifest) -> Result<String, OciError> {
        let bytes = json!(manifest).to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        let path = format!("{}/manifests/{tag}", reference.repository);
        let ask = Ask { method: Method::PUT, content_type: MANIFEST, body: Bytes::from(bytes), ..plain(&path) };
        let answer = self.client.ask(&ask).await?;
        self.expect(&answer, StatusCode::CREATED, "a manifest")?;
        Ok(digest)
    }

    async fn get(&self, path: &str, accept: &str, most: usize) -> Result<Answer, OciError> {
        self.client.ask(&Ask { accept, most, ..plain(path) }).await
    }

    fn good(&self, answer: &Answer, what: &str) -> Result<(), OciError> {
        self.expect(answer, StatusCode::OK, what)
    }

    fn expect(&self, answer: &Answer, status: StatusCode, what: &str) -> Result<(), OciError> {
        match answer.status {
            found if found == status => Ok(()),
            StatusCode::FORBIDDEN => Err(self.client.refused()),
            _ => Err(answer.error(what)),
        }
    }
}

/// A GET without anything.
fn plain(path: &str) -> Ask<'_> {
    Ask { method: Method::GET, path, accept: "", content_type: "", body: Bytes::new(), most: 0 }
}

fn missing(reference: &Reference) -> OciError {
    OciError::NotFound(reference.to_string())
}

/// As cosign names what belongs to a manifest.
fn tag_of(manifest: &str, ending: &str) -> String {
    format!("{}.{ending}", manifest.replace(':', "-"))
}
