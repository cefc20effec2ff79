//! The broker on this machine: parse, open, act, close, hand back.

use super::seat::{Held, MOST_REFUSED, Seat, Seats};
use super::{
    Acquire, Acquired, Body, Broker, Flow, Guest, Kind, Outbound, Refusal, Released, Revealed, TokenType, UserFacts,
    WorkloadFacts,
};
use crate::audit::{Action, Attempt, Decision, Outcome, Trail, Unwritable, Written, codes};
use crate::consent::{ConsentError, Consents, SessionStatus};
use crate::directory::{Directory, Terms};
use crate::egress::{self, Attach, CarryError, Destinations, Passage, Placement};
use crate::identity::{Binding, User, WatTable, WorkloadAccessToken};
use crate::ids::{ConsentId, CredentialId, ProviderName, Scopes};
use crate::oauth::Provider;
use crate::providers::Providers;
use crate::vault::{GrantStatus, Token, Vault, VaultError};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::json;
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

struct Parts {
    vault: Arc<Vault>,
    consents: Arc<Consents>,
    providers: Arc<Providers>,
    client: Arc<egress::Client>,
    trail: Trail,
    directory: Arc<Directory>,
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
            let held = self.0.seats.held(who.invocation(), credential)?;
            let attempt = self
                .0
                .trail
                .open(&who, Action::new(codes::REVEAL, held.provider.name.as_str()).with(held.detail()))
                .map_err(unwritable)?;
            let outcome = if who.agent().terms().reveal {
                let written = attempt.written().await.map_err(unwritable)?;
                match self.0.still_permitted(&who, &held) {
                    Ok(()) => self.0.token(&written, &held).await.map_err(refuse_vault),
                    Err(refusal) => Err(refusal),
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

    /// What the bound agent may do now. A binding is a snapshot; an operator who suspends an agent, or unbinds a provider
    /// from it, means the invocations that run as well.
    fn active(&self, who: &Binding) -> Result<Arc<Terms>, Refusal> {
        match self.directory.current_terms(who.agent()) {
            Ok(terms) => Ok(terms),
            Err(_) => Err(Refusal::Denied(format!("agent `{}` may not run any more", who.agent().name()))),
        }
    }

    /// Whether the bound agent may still use what it holds: it may have been suspended or deleted meanwhile, or the
    /// provider unbound from it.
    fn still_permitted(&self, who: &Binding, held: &Held) -> Result<(), Refusal> {
        let terms = self.active(who)?;
        let most = terms.most(&held.provider.name);
        if most.is_some_and(|most| most.beyond(&held.wanted, &held.provider.scopes).is_empty()) {
            return Ok(());
        }
        let (provider, agent) = (&held.provider.name, who.agent().name());
        Err(Refusal::Denied(format!(
            "provider `{provider}` is not bound to agent `{agent}` with these scopes any more"
        )))
    }

    async fn acquire(&self, who: &Arc<Binding>, ask: Acquire) -> Result<Acquired, Refusal> {
        let terms = self.active(who)?;
        let (provider, wanted) = self.permitted(who, &terms, &ask)?;
        match self.vault.status(who, &provider.name, &wanted) {
            GrantStatus::Granted { scopes, expires_at } => {
                let acquired = Acquired {
                    id: CredentialId::random(),
                    provider: provider.name.to_string(),
                    scopes: scopes.to_vec(),
                    expires_at: expires_at.map(|at| at.secs()),
                };
                self.seats.hold(who.invocation(), acquired.id, Held { provider, wanted })?;
                Ok(acquired)
            }
            GrantStatus::Short { missing } => Err(Refusal::InsufficientScopes(missing.to_vec())),
            GrantStatus::Missing => Err(self.ask_consent(who, &provider, &wanted).await),
        }
    }

    /// Policy: is this provider bound to this agent, with these scopes, for this flow? An unbound provider and one that
    /// does not exist get the same answer.
    fn permitted(&self, who: &Binding, terms: &Terms, ask: &Acquire) -> Result<(Arc<Provider>, Scopes), Refusal> {
        let agent = who.agent();
        let unbound = || {
            let shown: String = ask.provider.chars().take(64).collect();
            Refusal::Denied(format!(
                "provider `{}` is not bound to agent `{}`; an operator adds it under `[[agents.{}.providers]]`",
                shown.escape_debug(),
                agent.name(),
                agent.name()
            ))
        };
        let name = ProviderName::parse(&ask.provider).map_err(|_| unbound())?;
        let most = terms.most(&name).ok_or_else(unbound)?;
        let provider = self.providers.oauth2(&name).ok_or_else(unbound)?;
        let Kind::Oauth2 { scopes, flow, .. } = &ask.kind else {
            return Err(Refusal::NotConfigured(format!(
                "provider `{name}` has no API key; ask for an OAuth 2 credential"
            )));
        };
        if *flow != Flow::UserFederation {
            return Err(Refusal::NotConfigured(format!(
                "provider `{name}` offers the user-federation flow only on this host"
            )));
        }
        if who.user().is_none() {
            return Err(Refusal::Denied("this invocation serves no user, so there is nobody to grant access".into()));
        }
        let wanted =
            Scopes::parse(scopes.iter().map(String::as_str)).map_err(|e| Refusal::InvalidRequest(e.to_string()))?;
        let wanted = if wanted.is_empty() { most.all(&provider.scopes).clone() } else { wanted };
        let beyond = most.beyond(&wanted, &provider.scopes);
        if !beyond.is_empty() {
            return Err(Refusal::Denied(format!(
                "scopes `{}` of provider `{name}` are not bound to agent `{}`",
                beyond.joined(),
                agent.name()
            )));
        }
        Ok((provider, wanted))
    }

    /// Starts a consent session; the refusal carries its link, or says why there is none.
    async fn ask_consent(&self, who: &Arc<Binding>, provider: &Arc<Provider>, wanted: &Scopes) -> Refusal {
        let return_url = match self.seats.return_url(who.invocation()) {
            Ok(url) => url,
            Err(refusal) => return refusal,
        };
        match self.consents.start(who, provider, wanted, return_url.as_deref()).await {
            Ok(started) => Refusal::ConsentRequired {
                authorization_url: started.authorization_url,
                session_uri: started.session_uri,
                expires_at: started.expires_at.secs(),
            },
            Err(error) => refuse_consent(error),
        }
    }

    async fn release(&self, who: &Arc<Binding>, caller: Option<&str>, ask: Acquire) -> Result<Released, Refusal> {
        let mut action = Action { action: codes::REVEAL.to_owned(), ..ask.action() };
        action.detail["caller"] = caller.into();
        let checked = if who.agent().digest().is_some() {
            Err(Refusal::Denied(format!(
                "agent `{}` runs here and gets handles, not bytes; only a workload that runs elsewhere gets those",
                who.agent().name()
            )))
        } else {
            self.active(who).and_then(|terms| self.permitted(who, &terms, &ask))
        };
        let (provider, wanted) = match checked {
            Ok(checked) => checked,
            Err(refusal) => return Err(self.refused(who, action, refusal)),
        };
        let attempt = self.trail.open(who, action).map_err(unwritable)?;
        let written = attempt.written().await.map_err(unwritable)?;
        let result = match self.vault.token(&written, &provider, &wanted).await {
            Ok(token) => Ok(Released {
                secret: token.secret,
                token_type: TokenType::Bearer,
                expires_at: token.expires_at.map(|at| at.secs()),
                scopes: wanted.to_vec(),
            }),
            Err(error) => Err(refuse_vault(error)),
        };
        attempt.close(result.as_ref().map_or_else(Refusal::outcome, |_| Outcome::allowed_with("bytes released")));
        result
    }

    async fn send_with(
        &self,
        who: &Arc<Binding>,
        id: CredentialId,
        outbound: Outbound,
    ) -> Result<http::Response<Body>, Refusal> {
        let held = self.seats.held(who.invocation(), id)?;
        let action = Action::new(codes::SEND, resource_of(&outbound.request)).with(held.detail());
        if let Err(refusal) = self.still_permitted(who, &held) {
            return Err(self.refused(who, action, refusal));
        }
        // Before the first wait, so that the guest gets it as the answer to its call. `carry` asks again.
        if !held.provider.destinations.allows(outbound.request.uri()) {
            let refusal = Refusal::Denied(format!(
                "a credential of provider `{}` is not sent there; its hosts are named by the operator",
                held.provider.name
            ));
            return Err(self.refused(who, action, refusal));
        }
        let attempt = self.trail.open(who, action).map_err(unwritable)?;
        let written = attempt.written().await.map_err(unwritable)?;
        let result = match self.token(&written, &held).await {
            // Asked once more, since renewing a token may take seconds.
            Ok(token) => match self.still_permitted(who, &held) {
                Ok(()) => {
                    let attach = Some(Attach::Placed(Placement::Bearer, token.secret));
                    self.carry(outbound, &held.provider.destinations, attach).await
                }
                Err(refusal) => Err(refusal),
            },
            // Revoked since it was acquired: say what to do about it, as acquiring would have.
            Err(VaultError::Missing | VaultError::GrantGone) => {
                Err(self.ask_consent(who, &held.provider, &held.wanted).await)
            }
            Err(error) => Err(refuse_vault(error)),
        };
        self.close(who, attempt, &result);
        result
    }

    /// Closes a request's attempt, and counts it where it was refused for what the guest asked.
    fn close(&self, who: &Binding, attempt: Attempt, result: &Result<http::Response<Body>, Refusal>) {
        if result.as_ref().is_err_and(|refusal| refusal.outcome().decision == Decision::Refused) {
            self.seats.count_refused(who.invocation());
        }
        attempt.close(outcome_of(result));
    }

    async fn send_plain(&self, who: &Arc<Binding>, outbound: Outbound) -> Result<http::Response<Body>, Refusal> {
        let action = Action::new(codes::EGRESS, resource_of(&outbound.request));
        if let Err(refusal) = self.active(who) {
            return Err(self.refused(who, action, refusal));
        }
        let attempt = self.trail.open(who, action).map_err(unwritable)?;
        let result = match Destinations::parse(who.agent().terms().egress.iter().map(String::as_str)) {
            Ok(allowed) => self.carry(outbound, &allowed, None).await,
            Err(error) => Err(Refusal::Denied(error.to_string())),
        };
        self.close(who, attempt, &result);
        result
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

    async fn token(&self, written: &Written<'_>, held: &Held) -> Result<Token, VaultError> {
        self.vault.token(written, &held.provider, &held.wanted).await
    }
}

fn unwritable(_: Unwritable) -> Refusal {
    Refusal::Unavailable("the audit trail cannot be written, so nothing is done; try again later".into())
}

fn refuse_vault(error: VaultError) -> Refusal {
    match error {
        VaultError::Missing | VaultError::GrantGone => {
            Refusal::Denied("the user has not granted this, or has revoked it".into())
        }
        VaultError::Short(missing) => Refusal::InsufficientScopes(missing.to_vec()),
        VaultError::Provider(error) => Refusal::ProviderRefused(error.to_string()),
        error => {
            tracing::error!(%error, "the vault could not hand out a token");
            Refusal::Unavailable("the vault cannot answer now; try again later".into())
        }
    }
}

fn refuse_consent(error: ConsentError) -> Refusal {
    tracing::warn!(%error, "no consent session was started");
    match error {
        ConsentError::ReturnUrl(_) | ConsentError::NoUser => Refusal::Denied(error.to_string()),
        error => Refusal::Unavailable(error.to_string()),
    }
}

fn refuse_carry(error: CarryError) -> Refusal {
    let message = error.to_string();
    match error {
        CarryError::Destination { .. } => Refusal::Denied(message),
        CarryError::InvalidRequest(_) => Refusal::InvalidRequest(message),
        _ => Refusal::Unavailable(message),
    }
}

fn outcome_of(result: &Result<http::Response<Body>, Refusal>) -> Outcome {
    match result {
        Ok(response) => Outcome::allowed_with(format!("status {}", response.status().as_u16())),
        Err(refusal) => refusal.outcome(),
    }
}

impl Refusal {
    /// As it stands in the audit trail.
    fn outcome(&self) -> Outcome {
        match self {
            Self::ConsentRequired { session_uri, .. } => Outcome::refused(format!("consent required: {session_uri}")),
            Self::Unavailable(reason) | Self::ProviderRefused(reason) => Outcome::failed(reason.clone()),
            other => Outcome::refused(other.to_string()),
        }
    }
}

impl Acquire {
    fn action(&self) -> Action {
        let provider: String = self.provider.chars().filter(|c| !c.is_control()).take(128).collect();
        let detail = match &self.kind {
            Kind::Oauth2 { scopes, flow, .. } => {
                let scopes: Vec<String> = scopes.iter().take(64).map(|s| s.chars().take(256).collect()).collect();
                json!({ "scopes": scopes, "flow": flow.as_str() })
            }
            Kind::ApiKey => json!({ "kind": "api-key" }),
        };
        Action::new(codes::ACQUIRE, provider).with(detail)
    }
}

impl Flow {
    fn as_str(self) -> &'static str {
        match self {
            Self::UserFederation => "user-federation",
            Self::MachineToMachine => "machine-to-machine",
            Self::OnBehalfOf => "on-behalf-of",
        }
    }
}

/// Method and URL without its query, which may hold what the audit trail should not: bounded, and in printable ASCII.
fn resource_of(request: &http::Request<Body>) -> String {
    let uri = request.uri();
    let host = uri.authority().map_or("", |authority| {
        let text = authority.as_str();
        text.rsplit_once('@').map_or(text, |(_, host)| host)
    });
    let mut text = format!("{} {}://{host}{}", request.method(), uri.scheme_str().unwrap_or("?"), uri.path());
    if text.len() > 512 {
        let mut cut = 512;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
    }
    text
}
