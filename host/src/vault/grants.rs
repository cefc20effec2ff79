//! The vault: grants looked up, released, kept and listed.

use super::cache::{Cache, Found};
use super::key::{Held, Place, VaultKey};
use super::refresh::{Age, Flights};
use super::tokens::Tokens;
use super::{GrantRow, Rows, RowsError};
use crate::audit::{Trail, Unwritable, Written};
use crate::clock::{Clock, Timestamp};
use crate::identity::Binding;
use crate::ids::{Account, AgentName, GrantId, ProviderName, Scopes, UserId};
use crate::oauth::{OAuth, OAuthError, Provider, TokenSet};
use crate::providers::Providers;
use crate::seal::{SealError, Sealer};
use crate::secret::SharedSecret;
use serde::Serialize;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// Tokens of every user and agent of one account, sealed. One per process.
///
/// Everything is held in memory as it rests, sealed; each change is durable before it shows. Asking for a token that is
/// fresh does no I/O and never waits.
pub struct Vault {
    pub(super) parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) rows: Arc<dyn Rows>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) oauth: Arc<OAuth>,
    pub(super) providers: Arc<Providers>,
    pub(super) trail: Trail,
    pub(super) account: Account,
    pub(super) clock: Clock,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    /// Whoever changes rows of a place holds its turn over the durable write and the cache, so that both see changes
    /// in one order. Many places share a turn; readers take none.
    turns: Vec<Mutex<()>>,
}

/// A user's consent for one agent at one provider, as it may be shown. Holds no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// By which it is revoked.
    pub id: GrantId,
    /// SPIFFE id of the workload.
    pub workload: String,
    /// The agent's name.
    pub agent: String,
    /// The user who agreed.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// What was asked for.
    pub asked: Scopes,
    /// What the provider granted.
    pub granted: Scopes,
    /// When the user agreed, in milliseconds since 1970.
    pub created_at: Timestamp,
    /// When the tokens last changed.
    pub updated_at: Timestamp,
    /// When the access token expires; none when the provider did not say. It is renewed ahead of that.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    pub(super) fn of(row: &GrantRow) -> Self {
        Self {
            id: row.id,
            workload: row.workload.clone(),
            agent: agent_of(&row.workload).to_owned(),
            user: row.user.clone(),
            provider: row.provider.clone(),
            asked: row.asked.clone(),
            granted: row.granted.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
        }
    }
}

/// Which grants are meant. Absent means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Of this user.
    pub user: Option<UserId>,
    /// Of this agent or workload.
    pub agent: Option<AgentName>,
    /// At this provider.
    pub provider: Option<ProviderName>,
}

impl GrantFilter {
    pub(super) fn takes(&self, row: &GrantRow) -> bool {
        self.user.as_ref().is_none_or(|user| *user == row.user)
            && self.agent.as_ref().is_none_or(|agent| agent.as_str() == agent_of(&row.workload))
            && self.provider.as_ref().is_none_or(|provider| *provider == row.provider)
    }
}

/// The agent's name, which is the last segment of its SPIFFE id.
pub(super) fn agent_of(workload: &str) -> &str {
    workload.rsplit('/').next().unwrap_or_default()
}

/// What there is for some wanted scopes. Releases nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    /// A grant covers them.
    Granted {
        /// The scopes that may be used: asked for and granted.
        scopes: Scopes,
        /// When the present access token expires.
        expires_at: Option<Timestamp>,
    },
    /// The user agreed to them, but the provider granted fewer: asking again would not help.
    Short {
        /// Those that are missing.
        missing: Scopes,
    },
    /// The user has not been asked for these scopes, or has revoked them.
    Missing,
}

/// A released access token.
pub struct Token {
    /// The token.
    pub secret: SharedSecret,
    /// When it expires; none when the provider did not say.
    pub expires_at: Option<Timestamp>,
}

