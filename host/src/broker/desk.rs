//! The broker on this machine: parse, open, act, close, hand back.

use super::answer::watched;
use super::confined::elsewhere;
use super::credential::{Asked, VaultOr, bound_to_a_key};
use super::policy::{Permit, Way};
use super::refuse::{outcome_of, refuse_carry, refuse_consent, refuse_vault, resource_of, unwritable};
use super::seat::{MOST_REFUSED, Seat, Seats};
use super::{Acquire, Acquired, Body, Broker, Guest, Outbound, Refusal, Released, Revealed, UserFacts, WorkloadFacts};
use crate::audit::{Action, Actor, Attempt, Decision, Outcome, Trail, codes};
use crate::consent::{ConsentError, Consents, SessionStatus};
use crate::directory::Directory;
use crate::egress::{self, Attach, Destinations, Passage, Placement};
use crate::identity::{Binding, User, WatTable, WorkloadAccessToken};
use crate::ids::{ConsentId, CredentialId, ProviderName, Scopes};
use crate::providers::{CredentialProvider, Providers};
use crate::vault::{Token, Vault};
use futures_util::future::{BoxFuture, FutureExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a desk is built from.
pub struct DeskParts {
    /// Tokens, sealed.
    pub vault: Arc<Vault>,
    /// Consent sessions.
    pub consents: Arc<Consents>,
    /// The operator's credential providers.
    pub providers: Arc<Providers>,
    /// The one HTTP client.
    pub client: Arc<egress::Client>,
    /// The audit trail.
    pub trail: Trail,
    /// Which agents may still run.
    pub directory: Arc<Directory>,
    /// Live workload access tokens.
    pub wats: Arc<WatTable>,
    /// How long a workload access token lives at most: the invocation's deadline and a little.
    pub lifetime: Duration,
}

/// The broker of one host. One per process.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

pub(super) struct Parts {
    pub(super) vault: Arc<Vault>,
    pub(super) consents: Arc<Consents>,
    pub(super) providers: Arc<Providers>,
    client: Arc<egress::Client>,
    pub(super) trail: Trail,
    pub(super) directory: Arc<Directory>,
    wats: Arc<WatTable>,
    seats: Arc<Seats>,
    lifetime: Duration,
}

impl Desk {
    /// Over these parts.
    pub fn new(parts: DeskParts) -> Self {
        let DeskParts { vault, consents, providers, client, trail, directory, wats, lifetime } = parts;
        let seats = Seats::new();
        Self(Arc::new(Parts { vault, consents, providers, client, trail, directory, wats, seats, lifetime }))
    }

    /// Seats an invocation: mints its workload access token and tells what its guest may know.
    ///
    /// `return_url` is where the browser goes after a consent that this invocation may start; it is checked against the
    /// workload's list when a consent starts. Dropping the [`Seat`] ends the token and every credential handle.
    pub fn seat(&self, binding: &Arc<Binding>, return_url: Option<String>) -> (Guest, Seat) {
        let (wat, live) = self.0.wats.mint(binding.clone(), self.0.lifetime);
        let seat = self.0.seats.take(binding.invocation(), return_url, live);
        let agent = binding.agent();
        let mut claims = BTreeMap::new();
        if let Some(user) = binding.user().and_then(User::verified) {
            for name in &agent.terms().claims {
                if let Some(value) = user.claim(name) {
                    claims.insert(name.clone(), value.to_string());
                }
            }
        }
        let guest = Guest {
            wat,
            workload: WorkloadFacts {
                id: agent.identity().id.to_string(),
                name: agent.name().to_string(),
                digest: agent.digest().map(|digest| digest.to_string()).unwrap_or_default(),
            },
            user: binding
                .user()
                .map(|user| UserFacts { issuer: user.id().issuer.to_string(), subject: user.id().subject.to_string() }),
            claims,
            reveal: agent.terms().reveal,
        };
        (guest, seat)
    }

    /// Releases a credential, as bytes, to a workload that runs elsewhere (AgentCore's `GetResourceOauth2Token` and
    /// `GetResourceApiKey`): the same policy, the same record before anything leaves, the same vault as for a guest.
    ///
    /// Not for agents that run here: theirs stay with the host. `caller` is the infrastructure identity that asks, such as
    /// an access key, and stands in the record.
    ///
    /// # Errors
    /// [`Refusal`]; [`Refusal::ConsentRequired`] carries the link and the session URI to poll.
    pub async fn release(
        &self,
        binding: &Arc<Binding>,
        caller: Option<&str>,
        ask: Acquire,
    ) -> Result<Released, Refusal> {
        self.0.release(binding, caller, ask).await
    }

    /// How far a consent session of this workload and user got, by the session URI that the refusal carried.
    ///
    /// # Errors
    /// [`Refusal::InvalidRequest`] for what is no session of theirs.
    pub async fn session_status(&self, binding: &Binding, session_uri: &str) -> Result<SessionStatus, Refusal> {
        let unknown = |error: &dyn std::fmt::Display| Refusal::InvalidRequest(error.to_string());
        let id = ConsentId::from_session_uri(session_uri).map_err(|error| unknown(&error))?;
        self.0.consents.status(binding, id).await.map_err(|error| match error {
            ConsentError::NotFound => unknown(&error),
            error => refuse_consent(error),
        })
    }
}

impl Broker for Desk {
    fn acquire<'a>(&'a self, wat: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        async move {
            let who = self.0.bound(wat)?;
            self.0.seats.listen(who.invocation())?;
            fault_point!("broker.acquire");
            let action = ask.action();
            match self.0.acquire(&who, ask).await {
                Ok(acquired) => {
                    // Held first, so that a handle too many is a refusal in the trail too.
                    if let Err(error) = self.0.trail.note_for(&who, action, Outcome::allowed()) {
                        self.0.seats.release(who.invocation(), acquired.id);
                        return Err(unwritable(error));
                    }
                    Ok(acquired)
                }
                Err(refusal) => Err(self.0.refused(&who, action, refusal)),
            }
        }
        .boxed()
    }

    fn send(
        &self,
        wat: &WorkloadAccessToken,
        outbound: Outbound,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Refusal>> {
        let parts = self.0.clone();
        let who = parts.bound(wat);
        async move {
            let who = who?;
            fault_point!("broker.send");
            parts.seats.listen(who.invocation())?;
            match outbound.credential {
                Some(id) => parts.send_with(&who, id, outbound).await,
                None => parts.send_plain(&who, outbound).await,
            }
        }
        .boxed()
    }

    fn release(&self, wat: &WorkloadAccessToken, credential: CredentialId) {
        if let Ok(who) = self.0.bound(wat) {
            fault_point!("broker.release");
            self.0.seats.release(who.invocation(), credential);
        }
    }

    fn reveal<'a>(
        &'a self,
        wat: &'a WorkloadAccessToken,
        credential: CredentialId,
    ) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        async move {
            let who = self.0.bound(wat)?;
            self.0.seats.listen(who.invocation())?;
            fault_point!("broker.reveal");
            let permit = self.0.seats.held(who.invocation(), credential)?;
            let attempt = self
                .0
                .trail
                .open(&who, Action::new(codes::REVEAL, permit.provider.as_str()).with(permit.detail()))
                .map_err(unwritable)?;
            let outcome = if self.0.active(&who).is_ok_and(|terms| terms.reveal) {
                let written = attempt.written().await.map_err(unwritable)?;
                match self.0.credential(&written, &permit).await {
                    Ok((_, Token { prover: Some(_), .. })) => Err(bound_to_a_key(&permit)),
                    // Its bytes are a use: they could be carried off as well.
                    Ok((_, token)) => self.0.confined_to(&who, &permit).map(|()| token),
                    Err(VaultOr::Vault(error)) => Err(refuse_vault(error)),
                    Err(VaultOr::Refused(refusal)) => Err(refusal),
                }
            } else {
                Err(Refusal::Denied(format!(
                    "agent `{name}` may not see the bytes of a credential; set `reveal = true` under `[agents.{name}]`",
                    name = who.agent().name()
                )))
            };
            attempt.close(outcome.as_ref().map_or_else(Refusal::outcome, |_| Outcome::allowed_with("bytes revealed")));
            outcome.map(|token| Revealed(token.secret.expose().to_vec()))
        }
        .boxed()
    }

    fn stray(&self, agent: &str) {
        let action = Action::new(codes::WORKER_STRAY, agent);
        let outcome = Outcome::refused("a worker presented no token of an invocation that runs in it");
        // Nothing was released, so nothing waits for this; a journal that takes no records says so by itself.
        let _unwritable = self.0.trail.note(Actor::default(), action, outcome);
    }
}

