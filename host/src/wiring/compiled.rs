//! From a digest to something that can be invoked: compiled once, kept sealed, adopted at each start.

use super::ComponentError;
use crate::ids::Digest;
use crate::runtime::{Compiled, Compiler, Engine, LoadError, Loaded};
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::store::Components;
use std::sync::Arc;

/// What is sealed is this, and opens as nothing else.
const KIND: &[u8] = b"compiled component";

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
