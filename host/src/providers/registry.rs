//! The registry: every provider in memory, by name.

use super::api_key::ApiKeyProvider;
use super::facts::{Facts, Status};
use super::manage::{Managed, Stored};
use super::rows::{Kind, ProviderRow, RowsUnavailable};
use super::source::{SecretFile, SecretUnavailable};
use crate::clock::{Clock, Timestamp};
use crate::directory::Tags;
use crate::egress::Destinations;
use crate::ids::ProviderName;
use crate::oauth::Provider;
use crate::secret::SharedSecret;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use url::Url;

/// A credential provider of either kind. Names are unique over both.
#[derive(Clone)]
pub enum CredentialProvider {
    /// OAuth 2 access tokens.
    Oauth2(Arc<Provider>),
    /// One key, the same for every user.
    ApiKey(Arc<ApiKeyProvider>),
}

impl CredentialProvider {
    /// The operator's name for it.
    pub fn name(&self) -> &ProviderName {
        match self {
            Self::Oauth2(provider) => &provider.name,
            Self::ApiKey(provider) => &provider.name,
        }
    }

    /// Whether it is this very one, as it was configured then: with another configuration it is another.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Oauth2(one), Self::Oauth2(other)) => Arc::ptr_eq(one, other),
            (Self::ApiKey(one), Self::ApiKey(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What it gives.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Oauth2(_) => Kind::Oauth2,
            Self::ApiKey(_) => Kind::ApiKey,
        }
    }

    /// For people.
    pub fn display_name(&self) -> &str {
        match self {
            Self::Oauth2(provider) => &provider.display_name,
            Self::ApiKey(provider) => &provider.display_name,
        }
    }

    /// Where its credentials may go.
    pub fn destinations(&self) -> &Destinations {
        match self {
            Self::Oauth2(provider) => &provider.destinations,
            Self::ApiKey(provider) => &provider.destinations,
        }
    }
}

/// What became of a provider while the host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is a new one.
    Created(ProviderName),
    /// It is another now.
    Updated {
        /// Which.
        name: ProviderName,
        /// Its tokens come from elsewhere, or belong to another client: those from before must not be sent to it.
        elsewhere: bool,
    },
    /// It is gone. One that is made later under this name is another.
    Deleted(ProviderName),
}

/// Why a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is none of this name.
    #[error("there is no credential provider `{0}`")]
    Unknown(ProviderName),
    /// It is there, and something is wrong with it.
    #[error("the credential provider `{0}` cannot be used: {1}")]
    Broken(ProviderName, String),
}

type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// Every credential provider of this host. One per process; looking one up is a read lock.
pub struct Providers {
    known: RwLock<BTreeMap<ProviderName, Arc<Entry>>>,
    pub(super) managed: Option<Managed>,
    pub(super) clock: Clock,
    pub(super) public_url: Option<Url>,
    /// Held while a change is written and takes effect.
    pub(super) changing: tokio::sync::Mutex<()>,
    started_at: Timestamp,
    editions: AtomicU64,
    listeners: RwLock<Vec<Listener>>,
}

/// One provider, and how it came to be.
pub(super) struct Entry {
    name: ProviderName,
    edition: u64,
    pub(super) origin: Origin,
    state: State,
}

pub(super) enum Origin {
    Configured,
    Managed {
        row: ProviderRow,
        stored: Box<Stored>,
    },
    /// Its row cannot be read or opened.
    Damaged(ProviderRow),
}

pub(super) enum State {
    Fixed(CredentialProvider),
    /// Built anew when its secret is rotated.
    External {
        file: Arc<SecretFile>,
        built: Mutex<Option<(SharedSecret, CredentialProvider)>>,
    },
    Broken(String),
}

impl Providers {
    /// Those of the configuration alone; none can be made.
    pub fn configured(providers: impl IntoIterator<Item = CredentialProvider>) -> Arc<Self> {
        Arc::new(Self::new(providers, None, None, Clock::system()))
    }

