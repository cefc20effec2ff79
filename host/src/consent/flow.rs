//! From the link to the provider: start, view, proceed.

use super::device::{DeviceCodes, Devices};
use super::error::ConsentError;
use super::session::{ConsentSession, Stage, Wishes};
use super::{Sessions, SessionsError};
use crate::audit::{Action, Actor, AgentRef, Allowance, Outcome, Trail, codes, with_cause};
use crate::clock::{Clock, Timestamp};
use crate::directory::{Directory, RegisteredAgent};
use crate::identity::{Binding, User, VerifiedUser, Workload};
use crate::ids::{AgentName, ConsentId, ProviderName, UserId, sha256};
use crate::oauth::{AuthorizationRequest, ConsentBy, More, OAuth, Pkce, Proofs, Provider};
use crate::providers::Providers;
use crate::seal::{SealError, Sealer};
use crate::secret::Secret;
use crate::vault::{GrantFilter, Vault, Wanted, asked_about};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// How long a session lives.
const LIFETIME: Duration = Duration::from_secs(600);
/// Expired sessions are remembered this long, so that a late browser is told the reason.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How often expired ones are swept, at most.
const SWEEP: Duration = Duration::from_secs(60);
/// Open sessions of one agent and user; the oldest fail beyond that.
const OPEN: usize = 32;
/// Answers that belong to no open session, recorded at once and per second after that: anybody can send any number.
const STRAYS: (u64, u64) = (50, 5);

/// Consent sessions of one host. One per process.
pub struct Consents {
    pub(super) parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) vault: Arc<Vault>,
    pub(super) oauth: Arc<OAuth>,
    pub(super) providers: Arc<Providers>,
    pub(super) directory: Arc<Directory>,
    pub(super) trail: Trail,
    pub(super) public_url: String,
    pub(super) clock: Clock,
    pub(super) strays: Allowance,
    pub(super) devices: Devices,
    open: Mutex<Open>,
}

/// Who has how many sessions open. In memory: after a restart the count starts anew, and the earlier ones expire.
#[derive(Default)]
struct Open {
    of: HashMap<(AgentName, UserId), VecDeque<(ConsentId, Timestamp)>>,
    swept_at: Option<Timestamp>,
}

/// What a user is to be asked.
pub struct Question<'a> {
    /// For what. Audiences say nothing here: an authorization request has none.
    pub wanted: &'a Wanted,
    /// Where the browser goes afterwards. With one, an app completes the session; without, the host's own page does.
    pub return_url: Option<&'a str>,
    /// Comes back to the return URL as `state`.
    pub custom_state: Option<&'a str>,
    /// The provider is to ask even if it remembers an answer.
    pub force: bool,
}

/// A link for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// `{public_url}/consent/{id}`: the host's page, never the provider's, so that the host learns who opens it.
    pub authorization_url: String,
    /// How callers name the session.
    pub session_uri: String,
    /// When the link is void.
    pub expires_at: Timestamp,
}

/// How far a session got, for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// The user, the provider or the app has not finished yet.
    InProgress,
    /// It came to nothing, or ten minutes have passed. Asking again starts another.
    Failed,
    /// The grant is stored.
    Done,
}

/// What a consent page shows. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct View {
    /// The session.
    pub id: ConsentId,
    /// Which agent asks.
    pub agent: String,
    /// Who published it.
    pub publisher: String,
    /// The bytes that asked; none where they run outside this host.
    pub digest: Option<String>,
    /// At which provider, by the operator's name.
    pub provider: String,
    /// At which provider, for people.
    pub provider_display: String,
    /// For what.
    pub scopes: Vec<String>,
    /// Where the credential may go.
    pub hosts: Vec<String>,
    /// What this version wants that the one did not which the user granted something to; nothing at the first time.
    pub news: Vec<String>,
    /// When the session is void.
    pub expires_at: Timestamp,
    /// How far it got.
    pub stage: Stage,
    /// Whether the user types a code at the provider, on whatever device, instead of going there and coming back.
    pub by_device: bool,
    /// The code, once there is one.
    pub device: Option<DeviceCodes>,
}

