//! The proof of who calls, and of what they may do.

use super::key::AccessKey;
use super::operation::{Concerns, Operation};
use super::rights::{Operations, Workloads};
use crate::audit::Actor;
use crate::identity::VerifiedUser;
use crate::ids::AgentName;
use std::fmt;
use std::sync::Arc;

/// Whoever stands behind a request.
///
/// Made only by [`super::Door`], of a signature or a token that it verified, and by [`Caller::at_socket`], of what the
/// kernel says. Says nothing of the end user whom a workload serves. Share it with [`Arc`].
pub struct Caller {
    who: Who,
    rights: Rights,
    region: Option<Box<str>>,
}

/// The three ways to be a caller.
#[derive(Clone, Debug)]
pub enum Who {
    /// Who holds the secret of this access key.
    Key(Arc<AccessKey>),
    /// An account of this machine, at the operators' socket, as the audit trail names it: `uid:1000`.
    Operator(String),
    /// A person, by a token of the operators' issuer.
    Person(Arc<VerifiedUser>),
}

/// None is no limit: of operators at the socket, and of nobody else.
struct Rights(Option<(Operations, Workloads)>);

impl Rights {
    fn of(operations: Operations, workloads: Workloads) -> Self {
        Self(Some((operations, workloads)))
    }

    fn allow(&self, operation: Operation) -> bool {
        self.0.as_ref().is_none_or(|(operations, _)| operations.allow(operation))
    }

    fn reach(&self, workload: &AgentName) -> bool {
        self.0.as_ref().is_none_or(|(_, workloads)| workloads.allow(workload))
    }
}

impl Caller {
    /// Who signed with this key. The signature was checked.
    pub(super) fn with_key(key: Arc<AccessKey>, region: &str) -> Arc<Self> {
        let rights = Rights::of(key.operations.clone(), key.workloads.clone());
        Arc::new(Self { who: Who::Key(key), rights, region: Some(region.into()) })
    }

    /// Who came with a token that was verified, with the rights that the configuration gives to people.
    pub(super) fn with_token(user: Arc<VerifiedUser>, operations: Operations, workloads: Workloads) -> Arc<Self> {
        Arc::new(Self { who: Who::Person(user), rights: Rights::of(operations, workloads), region: None })
    }

    /// The account at the other end of the operators' socket, by the kernel's word (`SO_PEERCRED`). It may do everything.
    ///
    /// None for an account that is neither root nor the one that this process runs as: the socket's mode lets in no
    /// other, but somebody may have changed it.
    pub fn at_socket(stream: &tokio::net::UnixStream) -> Option<Arc<Self>> {
        let uid = stream.peer_cred().ok()?.uid();
        if uid != 0 && uid != rustix::process::geteuid().as_raw() {
            tracing::warn!(uid, "another account tried the operators' socket");
            return None;
        }
        Some(Arc::new(Self { who: Who::Operator(format!("uid:{uid}")), rights: Rights(None), region: None }))
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The region that the signature names; none where nothing was signed. Any is accepted, so it proves nothing: it is
    /// for the ARNs of an answer.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Whether the caller may do this at all, for some workload. An early answer, before anything is looked up, and no
    /// proof: what is done takes the [`Permitted`] of [`Caller::may`].
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn might(&self, operation: Operation) -> Result<(), Forbidden> {
        match self.rights.allow(operation) {
            true => Ok(()),
            false => Err(self.forbidden(operation, None)),
        }
    }

    /// Whether the caller may do this, to this workload where one is concerned.
    ///
    /// # Errors
    /// [`Forbidden`]; also where an operation that always concerns a workload is asked for without one.
    pub fn may(self: &Arc<Self>, operation: Operation, workload: Option<&AgentName>) -> Result<Permitted, Forbidden> {
        let reached = match (operation.concerns(), workload) {
            (Concerns::Workload, None) => false,
            (Concerns::Account | Concerns::Either, None) => true,
            (_, Some(name)) => self.rights.reach(name),
        };
        if !reached || !self.rights.allow(operation) {
            return Err(self.forbidden(operation, workload));
        }
        Ok(Permitted { caller: self.clone(), operation, workload: workload.cloned() })
    }

    /// As it stands in the audit trail: the infrastructure identity beside the user and the agent.
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Operator(account) => Actor::operator(account.clone()),
            _ => Actor { caller: Some(self.to_string()), ..Actor::default() },
        }
    }

    /// Whether these rights are no more than the caller's own.
    pub(super) fn covers(&self, operations: &Operations, workloads: &Workloads) -> bool {
        let Some((mine, reached)) = &self.rights.0 else { return true };
        mine.cover(operations) && reached.cover(workloads)
    }

    fn forbidden(&self, operation: Operation, workload: Option<&AgentName>) -> Forbidden {
        let (subject, remedy) = match &self.who {
            Who::Key(key) => (
                format!("access key `{}`", key.id),
                format!(
                    "create one with `attache keys create --operations {operation} --workloads {}`",
                    workload.map_or("NAME", AgentName::as_str)
                ),
            ),
            Who::Operator(account) => (format!("`{account}`"), "ask an operator of this host".to_owned()),
            Who::Person(user) => (
                format!("`{}`", user.id()),
                "let an operator add it to `operations` and `workloads` under `[operators]`".to_owned(),
            ),
        };
        Forbidden { subject, operation, workload: workload.cloned(), remedy }
    }
}

/// `key:AKAT…`, `uid:1000` or `person:alice at https://id.example.com`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Key(key) => write!(f, "key:{}", key.id),
            Who::Operator(account) => f.write_str(account),
            Who::Person(user) => write!(f, "person:{}", user.id()),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({self})")
    }
}

/// The proof that this caller may do this to this workload. Made only by [`Caller::may`].
#[derive(Debug)]
#[must_use = "a permission is for an operation, which takes it"]
pub struct Permitted {
    caller: Arc<Caller>,
    operation: Operation,
    workload: Option<AgentName>,
}

impl Permitted {
    /// Who.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// What.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// To which workload, where one is concerned.
    pub fn workload(&self) -> Option<&AgentName> {
        self.workload.as_ref()
    }

    /// Whether this workload is among the caller's. What a list shows is narrowed by this.
    pub fn reaches(&self, workload: &AgentName) -> bool {
        self.caller.rights.reach(workload)
    }

    /// For the audit record of what is done.
    pub fn actor(&self) -> Actor {
        self.caller.actor()
    }
}

/// The caller is known and may not do this. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    subject: String,
    operation: Operation,
    workload: Option<AgentName>,
    remedy: String,
}

impl Forbidden {
    /// What was asked for.
    pub fn operation(&self) -> Operation {
        self.operation
    }
}

impl std::error::Error for Forbidden {}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not `{}`", self.subject, self.operation)?;
        if let Some(workload) = &self.workload {
            write!(f, " for `{workload}`")?;
        }
        write!(f, "; {}", self.remedy)
    }
}
