//! The vault: grants looked up, released, kept and listed.

use super::cache::{Cache, Found};
use super::key::{Held, Place, VaultKey, client_of};
use super::minted::Minted;
use super::refresh::{Age, Renewal, Renewals};
use super::tokens::Tokens;
use super::wanted::Wanted;
use super::{GrantRow, Rows, RowsError};
use crate::audit::{Action, Outcome, Trail, Unwritable, Written, codes, with_cause};
use crate::clock::{Clock, Timestamp};
use crate::directory::{Authority, Directory};
use crate::identity::{Binding, WorkloadIssuer};
use crate::ids::{Account, AgentName, GrantId, Malformed, ProviderName, Scopes, UserId};
use crate::jose::{DpopKey, DpopProver};
use crate::oauth::{OAuth, OAuthError, Provider, TokenSet, TokenType};
use crate::providers::{Change, Providers, SecretUnavailable};
use crate::seal::{SealError, Sealer};
use crate::secret::SharedSecret;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
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

/// What a vault is built from.
pub struct VaultParts {
    /// Where sealed rows rest.
    pub rows: Arc<dyn Rows>,
    /// Seals and opens.
    pub sealer: Arc<Sealer>,
    /// Talks to providers.
    pub oauth: Arc<OAuth>,
    /// Signs what the host says of its workloads.
    pub issuer: Arc<WorkloadIssuer>,
    /// Which credential providers there are.
    pub providers: Arc<Providers>,
    /// Which workloads there are.
    pub directory: Arc<Directory>,
    /// The audit trail.
    pub trail: Trail,
    /// The account that everything belongs to.
    pub account: Account,
    /// Time.
    pub clock: Clock,
}

