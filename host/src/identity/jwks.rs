//! Key sets of identity providers: found by discovery, held in memory and kept on disk, renewed.
//!
//! A set is used as it is for ten minutes; then it is renewed beside the requests, so that none waits, and a key that is
//! gone stops verifying. A key id that we do not know renews at once, but no more than once in 30 seconds: anybody can
//! make up key ids. While a provider cannot be reached, its last set serves for a day; then nothing is verified. A host that
//! starts anew goes on with the set that it had, which is as old as it was.

use super::kept::{Keeper, KeptSet};
use super::key::KeySet;
use super::precheck::{Compact, Header};
use super::rejected::Rejected;
use super::strict;
use crate::clock::{Clock, Steady, Timestamp};
use crate::ids::Issuer;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use url::{Host, Url};

/// A larger document is refused.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// From this age on a set is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);
/// From this age on a request waits for the renewal, unless the provider is known to be down.
const WAIT_AFTER: Duration = Duration::from_secs(20 * 60);
/// From this age on a set is not used any more.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two attempts.
const COOLDOWN: Duration = Duration::from_secs(30);
/// The same while there is no set at all: a host that starts together with its provider should not stay shut for long.
const FIRST_COOLDOWN: Duration = Duration::from_secs(3);
/// How long the place of the key set is remembered.
const DISCOVERY_LIFE: Duration = Duration::from_secs(60 * 60);

/// Where discovery documents and key sets come from. An answer must end by itself, in seconds; it is never cut short.
pub trait Documents: Send + Sync {
    /// The bytes at this address, at most 256 KiB, with no redirect followed. The error says why not, for the log.
    fn get(&self, url: &Url) -> BoxFuture<'_, Result<Vec<u8>, String>>;
}

/// One issuer's keys.
pub(super) struct KeySource {
    issuer: Issuer,
    metadata: Url,
    documents: Arc<dyn Documents>,
    keeper: Option<Keeper>,
    clock: Clock,
    state: Mutex<State>,
    /// Held while a set is written down: of two, the newer is written last.
    keeping: tokio::sync::Mutex<()>,
    /// Copies of the state's, for the fast path.
    generation: AtomicU64,
    fresh_until: AtomicU64,
}

#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    /// Changes whenever the set's keys do.
    generation: u64,
    fetched_at: Option<Steady>,
    attempted_at: Option<Steady>,
    /// When an unknown key id last caused a renewal.
    asked_at: Option<Steady>,
    /// Why the last attempt failed.
    failure: Option<String>,
    jwks: Option<(Url, Steady)>,
    /// Read and not yet written down.
    unkept: Option<KeptSet>,
    flight: Option<Flight>,
}

/// What one renewal brought.
struct Read {
    set: KeySet,
    bytes: Vec<u8>,
    from: Url,
}

/// A renewal under way, detached from whoever asked for it: a caller that goes away does not waste the attempt.
struct Flight {
    landed: Shared<BoxFuture<'static, ()>>,
    task: AbortHandle,
}

impl KeySource {
    pub(super) fn new(
        issuer: Issuer,
        discovery_url: Option<&Url>,
        documents: Arc<dyn Documents>,
        keeper: Option<Keeper>,
        clock: Clock,
    ) -> Result<Arc<Self>, Rejected> {
        let metadata = metadata_url(&issuer, discovery_url).map_err(Rejected::Unavailable)?;
        let mut state = State::default();
        let kept = keeper.as_ref().and_then(|keeper| keeper.find(&issuer, &metadata));
        if let Some((set, age)) = kept.and_then(|kept| kept.restored(clock.now())).filter(|(_, age)| *age < STALE_AFTER)
        {
            tracing::info!(%issuer, keys = set.len(), age = age.as_secs(), "the issuer's keys are those of the last run");
            state.set = Some(Arc::new(set));
            state.fetched_at = Some(clock.steady().minus(age));
        }
        Ok(Arc::new(Self {
            issuer,
            metadata,
            documents,
            keeper,
            clock,
            state: Mutex::new(state),
            keeping: tokio::sync::Mutex::default(),
            generation: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
        }))
    }

