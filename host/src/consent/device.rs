//! Consent on another device (RFC 8628), for users whose browser cannot come back to this host.
//!
//! The codes are shown to the user whom the session belongs to, on the host's page or through an app of theirs, and to
//! nobody else; the agent never sees them. Whoever types the code at the provider is whose account is granted, and no
//! host can see who that is: a user who passes her own code on to somebody else gets that person's account (RFC 8628
//! §5.4). What the host can do, it does: the code is given to one user only, it is stored for that user only, and the
//! record names her.
//!
//! Asking the provider whether the user has decided is the host's work, whoever looks on. After a restart it goes on as
//! soon as the user looks at the page again, since it takes the proof of who she is.

use super::error::ConsentError;
use super::flow::{Consents, Parts, action, actor};
use super::session::{ConsentSession, Stage};
use crate::audit::{Outcome, codes, with_cause};
use crate::clock::Timestamp;
use crate::identity::{User, VerifiedUser};
use crate::ids::ConsentId;
use crate::jose::DpopKey;
use crate::oauth::{DeviceAnswer, More, OAuthError, Proofs, TokenSet};
use crate::seal::SealError;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How often the loop looks for sessions that are due.
const ROUND: Duration = Duration::from_secs(1);
/// What `slow_down` adds (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// How many providers are asked at the same time.
const AT_ONCE: usize = 8;

/// What the user is shown, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceCodes {
    /// What to type.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds between two looks at how far it got.
    pub interval: u64,
    /// When the code is void.
    pub expires_at: Timestamp,
}

/// What is sealed for the session: the codes, and the one that only the host may know.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Kept {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    interval: u64,
    #[zeroize(skip)]
    expires_at: Timestamp,
    /// The key that the tokens will be bound to, if they will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

const DEVICE: &str = "device";

/// Sessions whose provider is asked from time to time.
#[derive(Default)]
pub(super) struct Devices(Mutex<HashMap<ConsentId, Watched>>);

#[derive(Clone)]
struct Watched {
    user: User,
    /// None while the provider is being asked.
    next_at: Option<Timestamp>,
    interval: Duration,
}

impl Devices {
    pub(super) fn forget(&self, id: ConsentId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConsentId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are due: whoever takes one asks, and nobody else does until it is settled.
    fn due(&self, now: Timestamp) -> Vec<(ConsentId, Watched)> {
        let mut all = self.lock();
        let due = all.iter_mut().filter(|(_, watched)| watched.next_at.is_some_and(|at| at <= now));
        let taken = |(id, watched): (&ConsentId, &mut Watched)| {
            watched.next_at = None;
            (*id, watched.clone())
        };
        due.map(taken).collect()
    }

    /// It was asked. Unless it is to be asked again, it is over.
    fn settle(&self, id: ConsentId) {
        self.lock().extract_if(|other, watched| *other == id && watched.next_at.is_none()).for_each(drop);
    }
}

impl Consents {
    /// The codes for the user whom the session belongs to: asked for at the first call, the same at the next.
    ///
    /// # Errors
    /// [`ConsentError::NotYours`] leaves a record and the session as it was. [`ConsentError::NotByDevice`] for a provider
    /// whose users go there with their browser.
    pub async fn begin_device(&self, id: ConsentId, user: &Arc<VerifiedUser>) -> Result<DeviceCodes, ConsentError> {
        let parts = &self.parts;
        let user = User::from(user.clone());
        let mut session = parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
        if *user.id() != session.user {
            return Err(parts.refused(codes::CONSENT_PROCEED, &session, Some(&user), ConsentError::NotYours));
        }
        if !parts.by_device(&session.provider) {
            return Err(ConsentError::NotByDevice(session.provider));
        }
        if session.is_void(parts.clock.now()) {
            return Err(ConsentError::Expired);
        }
        match session.stage {
            Stage::AtProvider => {
                parts.watch_again(&session, &user);
                return parts.device_codes(&session)?.ok_or(ConsentError::Over);
            }
            Stage::Started => {}
            _ => return Err(ConsentError::Over),
        }
        let provider = parts.provider(&session)?;
        if let Err(error) = parts.own_client(&provider).await {
            return Err(parts.refused(codes::CONSENT_PROCEED, &session, Some(&user), error));
        }
        let wishes = parts.wishes(&session)?;
        let more = More { resources: session.resources.clone(), parameters: wishes.parameters, ..More::default() };
        let now = parts.clock.now();
        let workload = parts.workload(&session)?;
        let prover = parts.vault.prover_for(&provider).await?;
        let proofs = Proofs { workload: Some(&workload), dpop: None };
        let got = parts.oauth.device_authorization(&provider, proofs, &session.scopes, &more).await?;
        let key = prover.map(|prover| prover.key().to_secret()).transpose().map_err(|_| SealError::Failed)?;
        let kept = Kept {
            device_code: got.device_code.expose_text().unwrap_or_default().to_owned(),
            user_code: got.user_code,
            verification_uri: got.verification_uri.into(),
            verification_uri_complete: got.verification_uri_complete.map(Into::into),
            interval: got.interval.as_secs().max(1),
            expires_at: now.plus(got.expires_in).min(session.expires_at),
            key: key.and_then(|key| key.expose_text().map(str::to_owned)),
        };
        let plain = serde_json::to_string(&kept).map(Secret::from_text).map_err(|_| ConsentError::Stopped)?;
        session.sealed_code = Some(parts.seal(&session, DEVICE, &plain)?);
        session.stage = Stage::AtProvider;
        if !parts.sessions.advance(Stage::Started, session.clone()).await? {
            // Another tab was faster; its codes are the session's.
            let session = parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
            return parts.device_codes(&session)?.ok_or(ConsentError::Over);
        }
        parts.trail.note(actor(&session, Some(&user)), action(codes::CONSENT_PROCEED, &session), Outcome::allowed())?;
        parts.watch(id, user, Duration::from_secs(kept.interval));
        Ok(kept.codes())
    }