impl Consents {
    /// Over these parts. `public_url` is where browsers reach this host.
    #[expect(clippy::too_many_arguments, reason = "called once, by the wiring, with one of each room")]
    pub fn new(
        sessions: Arc<dyn Sessions>,
        sealer: Arc<Sealer>,
        vault: Arc<Vault>,
        oauth: Arc<OAuth>,
        providers: Arc<Providers>,
        directory: Arc<Directory>,
        trail: Trail,
        public_url: Url,
        clock: Clock,
    ) -> Arc<Self> {
        let public_url = public_url.as_str().trim_end_matches('/').to_owned();
        let strays = Allowance::new(STRAYS.0, STRAYS.1, clock.clone());
        let parts = Parts {
            sessions,
            sealer,
            vault,
            oauth,
            providers,
            directory,
            trail,
            public_url,
            clock,
            strays,
            devices: Devices::default(),
            open: Mutex::default(),
        };
        Arc::new(Self { parts: Arc::new(parts) })
    }

    /// Starts a session of the bound user.
    ///
    /// # Errors
    /// [`ConsentError::NoUser`], [`ConsentError::ReturnUrl`], or what kept it from being written.
    pub async fn start(
        &self,
        binding: &Arc<Binding>,
        provider: &Arc<Provider>,
        question: &Question<'_>,
    ) -> Result<Started, ConsentError> {
        let parts = &self.parts;
        let agent = binding.agent();
        let user = binding.user().ok_or(ConsentError::NoUser)?.id().clone();
        let allowed = |url: &str| Url::parse(url).is_ok() && agent.return_url(url.as_bytes()).is_some();
        if question.return_url.is_some_and(|url| !allowed(url)) {
            return Err(ConsentError::ReturnUrl(agent.name().clone()));
        }
        let now = parts.clock.now();
        let mut session = ConsentSession {
            id: ConsentId::random(),
            agent: agent.name().clone(),
            digest: agent.digest(),
            user,
            session: binding.session().clone(),
            provider: provider.name.clone(),
            client: asked_about(provider),
            authority: agent.authority().clone(),
            scopes: question.wanted.scopes.clone(),
            resources: question.wanted.resources().to_vec(),
            return_url: question.return_url.map(str::to_owned),
            created_at: now,
            expires_at: now.plus(LIFETIME),
            stage: Stage::Started,
            state_hash: None,
            sealed_wishes: None,
            sealed_verifier: None,
            sealed_code: None,
        };
        if let Some(wishes) = Wishes::of(question).to_secret() {
            session.sealed_wishes = Some(parts.seal(&session, WISHES, &wishes)?);
        }
        let started = Started {
            authorization_url: format!("{}/consent/{}", parts.public_url, session.id),
            session_uri: session.id.session_uri(),
            expires_at: session.expires_at,
        };
        let mut detail = json!({ "session_uri": started.session_uri, "scopes": session.scopes });
        if !session.resources.is_empty() {
            detail["resources"] = json!(session.resources);
        }
        let action = Action::new(codes::CONSENT_START, provider.name.as_str()).with(detail);
        parts.trail.note_for(binding, action, Outcome::allowed())?;
        let (surplus, sweep) = parts.make_room(&session, now);
        parts.sessions.insert(session).await?;
        for id in surplus {
            parts.give_up(id).await?;
        }
        if sweep {
            parts.sessions.sweep(now.minus(REMEMBERED)).await?;
        }
        Ok(started)
    }

    /// What the page shows, for the user that the session belongs to. Anybody else learns nothing and leaves a record;
    /// the session goes on.
    ///
    /// # Errors
    /// [`ConsentError::NotFound`], [`ConsentError::NotYours`], [`ConsentError::Expired`], or a part that failed.
    pub async fn view(&self, id: ConsentId, user: &Arc<VerifiedUser>) -> Result<View, ConsentError> {
        let parts = &self.parts;
        let user = &User::from(user.clone());
        let session = parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
        if *user.id() != session.user {
            return Err(parts.refused(codes::CONSENT_VIEW, &session, Some(user), ConsentError::NotYours));
        }
        if session.stage != Stage::Completed && session.is_void(parts.clock.now()) {
            return Err(ConsentError::Expired);
        }
        parts.trail.note(actor(&session, Some(user)), action(codes::CONSENT_VIEW, &session), Outcome::allowed())?;
        parts.watch_again(&session, user);
        parts.view(&session)
    }

