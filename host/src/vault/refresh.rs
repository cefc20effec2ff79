//! Renewing tokens ahead of their expiry: one flight per grant, whoever asks and whoever goes away.
//!
//! A refresh token may work only once (RFC 6749 §6, RFC 9700 §4.14.2). So a flight is a task of its own, which a caller
//! that goes away does not stop; what the provider sent is durable before anybody uses it; and what could not be
//! written is kept, sealed, to be written by the next flight instead of being asked for again.
//!
//! A host that dies between the provider's answer and that write loses the answer; nothing can be done about that, for the
//! two are on two machines. What can be done is to know it: the row is marked, durably, before the request leaves. A
//! provider that then no longer honours the refresh token has answered before, and the record says so instead of blaming
//! the user or the provider. What follows is an honest "ask for consent again", never a token of somebody else's.

use super::flight::{Flight, Flights};
use super::grants::{Parts, VaultError};
use super::key::{Held, Place, VaultKey};
use super::tokens::Tokens;
use super::{GrantRow, PendingRevocation};
use crate::audit::{Action, Attempt, Outcome, codes, with_cause};
use crate::clock::Timestamp;
use crate::identity::Binding;
use crate::ids::{GrantId, Scopes};
use crate::oauth::{OAuthError, Proofs, Provider, TokenSet};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a caller with a token that is still valid waits for the next one.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long a provider that failed is left alone while the token is still valid.
pub(super) const REST: Duration = Duration::from_secs(30);
/// Renewed at least this long before the expiry.
const AHEAD: Duration = Duration::from_secs(60);
/// When the provider did not say how long a token lives.
const ASSUMED: Duration = Duration::from_secs(3600);
/// Not released this shortly before the expiry: it would be over when it arrives.
const MARGIN: Duration = Duration::from_secs(5);

/// How far an access token is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Release it.
    Fresh,
    /// Renew it; it may still be released.
    Due,
    /// It must not be released.
    Over,
}

impl Age {
    /// Of the token of a row.
    pub(super) fn of(row: &GrantRow, renewable: bool, now: Timestamp) -> Self {
        match row.expires_at {
            // Of a time that the clock was turned back from: how long it lives yet, nobody knows.
            Some(expires_at) if renewable && now < expires_at && !now.is_within(row.updated_at, expires_at) => {
                Self::Due
            }
            Some(expires_at) => Self::within(row.updated_at, expires_at, renewable, now),
            None if renewable && now >= row.updated_at.plus(ASSUMED) => Self::Due,
            None => Self::Fresh,
        }
    }

    /// Due in the last fifth of its life or its last minute, whichever is longer, but not before half of it: a token
    /// of thirty seconds would be due at once otherwise.
    pub(super) fn within(since: Timestamp, expires_at: Timestamp, renewable: bool, now: Timestamp) -> Self {
        let lifetime = expires_at.since(since);
        if now >= expires_at.minus(MARGIN.min(lifetime / 4)) {
            return Self::Over;
        }
        let ahead = AHEAD.max(lifetime / 5).min(lifetime / 2);
        if renewable && now >= expires_at.minus(ahead) { Self::Due } else { Self::Fresh }
    }
}

/// What a flight came to, other than an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The provider gave a token just now.
    Made,
    /// One that it gave before could be written by now: how old it is has to be looked at.
    Written,
}

/// Refreshes on their way, and what is remembered between them.
pub(super) struct Renewals {
    flights: Arc<Flights<GrantId, Result<Renewal, VaultError>>>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// Not to be tried before, while the token is still valid.
    resting: HashMap<GrantId, Timestamp>,
    /// Renewed at the provider but not written yet.
    unsaved: HashMap<GrantId, Arc<Held>>,
}

impl Renewals {
    pub(super) fn none() -> Self {
        Self { flights: Flights::new(|| Err(VaultError::Stopped)), remembered: Mutex::default() }
    }

    pub(super) fn resting(&self, id: GrantId, now: Timestamp) -> bool {
        self.remembered().resting.get(&id).is_some_and(|until| now < *until)
    }

