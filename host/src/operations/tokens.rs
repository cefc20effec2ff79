//! Workload access tokens after they were minted: looked at, and ended before their time.

use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, Outcome, codes};
use crate::identity::{Binding, IssuedFacts, PresentedWat};
use serde_json::json;
use std::sync::Arc;

/// What a token stands for; none where it is not live.
pub type Introspected = Option<IssuedFacts>;

impl Operations {
    /// What a token stands for, and until when (as RFC 7662 has it: one that is not live is answered alike, whatever it
    /// was). One of a workload that the caller does not reach is not live to them.
    ///
    /// # Errors
    /// [`OperationError::Forbidden`].
    pub fn introspect_token(&self, caller: &Arc<Caller>, token: &str) -> Result<Introspected, OperationError> {
        let Some(facts) = self.known(caller, Operation::IntrospectWorkloadAccessToken, token)? else { return Ok(None) };
        let action = Action::new(codes::WAT_INTROSPECT, facts.workload.as_str()).with(json!({ "token": facts.id }));
        self.host.trail.note(self.about(caller.actor(), &facts.workload), action, Outcome::allowed())?;
        Ok(Some(facts))
    }

    /// Ends a token. One that is not live is the same afterwards, so that is no mistake (as RFC 7009 §2.2 has it).
    ///
    /// # Errors
    /// [`OperationError::Forbidden`], or that it cannot be written down.
    pub async fn revoke_token(&self, caller: &Arc<Caller>, token: &str) -> Result<(), OperationError> {
        let Some(facts) = self.known(caller, Operation::RevokeWorkloadAccessToken, token)? else { return Ok(()) };
        let action = Action::new(codes::WAT_REVOKE, facts.workload.as_str()).with(json!({ "token": facts.id }));
        let deed = async {
            self.host.issued.revoke_id(&facts.id);
            Ok(())
        };
        self.written(self.about(caller.actor(), &facts.workload), action, deed).await
    }

    fn known(
        &self,
        caller: &Arc<Caller>,
        operation: Operation,
        token: &str,
    ) -> Result<Option<IssuedFacts>, OperationError> {
        caller.might(operation)?;
        let Ok(presented) = PresentedWat::parse(token) else { return Ok(None) };
        let Some(facts) = self.host.issued.introspect(&presented) else { return Ok(None) };
        Ok(self.permit(caller, operation, Some(&facts.workload)).is_ok().then_some(facts))
    }

    /// The binding that a presented token stands for.
    pub(super) fn presented(&self, token: &str) -> Result<Arc<Binding>, OperationError> {
        let dead =
            "this workload access token is not live: it has expired, was revoked, or is none of this host; get another";
        let binding = PresentedWat::parse(token).ok().and_then(|presented| self.host.issued.resolve(&presented));
        binding.ok_or_else(|| OperationError::Denied(dead.to_owned()))
    }
}
