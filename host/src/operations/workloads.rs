//! Workload identities: made by hand for what runs elsewhere, changed, listed, deleted with all that is theirs.

use super::agents::maker;
use super::paging::Wanted;
use super::{AgentView, OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, codes};
use crate::directory::{ChangeError, NewWorkload, Page, Retired, Tags, WorkloadIdentity};
use crate::ids::AgentName;
use crate::vault::GrantFilter;
use serde_json::json;
use std::sync::Arc;

/// A workload identity to make.
pub struct CreateWorkload {
    /// The name.
    pub name: AgentName,
    /// Who publishes it, shown to users who are asked for consent; whoever makes it where nothing is said.
    pub publisher: Option<String>,
    /// Where a browser may be sent after a consent.
    pub return_urls: Vec<String>,
    /// Words of the operator's.
    pub tags: Tags,
}

/// What went with an identity that was deleted.
pub struct Deleted {
    /// How many grants.
    pub grants: usize,
    /// How many workload access tokens.
    pub tokens: usize,
}

/// Some of the directory, and how to ask for what follows.
pub type WorkloadPage = Page;

/// AgentCore's largest page.
const LARGEST: usize = 20;

impl Operations {
    /// Makes an identity by hand, for a workload that runs elsewhere.
    ///
    /// # Errors
    /// [`OperationError`]; nothing was made then.
    pub async fn create_workload(
        &self,
        caller: &Arc<Caller>,
        create: CreateWorkload,
    ) -> Result<AgentView, OperationError> {
        let CreateWorkload { name, publisher, return_urls, tags } = create;
        let permitted = self.permit(caller, Operation::CreateWorkloadIdentity, Some(&name))?;
        let publisher = publisher.unwrap_or_else(|| maker(caller));
        let action = Action::new(codes::WORKLOAD_CREATE, name.as_str())
            .with(json!({ "publisher": publisher, "return_urls": return_urls.len() }));
        let by = caller.to_string();
        let new = NewWorkload { name, publisher, by, allowed_return_urls: return_urls, tags };
        let deed = async { Ok(self.host.directory.create(new).await?) };
        let identity = self.written(permitted.actor(), action, deed).await?;
        Ok(self.one(&identity))
    }

    /// One identity.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn workload(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<Arc<WorkloadIdentity>, OperationError> {
        let _permitted = self.permit(caller, Operation::GetWorkloadIdentity, Some(name))?;
        self.living(name)
    }

    /// Replaces where a browser may be sent after a consent; with none said, nothing changes.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn update_workload(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        return_urls: Option<Vec<String>>,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::UpdateWorkloadIdentity, Some(name))?;
        let Some(return_urls) = return_urls else { return Ok(self.one(&self.living(name)?)) };
        let detail = json!({ "allowed_return_urls": return_urls });
        let action = Action::new(codes::WORKLOAD_UPDATE, name.as_str()).with(detail);
        let deed = async { Ok(self.host.directory.update(name, return_urls).await?) };
        Ok(self.one(&self.written(self.about(permitted.actor(), name), action, deed).await?))
    }

    /// Deletes an identity that was made by hand, with its grants and its tokens. From the moment that it is retired nothing
    /// is done with it, whatever fails after that; its name is free when nothing of it is left.
    ///
    /// # Errors
    /// [`OperationError`], also for an agent that runs here; to ask again goes on with what an earlier attempt began.
    pub async fn delete_workload(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<Deleted, OperationError> {
        self.delete(caller, name, self.host.directory.retire_manual(name)).await
    }

    /// As [`Operations::delete_workload`], for agents that run here as well: agent and identity go.
    ///
    /// # Errors
    /// [`OperationError`].
    pub async fn delete_agent(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<Deleted, OperationError> {
        self.delete(caller, name, self.host.directory.retire(name)).await
    }

    async fn delete(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        retire: impl Future<Output = Result<Retired, ChangeError>>,
    ) -> Result<Deleted, OperationError> {
        let permitted = self.permit(caller, Operation::DeleteWorkloadIdentity, Some(name))?;
        let actor = self.about(permitted.actor(), name);
        let deed = async {
            let retired = retire.await?;
            self.sessions.stop_agent(name);
            let tokens = self.host.issued.revoke_workload(name);
            self.host.vault.forget_minted(&of_workload(name));
            let grants = self.host.vault.revoke_where(&of_workload(name), &permitted.actor()).await?.len();
            self.host.directory.remove(retired).await?;
            Ok(Deleted { grants, tokens })
        };
        self.written(actor, Action::new(codes::WORKLOAD_DELETE, name.as_str()), deed).await
    }

    /// Adds tags, or gives them new values.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn tag_workload(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        tags: Tags,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::TagResource, Some(name))?;
        let action = Action::new(codes::WORKLOAD_TAG, name.as_str()).with(json!(tags));
        let deed = async { Ok(self.host.directory.tag(name, tags).await?) };
        Ok(self.one(&self.written(self.about(permitted.actor(), name), action, deed).await?))
    }

    /// Removes tags. A key that is not there is no mistake.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn untag_workload(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        keys: Vec<String>,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::UntagResource, Some(name))?;
        let action = Action::new(codes::WORKLOAD_UNTAG, name.as_str()).with(json!(keys));
        let deed = async { Ok(self.host.directory.untag(name, keys).await?) };
        Ok(self.one(&self.written(self.about(permitted.actor(), name), action, deed).await?))
    }

    /// Those that the caller reaches, in the order of their names, at most twenty.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn list_workloads(&self, caller: &Arc<Caller>, wanted: Wanted<'_>) -> Result<WorkloadPage, OperationError> {
        let permitted = self.permit(caller, Operation::ListWorkloadIdentities, None)?;
        let reaches = |entry: &WorkloadIdentity| permitted.reaches(&entry.name);
        let page = self.host.directory.page(wanted.token, wanted.most(LARGEST), reaches);
        page.map_err(|malformed| OperationError::malformed("nextToken", malformed))
    }

    /// An entry that is there and is not being deleted.
    pub(super) fn living(&self, name: &AgentName) -> Result<Arc<WorkloadIdentity>, OperationError> {
        let entry = self.host.directory.entry(name);
        entry.filter(|entry| entry.state != crate::directory::State::Retired).ok_or_else(|| {
            let message = format!("workload identity `{name}` does not exist; list them with `ListWorkloadIdentities`");
            OperationError::NotFound(message)
        })
    }
}

fn of_workload(name: &AgentName) -> GrantFilter {
    GrantFilter { agent: Some(name.clone()), ..GrantFilter::default() }
}