    /// Whether a signature that was good under this generation's keys needs no new look. Takes no lock.
    pub(super) fn still_vouches(&self, generation: u64, now: Steady) -> bool {
        now.millis() < self.fresh_until.load(Ordering::Acquire) && self.generation.load(Ordering::Acquire) == generation
    }

    /// Whether the signature is one of this issuer's; returns the generation of the keys that say so.
    pub(super) async fn check(self: &Arc<Self>, token: &Compact<'_>, header: &Header) -> Result<u64, Rejected> {
        let (set, generation) = self.current().await?;
        match set.find(header.kid.as_deref(), header.algorithm) {
            Ok(key) => key.check(token, header.algorithm).map(|()| generation),
            Err(unknown) => {
                let Some((set, generation)) = self.renewed().await else { return Err(unknown) };
                set.find(header.kid.as_deref(), header.algorithm)?.check(token, header.algorithm).map(|()| generation)
            }
        }
    }

    /// The set to use now, and its generation.
    pub(super) async fn current(self: &Arc<Self>) -> Result<(Arc<KeySet>, u64), Rejected> {
        let flight = {
            let mut state = self.lock();
            let now = self.clock.steady();
            match state.usable(now) {
                Some((set, age)) if age < RENEW_AFTER => return Ok(set),
                Some((set, age)) if age < WAIT_AFTER || state.failure.is_some() => {
                    self.renew(&mut state, now);
                    return Ok(set);
                }
                _ => self.renew(&mut state, now),
            }
        };
        if let Some(flight) = flight {
            flight.await;
        }
        let state = self.lock();
        state.usable(self.clock.steady()).map(|(set, _)| set).ok_or_else(|| {
            Rejected::Unavailable(state.failure.clone().unwrap_or_else(|| "no key set was read yet".into()))
        })
    }

    /// The set after a renewal that an unknown key id asks for, if one is under way or due.
    ///
    /// These have thirty seconds of their own: keys that changed just after a renewal that was due anyway are found at
    /// once. A provider that failed is left alone for its thirty seconds all the same.
    async fn renewed(self: &Arc<Self>) -> Option<(Arc<KeySet>, u64)> {
        let flight = {
            let mut state = self.lock();
            let now = self.clock.steady();
            if state.failure.is_none() && state.asked_at.is_none_or(|at| now.since(at) >= COOLDOWN) {
                state.asked_at = Some(now);
                state.attempted_at = None;
            }
            self.renew(&mut state, now)
        };
        flight?.await;
        self.lock().usable(self.clock.steady()).map(|(set, _)| set)
    }

