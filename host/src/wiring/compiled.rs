//! From a digest to something that can be invoked: compiled once, kept sealed, adopted at each start.

use super::ComponentError;
use crate::ids::Digest;
use crate::runtime::{Compiled, Compiler, Engine, LoadError, Loaded};
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::store::Components;
use std::sync::Arc;

/// What is sealed is this, in this form, and opens as nothing else: it changes when `Compiled` does.
const KIND: &[u8] = b"compiled component 2";

/// What compiled components are kept with.
pub(super) struct Kept {
    pub(super) engine: Arc<Engine>,
    pub(super) compiler: Compiler,
    pub(super) components: Arc<Components>,
    pub(super) sealer: Arc<Sealer>,
    /// Guests run in workers, so nothing is adopted in this process.
    pub(super) for_workers: bool,
}

/// A component that can be run.
pub enum Ready {
    /// In this process.
    Here(Arc<Loaded>),
    /// In workers.
    Apart(Arc<Compiled>),
}

impl Ready {
    /// What it could use a grant for, as `attache vet` reads it.
    pub fn authority(&self) -> &[String] {
        match self {
            Self::Here(loaded) => loaded.authority(),
            Self::Apart(compiled) => compiled.authority(),
        }
    }
}

impl Kept {
    /// As it was kept, or compiled and kept. What was kept is machine code, so it is believed only as far as the seal goes:
    /// of this component, for this engine, by whoever has the key ring. Anything else is compiled again.
    pub(super) async fn ready(self: &Arc<Self>, digest: Digest) -> Result<Arc<Ready>, ComponentError> {
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let bytes = this.components.load(digest).map_err(ComponentError::Store)?;
            Ok::<_, ComponentError>((this.opened(digest), bytes))
        });
        let (kept, bytes) = read.await.map_err(|_| ComponentError::Stopped)??;
        if let Some(ready) = kept {
            return Ok(Arc::new(ready));
        }
        let compiled = self.compiler.compile(bytes).await.map_err(ComponentError::Load)?;
        if compiled.digest() != digest {
            return Err(ComponentError::Load(LoadError::Stale));
        }
        let this = self.clone();
        let ready = tokio::task::spawn_blocking(move || {
            this.keep(&compiled);
            this.made_ready(compiled).map(Arc::new).map_err(ComponentError::Load)
        });
        ready.await.map_err(|_| ComponentError::Stopped)?
    }

    fn made_ready(&self, compiled: Compiled) -> Result<Ready, LoadError> {
        match self.for_workers {
            true => Ok(Ready::Apart(Arc::new(compiled))),
            false => self.engine.adopt(&compiled).map(Ready::Here),
        }
    }

    fn opened(&self, digest: Digest) -> Option<Ready> {
        let compatibility = self.engine.compatibility();
        let sealed = self.components.load_compiled(digest, compatibility)?;
        let opened = self.sealer.open(&[KIND, digest.hex().as_bytes(), &compatibility.to_be_bytes()], &sealed);
        let compiled = opened.ok().and_then(|plain| Compiled::from_sealed(plain.expose()));
        let Some(compiled) = compiled.filter(|compiled| compiled.digest() == digest) else {
            tracing::warn!(%digest, "a compiled component was changed, or sealed with another key; it is compiled again");
            return None;
        };
        self.made_ready(compiled).ok()
    }

    /// Losing it costs time and nothing else.
    fn keep(&self, compiled: &Compiled) {
        let compatibility = self.engine.compatibility();
        let plain = Secret::new(compiled.to_bytes());
        let kept = self
            .sealer
            .seal(&[KIND, compiled.digest().hex().as_bytes(), &compatibility.to_be_bytes()], &plain)
            .map_err(|error| error.to_string())
            .and_then(|sealed| {
                let put = self.components.put_compiled(compiled.digest(), compatibility, &sealed);
                put.map_err(|error| error.to_string())
            });
        if let Err(error) = kept {
            tracing::warn!(error, "a compiled component was not kept; the next start compiles it again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::EngineConfig;
    use crate::seal::KeyRing;

    fn component() -> Vec<u8> {
        let text = r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $out))
            (core module $core (func (export "handle") (param i32 i32)))
            (core instance $running (instantiate $core))
            (func $handle (param "request" (own $request)) (param "response-out" (own $out))
                (canon lift (core func $running "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;
        wat::parse_str(text).unwrap()
    }

    fn kept(folder: &std::path::Path, ring: &str, engine: &EngineConfig) -> Arc<Kept> {
        let ring = Arc::new(KeyRing::open_or_create(&folder.join(ring)).unwrap());
        let engine = Engine::new(engine).unwrap();
        Arc::new(Kept {
            compiler: Compiler::here(engine.clone()),
            engine,
            components: Arc::new(Components::open(&folder.join("components")).unwrap()),
            sealer: Arc::new(Sealer::new(ring)),
            for_workers: false,
        })
    }

    #[tokio::test]
    async fn what_was_compiled_is_believed_as_far_as_its_seal_goes() {
        let folder = tempfile::tempdir().unwrap();
        let small = EngineConfig { max_instances: 1, ..EngineConfig::default() };
        let host = kept(folder.path(), "ring", &small);
        let digest = host.components.put(&component()).unwrap();
        assert!(host.opened(digest).is_none(), "nothing was compiled yet");
        host.ready(digest).await.unwrap();
        assert!(host.opened(digest).is_some(), "it is there at the next start");

        let compatibility = host.engine.compatibility();
        let whole = host.components.load_compiled(digest, compatibility).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 97 + 1) {
            let mut changed = whole.clone();
            changed[at] ^= 0x20;
            host.components.put_compiled(digest, compatibility, &changed).unwrap();
            assert!(host.opened(digest).is_none(), "byte {at}");
        }
        host.components.put_compiled(digest, compatibility, &whole[..whole.len() - 1]).unwrap();
        assert!(host.opened(digest).is_none(), "cut short");
        // Of another component, under the name of this one.
        let other = host.components.put(&[component(), vec![0, 1, 0]].concat()).unwrap();
        host.components.put_compiled(other, compatibility, &whole).unwrap();
        assert!(host.opened(other).is_none());
        // Whoever has another key ring believes nothing of it.
        host.components.put_compiled(digest, compatibility, &whole).unwrap();
        assert!(host.opened(digest).is_some());
        assert!(kept(folder.path(), "another-ring", &small).opened(digest).is_none());
        // And all of them are compiled again.
        assert!(kept(folder.path(), "another-ring", &small).ready(digest).await.is_ok());
    }
}
