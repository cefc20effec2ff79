//! Tokens that need nobody's consent: an agent's own (client credentials, RFC 6749 §4.4), and those that the user's own
//! token is exchanged for (RFC 8693, RFC 7523).
//!
//! They are obtained when they are needed and rest in memory only, under a name that holds everything they depend on, the
//! executing bytes and the user's very token included: a workload's tokens are its own, whoever it serves. One flight each, whoever asks and whoever goes away. A host that
//! starts anew knows none of them.

use super::flight::Flights;
use super::grants::{Parts, Token, Vault, VaultError};
use super::refresh::{Age, PATIENCE, REST};
use super::wanted::Wanted;
use crate::audit::{Action, Attempt, Outcome, Written, codes, with_cause};
use crate::clock::{Steady, Timestamp};
use crate::identity::{Binding, VerifiedUser};
use crate::ids::{AgentName, Scopes, UserId, sha256};
use crate::jose::{DpopProver, SigningAlgorithm};
use crate::oauth::{
    ActChain, ActorToken, Delegation, Exchange, OAuthError, Proofs, Provider, TokenSet, TokenType, token_types,
};
use crate::providers::ApiKeyProvider;
use crate::seal::push_part;
use crate::secret::SharedSecret;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a token is used whose life the provider does not tell. Another is had for the asking.
const UNSAID: Duration = Duration::from_secs(5 * 60);
/// Tokens that are kept of one workload and user; the one that ends first goes. Each is for other scopes or parameters, so
/// an agent that makes parameters up fills its own part only.
const MOST: usize = 64;
/// How often those that are over are forgotten, at most.
const SWEEP: Duration = Duration::from_secs(60);
/// A token that names the actor is used at once.
const ACTOR_LIFE: Duration = Duration::from_secs(60);

/// A token to be minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mint {
    /// The agent's own: the user, if there is one, has no part in it.
    Machine(Wanted),
    /// On behalf of the bound user.
    OnBehalfOf(Wanted),
}

impl Mint {
    /// What is wanted.
    pub fn wanted(&self) -> &Wanted {
        match self {
            Self::Machine(wanted) | Self::OnBehalfOf(wanted) => wanted,
        }
    }

    /// By which flow, as it is written down.
    pub fn flow(&self) -> &'static str {
        match self {
            Self::Machine(_) => "machine-to-machine",
            Self::OnBehalfOf(_) => "on-behalf-of",
        }
    }
}

/// What is known of a minted token without releasing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintedFacts {
    /// What the provider granted.
    pub scopes: Scopes,
    /// When it expires; none when the provider did not say.
    pub expires_at: Option<Timestamp>,
}

/// The tokens that are there, and those on their way.
pub(super) struct Minted {
    flights: Arc<Flights<Name, Result<Arc<MintedToken>, VaultError>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<Name, Arc<MintedToken>>,
    owners: HashMap<Owner, HashSet<Name>>,
    /// Not to be asked for before, while there is one that is still valid.
    resting: HashMap<Name, Timestamp>,
    /// Counts what was forgotten: a flight that began before it is not kept.
    epoch: u64,
    swept_at: Option<Timestamp>,
}

/// The SHA-256 of everything that a token depends on, length-prefixed. Names nothing that could be read back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u8; 32]);

/// Whose a token is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Owner {
    agent: AgentName,
    user: Option<UserId>,
}

struct MintedToken {
    secret: SharedSecret,
    prover: Option<DpopProver>,
    facts: MintedFacts,
    owner: Owner,
    /// As it was configured when this was minted: with another configuration, however alike, it is minted anew.
    provider: Arc<Provider>,
    since: Timestamp,
    until: Timestamp,
    /// As `until`, whatever becomes of the wall clock.
    over_at: Steady,
}