    /// Those of the configuration and those that were made since. One that was made under a name that the configuration
    /// has by now is not used, and told of in the log.
    ///
    /// # Errors
    /// [`RowsUnavailable`]. A row that does not open is no error: its provider is listed as failed.
    pub async fn load(
        configured: impl IntoIterator<Item = CredentialProvider>,
        managed: Managed,
        public_url: Url,
        clock: Clock,
    ) -> Result<Arc<Self>, RowsUnavailable> {
        let rows = managed.rows.all().await?;
        let providers = Self::new(configured, Some(managed), Some(public_url), clock);
        for row in rows {
            let name = row.name.clone();
            if providers.entry(&name).is_some() {
                tracing::warn!(provider = %name, "the configuration has this name, so the one that was made by it is not used");
                continue;
            }
            let (origin, state) = providers.revive(row);
            if let State::Broken(why) = &state {
                tracing::error!(provider = %name, why, "a credential provider cannot be used");
            }
            providers.insert(name, origin, state);
        }
        Ok(Arc::new(providers))
    }

    fn new(
        configured: impl IntoIterator<Item = CredentialProvider>,
        managed: Option<Managed>,
        public_url: Option<Url>,
        clock: Clock,
    ) -> Self {
        let providers = Self {
            known: RwLock::default(),
            managed,
            started_at: clock.now(),
            clock,
            public_url,
            changing: tokio::sync::Mutex::new(()),
            editions: AtomicU64::new(1),
            listeners: RwLock::default(),
        };
        for provider in configured {
            providers.insert(provider.name().clone(), Origin::Configured, State::Fixed(provider));
        }
        providers
    }

