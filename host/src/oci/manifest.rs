//! Manifests: what lies in a repository under a tag or a digest (image-spec, "Image Manifest").

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Configuration and layer of a component, as the CNCF's layout for Wasm has them.
pub(super) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(super) const WASM: &str = "application/wasm";
/// A layer as some earlier tools wrote it.
pub(super) const WASM_BEFORE: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// What cosign puts beside an image: a configuration as of an image, and layers of these two kinds.
pub(super) const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// Kind of a Sigstore bundle, without its version.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A manifest. What it has besides is kept nowhere: the digest is over the bytes as they came.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// Manifests that have to do with another, as a registry lists them.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub(super) manifests: Vec<Listed>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) digest: String,
    #[serde(default)]
    pub(super) artifact_type: String,
}

/// Which bytes, of which kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: crate::ids::Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }
}

impl Manifest {
    pub(super) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: Some(MANIFEST.into()), config, layers, annotations: BTreeMap::new() }
    }

    /// The one component in it.
    pub(super) fn component(&self) -> Result<&Descriptor, &'static str> {
        let mut wasm = self.layers.iter().filter(|layer| [WASM, WASM_BEFORE].contains(&layer.media_type.as_str()));
        match (wasm.next(), wasm.next()) {
            (Some(layer), None) => Ok(layer),
            (None, _) => Err("there is no component in it (no layer `application/wasm`), but something else"),
            (Some(_), Some(_)) => Err("there are several components in it; name one that has a manifest of its own"),
        }
    }
}