    /// Asks providers whether their users have decided, until the consents are dropped. Spawn it once.
    pub async fn work_devices(self: Arc<Self>) {
        let consents = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(ROUND).await;
            let Some(consents) = consents.upgrade() else { return };
            consents.ask_devices().await;
        }
    }

    /// One round of [`Consents::work_devices`]. Returns how many were asked.
    pub async fn ask_devices(&self) -> usize {
        use futures_util::StreamExt as _;
        let due = self.parts.devices.due(self.parts.clock.now());
        let asked = due.len();
        let parts = &self.parts;
        let all = futures_util::stream::iter(due);
        all.for_each_concurrent(AT_ONCE, |(id, watched)| async move {
            if let Err(error) = parts.ask_device(id, watched).await {
                tracing::warn!(error = %with_cause(&error), session = %id, "a consent by device came to nothing");
            }
            parts.devices.settle(id);
        })
        .await;
        asked
    }
}

impl Kept {
    fn codes(&self) -> DeviceCodes {
        DeviceCodes {
            user_code: self.user_code.clone(),
            verification_uri: self.verification_uri.clone(),
            verification_uri_complete: self.verification_uri_complete.clone(),
            interval: self.interval,
            expires_at: self.expires_at,
        }
    }
}

impl Parts {
    /// The codes of a session whose user has yet to decide.
    pub(super) fn device_codes(&self, session: &ConsentSession) -> Result<Option<DeviceCodes>, ConsentError> {
        Ok(self.kept(session)?.as_ref().map(Kept::codes))
    }

    fn kept(&self, session: &ConsentSession) -> Result<Option<Kept>, ConsentError> {
        if session.stage != Stage::AtProvider {
            return Ok(None);
        }
        let Some(sealed) = &session.sealed_code else { return Ok(None) };
        let plain = self.unseal(session, DEVICE, sealed)?;
        serde_json::from_slice(plain.expose()).map(Some).map_err(|_| ConsentError::Seal(SealError::Unreadable))
    }

    /// Goes on asking after a restart, as soon as the user is there again.
    pub(super) fn watch_again(&self, session: &ConsentSession, user: &User) {
        if *user.id() == session.user
            && !self.devices.lock().contains_key(&session.id)
            && let Ok(Some(kept)) = self.kept(session)
        {
            self.watch(session.id, user.clone(), Duration::from_secs(kept.interval));
        }
    }

