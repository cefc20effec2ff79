//! The three mints: workload access tokens for workloads that run elsewhere.

use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, Outcome, codes};
use crate::clock::Timestamp;
use crate::directory::RegisteredAgent;
use crate::identity::{AssertedUser, Bearer, Binding, User};
use crate::ids::{AgentName, SessionId};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A token that was just minted.
pub struct Minted {
    /// The token: for the workload, and as good as its right to act.
    pub token: Zeroizing<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Operations {
    /// For a workload that acts for itself.
    ///
    /// # Errors
    /// [`OperationError`]: an agent that runs here mints nothing, in AgentCore's own words.
    pub fn mint(&self, caller: &Arc<Caller>, name: &AgentName) -> Result<Minted, OperationError> {
        let operation = Operation::GetWorkloadAccessToken;
        let workload = self.may_mint(caller, operation, name)?;
        self.mint_for(caller, operation, workload, None)
    }

    /// For a workload and the user whom a JWT proves: signed by an issuer of this workload's authorizer, for one of its
    /// audiences, not expired.
    ///
    /// # Errors
    /// [`OperationError::Rejected`] for a token that is not accepted; without an authorizer none is.
    pub async fn mint_for_jwt(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        token: &str,
    ) -> Result<Minted, OperationError> {
        let operation = Operation::GetWorkloadAccessTokenForJWT;
        let workload = self.may_mint(caller, operation, name)?;
        match self.user_of(name, token).await {
            Ok(user) => self.mint_for(caller, operation, workload, Some(user)),
            Err(error) => Err(self.not_minted(caller, operation, &workload, error)),
        }
    }

    /// For a workload and a user whom nobody proves, where an operator trusts this workload's word.
    ///
    /// # Errors
    /// [`OperationError::NotAsserted`] where none does.
    pub fn mint_for_user_id(
        &self,
        caller: &Arc<Caller>,
        name: &AgentName,
        user_id: &str,
    ) -> Result<Minted, OperationError> {
        let operation = Operation::GetWorkloadAccessTokenForUserId;
        let workload = self.may_mint(caller, operation, name)?;
        match AssertedUser::on_the_word_of(&workload, user_id) {
            Ok(user) => self.mint_for(caller, operation, workload, Some(user.into())),
            Err(error) => Err(self.not_minted(caller, operation, &workload, error.into())),
        }
    }

    /// The user whom a token proves to this workload.
    pub(super) async fn user_of(&self, name: &AgentName, token: &str) -> Result<User, OperationError> {
        let authorizer = self.host.settings.authorizer_of(name);
        let authorizer = authorizer.map_err(|error| OperationError::Denied(error.to_string()))?;
        let user = self.host.verifier.verify(&Bearer::from_text(token)?, authorizer).await?;
        Ok(user.into())
    }

    fn may_mint(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        name: &AgentName,
    ) -> Result<Arc<RegisteredAgent>, OperationError> {
        let permitted = self.permit(caller, operation, Some(name))?;
        self.host.directory.resolve_elsewhere(name).map_err(|unresolved| {
            let actor = self.about(permitted.actor(), name);
            self.note_refused(actor, minting(operation, name), &unresolved.to_string());
            unresolved.into()
        })
    }

    /// Bind, write down, mint. The record is in order before every record of what the token is used for, and the first
    /// release of a credential waits until it is on disk; so this does not.
    fn mint_for(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        workload: Arc<RegisteredAgent>,
        user: Option<User>,
    ) -> Result<Minted, OperationError> {
        let host = &self.host;
        let mut actor = caller.actor().about(&workload);
        actor.user = user.as_ref().map(|user| user.id().clone());
        let mut action = minting(operation, workload.name());
        let binding = Binding::bind(workload, user, SessionId::random(), host.trail.host());
        let ttl = host.settings.workloads.token_lifetime;
        let (token, facts) = host
            .issued
            .mint(binding, caller.to_string(), ttl)
            .map_err(|runs_here| OperationError::Denied(runs_here.to_string()))?;
        action.detail["token"] = json!(facts.id);
        if let Err(error) = host.trail.note(actor, action, Outcome::allowed()) {
            host.issued.revoke_id(&facts.id);
            return Err(error.into());
        }
        let token = Zeroizing::new(token.expose_text().unwrap_or_default().to_owned());
        Ok(Minted { token, expires_at: facts.expires_at })
    }

    fn not_minted(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        workload: &RegisteredAgent,
        error: OperationError,
    ) -> OperationError {
        let actor = caller.actor().about(workload);
        self.note_refused(actor, minting(operation, workload.name()), &crate::audit::with_cause(&error));
        error
    }
}

fn minting(operation: Operation, workload: &AgentName) -> Action {
    Action::new(codes::WAT_MINT, workload.as_str()).with(json!({ "operation": operation.name() }))
}
