//! What users granted: listed and undone, by the user, by an operator, by a program with the right to.

use super::paging::{self, Wanted};
use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::Actor;
use crate::identity::VerifiedUser;
use crate::ids::{AgentName, GrantId, UserId};
use crate::vault::{Grant, GrantFilter, VaultError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Grants, newest first, and how to ask for those that follow.
pub struct GrantPage {
    /// At most as many as were asked for.
    pub grants: Vec<Grant>,
    /// For the next page.
    pub next: Option<String>,
}

/// AgentCore's largest page.
const LARGEST: usize = 100;

impl Operations {
    /// The user's own grants, newest first.
    pub fn grants_of_user(&self, user: &VerifiedUser) -> Vec<Grant> {
        self.host.vault.grants_of(user.id())
    }

    /// Undoes a grant of the user's own: the next call with it is refused, and the provider is told. The vault writes it
    /// down.
    ///
    /// # Errors
    /// [`OperationError::Vault`]; the grant stands then.
    pub async fn revoke_own_grant(&self, user: &VerifiedUser, id: GrantId) -> Result<Grant, OperationError> {
        Ok(self.host.vault.revoke(id, Actor::user(user), Some(user.id())).await?)
    }

    /// All grants that match and that are of workloads which the caller reaches, newest first. `subject` alone takes users
    /// of any issuer.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn list_grants(
        &self,
        caller: &Arc<Caller>,
        filter: &GrantFilter,
        subject: Option<&str>,
    ) -> Result<Vec<Grant>, OperationError> {
        let permitted = self.permit(caller, Operation::ListGrants, filter.agent.as_ref())?;
        let mut grants = self.host.vault.grants_where(filter);
        grants.retain(|grant| {
            subject.is_none_or(|subject| grant.user.subject.as_str() == subject)
                && AgentName::parse(&grant.agent).is_ok_and(|name| permitted.reaches(&name))
        });
        grants.sort_by_key(|grant| (std::cmp::Reverse(grant.created_at), grant.id));
        Ok(grants)
    }

    /// As [`Operations::list_grants`], page by page: at most a hundred.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn page_grants(
        &self,
        caller: &Arc<Caller>,
        filter: &GrantFilter,
        subject: Option<&str>,
        wanted: Wanted<'_>,
    ) -> Result<GrantPage, OperationError> {
        let all = self.list_grants(caller, filter, subject)?;
        let after = wanted.token.map(paging::place).transpose()?;
        let key = |grant: &Grant| format!("{:020} {}", u64::MAX - grant.created_at.millis(), grant.id);
        let mut rest = all.into_iter().skip_while(|grant| after.as_ref().is_some_and(|after| key(grant) <= *after));
        let grants: Vec<Grant> = rest.by_ref().take(wanted.most(LARGEST)).collect();
        let next = rest.next().and(grants.last()).map(|last| paging::token(&key(last)));
        Ok(GrantPage { grants, next })
    }

    /// Undoes anybody's grant. The vault writes it down.
    ///
    /// # Errors
    /// [`OperationError`]; a grant of a workload that the caller does not reach is as if there were none.
    pub async fn revoke_grant(&self, caller: &Arc<Caller>, id: GrantId) -> Result<Grant, OperationError> {
        caller.might(Operation::RevokeGrant)?;
        let all = self.host.vault.grants_where(&GrantFilter::default());
        let grant = all.into_iter().find(|grant| grant.id == id).ok_or(VaultError::Missing)?;
        let workload = AgentName::parse(&grant.agent).map_err(|_| VaultError::Missing)?;
        if self.permit(caller, Operation::RevokeGrant, Some(&workload)).is_err() {
            return Err(VaultError::Missing.into());
        }
        Ok(self.host.vault.revoke(id, caller.actor(), None).await?)
    }

    /// How many users granted something to each agent.
    pub(super) fn users_by_agent(&self) -> HashMap<String, HashSet<UserId>> {
        let mut users: HashMap<String, HashSet<UserId>> = HashMap::new();
        for grant in self.host.vault.grants() {
            users.entry(grant.agent).or_default().insert(grant.user);
        }
        users
    }
}
