//! Revoking: gone here first, and for good; then told to the provider (RFC 7009), now or as soon as it answers.

use super::grants::{Grant, GrantFilter, Parts, Vault, VaultError, agent_of};
use super::key::{Held, Place, RetiredKey, client_of};
use super::{GrantRow, PendingRevocation};
use crate::audit::{Action, Actor, Outcome, codes, with_cause};
use crate::identity::Workload;
use crate::ids::{AgentName, GrantId, UserId};
use crate::oauth::{Proofs, Provider, Revoked};
use crate::secret::Secret;
use futures_util::StreamExt as _;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The provider is asked this often, then given up.
const ATTEMPTS: u32 = 20;
/// The longest pause between two attempts; the first is a second, and each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// A revocation that was just queued is tried at once by whoever queued it; the loop takes it up after this.
const LEASE: Duration = Duration::from_secs(30);
/// How often the loop looks.
const ROUND: Duration = Duration::from_secs(5);
/// How many providers are told at the same time.
const AT_ONCE: usize = 8;

impl Vault {
    /// Revokes a grant: no call gets a token of it once this returns, and the provider is told.
    ///
    /// With `only_of`, a grant of any other user is refused. The provider is told in the background, again and again if
    /// it does not answer. Done even if the caller goes away meanwhile.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::NotYours`], or what kept it from being written; the grant stands then.
    pub async fn revoke(&self, id: GrantId, by: Actor, only_of: Option<&UserId>) -> Result<Grant, VaultError> {
        let (parts, only_of) = (self.parts.clone(), only_of.cloned());
        let work = tokio::spawn(async move { parts.revoke(id, by, only_of.as_ref()).await });
        let revoked = work.await.unwrap_or(Err(VaultError::Stopped))?;
        self.forget_minted(&GrantFilter {
            user: Some(revoked.user.clone()),
            agent: AgentName::parse(&revoked.agent).ok(),
            provider: Some(revoked.provider.clone()),
        });
        Ok(revoked)
    }

    /// Revokes every grant that this filter takes, one after the other, each with its record, and forgets the minted tokens
    /// that it takes. Those that another call
    /// revoked meanwhile are left out of what is returned.
    ///
    /// # Errors
    /// As [`Vault::revoke`]; those before the one that failed are revoked.
    pub async fn revoke_where(&self, filter: &GrantFilter, by: &Actor) -> Result<Vec<Grant>, VaultError> {
        self.forget_minted(filter);
        let mut revoked = Vec::new();
        for grant in self.grants_where(filter) {
            match self.revoke(grant.id, by.clone(), None).await {
                Ok(grant) => revoked.push(grant),
                Err(VaultError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(revoked)
    }

    /// Tells providers of revocations until the vault is dropped. Spawn it once.
    pub async fn work_revocations(self: Arc<Self>) {
        let vault = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(ROUND).await;
            let Some(vault) = vault.upgrade() else { return };
            if let Err(error) = vault.revoke_due().await {
                tracing::warn!(error = %with_cause(&error), "revocations that are due cannot be read");
            }
        }
    }

    /// One round of [`Vault::work_revocations`]: tells providers of what is due. Returns how many were tried.
    ///
    /// # Errors
    /// [`VaultError::Rows`] when the queue cannot be read.
    pub async fn revoke_due(&self) -> Result<usize, VaultError> {
        let due = self.parts.rows.due(self.parts.clock.now()).await?;
        let tried = due.len();
        let parts = &self.parts;
        futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, |pending| parts.settle(pending)).await;
        Ok(tried)
    }
}

impl Parts {
    async fn revoke(self: &Arc<Self>, id: GrantId, by: Actor, only_of: Option<&UserId>) -> Result<Grant, VaultError> {
        let held = self.cache.by_id(id).ok_or(VaultError::Missing)?;
        let action = Action::new(codes::GRANT_REVOKE, held.row.provider.as_str()).with(detail(&held.row));
        if only_of.is_some_and(|user| *user != held.row.user) {
            self.trail.note(by, action, Outcome::refused("the grant belongs to another user"))?;
            return Err(VaultError::NotYours);
        }
        let deed = self.trail.open_deed(by, action)?;
        let result = match deed.written().await {
            Ok(()) => self.remove(&held).await,
            Err(error) => Err(error.into()),
        };
        match &result {
            Ok(_) => deed.close(Outcome::allowed()),
            Err(error) => deed.close(Outcome::failed(with_cause(error))),
        }
        let pending = result?;
        let grant = Grant::of(&pending.row);
        let parts = self.clone();
        tokio::spawn(async move { parts.settle(pending).await });
        Ok(grant)
    }

