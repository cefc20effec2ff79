//! Tokens, sealed.
//!
//! One entry per (account, workload, user, provider, scope set). A key derives from a [`crate::identity::Binding`]; the
//! sealed bytes are bound to it as associated data, so a row copied over another does not open. What releases a token
//! takes a [`crate::audit::Written`].

mod cache;
mod grants;
mod key;
mod refresh;
mod revoke;
mod tokens;

pub use grants::{Grant, GrantFilter, GrantStatus, Token, Vault, VaultError};
pub use key::VaultKey;

use crate::clock::Timestamp;
use crate::ids::{GrantId, ProviderName, Scopes, UserId};
use futures_util::future::BoxFuture;

/// A grant as it rests: its key in the clear (it must be listed), its tokens sealed to that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// By which it is listed and revoked.
    pub id: GrantId,
    /// SPIFFE id of the workload.
    pub workload: String,
    /// The user who agreed.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// What was asked for: part of the key.
    pub asked: Scopes,
    /// What the provider granted.
    pub granted: Scopes,
    /// When the user agreed.
    pub created_at: Timestamp,
    /// When the tokens last changed.
    pub updated_at: Timestamp,
    /// When the access token expires; none when the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// Counts changes; part of the associated data, so an old ciphertext does not open in a newer row.
    pub generation: u64,
    /// The tokens: a serialized [`Sealed`].
    pub sealed: Vec<u8>,
}

/// A token that the provider must still be told to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRevocation {
    /// The grant that was revoked here.
    pub grant: GrantId,
    /// Its row as it was, to open the token once more.
    pub row: GrantRow,
    /// How often the provider was asked.
    pub attempts: u32,
    /// Not before.
    pub next_at: Timestamp,
}

/// Where sealed rows rest. Implemented by `store`. Every write is durable when it returns.
pub trait Rows: Send + Sync {
    /// All grants, to fill the cache at start.
    fn all(&self) -> BoxFuture<'_, Result<Vec<GrantRow>, RowsError>>;
    /// Makes a grant, or replaces the one of the same (workload, user, provider, asked).
    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>>;
    /// Replaces a grant if its generation is still `from`; false if it is not, or is gone.
    fn replace(&self, from: u64, row: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>>;
    /// In one transaction: removes the grant and queues its revocation at the provider. False if it is gone.
    fn revoke(&self, id: GrantId, pending: PendingRevocation) -> BoxFuture<'_, Result<bool, RowsError>>;
    /// Revocations that are due.
    fn due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<PendingRevocation>, RowsError>>;
    /// Postpones one, or removes it when `next_at` is none.
    fn reschedule(
        &self,
        id: GrantId,
        attempts: u32,
        next_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), RowsError>>;
}

/// The rows could not be read or written. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct RowsError(pub String);