    /// Forgets what is remembered of a grant that was replaced or removed.
    pub(super) fn forget(&self, id: GrantId) {
        let mut remembered = self.remembered();
        remembered.resting.remove(&id);
        remembered.unsaved.remove(&id);
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// Waits for the renewal of this grant. None when it changed since it was looked up.
    pub(super) async fn renewed(
        self: &Arc<Self>,
        held: &Arc<Held>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        age: Age,
    ) -> Option<Result<Renewal, VaultError>> {
        let flight = self.flight(held, who, provider)?;
        if age == Age::Over {
            return Some(flight.await);
        }
        Some(tokio::time::timeout(PATIENCE, flight).await.unwrap_or(Ok(Renewal::Made)))
    }

    /// The flight of this grant: the one that is on its way, or a new one.
    fn flight(
        self: &Arc<Self>,
        held: &Arc<Held>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
    ) -> Option<Flight<Result<Renewal, VaultError>>> {
        let id = held.row.id;
        let prepare = || {
            // A flight changes the cache before it lands: whoever looked the grant up before must not spend its refresh
            // token once more.
            if !self.unchanged(held) {
                return Err(());
            }
            let (parts, held, who, provider) = (self.clone(), held.clone(), who.clone(), provider.clone());
            Ok(async move {
                let result = parts.refresh(&held, &who, &provider).await;
                parts.remember(&held, &result);
                result
            })
        };
        self.renewals.flights.board(id, prepare).ok()
    }

    fn remember(&self, held: &Held, result: &Result<Renewal, VaultError>) {
        let id = held.row.id;
        let mut remembered = self.renewals.remembered();
        let until = match result {
            // It answered, so the refresh token is most likely spent. Showing it again would end the grant at a provider
            // that watches for that, and the valid token with it: not before there is nothing left to lose.
            Err(VaultError::Provider(error)) if matches!(**error, OAuthError::Unreadable(_)) => {
                Some(held.row.expires_at.unwrap_or_else(|| self.clock.now().plus(ASSUMED)))
            }
            Err(VaultError::Provider(_)) => Some(self.clock.now().plus(REST)),
            _ => None,
        };
        match until {
            Some(until) => remembered.resting.insert(id, until),
            None => remembered.resting.remove(&id),
        };
    }

    /// Open, act, close. The record is durable before the refresh token leaves the vault.
    async fn refresh(
        self: &Arc<Self>,
        held: &Arc<Held>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
    ) -> Result<Renewal, VaultError> {
        let detail = json!({ "grant": held.row.id, "scopes": held.row.granted });
        let attempt = self.trail.open(who, Action::new(codes::REFRESH, provider.name.as_str()).with(detail))?;
        let result = self.refresh_attempted(&attempt, held, provider).await;
        attempt.close(match &result {
            Ok((_, lost)) if lost.is_empty() => Outcome::allowed(),
            Ok((_, lost)) => Outcome::allowed_with(format!("the provider no longer grants `{}`", lost.joined())),
            Err(VaultError::GrantGone) => Outcome::refused(gone(held.row.renewing_since)),
            Err(error) => Outcome::failed(with_cause(error)),
        });
        result.map(|(renewal, _)| renewal)
    }

    /// And the scopes that the provider took away.
    async fn refresh_attempted(
        self: &Arc<Self>,
        attempt: &Attempt,
        held: &Arc<Held>,
        provider: &Arc<Provider>,
    ) -> Result<(Renewal, Scopes), VaultError> {
        let key = VaultKey::of(&self.account, attempt.binding(), provider).ok_or(VaultError::Missing)?;
        let tokens = key.open(&self.sealer, held)?;
        let unsaved = self.renewals.remembered().unsaved.get(&held.row.id).cloned();
        if let Some(next) = unsaved.filter(|next| next.row.generation == held.row.generation + 1) {
            return Ok((Renewal::Written, self.save(key.place(), held, next).await?));
        }
        let Some(refresh) = tokens.refresh() else {
            attempt.written().await?;
            self.remove_dead(key.place(), held).await?;
            return Err(VaultError::GrantGone);
        };
        // One commit covers both.
        let (written, marked) = tokio::join!(attempt.written(), self.mark(key.place(), held));
        written?;
        marked?;
        // Counted from before the request: the provider counted from some moment after.
        let now = self.clock.now();
        let prover = self.prover_of(&tokens)?;
        let workload = attempt.binding().workload();
        let proofs = Proofs { workload: Some(&workload), dpop: prover.as_ref() };
        match self.oauth.refresh(provider, proofs, &refresh).await {
            // OIDC Core §12.2. Nothing of it is used: whoever's the new token is, this grant is not theirs.
            Ok(fresh)
                if fresh.id_token.is_some() && tokens.holder().is_some_and(|known| fresh.holder != Some(known)) =>
            {
                let why = "the provider renewed the grant with an ID token of another user";
                Err(VaultError::Provider(Arc::new(OAuthError::Unreadable(why.into()))))
            }
            Ok(fresh) => {
                // Many providers keep the refresh token and do not repeat it (RFC 6749 §6).
                let next = Some(fresh.refresh.as_ref().unwrap_or(&refresh));
                let next = Tokens::of(&fresh, next, tokens.holder(), prover.as_ref().map(|prover| &**prover.key()))?;
                let next = Arc::new(key.seal(&self.sealer, next_row(&held.row, &fresh, now), &next)?);
                self.renewals.remembered().unsaved.insert(held.row.id, next.clone());
                let saved = self.save(key.place(), held, next).await;
                if matches!(saved, Err(VaultError::GrantGone)) {
                    self.disown(provider, held, fresh).await;
                }
                Ok((Renewal::Made, saved?))
            }
            Err(OAuthError::GrantGone) => {
                self.remove_dead(key.place(), held).await?;
                Err(VaultError::GrantGone)
            }
            Err(error) => {
                if !matches!(error, OAuthError::Unreachable(_) | OAuthError::Unreadable(_)) {
                    self.unmark(key.place(), held).await;
                }
                Err(VaultError::Provider(Arc::new(error)))
            }
        }
    }

    /// Marks the row before a request leaves whose answer may get lost. A mark that is there stays: what it is about is
    /// still not known.
    async fn mark(&self, place: &Place, held: &Held) -> Result<(), VaultError> {
        if held.row.renewing_since.is_some() {
            return Ok(());
        }
        self.set_mark(place, held, Some(self.clock.now())).await
    }

    /// The provider said no, or was not asked: nothing is unknown.
    async fn unmark(&self, place: &Place, held: &Held) {
        if held.row.renewing_since.is_none()
            && let Err(error) = self.set_mark(place, held, None).await
        {
            tracing::warn!(error = %with_cause(&error), grant = %held.row.id, "a grant stays marked as being renewed");
        }
    }

    async fn set_mark(&self, place: &Place, held: &Held, since: Option<Timestamp>) -> Result<(), VaultError> {
        let _turn = self.turn(place).await;
        if !self.unchanged(held) {
            return Err(VaultError::GrantGone);
        }
        if !self.rows.renewing(held.row.id, held.row.generation, since).await? {
            self.cache.remove(held.row.id);
            return Err(VaultError::GrantGone);
        }
        let row = GrantRow { renewing_since: since, ..held.row.clone() };
        self.cache.put(place.clone(), Arc::new(Held::new(row)));
        Ok(())
    }

    /// Makes the renewed row durable, then visible. It fails when the grant was revoked or given anew meanwhile: a
    /// flight never brings a revoked grant back.
    async fn save(&self, place: &Place, held: &Held, next: Arc<Held>) -> Result<Scopes, VaultError> {
        let _turn = self.turn(place).await;
        let replaced = self.rows.replace(held.row.generation, next.row.clone()).await?;
        self.renewals.remembered().unsaved.remove(&held.row.id);
        if replaced {
            let lost = next.usable.missing(&held.usable);
            self.cache.put(place.clone(), next);
            return Ok(lost);
        }
        if self.unchanged(held) {
            self.cache.remove(held.row.id);
        }
        Err(VaultError::GrantGone)
    }

    /// Removes a grant that the provider does not know any more, or that cannot be renewed. Nothing is left to revoke.
    async fn remove_dead(&self, place: &Place, held: &Held) -> Result<(), VaultError> {
        let _turn = self.turn(place).await;
        if !self.unchanged(held) {
            return Ok(());
        }
        let id = held.row.id;
        let pending =
            PendingRevocation { grant: id, row: held.row.clone(), attempts: 0, next_at: self.clock.now().plus(REST) };
        self.rows.revoke(id, pending).await?;
        self.cache.remove(id);
        self.renewals.forget(id);
        if let Err(error) = self.rows.reschedule(id, 0, None).await {
            tracing::warn!(%error, grant = %id, "the provider will be told of a grant that it ended itself");
        }
        Ok(())
    }

    fn unchanged(&self, held: &Held) -> bool {
        self.cache.by_id(held.row.id).is_some_and(|now| now.row.generation == held.row.generation)
    }

    /// The grant was revoked while the provider renewed it: the queued revocation knows only the earlier tokens, so
    /// these are given back here, once.
    async fn disown(&self, provider: &Provider, held: &Held, fresh: TokenSet) {
        if self.cache.by_id(held.row.id).is_some() {
            return;
        }
        let (token, hint) = match &fresh.refresh {
            Some(refresh) => (refresh, "refresh_token"),
            None => (&fresh.access, "access_token"),
        };
        self.tell(provider, &held.row, token, hint).await;
    }
}

fn next_row(row: &GrantRow, fresh: &TokenSet, now: Timestamp) -> GrantRow {
    GrantRow {
        granted: fresh.scopes.clone().unwrap_or_else(|| row.granted.clone()),
        updated_at: now,
        expires_at: fresh.expires_in.map(|lifetime| now.plus(lifetime)),
        generation: row.generation + 1,
        renewing_since: None,
        sealed: Vec::new(),
        ..row.clone()
    }
}

/// Why a grant was removed.
fn gone(renewing_since: Option<Timestamp>) -> String {
    match renewing_since {
        None => "the provider no longer honours the grant; it was removed".into(),
        Some(since) => format!(
            "the provider no longer honours the grant; it was removed. The answer to a renewal of {since} never arrived \
             here, so the provider has most likely replaced the refresh token then"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Authority;
    use crate::ids::{ProviderName, UserId};

    fn row(lifetime: Option<u64>) -> GrantRow {
        let at = Timestamp::from_secs(1_000_000);
        GrantRow {
            id: GrantId::random(),
            workload: "spiffe://test/agent/calendar".into(),
            user: UserId { issuer: "https://idp.test".parse().unwrap(), subject: "alice".parse().unwrap() },
            provider: ProviderName::parse("calendar").unwrap(),
            client: "attache at https://calendar.test/token".into(),
            asked: Scopes::default(),
            resources: Vec::new(),
            destinations: String::new(),
            authority: Authority::none(),
            granted: Scopes::default(),
            created_at: at,
            updated_at: at,
            expires_at: lifetime.map(|secs| at.plus(Duration::from_secs(secs))),
            generation: 1,
            renewing_since: None,
            sealed: Vec::new(),
        }
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_expiry_and_never_used_after() {
        use Age::{Due, Fresh, Over};
        for (lifetime, renewable, after, expect) in [
            (Some(3600), true, 0, Fresh),
            (Some(3600), true, 2879, Fresh),
            (Some(3600), true, 2880, Due),
            (Some(3600), true, 3594, Due),
            (Some(3600), true, 3595, Over),
            (Some(3600), false, 3594, Fresh),
            (Some(3600), false, 3595, Over),
            (Some(200), true, 139, Fresh),
            (Some(200), true, 140, Due),
            (Some(30), true, 14, Fresh),
            (Some(30), true, 15, Due),
            (Some(0), true, 0, Over),
            (None, true, 3599, Fresh),
            (None, true, 3600, Due),
            (None, true, 1_000_000, Due),
            (None, false, 1_000_000, Fresh),
        ] {
            let row = row(lifetime);
            let now = row.updated_at.plus(Duration::from_secs(after));
            assert_eq!(Age::of(&row, renewable, now), expect, "{lifetime:?} {renewable} after {after} s");
        }
    }
}