/// Why there is no token, or nothing was kept or revoked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// There is no such grant.
    #[error("there is no such grant; ask the user for consent")]
    Missing,
    /// There was one until now: it expired, or the provider no longer honours it. It was removed.
    #[error("the grant is no longer honoured by the provider; ask the user for consent again")]
    GrantGone,
    /// The provider granted fewer scopes than the user agreed to.
    #[error("the provider did not grant `{}`", .0.joined())]
    Short(Scopes),
    /// The provider could not be reached, or refused.
    #[error("the provider did not renew the token")]
    Provider(#[source] Arc<OAuthError>),
    /// The audit trail cannot be written, so nothing was done.
    #[error("nothing is done that cannot be written down")]
    Unwritable(#[from] Unwritable),
    /// The store failed.
    #[error("the grants cannot be read or written")]
    Rows(#[from] RowsError),
    /// A row does not open.
    #[error("a grant cannot be opened")]
    Seal(#[from] SealError),
    /// It belongs to another user.
    #[error("this grant is not yours")]
    NotYours,
    /// The host is shutting down.
    #[error("the work was stopped before it ended; try again")]
    Stopped,
}

impl Vault {
    /// Reads all grants and checks that the key ring has the key of each.
    ///
    /// # Errors
    /// [`VaultError::Rows`], or [`VaultError::Seal`] when a row names a key that the ring does not have: the host must
    /// not start with the wrong key ring.
    pub async fn load(
        rows: Arc<dyn Rows>,
        sealer: Arc<Sealer>,
        oauth: Arc<OAuth>,
        providers: Arc<Providers>,
        trail: Trail,
        account: Account,
        clock: Clock,
    ) -> Result<Arc<Self>, VaultError> {
        let cache = Cache::default();
        for row in rows.all().await? {
            sealer.check(&row.sealed)?;
            cache.put(Place::of_row(&account, &row), Arc::new(Held::new(row)));
        }
        let turns = (0..64).map(|_| Mutex::new(())).collect();
        let flights = Flights::default();
        let parts = Parts { rows, sealer, oauth, providers, trail, account, clock, cache, flights, turns };
        Ok(Arc::new(Self { parts: Arc::new(parts) }))
    }

    /// Whether the bound agent has what it wants of the bound user at this provider. From memory; never waits.
    pub fn status(&self, binding: &Binding, provider: &ProviderName, wanted: &Scopes) -> GrantStatus {
        let Some(key) = VaultKey::of(&self.parts.account, binding, provider) else { return GrantStatus::Missing };
        match self.parts.cache.covering(key.place(), wanted) {
            Found::Covered(held) => {
                GrantStatus::Granted { scopes: held.usable.clone(), expires_at: held.row.expires_at }
            }
            Found::Short(missing) => GrantStatus::Short { missing },
            Found::Missing => GrantStatus::Missing,
        }
    }

    /// Releases an access token of the bound agent and user that covers the wanted scopes.
    ///
    /// A fresh one is opened from memory without waiting. One that is due (in its last fifth, or its last minute if
    /// that is longer) is renewed first, once however many ask; if that fails or takes more than two seconds while the
    /// old one is still valid, the old one is released. One that is over is never released.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::GrantGone`] and [`VaultError::Short`] say what to ask the user;
    /// the others, that nothing could be done now.
    pub async fn token(
        &self,
        written: &Written<'_>,
        provider: &Arc<Provider>,
        wanted: &Scopes,
    ) -> Result<Token, VaultError> {
        let parts = &self.parts;
        let who = written.binding();
        let key = VaultKey::of(&parts.account, who, &provider.name).ok_or(VaultError::Missing)?;
        let mut none = VaultError::Missing;
        let mut renewed: Option<(GrantId, Result<(), VaultError>)> = None;
        // After every wait the grant is looked up anew, so that none is released that was revoked meanwhile. Each round
        // renews, removes or finds changed one grant; users have few.
        for _ in 0..16 {
            let held = match parts.cache.covering(key.place(), wanted) {
                Found::Covered(held) => held,
                Found::Short(missing) => return Err(VaultError::Short(missing)),
                Found::Missing => return Err(none),
            };
            let tokens = key.open(&parts.sealer, &held)?;
            let age = Age::of(&held.row, tokens.renewable(), parts.clock.now());
            let settled = renewed.take().filter(|(id, _)| *id == held.row.id).map(|(_, result)| result);
            match (age, settled) {
                (Age::Fresh, _) | (Age::Due, Some(_)) | (Age::Over, Some(Ok(()))) => {
                    return Ok(released(&held, &tokens));
                }
                (Age::Over, Some(Err(error))) => return Err(error),
                (Age::Due, None) if parts.flights.resting(held.row.id, parts.clock.now()) => {
                    return Ok(released(&held, &tokens));
                }
                (age, None) => {
                    drop(tokens);
                    let Some(result) = parts.renewed(&held, who, provider, age).await else { continue };
                    if matches!(result, Err(VaultError::GrantGone)) {
                        none = VaultError::GrantGone;
                    } else {
                        renewed = Some((held.row.id, result));
                    }
                }
            }
        }
        Err(VaultError::Stopped)
    }

    /// Keeps the tokens of a consent that was just given, in place of an earlier one for the same question.
    ///
    /// Durable when it returns, and done even if the caller goes away meanwhile.
    ///
    /// # Errors
    /// [`VaultError`]; nothing was kept then.
    pub async fn keep(
        &self,
        written: &Written<'_>,
        provider: &Provider,
        asked: &Scopes,
        tokens: TokenSet,
    ) -> Result<GrantId, VaultError> {
        let who = written.binding();
        let key = VaultKey::of(&self.parts.account, who, &provider.name).ok_or(VaultError::Missing)?;
        let user = who.user().ok_or(VaultError::Missing)?.id().clone();
        let now = self.parts.clock.now();
        let row = GrantRow {
            id: GrantId::random(),
            workload: who.agent().identity().id.to_string(),
            user,
            provider: provider.name.clone(),
            // A provider that names no scopes granted what was asked (RFC 6749 §5.1).
            granted: tokens.scopes.clone().unwrap_or_else(|| asked.clone()),
            asked: asked.clone(),
            created_at: now,
            updated_at: now,
            expires_at: tokens.expires_in.map(|lifetime| now.plus(lifetime)),
            generation: 1,
            sealed: Vec::new(),
        };
        let parts = self.parts.clone();
        let work = tokio::spawn(async move {
            let _turn = parts.turn(key.place()).await;
            let mut row = row;
            if let Some(earlier) = parts.cache.asked(key.place(), &row.asked) {
                row.id = earlier.row.id;
                row.generation = earlier.row.generation + 1;
            }
            let id = row.id;
            let held = key.seal(&parts.sealer, row, &Tokens::new(&tokens.access, tokens.refresh.as_ref()))?;
            parts.rows.put(held.row.clone()).await?;
            parts.cache.put(key.place().clone(), Arc::new(held));
            parts.flights.forget(id);
            Ok(id)
        });
        work.await.unwrap_or(Err(VaultError::Stopped))
    }

    /// Every grant, newest first.
    pub fn grants(&self) -> Vec<Grant> {
        self.grants_where(&GrantFilter::default())
    }

    /// The grants of one user, newest first.
    pub fn grants_of(&self, user: &UserId) -> Vec<Grant> {
        self.grants_where(&GrantFilter { user: Some(user.clone()), ..GrantFilter::default() })
    }

    /// The grants that this filter takes, newest first.
    pub fn grants_where(&self, filter: &GrantFilter) -> Vec<Grant> {
        let mut grants: Vec<Grant> =
            self.parts.cache.taken_by(filter).iter().map(|held| Grant::of(&held.row)).collect();
        grants.sort_by_key(|grant| (std::cmp::Reverse(grant.created_at), grant.id));
        grants
    }
}

impl Parts {
    pub(super) async fn turn(&self, place: &Place) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % self.turns.len() as u64).unwrap_or(0);
        self.turns[at].lock().await
    }
}

fn released(held: &Held, tokens: &Tokens) -> Token {
    Token { secret: Arc::new(tokens.access()), expires_at: held.row.expires_at }
}
