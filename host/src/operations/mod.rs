//! What can be done with this host, once for all who ask: the API, the command line and the pages.
//!
//! One file per family. Every operation goes the same way: may this caller do it ([`crate::access::Caller::may`])? Open the
//! record, with the caller in it; wait until it is on disk where something changes or leaves; act; close. Whoever is refused
//! leaves a record too.

mod agents;
mod arn;
mod closing;
mod error;
mod grants;
mod invoke;
mod keys;
mod mints;
mod paging;
mod providers;
mod quota;
mod resource_tokens;
mod runtime;
mod sessions;
mod tags;
mod token_vault;
mod tokens;
mod workloads;

pub use agents::{AgentView, Deploy, ProviderView};
pub use arn::{Arn, Arns};
pub use closing::Overflow;
pub use error::{Class, FieldProblem, OperationError};
pub use grants::GrantPage;
pub use invoke::{Invocation, Invoked};
pub use mints::Minted;
pub use paging::Wanted;
pub use providers::GivenSecret;
pub use resource_tokens::{AskOauth2, Completed, Identifier, Oauth2Answer};
pub use runtime::RuntimeCall;
pub use token_vault::{ChosenKey, VAULT, VaultView};
pub use tokens::Introspected;
pub use workloads::{CreateWorkload, Deleted, WorkloadPage};

use crate::access::{Caller, Operation, Permitted};
use crate::audit::{Action, Actor, Allowance, Outcome, codes};
use crate::broker::Broker;
use crate::ids::AgentName;
use crate::wiring::Host;
use quota::Quotas;
use sessions::Sessions;
use std::sync::Arc;

/// Refusals of callers that are recorded at once, and per second after that: a program that is wrongly set up asks in a
/// loop.
const REFUSALS: (u64, u64) = (100, 20);

/// The operations of one host. One per process; cheap to share.
pub struct Operations {
    host: Arc<Host>,
    broker: Arc<dyn Broker>,
    sessions: Arc<Sessions>,
    quotas: Arc<Quotas>,
    refusals: Allowance,
}

impl Operations {
    /// Over the rooms of this host.
    pub fn new(host: Arc<Host>) -> Arc<Self> {
        let sessions = Sessions::new(host.settings.sessions, host.clock.clone());
        let quotas = Quotas::new(host.settings.limits, host.clock.clone());
        let broker = Arc::new(host.desk.clone());
        let refusals = Allowance::new(REFUSALS.0, REFUSALS.1, host.clock.clone());
        Arc::new(Self { broker, host, sessions, quotas, refusals })
    }

    /// The host whose operations these are.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Whether this caller may do this, to this workload where one is concerned. Who may not leaves a record.
    fn permit(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        workload: Option<&AgentName>,
    ) -> Result<Permitted, OperationError> {
        caller.may(operation, workload).map_err(|forbidden| {
            let resource = workload.map_or("host", AgentName::as_str);
            self.note_refused(caller.actor(), Action::new(codes::OPERATION_REFUSE, resource), &forbidden.to_string());
            forbidden.into()
        })
    }

    /// Writes a refusal down, unless there is a flood of them.
    fn note_refused(&self, actor: Actor, mut action: Action, reason: &str) {
        let Some(left_out) = self.refusals.take() else { return };
        if left_out > 0 {
            action.detail["left_out"] = left_out.into();
        }
        // Nothing is done by it, and the caller is refused anyway.
        if let Err(error) = self.host.trail.note(actor, action, Outcome::refused(reason)) {
            tracing::error!(%error, "a refusal could not be written down");
        }
    }

    /// Open, wait for the disk, act, close: nothing changes that is not durably written down first.
    async fn written<T>(
        &self,
        actor: Actor,
        action: Action,
        deed: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        let record = self.host.trail.open_deed(actor, action)?;
        record.written().await?;
        let result = deed.await;
        record.close(match &result {
            Ok(_) => Outcome::allowed(),
            Err(error) => error.outcome(),
        });
        result
    }
}
