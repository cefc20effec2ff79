//! After the key of the ring was changed: what rests under an older key is sealed anew, in the background.
//!
//! A row is opened and sealed again under the active key, for the same parts; nothing of it is released, and nothing else in it
//! changes. It is written only if its generation is still what it was, in turn with everything else that writes at its place, so
//! a renewal in flight neither loses its answer nor is undone. A host that dies between two rows goes on where it was: which
//! rows are left is seen from the rows.

use super::VaultError;
use super::grants::{Parts, Vault};
use super::key::{Held, Place, ResealKey};
use crate::audit::with_cause;
use futures_util::future::join_all;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Rows that share a commit. Small, so that whoever waits for the disk waits for few of them.
const BATCH: usize = 128;
/// How often it is looked whether the key was changed.
const LOOK: Duration = Duration::from_secs(5);

/// How far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed anew.
    pub done: usize,
    /// Left under an older key, because they do not open or could not be written; the log has the reason.
    pub left: usize,
}

impl Vault {
    /// Seals anew every grant that rests under another key than the active one, so many in one commit. Runs beside everything
    /// else.
    pub async fn reseal(&self, batch: usize) -> Resealed {
        let mut came = Resealed::default();
        let stale = self.parts.cache.stale(&self.parts.sealer);
        for batch in stale.chunks(batch.max(1)) {
            for outcome in join_all(batch.iter().map(|held| self.parts.reseal(held))).await {
                match outcome {
                    Ok(true) => came.done += 1,
                    // It was changed or removed meanwhile, and whatever replaced it was sealed under the active key.
                    Ok(false) => {}
                    Err(error) => {
                        came.left += 1;
                        tracing::error!(error = %with_cause(&error), "a grant could not be sealed anew");
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        came
    }

    /// Goes on looking until the vault is gone.
    pub async fn work_reseals(vault: Weak<Self>) {
        let mut tick = tokio::time::interval(LOOK);
        let mut sealed_under = None;
        loop {
            tick.tick().await;
            let Some(vault) = vault.upgrade() else { return };
            let active = vault.parts.sealer.active_id();
            if sealed_under.as_ref() == Some(&active) {
                continue;
            }
            let came = vault.reseal(BATCH).await;
            if came.done > 0 {
                tracing::info!(grants = came.done, key = active, "grants were sealed anew under the active key");
            }
            if came.left == 0 {
                sealed_under = Some(active);
            }
        }
    }
}

impl Parts {
    async fn reseal(&self, held: &Arc<Held>) -> Result<bool, VaultError> {
        let place = Place::of_row(&self.account, &held.row);
        let _turn = self.turn(&place).await;
        // As it is now: a mark that was set since belongs to it.
        let Some(now) = self.cache.by_id(held.row.id) else { return Ok(false) };
        if !self.sealer.is_stale(&now.row.sealed) {
            return Ok(false);
        }
        let anew = ResealKey::of(&place).again(&self.sealer, &now)?;
        if !self.rows.replace(now.row.generation, anew.row.clone()).await? {
            return Ok(false);
        }
        self.cache.put(place.clone(), Arc::new(anew));
        Ok(true)
    }
}
