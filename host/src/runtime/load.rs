//! From bytes to something that can be invoked. No instruction of a component runs here.

use super::Engine;
use super::calls::OFFERED;
use super::instance::Instance;
use crate::ids::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// A component: compiled, linked and type checked. Once per version of an agent.
pub struct Loaded {
    digest: Digest,
    imports: Vec<String>,
    authority: Vec<String>,
    wants_reveal: bool,
    pub(super) pre: ProxyPre<Instance>,
}

impl Loaded {
    pub(super) fn new(digest: Digest, imports: Vec<String>, authority: Vec<String>, pre: ProxyPre<Instance>) -> Self {
        let wants_reveal = wants_reveal(&imports);
        Self { digest, imports, authority, wants_reveal, pre }
    }

    /// What it could use a grant for, as `attache vet` reads it.
    pub fn authority(&self) -> &[String] {
        &self.authority
    }

    /// Of the bytes that it was loaded from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The interfaces that it imports, with their versions, in its own order.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether it imports `attache:identity/reveal`, and so could turn credentials into bytes.
    pub fn wants_reveal(&self) -> bool {
        self.wants_reveal
    }
}

/// Why bytes are nothing that this host can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LoadError {
    /// A core module.
    #[error("this is a core module, not a component; build it with `--target wasm32-wasip2`")]
    CoreModule,
    /// Not WebAssembly, or of a version that is none.
    #[error("this is no WebAssembly component: {0}; build it with `--target wasm32-wasip2`")]
    NotAComponent(String),
    /// More bytes than a component may have.
    #[error(
        "the component has {bytes} bytes, and this host takes at most {most}; build it smaller, or raise `max_component`"
    )]
    TooLarge {
        /// Its own.
        bytes: usize,
        /// The host's limit.
        most: usize,
    },
    /// It wants something that is not linked.
    #[error("the component imports `{name}`, which this host does not offer; {}", instead(.name))]
    UnknownImport {
        /// The import, with its version.
        name: String,
    },
    /// It wants something that is linked, in another form.
    #[error("the component imports an interface in a form that this host does not offer: {0}")]
    ImportMismatch(String),
    /// It answers no requests.
    #[error("the component does not export `wasi:http/incoming-handler@0.2`, by which an agent is invoked")]
    MissingExport,
    /// It is a component, but not a valid one or not within the limits.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// It was still being compiled when its time was over.
    #[error("compiling the component took more than {} s; make it smaller, or raise `compile_time` under `[engine]`", .0.as_secs())]
    TooLong(Duration),
    /// It needed more memory to be compiled than it may have.
    #[error("compiling the component took more than {} MiB of memory; make it smaller, or raise `compile_memory` under `[engine]`", .0 >> 20)]
    TooMuchMemory(u64),
    /// It was compiled by another release or with other settings, and has to be compiled again.
    #[error("the compiled component is not for this engine")]
    Stale,
    /// The host's fault.
    #[error("the component was not compiled: {0}")]
    Host(String),
}

/// What to do about an import that is not offered.
fn instead(name: &str) -> &'static str {
    if name.starts_with("wasi:sockets/") {
        "agents reach the network through `wasi:http/outgoing-handler` and `attache:identity/credentials`"
    } else if name.contains("@0.3") {
        "build it for WASI 0.2"
    } else {
        "remove what imports it"
    }
}

pub(super) fn load(engine: &Engine, bytes: &[u8]) -> Result<Arc<Loaded>, LoadError> {
    let (component, imports) = checked(engine, bytes)?;
    let pre = linked(engine, &component, &imports)?;
    let authority = crate::vet::authority(bytes).map_err(|error| LoadError::Compile(error.to_string()))?;
    Ok(Arc::new(Loaded::new(Digest::of(bytes), imports, authority, pre)))
}

/// Compiled, with imports that are all offered.
pub(super) fn checked(engine: &Engine, bytes: &[u8]) -> Result<(Component, Vec<String>), LoadError> {
    check_head(engine, bytes)?;
    let component =
        Component::from_binary(&engine.wasm, bytes).map_err(|error| LoadError::Compile(one_line(&error)))?;
    let imports: Vec<String> =
        component.component_type().imports(&engine.wasm).map(|(name, _)| name.to_owned()).collect();
    match imports.iter().find(|name| !offered(name)) {
        Some(name) => Err(LoadError::UnknownImport { name: name.clone() }),
        None => Ok((component, imports)),
    }
}

/// Linked and type checked; `reveal` only to what imports it.
pub(super) fn linked(
    engine: &Engine,
    component: &Component,
    imports: &[String],
) -> Result<ProxyPre<Instance>, LoadError> {
    let linker = if wants_reveal(imports) { &engine.linkers.revealing } else { &engine.linkers.plain };
    let pre = linker.instantiate_pre(component).map_err(|error| LoadError::ImportMismatch(one_line(&error)))?;
    ProxyPre::new(pre).map_err(|_| LoadError::MissingExport)
}

pub(super) fn wants_reveal(imports: &[String]) -> bool {
    imports.iter().any(|name| name.starts_with("attache:identity/reveal@"))
}

/// What can be told without reading further.
pub(super) fn check_head(engine: &Engine, bytes: &[u8]) -> Result<(), LoadError> {
    let most = engine.config.max_component_bytes;
    if bytes.len() > most {
        return Err(LoadError::TooLarge { bytes: bytes.len(), most });
    }
    check_preamble(bytes)
}

/// The first eight bytes: magic, version, layer (Component Model, Binary §component-definitions).
fn check_preamble(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(LoadError::CoreModule),
        [0, b'a', b's', b'm', version @ ..] if version.len() >= 4 => {
            Err(LoadError::NotAComponent("it has a version that this host does not read".into()))
        }
        _ => Err(LoadError::NotAComponent("it does not start as WebAssembly does".into())),
    }
}

/// Whether this import is linked in a version that ours can stand for: for 0.x, the same x.
pub(super) fn offered(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    OFFERED.iter().any(|&(name, track)| {
        name == interface && version.strip_prefix(track).is_some_and(|patch| patch.starts_with('.'))
    })
}

pub(super) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_linked_interfaces_in_compatible_versions_are_offered() {
        for good in ["wasi:http/types@0.2.0", "wasi:http/types@0.2.12", "attache:identity/credentials@0.1.9"] {
            assert!(offered(good), "{good}");
        }
        for bad in [
            "wasi:http/types",
            "wasi:http/types@0.3.0",
            "wasi:http/types@0.20.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "attache:identity/credentials@0.10.0",
            "attache:identity/other@0.1.0",
            "",
        ] {
            assert!(!offered(bad), "{bad}");
        }
    }
}