    /// Joins the renewal under way, or starts one unless it is too early for it.
    fn renew(self: &Arc<Self>, state: &mut State, now: Steady) -> Option<Shared<BoxFuture<'static, ()>>> {
        if let Some(flight) = state.flight.as_ref().filter(|flight| !flight.task.is_finished()) {
            return Some(flight.landed.clone());
        }
        let cooldown = if state.set.is_some() { COOLDOWN } else { FIRST_COOLDOWN };
        if state.attempted_at.is_some_and(|attempt| now.since(attempt) < cooldown) {
            return None;
        }
        state.attempted_at = Some(now);
        let known = state.jwks.as_ref().filter(|(_, at)| now.since(*at) < DISCOVERY_LIFE).map(|(url, _)| url.clone());
        let (this, read_at) = (self.clone(), self.clock.now());
        let task = tokio::spawn(async move {
            let outcome = this.load(known).await;
            if this.settle(now, read_at, outcome) {
                // Beside the requests: none waits for the disk.
                tokio::spawn(async move { this.keep().await });
            }
        });
        let handle = task.abort_handle();
        let landed = async move { drop(task.await) }.boxed().shared();
        state.flight = Some(Flight { landed: landed.clone(), task: handle });
        Some(landed)
    }

    async fn load(&self, known: Option<Url>) -> Result<Read, String> {
        let from = match known {
            Some(url) => url,
            None => self.discover().await?,
        };
        let bytes = self.read(&from).await?;
        let set = KeySet::parse(&bytes).map_err(|why| format!("the key set at `{from}`: {why}"))?;
        Ok(Read { set, bytes, from })
    }

    /// Where the key set is (OIDC Discovery §4). Of the metadata only `issuer` and `jwks_uri` are looked at: which
    /// algorithms are accepted is the operator's choice.
    async fn discover(&self) -> Result<Url, String> {
        let bad = |why: &str| format!("the metadata at `{}`: {why}", self.metadata);
        let metadata = strict::object(&self.read(&self.metadata).await?).map_err(|why| bad(&why))?;
        if metadata.get("issuer").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(bad("its `issuer` is not the configured one"));
        }
        let url = metadata.get("jwks_uri").and_then(Value::as_str).and_then(|uri| Url::parse(uri).ok());
        let url = url.ok_or_else(|| bad("it has no `jwks_uri`"))?;
        if !reachable(&url, &self.issuer) {
            return Err(bad("its `jwks_uri` is not an `https` address"));
        }
        Ok(url)
    }

    async fn read(&self, url: &Url) -> Result<Vec<u8>, String> {
        let bytes = self.documents.get(url).await.map_err(|why| format!("`{url}` cannot be read: {why}"))?;
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(format!("`{url}` is larger than 256 KiB"));
        }
        Ok(bytes)
    }

    /// Whether there is a set to be written down.
    fn settle(&self, at: Steady, read_at: Timestamp, outcome: Result<Read, String>) -> bool {
        let mut state = self.lock();
        match outcome {
            Ok(Read { set, bytes, from }) => {
                state.failure = None;
                if self.keeper.is_some() {
                    let (issuer, metadata) = (self.issuer.clone(), self.metadata.to_string());
                    let jwks_uri = from.to_string();
                    state.unkept = Some(KeptSet { issuer, metadata, jwks_uri, read_at, document: bytes });
                }
                if state.jwks.as_ref().is_none_or(|(known, _)| *known != from) {
                    state.jwks = Some((from, at));
                }
                state.fetched_at = Some(at);
                if state.set.as_ref().is_none_or(|old| !old.is(&set)) {
                    tracing::info!(issuer = %self.issuer, keys = set.len(), "the issuer's keys changed");
                    state.generation += 1;
                    state.set = Some(Arc::new(set));
                }
                self.generation.store(state.generation, Ordering::Release);
                self.fresh_until.store(at.plus(RENEW_AFTER).millis(), Ordering::Release);
            }
            Err(why) => {
                tracing::warn!(issuer = %self.issuer, why, "the issuer's keys could not be read");
                state.failure = Some(why);
                state.jwks = None;
            }
        }
        state.unkept.is_some()
    }

    /// Writes the newest set down, unless somebody else has. Where that fails, the next renewal brings another try.
    async fn keep(&self) {
        let _one_at_a_time = self.keeping.lock().await;
        let Some(kept) = self.lock().unkept.take() else { return };
        if let Some(keeper) = &self.keeper
            && let Err(why) = keeper.keep(kept).await
        {
            tracing::warn!(issuer = %self.issuer, why, "the issuer's keys are not kept for the next start");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and each write leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, now: Steady) -> Option<((Arc<KeySet>, u64), Duration)> {
        let age = now.since(self.fetched_at?);
        let set = self.set.clone().filter(|_| age < STALE_AFTER)?;
        Some(((set, self.generation), age))
    }
}

/// Where an issuer's metadata is (OIDC Discovery §4.1), if that is a place to ask.
pub(super) fn metadata_url(issuer: &Issuer, discovery_url: Option<&Url>) -> Result<Url, String> {
    let url = match discovery_url {
        Some(url) => url.clone(),
        None => {
            let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
            Url::parse(&format!("{base}/.well-known/openid-configuration"))
                .ok()
                .filter(|url| url.query().is_none() && url.fragment().is_none())
                .ok_or_else(|| format!("`{issuer}` is no address; name a discovery URL"))?
        }
    };
    if reachable(&url, issuer) { Ok(url) } else { Err(format!("`{url}` is not an `https` address; use one")) }
}

/// `https`, or `http` from one loopback address to another, for development.
fn reachable(url: &Url, issuer: &Issuer) -> bool {
    let plain_loopback = |url: &Url| url.scheme() == "http" && is_loopback(url);
    let host_only = url.username().is_empty() && url.password().is_none();
    host_only
        && (url.scheme() == "https"
            || plain_loopback(url) && Url::parse(issuer.as_str()).is_ok_and(|issuer| plain_loopback(&issuer)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
