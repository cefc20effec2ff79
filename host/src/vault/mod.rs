//! Tokens, sealed.
//!
//! One entry per (account, workload, user, provider and client there, scope set, resources). A key derives from a [`crate::identity::Binding`]; the
//! sealed bytes are bound to it as associated data, so a row copied over another does not open. What releases a token
//! takes a [`crate::audit::Written`].

mod cache;
mod flight;
mod grants;
mod key;
mod minted;
mod refresh;
mod reseal;
mod revoke;
mod tokens;
mod wanted;

pub use grants::{Grant, GrantFilter, GrantStatus, Token, Vault, VaultError, VaultParts};
pub use key::{VaultKey, asked_about, client_of};
pub use minted::{Mint, MintedFacts};
pub use reseal::Resealed;
pub use wanted::Wanted;

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
    /// Which client we were there, and where: part of the key.
    pub client: String,
    /// What was asked for: part of the key.
    pub asked: Scopes,
    /// For which resources it was asked (RFC 8707), sorted: part of the key.
    pub resources: Vec<String>,
    /// Where the user read that the tokens may be sent, joined by spaces; sealed, and asked at every use.
    pub destinations: String,
    /// What the agent could use a grant for, as its user was told.
    pub authority: crate::directory::Authority,
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
    /// Since when a renewal is on its way whose outcome is not known here. The only column that changes without the row
    /// being sealed anew: it explains, and nothing is decided by it.
    pub renewing_since: Option<Timestamp>,
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
    /// Makes a grant, or replaces the one of the same (workload, user, provider, client, asked, resources).
    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>>;
    /// Replaces a grant if its generation is still `from`; false if it is not, or is gone.
    fn replace(&self, from: u64, row: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>>;
    /// Notes since when a grant of this generation is being renewed, or that it no longer is; false if its generation is
    /// another, or it is gone.
    fn renewing(
        &self,
        id: GrantId,
        generation: u64,
        since: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<bool, RowsError>>;
    /// Removes a grant, of which the provider is not told. False if it is gone.
    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<bool, RowsError>>;
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
