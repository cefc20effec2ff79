//! The one token vault of an account: under which key it is sealed, and its end.

use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, codes};
use crate::clock::Timestamp;
use crate::seal::KeyRingError;
use crate::vault::GrantFilter;
use serde_json::json;
use std::sync::Arc;

/// The vault, as far as it may be told.
pub struct VaultView {
    /// The id of the key that seals what is new.
    pub key: String,
    /// Whether an operator put that key into the ring; otherwise the host made it.
    pub by_operator: bool,
    /// When the ring last changed.
    pub modified_at: Timestamp,
}

/// Which key is to seal from now on.
pub enum ChosenKey {
    /// One of the ring, by its id: an operator's, or an earlier one of the host's.
    OfRing(String),
    /// A new one, which the host makes.
    New,
}

/// The only one there is.
pub const VAULT: &str = "default";

impl Operations {
    /// Which key seals the vault.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn token_vault(&self, caller: &Arc<Caller>, id: &str) -> Result<VaultView, OperationError> {
        let _permitted = self.permit(caller, Operation::GetTokenVault, None)?;
        only(id)?;
        Ok(self.vault_view())
    }

    /// Seals what is new under another key. What was sealed before opens as it did, and is sealed anew when it is next
    /// written.
    ///
    /// # Errors
    /// [`OperationError`]; the ring is what it was then.
    pub async fn set_vault_key(
        &self,
        caller: &Arc<Caller>,
        id: &str,
        key: ChosenKey,
    ) -> Result<VaultView, OperationError> {
        let permitted = self.permit(caller, Operation::SetTokenVaultCMK, None)?;
        only(id)?;
        let named = match &key {
            ChosenKey::OfRing(id) => id.clone(),
            ChosenKey::New => "new".to_owned(),
        };
        let action = Action::new(codes::VAULT_KEY, VAULT).with(json!({ "key": named }));
        let deed = async {
            self.of_ring(move |ring| match key {
                ChosenKey::OfRing(id) => ring.activate(&id),
                ChosenKey::New => ring.rotate().map(drop),
            })
            .await?;
            Ok(self.vault_view())
        };
        self.written(permitted.actor(), action, deed).await
    }

    /// Destroys every user's tokens, for good, and makes a new key. Providers are told. Secrets of providers and access
    /// keys stay, and so do the keys that open them.
    ///
    /// # Errors
    /// [`OperationError`]; to ask again goes on where it stopped.
    pub async fn reset_vault(&self, caller: &Arc<Caller>, id: &str) -> Result<VaultView, OperationError> {
        let permitted = self.permit(caller, Operation::ResetTokenVaultKeyMaterial, None)?;
        only(id)?;
        let action = Action::new(codes::VAULT_RESET, VAULT);
        let deed = async {
            // A new key first: what is granted meanwhile is no more under the old one.
            self.of_ring(|ring| ring.rotate().map(drop)).await?;
            let all = GrantFilter::default();
            self.host.vault.revoke_where(&all, &permitted.actor()).await?;
            self.host.vault.forget_minted(&all);
            Ok(self.vault_view())
        };
        self.written(permitted.actor(), action, deed).await
    }

    fn vault_view(&self) -> VaultView {
        let ring = &self.host.ring;
        let key = ring.active_id();
        VaultView { by_operator: !made_by_host(&key), key, modified_at: ring.modified_at() }
    }

    /// The ring is a file, and changing it waits for the disk.
    async fn of_ring(
        &self,
        change: impl FnOnce(&crate::seal::KeyRing) -> Result<(), KeyRingError> + Send + 'static,
    ) -> Result<(), OperationError> {
        let ring = self.host.ring.clone();
        let changed = tokio::task::spawn_blocking(move || change(&ring)).await;
        match changed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error @ KeyRingError::NoSuchKey { .. })) => Err(OperationError::NotFound(format!(
                "{error}; an operator adds one to `keyring.toml` and starts the host again"
            ))),
            Ok(Err(error @ KeyRingError::Changed { .. })) => Err(OperationError::Conflict(error.to_string())),
            Ok(Err(error)) => Err(OperationError::Unavailable(crate::audit::with_cause(&error))),
            Err(_) => Err(OperationError::Unavailable("the change was broken off; look whether it is made".into())),
        }
    }
}

fn only(id: &str) -> Result<(), OperationError> {
    if id == VAULT {
        return Ok(());
    }
    let shown: String = id.chars().take(64).collect();
    Err(OperationError::NotFound(format!(
        "there is no token vault `{}`; the one of this host is `{VAULT}`",
        shown.escape_debug()
    )))
}

/// The host names its keys `key-` and eight digits.
fn made_by_host(id: &str) -> bool {
    id.strip_prefix("key-").is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}