impl Parts {
    /// The only way from a token to a binding.
    fn bound(&self, wat: &WorkloadAccessToken) -> Result<Arc<Binding>, Refusal> {
        self.wats.resolve(wat).ok_or(Refusal::NotBound)
    }

    /// Writes a refusal down and hands it back.
    fn refused(&self, who: &Binding, action: Action, refusal: Refusal) -> Refusal {
        let mut outcome = refusal.outcome();
        if self.seats.count_refused(who.invocation()) {
            let last = format!("; the {MOST_REFUSED}th of this invocation, whose further calls are refused unwritten");
            outcome.reason.push_str(&last);
        }
        match self.trail.note_for(who, action, outcome) {
            Ok(_) => refusal,
            Err(error) => unwritable(error),
        }
    }

    async fn acquire(&self, who: &Arc<Binding>, ask: Acquire) -> Result<Acquired, Refusal> {
        self.active(who)?;
        let permit = self.permitted(who, &ask)?;
        // Asking says something as well: scopes, parameters, a state.
        self.seats.admits(who.invocation(), &permit.provider)?;
        let provider = self.still_permitted(who, &permit)?;
        let (scopes, expires_at) = match (&permit.way, &provider) {
            (Way::Grant(wanted), CredentialProvider::Oauth2(provider)) => {
                let wishes = Asked::of(&ask, self.seats.return_url(who.invocation())?);
                self.granted(who, provider, wanted, &wishes).await?
            }
            (Way::Mint(mint), CredentialProvider::Oauth2(provider)) => {
                let facts = self.vault.mint(who, provider, mint).await.map_err(refuse_vault)?;
                (facts.scopes, facts.expires_at)
            }
            _ => (Scopes::default(), None),
        };
        let acquired = Acquired {
            id: CredentialId::random(),
            provider: permit.provider.to_string(),
            scopes: scopes.to_vec(),
            expires_at: expires_at.map(|at| at.secs()),
        };
        self.seats.hold(who.invocation(), acquired.id, permit)?;
        Ok(acquired)
    }