    /// The provider of this name, as it is now. Where its secret is in a file this may look at the disk.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn usable(&self, name: &ProviderName) -> Result<CredentialProvider, Unusable> {
        let entry = self.entry(name).ok_or_else(|| Unusable::Unknown(name.clone()))?;
        self.current(&entry).map_err(|why| Unusable::Broken(name.clone(), why))
    }

    /// The provider of this name, if there is one that can be used.
    pub fn find(&self, name: &ProviderName) -> Option<CredentialProvider> {
        self.usable(name).ok()
    }

    /// The provider of this name, if it is one of OAuth 2.
    pub fn oauth2(&self, name: &ProviderName) -> Option<Arc<Provider>> {
        match self.find(name)? {
            CredentialProvider::Oauth2(provider) => Some(provider),
            CredentialProvider::ApiKey(_) => None,
        }
    }

    /// All that can be used, in the order of their names.
    pub fn list(&self) -> Vec<CredentialProvider> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.values().filter_map(|entry| self.current(entry).ok()).collect()
    }

    /// Those of OAuth 2 that are the same client as this one by its id, and were there before it: of the configuration, or
    /// made earlier.
    pub fn elders(&self, provider: &Provider) -> Vec<Arc<Provider>> {
        let Some(own) = self.entry(&provider.name).map(|entry| entry.since()) else { return Vec::new() };
        let elders = self.entries().into_iter().filter(|entry| entry.since() < own);
        elders
            .filter_map(|entry| match self.current(&entry) {
                Ok(CredentialProvider::Oauth2(elder)) => Some(elder),
                _ => None,
            })
            .filter(|elder| elder.client_id == provider.client_id)
            .collect()
    }

    /// A number that changes when the provider of this name does, and never comes again: what was minted under another is
    /// of another provider. None when there is none.
    pub fn edition(&self, name: &ProviderName) -> Option<u64> {
        self.entry(name).map(|entry| entry.edition)
    }

    /// Calls this after every change, once the change is durable and in effect, before its caller is answered. It must
    /// not block.
    pub fn on_change(&self, listener: impl Fn(&Change) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    pub(super) fn tell(&self, change: &Change) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(change);
        }
    }

    pub(super) fn entry(&self, name: &ProviderName) -> Option<Arc<Entry>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Entries of one kind behind a name, and whether there are more.
    pub(super) fn entries_after(&self, kind: Kind, after: Option<&str>, most: usize) -> (Vec<Facts>, bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = known
            .iter()
            .filter(|(name, entry)| entry.kind() == kind && after.is_none_or(|after| name.as_str() > after))
            .map(|(name, entry)| self.facts(name, entry));
        let items: Vec<_> = found.by_ref().take(most).collect();
        let more = found.next().is_some();
        (items, more)
    }

    pub(super) fn count_managed(&self, kind: Kind) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|entry| entry.kind() == kind && !matches!(entry.origin, Origin::Configured)).count()
    }

    pub(super) fn insert(&self, name: ProviderName, origin: Origin, state: State) {
        let edition = self.editions.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry { name: name.clone(), edition, origin, state });
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
    }

    /// The same provider in another row, of other tags or sealed anew: its edition stays.
    pub(super) fn retag(&self, entry: &Entry, origin: Origin) {
        let state = match &entry.state {
            State::Fixed(provider) => State::Fixed(provider.clone()),
            State::External { file, .. } => State::External { file: Arc::clone(file), built: Mutex::default() },
            State::Broken(why) => State::Broken(why.clone()),
        };
        let name = entry.name.clone();
        let entry = Arc::new(Entry { name: name.clone(), edition: entry.edition, origin, state });
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
    }

    pub(super) fn remove(&self, name: &ProviderName) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn current(&self, entry: &Entry) -> Result<CredentialProvider, String> {
        let (file, built) = match &entry.state {
            State::Fixed(provider) => return Ok(provider.clone()),
            State::Broken(why) => return Err(why.clone()),
            State::External { file, built } => (file, built),
        };
        let secret = file.secret(self.clock.now()).map_err(|SecretUnavailable(why)| why)?;
        let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((with, provider)) = built.as_ref()
            && Arc::ptr_eq(with, &secret)
        {
            return Ok(provider.clone());
        }
        let provider = match (&entry.origin, &self.managed) {
            (Origin::Managed { row, stored, .. }, Some(managed)) => {
                managed.build(&row.name, stored, Some(Arc::clone(&secret))).map_err(|error| error.to_string())?
            }
            _ => return Err("it is not understood".into()),
        };
        *built = Some((secret, provider.clone()));
        Ok(provider)
    }

    pub(super) fn facts(&self, name: &ProviderName, entry: &Entry) -> Facts {
        let current = self.current(entry);
        let status = match &current {
            Ok(CredentialProvider::ApiKey(provider)) => match provider.key(self.clock.now()) {
                Ok(_) => Status::Ready,
                Err(SecretUnavailable(why)) => Status::Failed(why),
            },
            Ok(CredentialProvider::Oauth2(_)) => Status::Ready,
            Err(why) => Status::Failed(why.clone()),
        };
        let mut facts = match &current {
            Ok(provider) => Facts::of(provider, self.started_at),
            Err(_) => Facts {
                name: name.clone(),
                kind: entry.kind(),
                managed: false,
                vendor: None,
                client_id: None,
                endpoints: None,
                destinations: Destinations::default(),
                callback_url: None,
                secret: None,
                created_at: self.started_at,
                updated_at: self.started_at,
                tags: Tags::default(),
                status: Status::Ready,
                oauth2: None,
                api_key: None,
            },
        };
        facts.status = status;
        if let (Kind::Oauth2, Some(public_url)) = (facts.kind, &self.public_url) {
            facts.callback_url = public_url.join(&format!("/oauth2/callback/{name}")).ok();
        }
        let row = match &entry.origin {
            Origin::Configured => return facts,
            Origin::Damaged(row) => row,
            Origin::Managed { row, stored } => {
                facts.secret = Some(stored.kept().clone());
                match &**stored {
                    Stored::Oauth2 { settings, .. } => {
                        facts.vendor = Some(settings.vendor.clone());
                        facts.client_id = Some(settings.client_id.clone());
                        facts.oauth2 = Some(settings.clone());
                    }
                    Stored::ApiKey { settings, .. } => facts.api_key = Some(settings.clone()),
                }
                row
            }
        };
        facts.managed = true;
        facts.tags = row.tags.clone();
        (facts.created_at, facts.updated_at) = (row.created_at, row.updated_at);
        facts
    }

    /// A row, opened. What is wrong with it stays with it.
    fn revive(&self, row: ProviderRow) -> (Origin, State) {
        let Some(managed) = &self.managed else {
            return (Origin::Damaged(row), State::Broken("it cannot be read".into()));
        };
        match managed.open(&row) {
            Ok((stored, secret)) => {
                let state = managed.state(&row.name, &stored, secret);
                (Origin::Managed { row, stored: Box::new(stored) }, state)
            }
            Err(why) => (Origin::Damaged(row), State::Broken(why)),
        }
    }
}

impl Entry {
    /// When it was made; none for one of the configuration, which comes before all of these.
    fn since(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Configured => None,
            Origin::Managed { row, .. } | Origin::Damaged(row) => Some(row.created_at),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match (&self.origin, &self.state) {
            (Origin::Managed { row, .. } | Origin::Damaged(row), _) => row.kind,
            (Origin::Configured, State::Fixed(provider)) => provider.kind(),
            (Origin::Configured, _) => Kind::Oauth2,
        }
    }
}