pub(super) struct Parts {
    pub(super) rows: Arc<dyn Rows>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) oauth: Arc<OAuth>,
    pub(super) issuer: Arc<WorkloadIssuer>,
    pub(super) providers: Arc<Providers>,
    pub(super) directory: Arc<Directory>,
    pub(super) trail: Trail,
    pub(super) account: Account,
    pub(super) clock: Clock,
    pub(super) cache: Cache,
    pub(super) renewals: Renewals,
    pub(super) minted: Minted,
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
    /// For which resources it was asked (RFC 8707).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
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
            resources: row.resources.clone(),
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
    /// What it may be used for, as far as is known.
    pub scopes: Scopes,
    /// When it expires; none when the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// Makes the proofs that go with it, where it is bound to a key (RFC 9449).
    pub prover: Option<DpopProver>,
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
    #[error("the provider gave no token")]
    Provider(#[source] Arc<OAuthError>),
    /// The user's own token, by which one on their behalf is had, is over.
    #[error("{0}; they must sign in again, and the agent be called with the new token")]
    SignInAgain(&'static str),
    /// There is no token of the user's that could be exchanged.
    #[error("{0}")]
    NoUserToken(String),
    /// There is no key that could be sent.
    #[error("the API key cannot be read")]
    ApiKey(#[source] SecretUnavailable),
    /// What is asked for cannot be sent.
    #[error(transparent)]
    Malformed(#[from] Malformed),
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
    pub async fn load(parts: VaultParts) -> Result<Arc<Self>, VaultError> {
        let VaultParts { rows, sealer, oauth, issuer, providers, directory, trail, account, clock } = parts;
        let cache = Cache::default();
        // One text for all grants of the same version, however many there are.
        let mut texts: HashMap<String, Authority> = HashMap::new();
        for mut row in rows.all().await? {
            row.authority = texts.entry(row.authority.as_str().to_owned()).or_insert(row.authority).clone();
            sealer.check(&row.sealed)?;
            cache.put(Place::of_row(&account, &row), Arc::new(Held::new(row)));
        }
        let turns = (0..64).map(|_| Mutex::new(())).collect();
        let renewals = Renewals::none();
        let minted = Minted::none();
        let parts = Parts {
            rows,
            sealer,
            oauth,
            issuer,
            providers,
            directory,
            trail,
            account,
            clock,
            cache,
            renewals,
            minted,
            turns,
        };
        let vault = Arc::new(Self { parts: Arc::new(parts) });
        // A provider that was changed or is gone: its minted tokens are over. Grants of another client than the one that is
        // configured now are not found any more.
        let watching = Arc::downgrade(&vault);
        vault.parts.providers.on_change(move |change| {
            let (Change::Created(name) | Change::Updated { name, .. } | Change::Deleted(name)) = change;
            if let Some(vault) = watching.upgrade() {
                vault.forget_minted(&GrantFilter { provider: Some(name.clone()), ..GrantFilter::default() });
            }
        });
        Ok(vault)
    }

    /// Whether the bound agent has what it wants of the bound user at this provider. From memory; never waits.
    pub fn status(&self, binding: &Binding, provider: &Provider, wanted: &Wanted) -> GrantStatus {
        let Some(key) = VaultKey::of(&self.parts.account, binding, provider) else { return GrantStatus::Missing };
        let authority = binding.agent().authority();
        match self.parts.cache.covering(key.place(), wanted, &provider.destinations, authority) {
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
        wanted: &Wanted,
    ) -> Result<Token, VaultError> {
        let parts = &self.parts;
        let who = written.binding();
        let key = VaultKey::of(&parts.account, who, provider).ok_or(VaultError::Missing)?;
        let mut none = VaultError::Missing;
        let mut renewed: Option<(GrantId, Result<Renewal, VaultError>)> = None;
        // After every wait the grant is looked up anew, so that none is released that was revoked meanwhile. Each round
        // renews, removes or finds changed one grant; users have few.
        for _ in 0..16 {
            let held = match parts.cache.covering(key.place(), wanted, &provider.destinations, who.agent().authority())
            {
                Found::Covered(held) => held,
                Found::Short(missing) => return Err(VaultError::Short(missing)),
                Found::Missing => return Err(none),
            };
            let tokens = key.open(&parts.sealer, &held)?;
            let age = Age::of(&held.row, tokens.renewable(), parts.clock.now());
            let settled = renewed.take().filter(|(id, _)| *id == held.row.id).map(|(_, result)| result);
            match (age, settled) {
                (Age::Fresh, _) | (Age::Due, Some(_)) | (Age::Over, Some(Ok(_))) => {
                    return parts.released(&held, &tokens);
                }
                (Age::Over, Some(Err(error))) => return Err(error),
                (Age::Due, None) if parts.renewals.resting(held.row.id, parts.clock.now()) => {
                    return parts.released(&held, &tokens);
                }
                (age, None) => {
                    drop(tokens);
                    let Some(result) = parts.renewed(&held, who, provider, age).await else { continue };
                    match result {
                        Err(VaultError::GrantGone) => none = VaultError::GrantGone,
                        Ok(Renewal::Written) => {}
                        result => renewed = Some((held.row.id, result)),
                    }
                }
            }
        }
        Err(VaultError::Stopped)
    }

    /// Keeps the tokens of a consent that was just given, in place of an earlier one for the same question.
    ///
    /// `key` is the one that they are bound to, if they are. Durable when it returns, and done even if the caller goes away
    /// meanwhile.
    ///
    /// # Errors
    /// [`VaultError`]; nothing was kept then.
    pub async fn keep(
        &self,
        written: &Written<'_>,
        provider: &Provider,
        asked: &Wanted,
        tokens: TokenSet,
        key: Option<&DpopKey>,
    ) -> Result<GrantId, VaultError> {
        let who = written.binding();
        let plain = Tokens::of(&tokens, tokens.refresh.as_ref(), None, key)?;
        let key = VaultKey::of(&self.parts.account, who, provider).ok_or(VaultError::Missing)?;
        let user = who.user().ok_or(VaultError::Missing)?.id().clone();
        let now = self.parts.clock.now();
        let row = GrantRow {
            id: GrantId::random(),
            workload: who.agent().identity().id.to_string(),
            user,
            provider: provider.name.clone(),
            client: client_of(provider),
            // A provider that names no scopes granted what was asked (RFC 6749 §5.1).
            granted: tokens.scopes.clone().unwrap_or_else(|| asked.scopes.clone()),
            asked: asked.scopes.clone(),
            resources: asked.resources().to_vec(),
            destinations: provider.destinations.joined(),
            authority: who.agent().authority().clone(),
            created_at: now,
            updated_at: now,
            expires_at: tokens.expires_in.map(|lifetime| now.plus(lifetime)),
            generation: 1,
            renewing_since: None,
            sealed: Vec::new(),
        };
        let (parts, asked) = (self.parts.clone(), asked.clone());
        let work = tokio::spawn(async move {
            let _turn = parts.turn(key.place()).await;
            let mut row = row;
            if let Some(earlier) = parts.cache.asked(key.place(), &asked) {
                row.id = earlier.row.id;
                row.generation = earlier.row.generation + 1;
            }
            let id = row.id;
            let held = key.seal(&parts.sealer, row, &plain)?;
            parts.rows.put(held.row.clone()).await?;
            parts.cache.put(key.place().clone(), Arc::new(held));
            parts.renewals.forget(id);
            Ok(id)
        });
        work.await.unwrap_or(Err(VaultError::Stopped))
    }

    /// Makes the proofs for a new grant or token, with a new key, where this provider binds tokens to keys (RFC 9449).
    ///
    /// # Errors
    /// Discovery's, and [`OAuthError::Configuration`] where no key can be made.
    pub async fn prover_for(&self, provider: &Provider) -> Result<Option<DpopProver>, OAuthError> {
        self.parts.prover_for(provider).await
    }

    /// Forgets what the bound user granted the bound agent for this question, so that they are asked anew: every grant that
    /// would have answered it. Returns how many. Done even if the caller goes away meanwhile.
    ///
    /// The provider is not told. Some end all that the user granted to the client with one token (Google does), and being
    /// told late, that would end the new grant, too.
    ///
    /// # Errors
    /// [`VaultError`]; some may be gone then.
    pub async fn forget(&self, who: &Arc<Binding>, provider: &Provider, wanted: &Wanted) -> Result<usize, VaultError> {
        let key = VaultKey::of(&self.parts.account, who, provider).ok_or(VaultError::Missing)?;
        let detail = json!({ "scopes": wanted.scopes, "resources": wanted.resources(), "why": "asked to ask anew" });
        let attempt =
            self.parts.trail.open(who, Action::new(codes::GRANT_REVOKE, provider.name.as_str()).with(detail))?;
        let (parts, wanted) = (self.parts.clone(), wanted.clone());
        let work = tokio::spawn(async move {
            let result = match attempt.written().await {
                Ok(_) => parts.forget(key.place(), &wanted).await,
                Err(error) => Err(error.into()),
            };
            attempt.close(match &result {
                Ok(count) => Outcome::allowed_with(format!("{count} forgotten")),
                Err(error) => Outcome::failed(with_cause(error)),
            });
            result
        });
        work.await.unwrap_or(Err(VaultError::Stopped))
    }

    /// What of this authority the user was not told when they granted what this filter takes; nothing where they granted
    /// nothing yet, for then all of it is new.
    pub fn news(&self, filter: &GrantFilter, authority: &Authority) -> Vec<String> {
        let told: Vec<String> =
            self.parts.cache.taken_by(filter).iter().flat_map(|held| held.row.authority.lines()).collect();
        let granted = !self.parts.cache.taken_by(filter).is_empty();
        if granted { authority.beyond(&Authority::of(told)) } else { Vec::new() }
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
    fn released(&self, held: &Held, tokens: &Tokens) -> Result<Token, VaultError> {
        Ok(Token {
            secret: Arc::new(tokens.access()),
            scopes: held.usable.clone(),
            expires_at: held.row.expires_at,
            prover: if tokens.kind() == TokenType::Dpop { self.prover_of(tokens)? } else { None },
        })
    }

    pub(super) async fn prover_for(&self, provider: &Provider) -> Result<Option<DpopProver>, OAuthError> {
        if !self.oauth.binds_tokens(provider).await? {
            return Ok(None);
        }
        let key = DpopKey::generate().map_err(|error| OAuthError::Configuration(error.to_string()))?;
        Ok(Some(self.oauth.prover(Arc::new(key))))
    }

    /// Of the key that the tokens are bound to.
    pub(super) fn prover_of(&self, tokens: &Tokens) -> Result<Option<DpopProver>, VaultError> {
        let Some(key) = tokens.key() else { return Ok(None) };
        let key = DpopKey::from_secret(&key).map_err(|_| SealError::Unreadable)?;
        Ok(Some(self.oauth.prover(Arc::new(key))))
    }

    async fn forget(&self, place: &Place, wanted: &Wanted) -> Result<usize, VaultError> {
        let _turn = self.turn(place).await;
        let mut count = 0;
        for held in self.cache.at(place, wanted.resources()) {
            if held.row.asked.covers(&wanted.scopes) || held.usable.covers(&wanted.scopes) {
                self.rows.remove(held.row.id).await?;
                self.cache.remove(held.row.id);
                self.renewals.forget(held.row.id);
                count += 1;
            }
        }
        Ok(count)
    }

    pub(super) async fn turn(&self, place: &Place) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % self.turns.len() as u64).unwrap_or(0);
        self.turns[at].lock().await
    }
}