    /// Out of the store and into the queue in one transaction, then out of memory. The row is looked up under its turn:
    /// a flight may have renewed it since, and the provider must be told of the latest tokens.
    async fn remove(&self, held: &Held) -> Result<PendingRevocation, VaultError> {
        let place = Place::of_row(&self.account, &held.row);
        let _turn = self.turn(&place).await;
        let id = held.row.id;
        let row = self.cache.by_id(id).ok_or(VaultError::Missing)?.row.clone();
        let pending = PendingRevocation { grant: id, row, attempts: 0, next_at: self.clock.now().plus(LEASE) };
        let removed = self.rows.revoke(id, pending.clone()).await?;
        self.cache.remove(id);
        self.renewals.forget(id);
        if removed { Ok(pending) } else { Err(VaultError::Missing) }
    }

    /// Tells the provider once, and takes the revocation off the queue or puts it back for later.
    async fn settle(&self, pending: PendingRevocation) {
        let attempts = pending.attempts + 1;
        let told = self.tell_pending(&pending).await;
        let next_at = if told || attempts >= ATTEMPTS {
            None
        } else {
            let pause = Duration::from_secs(1 << pending.attempts.min(12)).min(LONGEST_PAUSE);
            Some(self.clock.now().plus(pause))
        };
        if !told && next_at.is_none() {
            tracing::error!(grant = %pending.grant, provider = %pending.row.provider, "gave up telling the provider of a revocation");
        }
        if let Err(error) = self.rows.reschedule(pending.grant, attempts, next_at).await {
            tracing::warn!(%error, grant = %pending.grant, "a revocation could not be rescheduled");
        }
    }

    /// The refresh token where there is one, for a provider ends the whole grant with it (RFC 7009 §2.1); else the
    /// access token.
    async fn tell_pending(&self, pending: &PendingRevocation) -> bool {
        let row = &pending.row;
        let failed = |reason: String| {
            let action = Action::new(codes::PROVIDER_REVOKE, row.provider.as_str()).with(detail(row));
            if let Err(error) = self.trail.note(for_user(row), action, Outcome::failed(reason)) {
                tracing::warn!(%error, "a failed revocation could not be written down");
            }
            false
        };
        let Some(provider) = self.providers.oauth2(&row.provider).filter(|one| client_of(one) == row.client) else {
            return failed("the provider is no longer configured as it was when the user agreed".into());
        };
        let held = Held::new(row.clone());
        match RetiredKey::of(&self.account, pending).open(&self.sealer, &held) {
            Ok(tokens) => match tokens.refresh() {
                Some(refresh) => self.tell(&provider, row, &refresh, "refresh_token").await,
                None => self.tell(&provider, row, &tokens.access(), "access_token").await,
            },
            Err(error) => failed(error.to_string()),
        }
    }

    /// Tells the provider that a token is void. Audited; true when there is nothing more to do.
    pub(super) async fn tell(&self, provider: &Provider, row: &GrantRow, token: &Secret, hint: &str) -> bool {
        let action = Action::new(codes::PROVIDER_REVOKE, provider.name.as_str()).with(detail(row));
        let Ok(deed) = self.trail.open_deed(for_user(row), action) else { return false };
        if deed.written().await.is_err() {
            return false;
        }
        let workload = self.workload_of(row);
        let proofs = Proofs { workload: workload.as_ref(), dpop: None };
        let result = self.oauth.revoke(provider, proofs, token, hint).await;
        let (told, outcome) = match &result {
            Ok(Revoked::Told) => (true, Outcome::allowed()),
            Ok(Revoked::NoEndpoint) => (true, Outcome::allowed_with("the provider has no revocation endpoint")),
            Err(error) => (false, Outcome::failed(with_cause(error))),
        };
        deed.close(outcome);
        told
    }
}

impl Parts {
    /// The workload of a row, for a provider that knows its clients by that; none that is gone or suspended.
    fn workload_of(&self, row: &GrantRow) -> Option<Workload> {
        let name = AgentName::parse(agent_of(&row.workload)).ok()?;
        let agent = self.directory.resolve(&name).or_else(|_| self.directory.resolve_elsewhere(&name));
        agent.ok().map(|agent| Workload::of(&agent))
    }
}

fn for_user(row: &GrantRow) -> Actor {
    Actor { user: Some(row.user.clone()), ..Actor::default() }
}

fn detail(row: &GrantRow) -> serde_json::Value {
    json!({ "grant": row.id, "workload": row.workload, "user": row.user, "scopes": row.granted })
}
