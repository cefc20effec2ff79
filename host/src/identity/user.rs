//! For whom a binding acts.

use super::VerifiedUser;
use crate::directory::RegisteredAgent;
use crate::ids::{AgentName, Issuer, Malformed, Subject, UserId};
use std::fmt;
use std::sync::Arc;

/// A user, and on what the host's knowledge of them rests. Making one takes a proof of either kind.
#[derive(Clone, Debug)]
pub enum User {
    /// A token that an issuer signed.
    Verified(Arc<VerifiedUser>),
    /// The word of a workload that an operator trusts for it.
    Asserted(Arc<AssertedUser>),
}

impl User {
    /// Who: issuer and subject. A user who was asserted never has the id of one who was verified.
    pub fn id(&self) -> &UserId {
        match self {
            Self::Verified(user) => user.id(),
            Self::Asserted(user) => &user.id,
        }
    }

    /// The user as a token proved them; none who was only asserted.
    pub fn verified(&self) -> Option<&Arc<VerifiedUser>> {
        match self {
            Self::Verified(user) => Some(user),
            Self::Asserted(_) => None,
        }
    }
}

impl From<Arc<VerifiedUser>> for User {
    fn from(user: Arc<VerifiedUser>) -> Self {
        Self::Verified(user)
    }
}

impl From<Arc<AssertedUser>> for User {
    fn from(user: Arc<AssertedUser>) -> Self {
        Self::Asserted(user)
    }
}

/// A user whom nobody proved: a workload outside this host says that it acts for them (AgentCore's
/// `GetWorkloadAccessTokenForUserId`).
///
/// Made only by [`AssertedUser::on_the_word_of`]. The id is local to that workload: its issuer is
/// `urn:attache:asserted:<workload>`, which no identity provider can have.
pub struct AssertedUser {
    id: UserId,
}

/// Why a user id that nobody proved is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsserted {
    /// No operator has said that this workload's word counts.
    #[error(
        "workload `{0}` may not name its user by an unverified id; send the user's token, or let an operator turn it on"
    )]
    NotTrusted(AgentName),
    /// Not a user id.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Longer user ids are refused, as AgentCore does for `userId`.
const LONGEST: usize = 128;

impl AssertedUser {
    /// Takes the workload's word, where the operator's terms say so.
    ///
    /// # Errors
    /// [`NotAsserted`]: off unless an operator turned it on for this one workload; 1 to 128 characters.
    pub fn on_the_word_of(workload: &RegisteredAgent, user_id: &str) -> Result<Arc<Self>, NotAsserted> {
        if !workload.terms().trusts_user_ids {
            return Err(NotAsserted::NotTrusted(workload.name().clone()));
        }
        if user_id.chars().count() > LONGEST {
            return Err(Malformed(format!("a user id must be 1 to {LONGEST} characters")).into());
        }
        let issuer = Issuer::parse(&format!("urn:attache:asserted:{}", workload.name()))?;
        Ok(Arc::new(Self { id: UserId { issuer, subject: Subject::parse(user_id)? } }))
    }
}

impl fmt::Debug for AssertedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertedUser({})", self.id)
    }
}