    /// How far a session got, for the workload and the user that it belongs to. For anybody else there is none.
    ///
    /// # Errors
    /// [`ConsentError::NotFound`] or [`ConsentError::Sessions`].
    pub async fn status(&self, binding: &Binding, id: ConsentId) -> Result<SessionStatus, ConsentError> {
        let session = self.parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
        let theirs = binding.user().is_some_and(|user| *user.id() == session.user);
        if !theirs || *binding.agent().name() != session.agent {
            return Err(ConsentError::NotFound);
        }
        Ok(match session.stage {
            Stage::Completed => SessionStatus::Done,
            Stage::Failed => SessionStatus::Failed,
            _ if session.is_void(self.parts.clock.now()) => SessionStatus::Failed,
            Stage::Started | Stage::AtProvider | Stage::AwaitingCompletion | Stage::Exchanging => {
                SessionStatus::InProgress
            }
        })
    }

    /// Whether an app completes this session with a page of its own. True for a session URI that came back with the
    /// browser, too.
    ///
    /// # Errors
    /// [`ConsentError::NotFound`] or [`ConsentError::Sessions`].
    pub async fn is_for_app(&self, id: ConsentId) -> Result<bool, ConsentError> {
        let session = self.parts.find(id).await?;
        Ok(session.return_url.is_some() && !self.parts.by_device(&session.provider))
    }

    /// The agent that a session is about, whose authorizer says who may complete it. Takes the session URI that came
    /// back with the browser, too.
    ///
    /// # Errors
    /// [`ConsentError::NotFound`] or [`ConsentError::Sessions`].
    pub async fn agent_of(&self, id: ConsentId) -> Result<AgentName, ConsentError> {
        Ok(self.parts.find(id).await?.agent)
    }

    /// Goes on to the provider: the URL to send the browser to, with a fresh `state` and PKCE challenge. May be repeated
    /// until the provider answers; the earlier `state` is void then.
    ///
    /// Without a user only for sessions that an app completes: that app says later who was there.
    ///
    /// # Errors
    /// [`ConsentError::NotYours`] leaves a record and the session as it was.
    pub async fn proceed(&self, id: ConsentId, user: Option<&Arc<VerifiedUser>>) -> Result<Url, ConsentError> {
        let parts = &self.parts;
        let user = user.map(|user| User::from(user.clone()));
        let user = user.as_ref();
        // Two tabs may race from the same stage; the loser goes again.
        for _ in 0..4 {
            let mut session = parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
            match user {
                Some(user) if *user.id() != session.user => {
                    return Err(parts.refused(codes::CONSENT_PROCEED, &session, Some(user), ConsentError::NotYours));
                }
                None if session.return_url.is_none() => return Err(ConsentError::SignInNeeded),
                _ => {}
            }
            if !matches!(session.stage, Stage::Started | Stage::AtProvider) {
                return Err(ConsentError::Over);
            }
            if session.is_void(parts.clock.now()) {
                return Err(ConsentError::Expired);
            }
            let provider = parts.provider(&session)?;
            if let Err(error) = parts.own_client(&provider).await {
                return Err(parts.refused(codes::CONSENT_PROCEED, &session, user, error));
            }
            let wishes = parts.wishes(&session)?;
            let (state, pkce) = (Secret::random(), Pkce::new());
            let from = session.stage;
            session.stage = Stage::AtProvider;
            session.state_hash = Some(state_hash(&state));
            session.sealed_verifier = Some(parts.seal(&session, VERIFIER, &pkce.verifier)?);
            let request = AuthorizationRequest {
                redirect_uri: parts.redirect_uri(&session.provider),
                state,
                pkce_challenge: pkce.challenge,
                scopes: session.scopes.clone(),
                nonce: None,
                more: More { resources: session.resources.clone(), parameters: wishes.parameters, ..More::default() },
                force: wishes.force,
            };
            let workload = parts.workload(&session)?;
            let proofs = Proofs { workload: Some(&workload), dpop: None };
            let url = parts.oauth.authorization_url(&provider, proofs, &request).await?;
            let action = action(codes::CONSENT_PROCEED, &session);
            let actor = actor(&session, user);
            if parts.sessions.advance(from, session).await? {
                parts.trail.note(actor, action, Outcome::allowed())?;
                return Ok(url);
            }
        }
        Err(ConsentError::Over)
    }
}

