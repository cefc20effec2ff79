//! What a consent session remembers.

use crate::clock::Timestamp;
use crate::directory::Authority;
use crate::ids::{AgentName, ConsentId, Digest, Malformed, ProviderName, Scopes, SessionId, UserId};
use crate::oauth::More;
use crate::secret::Secret;
use crate::vault::Wanted;
use serde::{Deserialize, Serialize};

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
    /// Which client we were there, where, and to which hosts its tokens went, when it was started (`asked_about`): whoever has
    /// the provider's name later, or other hosts, is another.
    pub client: String,
    /// What the bytes that asked could use a grant for.
    pub authority: Authority,
    /// For what.
    pub scopes: Scopes,
    /// For which resources (RFC 8707), sorted.
    pub resources: Vec<String>,
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
    /// What the agent asked for besides and nobody else is to read, sealed; none where it is nothing.
    pub sealed_wishes: Option<Vec<u8>>,
    /// The PKCE verifier, sealed.
    pub sealed_verifier: Option<Vec<u8>>,
    /// The code, sealed, while the app has yet to complete; or the codes of a device, while the user has yet to decide.
    pub sealed_code: Option<Vec<u8>>,
}

/// What an agent asks for besides. Not among the columns: a state may be secret to the app, and so may a parameter.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wishes {
    pub(super) parameters: Vec<(String, String)>,
    pub(super) state: Option<String>,
    pub(super) force: bool,
}

impl Wishes {
    pub(super) fn of(question: &super::Question<'_>) -> Self {
        Self {
            parameters: question.wanted.more().parameters.clone(),
            state: question.custom_state.map(str::to_owned),
            force: question.force,
        }
    }

    /// To be sealed; none where there is nothing.
    pub(super) fn to_secret(&self) -> Option<Secret> {
        if self.parameters.is_empty() && self.state.is_none() && !self.force {
            return None;
        }
        serde_json::to_string(self).ok().map(Secret::from_text)
    }

    pub(super) fn read(plain: &Secret) -> Option<Self> {
        serde_json::from_slice(plain.expose()).ok()
    }
}

impl ConsentSession {
    /// Whether it is void by now. One that began in the future is: it would live for longer than it may.
    pub(super) fn is_void(&self, now: Timestamp) -> bool {
        !now.is_within(self.created_at, self.expires_at)
    }

    /// What the grant will be for.
    ///
    /// # Errors
    /// [`Malformed`] for a row that was changed by hand.
    pub(super) fn wanted(&self) -> Result<Wanted, Malformed> {
        Wanted::new(self.scopes.clone(), More { resources: self.resources.clone(), ..More::default() })
    }
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
