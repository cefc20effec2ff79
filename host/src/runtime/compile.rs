//! Compiling, in two halves: bytes of a stranger become an artefact, and the artefact is adopted by the engine that runs it.
//!
//! Validating and compiling is where hostile bytes cost most: the makers of the engine do not call a component that
//! compiles for minutes, or into gigabytes, a fault of theirs. So the first half can be done by a child process that gave up
//! everything but memory and time, of both of which it has so much and no more ([`super::Compiler`]).

use super::calls::OFFERED;
use super::engine::{Engine, EngineConfig, EngineError, Ground};
use super::load::{self, LoadError, Loaded};
use crate::ids::Digest;
use crate::sandbox::Confined;
use crate::vet;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::sync::Arc;
use wasmtime::component::Component;

/// A component that was compiled, and what is known of it. Means something to engines of the same settings and release
/// only, which they check.
#[derive(Serialize, Deserialize)]
pub struct Compiled {
    digest: Digest,
    imports: Vec<String>,
    authority: Vec<String>,
    #[serde(with = "bytes")]
    artefact: Vec<u8>,
}

impl Compiled {
    /// Of the bytes that it was compiled from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The interfaces that it imports, with their versions, in its own order.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it could use a grant for, as `attache vet` reads it.
    pub fn authority(&self) -> &[String] {
        &self.authority
    }

    /// Whether it imports `attache:identity/reveal`.
    pub fn wants_reveal(&self) -> bool {
        load::wants_reveal(&self.imports)
    }

    /// For a file or a pipe.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Of plain data in memory, which cannot fail.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// As [`Self::to_bytes`] wrote it, from where nobody else could have changed it: what comes of it is run.
    pub fn from_sealed(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// What a child is told before the component's bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    config: EngineConfig,
    ground: Ground,
    compatibility: u64,
}

/// What a child answers.
pub(super) type Answer = Result<Compiled, LoadError>;

impl Engine {
    /// Validates, compiles and checks a component against what is linked. Blocks for tens of milliseconds to seconds. No
    /// instruction of the component runs.
    ///
    /// # Errors
    /// [`LoadError`], naming what is wrong with the component.
    pub fn compile(&self, bytes: &[u8]) -> Result<Compiled, LoadError> {
        let (component, imports) = load::checked(self, bytes)?;
        load::linked(self, &component, &imports)?;
        let artefact = component.serialize().map_err(|error| LoadError::Compile(load::one_line(&error)))?;
        let authority = vet::authority(bytes).map_err(|error| LoadError::Compile(error.to_string()))?;
        Ok(Compiled { digest: Digest::of(bytes), imports, authority, artefact })
    }

    /// Makes what was compiled ready to be invoked. Takes a fraction of a millisecond.
    ///
    /// The artefact is machine code. It has to come from this very program: from [`Self::compile`] in this process or in a
    /// child of it, straight or from where nobody else could write it.
    ///
    /// # Errors
    /// [`LoadError::Stale`] where it was compiled by another release or with other settings.
    pub fn adopt(&self, compiled: &Compiled) -> Result<Arc<Loaded>, LoadError> {
        if compiled.imports.iter().any(|name| !load::offered(name)) {
            return Err(LoadError::Stale);
        }
        #[expect(unsafe_code, reason = "machine code is believed here; see above for where it comes from")]
        // SAFETY: `Compiled` is made by `compile` alone, or read back from a sealed file or from our own confined child.
        let component = unsafe { Component::deserialize(&self.wasm, &compiled.artefact) };
        let component = component.map_err(|error| {
            tracing::info!(error = %load::one_line(&error), "a compiled component is not for this engine");
            LoadError::Stale
        })?;
        let pre = load::linked(self, &component, &compiled.imports)?;
        Ok(Arc::new(Loaded::new(compiled.digest, compiled.imports.clone(), compiled.authority.clone(), pre)))
    }

    /// Engines with the same can adopt each other's artefacts.
    pub fn compatibility(&self) -> u64 {
        use std::hash::{Hash as _, Hasher as _};
        let mut hasher = std::hash::DefaultHasher::new();
        self.wasm.precompile_compatibility_hash().hash(&mut hasher);
        OFFERED.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn order(&self) -> Vec<u8> {
        self.order_for(self.config.max_instances)
    }

    /// What another process needs to make an engine that adopts what this one adopts, with room for so many instances.
    pub fn order_for(&self, max_instances: u32) -> Vec<u8> {
        let config = EngineConfig { max_instances, ..self.config.clone() };
        let order = Order { config, ground: self.ground, compatibility: self.compatibility() };
        postcard::to_stdvec(&order).unwrap_or_default()
    }

    /// The engine of such an order.
    ///
    /// # Errors
    /// [`EngineError`] where the order is of another release, or this machine cannot give what it asks for.
    pub fn from_order(order: &[u8]) -> Result<Arc<Self>, EngineError> {
        let order: Order = postcard::from_bytes(order).map_err(|error| EngineError::Setup(error.to_string()))?;
        let engine = Self::on(&order.config, order.ground)?;
        if engine.compatibility() != order.compatibility {
            return Err(EngineError::Setup("this program is not the one that asked".into()));
        }
        Ok(engine)
    }

    /// What it lets guests use.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }
}

/// The child: reads an order and a component, compiles, and answers. Takes a [`Confined`], for it is the bytes of a stranger
/// that it reads.
///
/// # Errors
/// When a stream breaks or the order is not of this release; then there is nobody to answer.
pub fn compile_apart(_: &Confined, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut order = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or(0).min(64 << 10)];
    from.read_exact(&mut order)?;
    let order: Order = postcard::from_bytes(&order).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    // One more than is allowed, so that the check says so.
    from.take(order.config.max_component_bytes as u64 + 1).read_to_end(&mut bytes)?;
    let engine = Engine::for_compiling(&order.config, order.ground).map_err(io::Error::other)?;
    if engine.compatibility() != order.compatibility {
        return Err(io::Error::other("this program is not the one that asked"));
    }
    let answer: Answer = engine.compile(&bytes);
    to.write_all(&postcard::to_stdvec(&answer).map_err(io::Error::other)?)?;
    to.flush()
}

/// As one run of bytes, not one by one.
mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Run;
        impl Visitor<'_> for Run {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_of_other_settings_is_not_adopted() {
        let text = r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $out))
            (core module $core (memory 1) (func (export "handle") (param i32 i32)))
            (core instance $running (instantiate $core))
            (func $handle (param "request" (own $request)) (param "response-out" (own $out))
                (canon lift (core func $running "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;
        let bytes = wat::parse_str(text).unwrap();
        let config = EngineConfig { max_instances: 1, ..EngineConfig::default() };
        let on = |reservation, guard| Engine::on(&config, Ground { reservation, guard }).unwrap();
        let (wide, exact) = (on(4 << 30, 32 << 20), on(64 << 20, 64 << 10));
        assert_ne!(wide.compatibility(), exact.compatibility(), "memories that lie otherwise are other settings");
        let compiled = wide.compile(&bytes).unwrap();
        assert!(wide.adopt(&compiled).is_ok());
        assert_eq!(exact.adopt(&compiled).err(), Some(LoadError::Stale));
        let whole = compiled.to_bytes();
        assert!(Compiled::from_sealed(&whole).is_some());
        assert!(Compiled::from_sealed(&whole[..whole.len() - 1]).is_none());
    }
}
