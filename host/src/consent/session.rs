//! What a consent session remembers.

use crate::clock::Timestamp;
use crate::ids::{AgentName, ConsentId, Digest, ProviderName, Scopes, SessionId, UserId};

/// One attempt. Its verifier and code are sealed; its `state` is stored hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentSession {
    /// By which callers name it.
    pub id: ConsentId,
    /// Which agent asked.
    pub agent: AgentName,
    /// The bytes that asked; none where they run outside this host.
    pub digest: Option<Digest>,
    /// The user it belongs to.
    pub user: UserId,
    /// The caller's session in which it was asked.
    pub session: SessionId,
    /// At which provider.
    pub provider: ProviderName,
    /// For what.
    pub scopes: Scopes,
    /// Where the browser goes afterwards. With one, an app completes the session; without, the host's own page does.
    pub return_url: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it is void.
    pub expires_at: Timestamp,
    /// How far it got.
    pub stage: Stage,
    /// SHA-256 of the `state` that was sent to the provider; single use.
    pub state_hash: Option<[u8; 32]>,
    /// The PKCE verifier, sealed.
    pub sealed_verifier: Option<Vec<u8>>,
    /// The code, sealed, while the app has yet to complete.
    pub sealed_code: Option<Vec<u8>>,
}

/// How far a session got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The link was given out.
    Started,
    /// The browser is at the provider.
    AtProvider,
    /// The provider sent a code; the app has yet to say who is there.
    AwaitingCompletion,
    /// Somebody is exchanging the code now.
    Exchanging,
    /// The grant is stored.
    Completed,
    /// It came to nothing.
    Failed,
}
