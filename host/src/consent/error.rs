//! Why a consent did not come about.

use super::SessionsError;
use crate::audit::Unwritable;
use crate::directory::Unresolved;
use crate::ids::{AgentName, Malformed, ProviderName};
use crate::oauth::{CallbackError, OAuthError};
use crate::seal::SealError;
use crate::vault::VaultError;

/// Why a consent did not come about. Nothing was stored for anybody.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// There is no such session, or it was forgotten long after it expired.
    #[error("there is no such consent session; ask the agent again for a new link")]
    NotFound,
    /// Ten minutes have passed.
    #[error("this consent session has expired; ask the agent again for a new link")]
    Expired,
    /// It was completed, refused or replaced.
    #[error("this consent session is over; ask the agent again for a new link")]
    Over,
    /// It belongs to another user.
    #[error("this consent session belongs to another user")]
    NotYours,
    /// The host's own page needs to know who is there.
    #[error("sign in first")]
    SignInNeeded,
    /// The browser has not been at the provider yet.
    #[error("the provider has not answered yet; open the authorization URL first")]
    NotAnswered,
    /// The provider answered, and the app presented the URI that the agent gave instead of the one that came back with
    /// the browser.
    #[error("complete with the `session_uri` that the return URL was called with, not with the one the agent gave")]
    NotFromBrowser,
    /// The invocation serves nobody.
    #[error("this invocation serves no user, so there is nobody to ask")]
    NoUser,
    /// The return URL is not on the workload's list.
    #[error("this return URL is not allowed for agent `{0}`; an operator adds it when deploying")]
    ReturnUrl(AgentName),
    /// The configuration has no such provider any more.
    #[error("provider `{0}` is not configured")]
    NoProvider(ProviderName),
    /// Since it was started, the provider became another: of another client, or asked elsewhere.
    #[error("provider `{0}` was changed since this question was asked; ask the agent again for a new link")]
    AnotherProvider(ProviderName),
    /// A version that wants more took its place while the user was asked.
    #[error("agent `{0}` was changed while you were asked, and wants more by now; ask it again for a new link")]
    WantsMore(AgentName),
    /// It is the client of another provider, at the same server, and would have its codes sent elsewhere.
    #[error(
        "this provider uses the client of provider `{0}` and sends what comes back elsewhere; register a client of its own"
    )]
    BorrowedClient(ProviderName),
    /// The answer came to the redirect URI of another provider.
    #[error("the answer came from another provider than the question went to")]
    WrongProvider,
    /// No session waits for this `state`, or none came.
    #[error("the answer of the provider belongs to no open consent session; ask the agent again for a new link")]
    State,
    /// The provider sent neither a code nor an error.
    #[error("the provider sent no authorization code")]
    NoCode,
    /// `iss` is missing or another (RFC 9207).
    #[error("the answer does not come from the configured issuer")]
    Issuer(#[source] CallbackError),
    /// The user said no, or the provider did.
    #[error("the provider answered `{error}`; ask the agent again for a new link")]
    Declined {
        /// The error code (RFC 6749 §4.1.2.1), without odd characters.
        error: String,
    },
    /// The provider cannot be asked, or refused the code.
    #[error("the provider could not be asked")]
    Provider(#[from] OAuthError),
    /// The agent is gone or suspended.
    #[error("the agent that asked cannot be used")]
    Agent(#[from] Unresolved),
    /// The tokens could not be kept.
    #[error("the grant could not be kept")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("the consent session cannot be read or written")]
    Sessions(#[from] SessionsError),
    /// The audit trail cannot be written.
    #[error("nothing is done that cannot be written down")]
    Unwritable(#[from] Unwritable),
    /// The provider asks its users on another device, or it does not.
    #[error("provider `{0}` asks its users in their browser; open the authorization URL")]
    NotByDevice(ProviderName),
    /// A row that was changed by hand.
    #[error("the consent session cannot be read")]
    Malformed(#[from] Malformed),
    /// The verifier or the code could not be sealed or opened.
    #[error("the consent session cannot be opened")]
    Seal(#[from] SealError),
    /// The host is shutting down.
    #[error("the work was stopped before it ended; try again")]
    Stopped,
}

impl ConsentError {
    /// Whether it is nobody's decision but a part that did not answer: worth trying again.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Provider(_) | Self::Vault(_) | Self::Sessions(_) | Self::Unwritable(_) | Self::Stopped)
    }
}
