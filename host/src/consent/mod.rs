//! One attempt to get a user's consent, from the link to the grant: by an authorization code, or by a code that the user
//! types on another device.
//!
//! A consent session belongs to the user of the invocation that started it (`iss` + `sub`). The code that a provider
//! sends back is exchanged only when the user at the other end is that user; anybody else stores nothing for anybody and
//! leaves an audit record. Sessions live ten minutes, a `state` works once and is stored hashed.

mod borrowed;
mod callback;
mod device;
mod error;
mod flow;
mod session;

pub use callback::{Callback, Landing};
pub use device::DeviceCodes;
pub use error::ConsentError;
pub use flow::{Consents, Question, SessionStatus, Started, View};
pub use session::{ConsentSession, Stage};

use crate::clock::Timestamp;
use crate::ids::ConsentId;
use futures_util::future::BoxFuture;

/// Where consent sessions rest. Implemented by `store`. Every write is durable when it returns.
pub trait Sessions: Send + Sync {
    /// Makes one.
    fn insert(&self, session: ConsentSession) -> BoxFuture<'_, Result<(), SessionsError>>;
    /// By id.
    fn by_id(&self, id: ConsentId) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>>;
    /// By the SHA-256 of a `state`.
    fn by_state(&self, state_hash: [u8; 32]) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>>;
    /// Replaces it if it is still at this stage; false if it is not. Of two callers, one wins.
    fn advance(&self, from: Stage, session: ConsentSession) -> BoxFuture<'_, Result<bool, SessionsError>>;
    /// Forgets those that expired before this.
    fn sweep(&self, before: Timestamp) -> BoxFuture<'_, Result<(), SessionsError>>;
}

/// The sessions could not be read or written. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct SessionsError(pub String);