    fn watch(&self, id: ConsentId, user: User, interval: Duration) {
        let next_at = Some(self.clock.now().plus(interval));
        self.devices.lock().insert(id, Watched { user, next_at, interval });
    }

    async fn ask_device(self: &Arc<Self>, id: ConsentId, watched: Watched) -> Result<(), ConsentError> {
        let Some(session) = self.sessions.by_id(id).await? else { return Ok(()) };
        let user = watched.user.clone();
        let Some(kept) = self.kept(&session)? else { return Ok(()) };
        let now = self.clock.now();
        if now >= kept.expires_at || session.is_void(now) {
            return self.device_failed(session, &user, ConsentError::Expired).await;
        }
        let again = |interval: Duration| self.watch(id, user.clone(), interval);
        let provider = self.provider(&session)?;
        match self.own_client(&provider).await {
            Ok(()) => {}
            Err(error) if error.is_unavailable() => {
                again(watched.interval + SLOWER);
                return Ok(());
            }
            Err(error) => return self.device_failed(session, &user, error).await,
        }
        let code = Secret::from_text(kept.device_code.clone());
        let key = match &kept.key {
            Some(key) => Some(Arc::new(
                DpopKey::from_secret(&Secret::from_text(key.clone())).map_err(|_| SealError::Unreadable)?,
            )),
            None => None,
        };
        let prover = key.clone().map(|key| self.oauth.prover(key));
        let workload = self.workload(&session)?;
        let proofs = Proofs { workload: Some(&workload), dpop: prover.as_ref() };
        match self.oauth.device_token(&provider, proofs, &code).await {
            Ok(DeviceAnswer::Pending) => again(watched.interval),
            // And a provider that cannot be reached is asked more slowly (RFC 8628 §3.5).
            Ok(DeviceAnswer::SlowDown) | Err(OAuthError::Unreachable(_)) => again(watched.interval + SLOWER),
            Ok(DeviceAnswer::Granted(tokens)) => {
                return self.device_granted(session, user, *tokens, key.as_deref()).await;
            }
            Ok(DeviceAnswer::Expired) => return self.device_failed(session, &user, ConsentError::Expired).await,
            Ok(DeviceAnswer::Denied) => {
                let error = ConsentError::Declined { error: "access_denied".into() };
                return self.device_failed(session, &user, error).await;
            }
            Err(error) => return self.device_failed(session, &user, error.into()).await,
        }
        Ok(())
    }

    async fn device_failed(
        &self,
        session: ConsentSession,
        user: &User,
        error: ConsentError,
    ) -> Result<(), ConsentError> {
        let error = self.refused(codes::CONSENT_COMPLETE, &session, Some(user), error);
        self.fail(session).await?;
        Err(error)
    }

    /// Claim, bind, open, keep, close: as after the exchange of a code.
    async fn device_granted(
        self: &Arc<Self>,
        session: ConsentSession,
        user: User,
        tokens: TokenSet,
        key: Option<&DpopKey>,
    ) -> Result<(), ConsentError> {
        let mut session = self.claim(session, &user).await?;
        let result = self.device_keep(&session, &user, tokens, key).await;
        let kept = result.is_ok();
        session.stage = if kept { Stage::Completed } else { Stage::Failed };
        if let Err(error) = self.sessions.advance(Stage::Exchanging, session.clone()).await {
            tracing::warn!(%error, session = %session.id, "a consent session could not be marked as over");
        }
        result
    }

    async fn device_keep(
        &self,
        session: &ConsentSession,
        user: &User,
        tokens: TokenSet,
        key: Option<&DpopKey>,
    ) -> Result<(), ConsentError> {
        let attempt = self.bound(session, user)?;
        let result = async {
            let written = attempt.written().await?;
            let provider = self.provider(session)?;
            let grant = self.vault.keep(&written, &provider, &session.wanted()?, tokens, key).await?;
            self.still_there(attempt.binding(), grant).await
        };
        let result = result.await;
        attempt.close(match &result {
            Ok(()) => Outcome::allowed(),
            Err(error) => Outcome::failed(with_cause(error)),
        });
        result
    }
}