impl Vault {
    /// Sees to it that there is a token, and tells what is known of it. Releases nothing: a record of its own says that it
    /// was minted.
    ///
    /// # Errors
    /// [`VaultError::SignInAgain`] and [`VaultError::NoUserToken`] for a user on whose behalf nothing can be had;
    /// [`VaultError::Provider`] and others as for grants.
    pub async fn mint(
        &self,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> Result<MintedFacts, VaultError> {
        Ok(self.parts.minted(who, provider, mint).await?.facts.clone())
    }

    /// Releases a minted token of the bound agent, minting it where there is none that is fresh.
    ///
    /// Renewed ahead of its end as a grant's token is: while the old one is valid it is used if the provider fails or takes
    /// more than two seconds.
    ///
    /// # Errors
    /// As [`Vault::mint`].
    pub async fn minted(
        &self,
        written: &Written<'_>,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> Result<Token, VaultError> {
        let token = self.parts.minted(written.binding(), provider, mint).await?;
        let MintedFacts { scopes, expires_at } = token.facts.clone();
        Ok(Token { secret: token.secret.clone(), scopes, expires_at, prover: token.prover.clone() })
    }

    /// Releases an API key: as it is now, so that one that was changed is the new one.
    ///
    /// # Errors
    /// [`VaultError::ApiKey`] while its file is wrong.
    pub fn api_key(&self, _written: &Written<'_>, provider: &ApiKeyProvider) -> Result<Token, VaultError> {
        let secret = provider.key(self.parts.clock.now()).map_err(VaultError::ApiKey)?;
        Ok(Token { secret, scopes: Scopes::default(), expires_at: None, prover: None })
    }

    /// Forgets minted tokens: of an agent that was suspended or lost a provider, of a user who revokes, of a provider that
    /// was changed. One that is on its way is given to those who wait for it and not kept. Returns how many were there.
    pub fn forget_minted(&self, filter: &super::GrantFilter) -> usize {
        let mut state = self.parts.minted.state();
        state.epoch += 1;
        let takes = |token: &MintedToken| {
            filter.agent.as_ref().is_none_or(|agent| *agent == token.owner.agent)
                && filter.user.as_ref().is_none_or(|user| Some(user) == token.owner.user.as_ref())
                && filter.provider.as_ref().is_none_or(|provider| *provider == token.provider.name)
        };
        let gone: Vec<Name> = state.tokens.iter().filter(|(_, token)| takes(token)).map(|(name, _)| *name).collect();
        for name in &gone {
            state.remove(name);
        }
        gone.len()
    }
}

impl Minted {
    pub(super) fn none() -> Self {
        Self { flights: Flights::new(|| Err(VaultError::Stopped)), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to be released now, or else one that may be while another is on its way.
    fn look(
        &self,
        name: Name,
        provider: &Arc<Provider>,
        now: Timestamp,
        steady: Steady,
    ) -> Result<Arc<MintedToken>, Option<Arc<MintedToken>>> {
        let state = self.state();
        let there = state.tokens.get(&name);
        let Some(there) = there.filter(|token| Arc::ptr_eq(&token.provider, provider) && steady < token.over_at) else {
            return Err(None);
        };
        let resting = state.resting.get(&name).is_some_and(|until| now < *until);
        match Age::within(there.since, there.until, true, now) {
            Age::Fresh => Ok(there.clone()),
            Age::Due if resting => Ok(there.clone()),
            Age::Due => Err(Some(there.clone())),
            Age::Over => Err(None),
        }
    }
}

impl State {
    fn remove(&mut self, name: &Name) {
        self.resting.remove(name);
        let Some(token) = self.tokens.remove(name) else { return };
        if let Some(names) = self.owners.get_mut(&token.owner) {
            names.remove(name);
            if names.is_empty() {
                self.owners.remove(&token.owner);
            }
        }
    }

    fn put(&mut self, name: Name, token: Arc<MintedToken>, now: Timestamp) {
        if self.swept_at.is_none_or(|at| now.since(at) >= SWEEP) {
            self.swept_at = Some(now);
            let over: Vec<Name> =
                self.tokens.iter().filter(|(_, token)| token.until <= now).map(|(name, _)| *name).collect();
            over.iter().for_each(|name| self.remove(name));
        }
        self.resting.remove(&name);
        let names = self.owners.entry(token.owner.clone()).or_default();
        names.insert(name);
        let first = (names.len() > MOST).then(|| {
            let others = names.iter().filter(|other| **other != name);
            others.min_by_key(|other| self.tokens.get(*other).map(|old| old.until)).copied()
        });
        self.tokens.insert(name, token);
        if let Some(gone) = first.flatten() {
            self.remove(&gone);
        }
    }
}

impl Parts {
    async fn minted(
        self: &Arc<Self>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> Result<Arc<MintedToken>, VaultError> {
        let (now, steady) = (self.clock.now(), self.clock.steady());
        let subject = match mint {
            Mint::Machine(_) => None,
            Mint::OnBehalfOf(_) => Some(subject_of(who, now)?),
        };
        let name = self.name(who, provider, mint, subject);
        let there = match self.minted.look(name, provider, now, steady) {
            Ok(token) => return Ok(token),
            Err(there) => there,
        };
        let prepare = || match self.minted.look(name, provider, now, steady) {
            Ok(token) => Err(token),
            Err(_) => Ok(self.journey(name, who, provider, mint)),
        };
        let flight = match self.minted.flights.board(name, prepare) {
            Ok(flight) => flight,
            Err(token) => return Ok(token),
        };
        match there {
            None => flight.await,
            Some(old) => match tokio::time::timeout(PATIENCE, flight).await {
                Ok(Ok(token)) => Ok(token),
                Ok(Err(_)) | Err(_) => Ok(old),
            },
        }
    }

    /// What the token depends on. The user has no part in a token of the agent's own: not even their name is looked at.
    fn name(&self, who: &Binding, provider: &Arc<Provider>, mint: &Mint, subject: Option<&Arc<VerifiedUser>>) -> Name {
        let agent = who.agent();
        let wanted = mint.wanted();
        let mut bytes = Vec::with_capacity(512);
        push_part(&mut bytes, self.account.as_str().as_bytes());
        push_part(&mut bytes, agent.identity().id.as_str().as_bytes());
        push_part(&mut bytes, agent.digest().map(|digest| digest.to_string()).unwrap_or_default().as_bytes());
        push_part(&mut bytes, provider.name.as_str().as_bytes());
        // As it is configured now. Tokens and flights hold on to it, so that no other gets its place in memory meanwhile.
        push_part(&mut bytes, &Arc::as_ptr(provider).addr().to_be_bytes());
        push_part(&mut bytes, mint.flow().as_bytes());
        push_part(&mut bytes, wanted.scopes.joined().as_bytes());
        let more = wanted.more();
        for list in [&more.resources, &more.audiences] {
            push_part(&mut bytes, &(list.len() as u64).to_be_bytes());
            list.iter().for_each(|text| push_part(&mut bytes, text.as_bytes()));
        }
        for (name, value) in &more.parameters {
            push_part(&mut bytes, name.as_bytes());
            push_part(&mut bytes, value.as_bytes());
        }
        if let Some(user) = subject {
            push_part(&mut bytes, b"subject");
            push_part(&mut bytes, user.id().issuer.as_str().as_bytes());
            push_part(&mut bytes, user.id().subject.as_str().as_bytes());
            push_part(&mut bytes, &sha256(user.token().expose()));
        }
        Name(sha256(&bytes))
    }

    /// Mints the token, and keeps it unless it was forgotten meanwhile.
    fn journey(
        self: &Arc<Self>,
        name: Name,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> BoxFuture<'static, Result<Arc<MintedToken>, VaultError>> {
        let epoch = self.minted.state().epoch;
        let (parts, who, provider, mint) = (self.clone(), who.clone(), provider.clone(), mint.clone());
        // Boxed, because minting on behalf of somebody may need the agent's own token first. It holds on to the provider,
        // whose place in memory is part of the name.
        async move {
            let result = parts.mint(&who, &provider, &mint).await;
            let now = parts.clock.now();
            let mut state = parts.minted.state();
            match &result {
                Ok(token) if state.epoch == epoch => state.put(name, token.clone(), now),
                Err(VaultError::Provider(_)) if state.tokens.contains_key(&name) => {
                    state.resting.insert(name, now.plus(REST));
                }
                _ => {}
            }
            drop(state);
            result
        }
        .boxed()
    }

    /// Open, act, close. The record is durable before anything is asked for.
    async fn mint(
        self: &Arc<Self>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> Result<Arc<MintedToken>, VaultError> {
        let wanted = mint.wanted();
        let mut detail = json!({ "flow": mint.flow(), "scopes": wanted.scopes });
        let more = wanted.more();
        for (name, list) in [("resources", &more.resources), ("audiences", &more.audiences)] {
            if !list.is_empty() {
                detail[name] = json!(list);
            }
        }
        if !more.parameters.is_empty() {
            detail["parameters"] = more.parameters.iter().map(|(name, _)| name.as_str()).collect();
        }
        let attempt = self.trail.open(who, Action::new(codes::MINT, provider.name.as_str()).with(detail))?;
        let result = self.mint_attempted(&attempt, provider, mint).await;
        attempt.close(match &result {
            Ok(_) => Outcome::allowed(),
            Err(error @ (VaultError::SignInAgain(_) | VaultError::NoUserToken(_) | VaultError::Malformed(_))) => {
                Outcome::refused(with_cause(error))
            }
            Err(error) => Outcome::failed(with_cause(error)),
        });
        result
    }

    async fn mint_attempted(
        self: &Arc<Self>,
        attempt: &Attempt,
        provider: &Arc<Provider>,
        mint: &Mint,
    ) -> Result<Arc<MintedToken>, VaultError> {
        let who = attempt.written().await?.binding().clone();
        // Counted from before the request: the provider counted from some moment after.
        let (now, steady) = (self.clock.now(), self.clock.steady());
        let wanted = mint.wanted();
        let failed = |error| VaultError::Provider(Arc::new(error));
        let prover = self.prover_for(provider).await.map_err(failed)?;
        let workload = who.workload();
        let proofs = Proofs { workload: Some(&workload), dpop: prover.as_ref() };
        let (tokens, user) = match mint {
            Mint::Machine(_) => {
                let asked = self.oauth.client_credentials(provider, proofs, &wanted.scopes, wanted.more());
                (asked.await.map_err(failed)?, None)
            }
            Mint::OnBehalfOf(_) => {
                let user = subject_of(&who, now)?;
                ActChain::of(user.token())?;
                let actor = self.actor(&who, provider).await?;
                let exchange = Exchange {
                    subject_token: user.token(),
                    subject_token_type: None,
                    actor: actor.as_ref().map(|(token, kind)| (&**token, *kind)),
                };
                let asked = self.oauth.on_behalf_of(provider, proofs, &exchange, &wanted.scopes, wanted.more()).await;
                let tokens = asked.map_err(|error| match error {
                    OAuthError::GrantGone => VaultError::SignInAgain("the provider takes the user's token no longer"),
                    error => failed(error),
                })?;
                (tokens, Some(user.id().clone()))
            }
        };
        let owner = Owner { agent: who.agent().name().clone(), user };
        Ok(Arc::new(kept(tokens, owner, provider, wanted, prover, (now, steady))))
    }

    /// Whoever is named as acting for the user, by the provider's configuration.
    async fn actor(
        self: &Arc<Self>,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
    ) -> Result<Option<(SharedSecret, &'static str)>, VaultError> {
        let Some(behalf) = &provider.on_behalf_of else { return Ok(None) };
        // Whoever reads it could show it to whom it is for: it is for nobody else.
        let reader = match &behalf.grant {
            Delegation::IdJag { identity_provider, .. } => identity_provider,
            Delegation::TokenExchange | Delegation::JwtBearer => provider,
        };
        match &behalf.actor {
            ActorToken::None => Ok(None),
            ActorToken::MachineToMachine { scopes } => {
                let own = Mint::Machine(scopes.clone().into());
                let token = self.minted(who, reader, &own).await?;
                Ok(Some((token.secret.clone(), token_types::ACCESS_TOKEN)))
            }
            ActorToken::WorkloadJwt { audience } => {
                let failed = |error| VaultError::Provider(Arc::new(error));
                let audience = match audience {
                    Some(audience) => audience.clone(),
                    None => {
                        self.oauth.server(reader).await.map_err(failed)?.issuer.clone().map(String::from).ok_or_else(
                            || {
                                failed(OAuthError::Configuration(format!(
                                    "provider `{}` has no issuer that an actor token could be for; add `issuer`, or \
                                 `audience` to `on_behalf_of`",
                                    reader.name
                                )))
                            },
                        )?
                    }
                };
                let (workload, now) = (who.workload(), self.clock.now());
                let algorithm = SigningAlgorithm::Es256;
                let signed = self.issuer.assert(&workload, &audience, algorithm, ACTOR_LIFE, &Map::new(), now);
                let token = signed.map_err(|error| failed(OAuthError::Configuration(error.to_string())))?;
                Ok(Some((Arc::new(token), token_types::JWT)))
            }
        }
    }
}

/// The user whose own token is exchanged.
fn subject_of(who: &Binding, now: Timestamp) -> Result<&Arc<VerifiedUser>, VaultError> {
    let user = who.user().ok_or_else(|| {
        VaultError::NoUserToken("this call serves no user, so there is nobody on whose behalf to act".into())
    })?;
    let user = user.verified().ok_or_else(|| {
        VaultError::NoUserToken(
            "the user of this call was named by an unverified id and has no token to exchange; send the user's own token"
                .into(),
        )
    })?;
    if now >= user.expires_at() {
        return Err(VaultError::SignInAgain("the user's own token has expired"));
    }
    Ok(user)
}

fn kept(
    tokens: TokenSet,
    owner: Owner,
    provider: &Arc<Provider>,
    wanted: &Wanted,
    prover: Option<DpopProver>,
    (now, steady): (Timestamp, Steady),
) -> MintedToken {
    let lifetime = tokens.expires_in.unwrap_or(UNSAID);
    MintedToken {
        secret: Arc::new(tokens.access),
        // A server that does not bind says so by the type (RFC 9449 §5).
        prover: prover.filter(|_| tokens.token_type == TokenType::Dpop),
        facts: MintedFacts {
            // A provider that names no scopes granted what was asked (RFC 6749 §5.1).
            scopes: tokens.scopes.unwrap_or_else(|| wanted.scopes.clone()),
            expires_at: tokens.expires_in.map(|lifetime| now.plus(lifetime)),
        },
        owner,
        provider: provider.clone(),
        since: now,
        until: now.plus(lifetime),
        over_at: steady.plus(lifetime),
    }
}