    async fn send_with(
        &self,
        who: &Arc<Binding>,
        id: CredentialId,
        outbound: Outbound,
    ) -> Result<http::Response<Body>, Refusal> {
        let permit = self.seats.held(who.invocation(), id)?;
        let action = Action::new(codes::SEND, resource_of(&outbound.request)).with(permit.detail());
        // Before the first wait, so that the guest gets it as the answer to its call. `carry` asks again.
        let allowed = self.still_permitted(who, &permit).and_then(|provider| {
            self.seats.admits(who.invocation(), &permit.provider)?;
            if provider.destinations().allows(outbound.request.uri()) {
                return Ok(());
            }
            Err(Refusal::Denied(format!(
                "a credential of provider `{}` is not sent there; its hosts are named by the operator",
                permit.provider
            )))
        });
        if let Err(refusal) = allowed {
            return Err(self.refused(who, action, refusal));
        }
        let attempt = self.trail.open(who, action).map_err(unwritable)?;
        let written = attempt.written().await.map_err(unwritable)?;
        fault_point!("broker.send.written");
        let result = match self.credential(&written, &permit).await {
            // The last step before it leaves, and the one that decides.
            Ok((provider, token)) => match self.confined_to(who, &permit) {
                Ok(()) => {
                    let attach = Some(self.attach(&provider, token));
                    self.carry(outbound, provider.destinations(), attach).await
                }
                Err(refusal) => Err(refusal),
            },
            Err(error) => {
                let asked = Asked::returning_to(self.seats.return_url(who.invocation())?);
                Err(self.refuse_credential(who, &permit, error, &asked).await)
            }
        };
        match result {
            Ok(response) => Ok(watched(response, attempt)),
            Err(refusal) => {
                self.close(who, attempt, &Err(refusal.clone()));
                Err(refusal)
            }
        }
    }

