//! Agents that run here: deployed, suspended, resumed, bound to providers, listed with what each can do.

use super::{OperationError, Operations};
use crate::access::{Caller, Operation, Who};
use crate::audit::{Action, Actor, AgentRef, codes};
use crate::directory::ChangeError;
use crate::directory::{Authority, BoundProvider, Deployment, Killed, State, Terms, Version, WorkloadIdentity};
use crate::ids::{AgentName, Digest, ProviderName};
use crate::providers::CredentialProvider;
use crate::vault::GrantFilter;
use crate::wiring::ComponentError;
use bytes::Bytes;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;

/// A component to deploy under a name.
pub struct Deploy {
    /// The name.
    pub name: AgentName,
    /// The component.
    pub bytes: Bytes,
    /// Who published it.
    pub publisher: String,
    /// Where a browser may be sent after a consent, besides what the configuration says.
    pub return_urls: Vec<String>,
    /// Where it came from, where that is known.
    pub source: Option<String>,
}

/// An agent or other workload, and what it can do.
pub struct AgentView {
    /// Its entry in the directory.
    pub identity: Arc<WorkloadIdentity>,
    /// What it may do.
    pub terms: Arc<Terms>,
    /// The providers that it may use.
    pub providers: Vec<ProviderView>,
    /// How many users granted it something.
    pub users: usize,
}

/// A provider that an agent may use.
pub struct ProviderView {
    /// Which, and for what at most.
    pub bound: BoundProvider,
    /// Where its credentials may go.
    pub hosts: Vec<String>,
}

impl Operations {
    /// Every agent and workload that the caller reaches, and what each can do.
    ///
    /// # Errors
    /// [`OperationError::Forbidden`].
    pub fn list_agents(&self, caller: &Arc<Caller>) -> Result<Vec<AgentView>, OperationError> {
        let permitted = self.permit(caller, Operation::ListAgents, None)?;
        let users = self.users_by_agent();
        let all = self.host.directory.list().into_iter().filter(|entry| permitted.reaches(&entry.name));
        Ok(all.map(|entry| self.view(&entry, users.get(entry.name.as_str()).map_or(0, HashSet::len))).collect())
    }

    /// Gives a name a component to run. It must compile, link and export what an agent exports before its name points to
    /// it.
    ///
    /// # Errors
    /// [`OperationError`]; the name runs what it ran before then.
    pub async fn deploy_agent(&self, caller: &Arc<Caller>, deploy: Deploy) -> Result<AgentView, OperationError> {
        let Deploy { name, bytes, publisher, return_urls, source } = deploy;
        let permitted = self.permit(caller, Operation::DeployAgent, Some(&name))?;
        let host = &self.host;
        let digest = Digest::of(&bytes);
        let agent = Some(AgentRef { name: name.to_string(), digest: Some(digest.to_string()) });
        let actor = Actor { agent, ..permitted.actor() };
        let action = Action::new(codes::DEPLOY, name.as_str())
            .with(json!({ "digest": digest, "publisher": publisher, "bytes": bytes.len(), "source": source }));
        let deployment = |authority| Deployment {
            source,
            authority,
            allowed_return_urls: self.with_configured(&name, return_urls),
            name,
            digest,
            publisher,
            by: caller.to_string(),
        };
        let deed = async {
            let components = host.components.clone();
            let stored = tokio::task::spawn_blocking(move || components.put(&bytes)).await;
            stored.map_err(|_| ComponentError::Stopped)?.map_err(ComponentError::Store)?;
            // Compiles it, off this thread, and keeps it for the first invocation.
            let ready = host.ready(digest).await?;
            let authority = Authority::of(ready.authority().iter().cloned());
            Ok(host.directory.deploy(deployment(authority)).await?)
        };
        let identity = self.written(actor, action, deed).await?;
        Ok(self.one(&identity))
    }

