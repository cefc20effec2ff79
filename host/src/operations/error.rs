//! Why an operation was not done, by whose fault.

use crate::access::{Forbidden, KeysError};
use crate::audit::{Outcome, Unwritable, with_cause};
use crate::broker::Refusal;
use crate::consent::ConsentError;
use crate::directory::{ChangeError, Unresolved};
use crate::identity::{NotAsserted, Rejected};
use crate::ids::Malformed;
use crate::providers::ManageError;
use crate::runtime::InvokeError;
use crate::vault::VaultError;
use crate::wiring::ComponentError;

/// Why an operation was not done. `Display` is for whoever called it; the causes are for the log.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// What was sent does not fit. Every field that is wrong is named.
    #[error("{}", told(.0))]
    Invalid(Vec<FieldProblem>),
    /// What was sent does not fit what there is.
    #[error("{0}")]
    Unfit(String),
    /// The caller may not do this.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller may do this, but not so.
    #[error("{0}")]
    Denied(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It stands against something that is there already.
    #[error("{0}")]
    Conflict(String),
    /// There are as many as there may be.
    #[error("{0}")]
    Quota(String),
    /// The caller, or the agent that it calls, has what is its share of this host.
    #[error("{message}")]
    Throttled {
        /// Which limit.
        message: String,
        /// In how many seconds it is worth another try.
        retry_after: u32,
    },
    /// This host has no such thing.
    #[error("{0}")]
    NotOffered(String),
    /// A part of the host does not answer. Nothing was done.
    #[error("{0}")]
    Unavailable(String),
    /// A token of a user was not accepted.
    #[error("{}", .0.public())]
    Rejected(#[from] Rejected),
    /// A user id that nobody proved.
    #[error(transparent)]
    NotAsserted(#[from] NotAsserted),
    /// An access key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A credential provider.
    #[error(transparent)]
    Provider(#[from] ManageError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] ChangeError),
    /// No workload to act for.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// A grant.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A consent session.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// A credential was not released.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A component that was to be deployed does not load, or could not be kept.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component of an agent that is registered cannot run.
    #[error("the agent cannot be started at present; its operator finds the reason in the host's log")]
    NotRunnable(#[source] ComponentError),
    /// An invocation failed.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The body of an invocation is over the host's limit.
    #[error("send at most {0} bytes")]
    TooLarge(u64),
    /// The audit trail cannot be written.
    #[error("nothing is done that cannot be written down; try again in a moment")]
    Unwritable(#[from] Unwritable),
}

/// One field of what was sent, and what is wrong with it. Never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Which, from the outside in: `oauth2ProviderConfigInput.customOauth2ProviderConfig.clientId`.
    pub name: String,
    /// What is wrong, as the end of a sentence that begins with the name.
    pub message: String,
}

/// By whose fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The caller sent what does not fit.
    Invalid,
    /// The caller may not.
    Denied,
    /// Nothing there, or nothing that the caller may know of.
    NotFound,
    /// It stands against something that is there.
    Conflict,
    /// There are as many as there may be.
    Quota,
    /// The caller asks for more than its share, or an agent is called so much.
    Throttled,
    /// The host has no such thing.
    NotOffered,
    /// An agent that runs here failed.
    Agent,
    /// The host, or something that it needs, does not answer.
    Unavailable,
}

impl OperationError {
    /// One field is wrong.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem { name: name.into(), message: message.into() }])
    }

    /// A field that is not the name it should be.
    pub fn malformed(name: &str, malformed: Malformed) -> Self {
        Self::field(name, format!("is not accepted: {malformed}"))
    }

    /// By whose fault it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Invalid(_) | Self::Unfit(_) | Self::TooLarge(_) => Class::Invalid,
            Self::Forbidden(_) | Self::Denied(_) | Self::NotAsserted(NotAsserted::NotTrusted(_)) => Class::Denied,
            Self::NotAsserted(NotAsserted::Malformed(_)) => Class::Invalid,
            Self::Rejected(rejected) if rejected.is_unavailable() => Class::Unavailable,
            Self::Rejected(_) => Class::Denied,
            Self::NotFound(_) => Class::NotFound,
            Self::Conflict(_) => Class::Conflict,
            Self::Quota(_) => Class::Quota,
            Self::Throttled { .. } => Class::Throttled,
            Self::NotOffered(_) => Class::NotOffered,
            Self::Component(ComponentError::Load(_)) => Class::Invalid,
            Self::Unavailable(_) | Self::Component(_) | Self::NotRunnable(_) | Self::Unwritable(_) => {
                Class::Unavailable
            }
            Self::Provider(ManageError::Input { .. }) => Class::Invalid,
            Self::Provider(ManageError::Taken(_)) => Class::Conflict,
            Self::Provider(ManageError::Configured(_)) => Class::Denied,
            Self::Provider(ManageError::Unknown(_)) => Class::NotFound,
            Self::Provider(ManageError::TooMany) => Class::Quota,
            Self::Provider(ManageError::Unavailable(_)) => Class::Unavailable,
            Self::Keys(KeysError::NotFound(_)) => Class::NotFound,
            Self::Keys(KeysError::Name) => Class::Invalid,
            Self::Keys(KeysError::TooMany) => Class::Quota,
            Self::Keys(KeysError::MoreThanYours) => Class::Denied,
            Self::Keys(_) => Class::Unavailable,
            Self::Directory(error) => of_directory(error),
            Self::Unresolved(error) => of_unresolved(error),
            Self::Vault(VaultError::Missing | VaultError::NotYours) => Class::NotFound,
            Self::Vault(_) => Class::Unavailable,
            Self::Consent(error) => of_consent(error),
            Self::Refused(error) => of_refusal(error),
            Self::Invoke(InvokeError::Busy | InvokeError::Host) => Class::Unavailable,
            Self::Invoke(InvokeError::RevealNotGranted) => Class::Denied,
            Self::Invoke(_) => Class::Agent,
        }
    }

    /// The fields that are to blame, where some are.
    pub fn fields(&self) -> Vec<FieldProblem> {
        match self {
            Self::Invalid(fields) => fields.clone(),
            Self::Provider(ManageError::Input { field, reason }) => {
                vec![FieldProblem { name: camel(field), message: reason.clone() }]
            }
            _ => Vec::new(),
        }
    }

    /// As it stands in the audit trail.
    pub(super) fn outcome(&self) -> Outcome {
        match self.class() {
            Class::Unavailable | Class::Agent => Outcome::failed(with_cause(self)),
            _ => Outcome::refused(self.to_string()),
        }
    }
}