    /// Where the operator confines this agent, its invocation is confined to this provider from here on.
    fn confined_to(&self, who: &Binding, permit: &Permit) -> Result<(), Refusal> {
        match self.active(who)?.confine {
            true => self.seats.confine(who.invocation(), &permit.provider),
            // One that was confined before the operator changed that stays so.
            false => self.seats.admits(who.invocation(), &permit.provider),
        }
    }

    /// How this credential is put into a request.
    fn attach(&self, provider: &CredentialProvider, token: Token) -> Attach {
        match (provider, token.prover) {
            (CredentialProvider::Oauth2(_), Some(prover)) => Attach::Dpop(token.secret, prover),
            (CredentialProvider::Oauth2(_), None) => Attach::Placed(Placement::Bearer, token.secret),
            (CredentialProvider::ApiKey(provider), _) => Attach::Placed(provider.placement.clone(), token.secret),
        }
    }

    /// Closes a request's attempt, and counts it where it was refused for what the guest asked.
    fn close(&self, who: &Binding, attempt: Attempt, result: &Result<http::Response<Body>, Refusal>) {
        if result.as_ref().is_err_and(|refusal| refusal.outcome().decision == Decision::Refused) {
            self.seats.count_refused(who.invocation());
        }
        attempt.close(outcome_of(result));
    }

    async fn send_plain(
        self: &Arc<Self>,
        who: &Arc<Binding>,
        outbound: Outbound,
    ) -> Result<http::Response<Body>, Refusal> {
        let action = Action::new(codes::EGRESS, resource_of(&outbound.request));
        let terms = match self.active(who) {
            Ok(terms) => terms,
            Err(refusal) => return Err(self.refused(who, action, refusal)),
        };
        let confined = self.seats.confined(who.invocation())?;
        if let Some(to) = confined.now().filter(|to| !self.reaches(to, outbound.request.uri())) {
            return Err(self.refused(who, action, elsewhere(&to)));
        }
        let (desk, uri) = (self.clone(), outbound.request.uri().clone());
        let cut = |body| confined.cut(body, move |to| desk.reaches(to, &uri));
        let outbound = Outbound { request: outbound.request.map(cut), ..outbound };
        let attempt = self.trail.open(who, action).map_err(unwritable)?;
        let result = match Destinations::parse(terms.egress.iter().map(String::as_str)) {
            Ok(allowed) => self.carry(outbound, &allowed, None).await,
            Err(error) => Err(Refusal::Denied(error.to_string())),
        };
        self.close(who, attempt, &result);
        result
    }

    /// Whether this address is among a provider's own.
    fn reaches(&self, provider: &ProviderName, uri: &http::Uri) -> bool {
        self.providers.find(provider).is_some_and(|provider| provider.destinations().allows(uri))
    }

    async fn carry(
        &self,
        outbound: Outbound,
        destinations: &Destinations,
        attach: Option<Attach>,
    ) -> Result<http::Response<Body>, Refusal> {
        let Outbound { request, connect_timeout, first_byte_timeout, between_bytes_timeout, .. } = outbound;
        let passage = Passage { destinations, attach, connect_timeout, first_byte_timeout, between_bytes_timeout };
        egress::carry(&self.client, passage, request).await.map_err(refuse_carry)
    }
}