    /// Lets an agent not be called: what runs of it is stopped at once.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn suspend_agent(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<AgentView, OperationError> {
        self.set_state(caller, Operation::SuspendAgent, codes::SUSPEND, name, State::Suspended).await
    }

    /// Lets it be called again.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn resume_agent(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<AgentView, OperationError> {
        self.set_state(caller, Operation::ResumeAgent, codes::RESUME, name, State::Active).await
    }

    /// All versions that ever ran under a name, the newest first.
    ///
    /// # Errors
    /// [`OperationError`].
    pub async fn list_versions(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<Vec<Version>, OperationError> {
        let permitted = self.permit(caller, Operation::ListAgentVersions, Some(name))?;
        if !permitted.reaches(name) {
            return Ok(Vec::new());
        }
        self.host.directory.versions(name).await.map_err(|error| ChangeError::Store(error).into())
    }

    /// Gives a name back a version that ran under it before: the one of this digest, or the one before the present.
    ///
    /// # Errors
    /// [`OperationError`]; the name runs what it ran then.
    pub async fn roll_back_agent(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        to: Option<Digest>,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::RollBackAgent, Some(name))?;
        let action = Action::new(codes::ROLL_BACK, name.as_str()).with(json!({ "to": to }));
        let deed = async { Ok(self.host.directory.roll_back(name, to, caller.to_string()).await?) };
        let identity = self.written(self.about(permitted.actor(), name), action, deed).await?;
        Ok(self.one(&identity))
    }

    /// Holds an agent to the version that it runs, or lets it go.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn pin_agent(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        pinned: bool,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::PinAgent, Some(name))?;
        let action = Action::new(codes::PIN, name.as_str()).with(json!({ "pinned": pinned }));
        let deed = async { Ok(self.host.directory.pin(name, pinned).await?) };
        let identity = self.written(self.about(permitted.actor(), name), action, deed).await?;
        Ok(self.one(&identity))
    }

    /// Bytes that may run nowhere on this host.
    ///
    /// # Errors
    /// [`OperationError::Forbidden`].
    pub fn list_killed(&self, caller: &Arc<Caller>) -> Result<Vec<Killed>, OperationError> {
        // Of no agent, so there is nobody of whom not to know.
        self.permit(caller, Operation::ListKilled, None).map(|_of_the_host| self.host.directory.killed())
    }

    /// Lets bytes run nowhere on this host, under whatever name: what runs of them is stopped at once.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn kill_component(
        &self,
        caller: &Arc<Caller>,
        digest: Digest,
        reason: String,
    ) -> Result<Killed, OperationError> {
        let permitted = self.permit(caller, Operation::KillComponent, None)?;
        let action = Action::new(codes::KILL, digest.to_string()).with(json!({ "reason": reason }));
        let deed = async {
            let killed = self.host.directory.kill(digest, caller.to_string(), reason).await?;
            self.sessions.stop_component(digest);
            for entry in self.host.directory.list() {
                if entry.version.as_ref().is_some_and(|version| version.digest == digest) {
                    let agent = Some(entry.name.clone());
                    self.host.vault.forget_minted(&GrantFilter { agent, ..GrantFilter::default() });
                }
            }
            Ok(killed)
        };
        self.written(permitted.actor(), action, deed).await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn revive_component(&self, caller: &Arc<Caller>, digest: Digest) -> Result<(), OperationError> {
        let permitted = self.permit(caller, Operation::KillComponent, None)?;
        let action = Action::new(codes::REVIVE, digest.to_string());
        let deed = async { Ok(self.host.directory.revive(digest).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Lets a workload use a provider, besides what the configuration says. Acts on its next call.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn bind_provider(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        bound: BoundProvider,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::BindCredentialProvider, Some(name))?;
        let detail = json!({ "provider": bound.provider, "scopes": bound.scopes });
        let action = Action::new(codes::WORKLOAD_BIND, name.as_str()).with(detail);
        let deed = async {
            self.offered(&bound)?;
            Ok(self.host.directory.bind(name, bound).await?)
        };
        let identity = self.written(self.about(permitted.actor(), name), action, deed).await?;
        Ok(self.one(&identity))
    }

    /// Takes that back. Acts on its next call.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn unbind_provider(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        provider: &ProviderName,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, Operation::UnbindCredentialProvider, Some(name))?;
        let action = Action::new(codes::WORKLOAD_UNBIND, name.as_str()).with(json!({ "provider": provider }));
        let deed = async {
            let identity = self.host.directory.unbind(name, provider).await?;
            let of_it = GrantFilter { agent: Some(name.clone()), provider: Some(provider.clone()), user: None };
            self.host.vault.forget_minted(&of_it);
            Ok(identity)
        };
        let identity = self.written(self.about(permitted.actor(), name), action, deed).await?;
        Ok(self.one(&identity))
    }

    /// A mistake is told now and not at the agent's first call.
    fn offered(&self, bound: &BoundProvider) -> Result<(), OperationError> {
        let BoundProvider { provider: name, scopes } = bound;
        let unfit = |why: String| Err(OperationError::Unfit(why));
        match self.host.providers.find(name) {
            None => {
                unfit(format!("there is no credential provider `{name}`; `attache providers` lists those that are"))
            }
            Some(CredentialProvider::ApiKey(_)) if !scopes.is_empty() => {
                unfit(format!("provider `{name}` has an API key, which has no scopes; bind it without"))
            }
            Some(CredentialProvider::Oauth2(provider))
                if !provider.scopes.is_empty() && !provider.scopes.covers(scopes) =>
            {
                let missing = provider.scopes.missing(scopes).joined();
                unfit(format!("provider `{name}` does not offer `{missing}`; bind what it offers"))
            }
            Some(_) => Ok(()),
        }
    }

    async fn set_state(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        code: &str,
        name: &AgentName,
        state: State,
    ) -> Result<AgentView, OperationError> {
        let permitted = self.permit(caller, operation, Some(name))?;
        let deed = async {
            let identity = self.host.directory.set_state(name, state).await?;
            if state == State::Suspended {
                self.sessions.stop_agent(name);
                self.host.vault.forget_minted(&GrantFilter { agent: Some(name.clone()), ..GrantFilter::default() });
            }
            Ok(identity)
        };
        let identity =
            self.written(self.about(permitted.actor(), name), Action::new(code, name.as_str()), deed).await?;
        Ok(self.one(&identity))
    }

    /// Those that were sent and those of the configuration; none, which keeps what there is, where neither says any.
    fn with_configured(&self, name: &AgentName, mut urls: Vec<String>) -> Option<Vec<String>> {
        let configured = self.host.settings.agents.get(name).map_or(&[][..], |agent| &agent.allowed_return_urls);
        for url in configured {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        (!urls.is_empty()).then_some(urls)
    }

    /// The agent that is concerned, beside whoever acts.
    pub(super) fn about(&self, actor: Actor, name: &AgentName) -> Actor {
        let digest = self.host.directory.entry(name).and_then(|entry| entry.version.as_ref().map(|of| of.digest));
        let agent = AgentRef { name: name.to_string(), digest: digest.map(|digest| digest.to_string()) };
        Actor { agent: Some(agent), ..actor }
    }

    /// One entry, and what it can do.
    pub(super) fn one(&self, identity: &Arc<WorkloadIdentity>) -> AgentView {
        let users = self.users_by_agent();
        self.view(identity, users.get(identity.name.as_str()).map_or(0, HashSet::len))
    }

    fn view(&self, identity: &Arc<WorkloadIdentity>, users: usize) -> AgentView {
        let terms = self.host.directory.terms(&identity.name);
        let of =
            |bound: &BoundProvider| ProviderView {
                bound: bound.clone(),
                hosts: self.host.providers.find(&bound.provider).map_or_else(Vec::new, |provider| {
                    provider.destinations().iter().map(ToString::to_string).collect()
                }),
            };
        let providers = terms.providers.iter().map(of).collect();
        AgentView { identity: identity.clone(), terms, providers, users }
    }
}

/// What to call whoever makes something, where people read it.
pub(super) fn maker(caller: &Caller) -> String {
    match caller.who() {
        Who::Key(key) => key.name.clone(),
        Who::Operator(account) => account.clone(),
        Who::Person(user) => user.display_name(),
    }
}