fn of_directory(error: &ChangeError) -> Class {
    match error {
        ChangeError::OtherPublisher { .. }
        | ChangeError::AlreadyRegistered(_)
        | ChangeError::Alike { .. }
        | ChangeError::PublisherAlike { .. }
        | ChangeError::Retired(_)
        | ChangeError::Pinned { .. }
        | ChangeError::Killed(_)
        | ChangeError::BoundByConfiguration { .. } => Class::Conflict,
        ChangeError::NotRegistered(_)
        | ChangeError::NotBound { .. }
        | ChangeError::NotKilled(_)
        | ChangeError::NoVersion { .. } => Class::NotFound,
        ChangeError::HostManaged(_) => Class::Denied,
        ChangeError::ReturnUrl { .. }
        | ChangeError::TooManyReturnUrls
        | ChangeError::NotVisible { .. }
        | ChangeError::MixedAlphabets
        | ChangeError::Tags(_) => Class::Invalid,
        ChangeError::TooManyProviders => Class::Quota,
        ChangeError::Store(_) => Class::Unavailable,
    }
}

fn of_unresolved(error: &Unresolved) -> Class {
    match error {
        Unresolved::NotRegistered(_)
        | Unresolved::NoWorkload(_)
        | Unresolved::NothingDeployed(_)
        | Unresolved::Retired(_) => Class::NotFound,
        Unresolved::Suspended(_) | Unresolved::Killed(_) | Unresolved::Linked(_) => Class::Denied,
    }
}

fn of_consent(error: &ConsentError) -> Class {
    match error {
        ConsentError::NotFound | ConsentError::NoProvider(_) => Class::NotFound,
        ConsentError::Expired
        | ConsentError::Over
        | ConsentError::NotYours
        | ConsentError::SignInNeeded
        | ConsentError::NotFromBrowser
        | ConsentError::NotAnswered
        | ConsentError::Declined { .. }
        | ConsentError::Agent(_)
        | ConsentError::Issuer(_)
        | ConsentError::WrongProvider
        | ConsentError::AnotherProvider(_)
        | ConsentError::WantsMore(_)
        | ConsentError::BorrowedClient(_)
        | ConsentError::State => Class::Denied,
        ConsentError::NoUser | ConsentError::ReturnUrl(_) | ConsentError::NoCode => Class::Invalid,
        _ => Class::Unavailable,
    }
}

fn of_refusal(error: &Refusal) -> Class {
    match error {
        Refusal::InvalidRequest(_) => Class::Invalid,
        Refusal::NotConfigured(_) => Class::NotFound,
        Refusal::Unavailable(_) => Class::Unavailable,
        _ => Class::Denied,
    }
}

/// `client_secret` as the API writes it.
fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_ascii_uppercase() + rest
    })
}

fn told(fields: &[FieldProblem]) -> String {
    let all: Vec<String> = fields.iter().map(|field| format!("`{}` {}", field.name, field.message)).collect();
    all.join("; ")
}