/// What is sealed for a session, as it stands in the associated data.
pub(super) const WISHES: &str = "wishes";
pub(super) const VERIFIER: &str = "verifier";
pub(super) const CODE: &str = "code";

impl Parts {
    /// The provider that the question was for, as it is configured now. One that was made since under its name, or that is
    /// asked elsewhere or knows us as another client by now, gets nothing of it: no browser, no code, no verifier.
    pub(super) fn provider(&self, session: &ConsentSession) -> Result<Arc<Provider>, ConsentError> {
        let name = &session.provider;
        let provider = self.providers.oauth2(name).ok_or_else(|| ConsentError::NoProvider(name.clone()))?;
        match asked_about(&provider) == session.client {
            true => Ok(provider),
            false => Err(ConsentError::AnotherProvider(name.clone())),
        }
    }

    /// Whether this provider asks its users on another device.
    pub(super) fn by_device(&self, provider: &ProviderName) -> bool {
        self.providers.oauth2(provider).is_some_and(|provider| provider.consent == ConsentBy::Device)
    }

    /// The agent that asked, if it may still run. One that was made later, under the name of one that was deleted, never
    /// asked.
    ///
    /// Another version may have taken its place meanwhile, but none that wants more than the user was told.
    pub(super) fn agent(&self, session: &ConsentSession) -> Result<Arc<RegisteredAgent>, ConsentError> {
        let agent = self.directory.resolve_since(&session.agent, session.digest.is_none(), session.created_at)?;
        match agent.authority().within(&session.authority) {
            true => Ok(agent),
            false => Err(ConsentError::WantsMore(session.agent.clone())),
        }
    }

    pub(super) fn workload(&self, session: &ConsentSession) -> Result<Workload, ConsentError> {
        Ok(Workload::of(&*self.agent(session)?))
    }

    /// What the agent asked for besides.
    pub(super) fn wishes(&self, session: &ConsentSession) -> Result<Wishes, ConsentError> {
        let Some(sealed) = &session.sealed_wishes else { return Ok(Wishes::default()) };
        Wishes::read(&self.unseal(session, WISHES, sealed)?).ok_or(ConsentError::Seal(SealError::Unreadable))
    }

    /// One per provider, so that an answer of one can never pass for one of another (RFC 9700 §4.4.2).
    pub(super) fn redirect_uri(&self, provider: &ProviderName) -> String {
        format!("{}/oauth2/callback/{provider}", self.public_url)
    }

    pub(super) fn seal(&self, session: &ConsentSession, kind: &str, plain: &Secret) -> Result<Vec<u8>, SealError> {
        with_associated(session, kind, |associated| self.sealer.seal(associated, plain))
    }

    pub(super) fn unseal(&self, session: &ConsentSession, kind: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        with_associated(session, kind, |associated| self.sealer.open(associated, sealed))
    }

    pub(super) fn view(&self, session: &ConsentSession) -> Result<View, ConsentError> {
        let provider = self.provider(session)?;
        let before = GrantFilter {
            user: Some(session.user.clone()),
            agent: Some(session.agent.clone()),
            provider: Some(session.provider.clone()),
        };
        Ok(View {
            id: session.id,
            agent: session.agent.to_string(),
            publisher: self.directory.entry(&session.agent).map(|entry| entry.publisher.clone()).unwrap_or_default(),
            digest: session.digest.map(|digest| digest.to_string()),
            provider: session.provider.to_string(),
            provider_display: provider.display_name.clone(),
            scopes: session.scopes.to_vec(),
            hosts: provider.destinations.iter().map(ToString::to_string).collect(),
            news: self.vault.news(&before, &session.authority),
            expires_at: session.expires_at,
            stage: session.stage,
            by_device: provider.consent == ConsentBy::Device,
            device: self.device_codes(session)?,
        })
    }

    /// Writes a refusal down and hands the error back, or the reason why it could not be written.
    pub(super) fn refused(
        &self,
        code: &str,
        session: &ConsentSession,
        user: Option<&User>,
        error: ConsentError,
    ) -> ConsentError {
        let outcome = Outcome::refused(with_cause(&error));
        match self.trail.note(actor(session, user), action(code, session), outcome) {
            Ok(_) => error,
            Err(unwritable) => unwritable.into(),
        }
    }

    /// By the id that the agent gave, or the one that came back with the browser.
    async fn find(&self, id: ConsentId) -> Result<ConsentSession, ConsentError> {
        if let Some(session) = self.sessions.by_id(id).await? {
            return Ok(session);
        }
        self.sessions.by_state(super::callback::landing_hash(id)).await?.ok_or(ConsentError::NotFound)
    }

    /// The session came to nothing. False if somebody else moved it on meanwhile.
    pub(super) async fn fail(&self, mut session: ConsentSession) -> Result<bool, SessionsError> {
        let from = session.stage;
        session.stage = Stage::Failed;
        session.sealed_verifier = None;
        session.sealed_code = None;
        self.devices.forget(session.id);
        self.sessions.advance(from, session).await
    }

    /// Counts the new session. Tells which of the same agent and user are too many, and whether it is time to sweep.
    fn make_room(&self, session: &ConsentSession, now: Timestamp) -> (Vec<ConsentId>, bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut *open;
        let sweep = open.swept_at.is_none_or(|at| now.since(at) >= SWEEP);
        if sweep {
            open.swept_at = Some(now);
            open.of.retain(|_, list| list.back().is_some_and(|(_, expires_at)| now < *expires_at));
        }
        let list = open.of.entry((session.agent.clone(), session.user.clone())).or_default();
        list.retain(|(_, expires_at)| now < *expires_at);
        list.push_back((session.id, session.expires_at));
        let surplus = list.len().saturating_sub(OPEN);
        (list.drain(..surplus).map(|(id, _)| id).collect(), sweep)
    }

    async fn give_up(&self, id: ConsentId) -> Result<(), SessionsError> {
        if let Some(session) = self.sessions.by_id(id).await?
            && matches!(session.stage, Stage::Started | Stage::AtProvider | Stage::AwaitingCompletion)
        {
            self.fail(session).await?;
        }
        Ok(())
    }
}

/// How a `state` rests.
pub(super) fn state_hash(state: &Secret) -> [u8; 32] {
    sha256(state.expose())
}

fn with_associated<T>(session: &ConsentSession, kind: &str, act: impl FnOnce(&[&[u8]]) -> T) -> T {
    act(&[
        b"attache consent 3",
        kind.as_bytes(),
        &session.id.bytes(),
        session.agent.as_str().as_bytes(),
        session.user.issuer.as_str().as_bytes(),
        session.user.subject.as_str().as_bytes(),
        session.provider.as_str().as_bytes(),
        session.client.as_bytes(),
        session.authority.as_str().as_bytes(),
    ])
}

/// The user who is there, who need not be the one that the session belongs to, and the agent that it is about.
pub(super) fn actor(session: &ConsentSession, user: Option<&User>) -> Actor {
    Actor {
        agent: Some(AgentRef {
            name: session.agent.to_string(),
            digest: session.digest.map(|digest| digest.to_string()),
        }),
        user: user.map(|user| user.id().clone()),
        session: Some(session.session.to_string()),
        ..Actor::default()
    }
}

pub(super) fn action(code: &str, session: &ConsentSession) -> Action {
    Action::new(code, session.provider.as_str()).with(json!({
        "session_uri": session.id.session_uri(),
        "belongs_to": session.user,
        "scopes": session.scopes,
    }))
}
