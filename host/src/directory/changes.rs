//! What changes the directory: each change alone, durable before it shows, and to its end.

use super::registry::Inner;
use super::text::{self, MOST_RETURN_URLS, return_urls, visible};
use super::{Authority, BoundProvider, Directory, Killed, Origin, State, Tags, Unavailable, Version, WorkloadIdentity};
use crate::clock::Timestamp;
use crate::ids::{AgentName, Digest, Malformed, ProviderName};
use std::sync::Arc;

/// More providers than any workload needs.
const MOST_BOUND: usize = 128;

/// A component that is deployed under a name.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The name.
    pub name: AgentName,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Who published it. 1 to 128 bytes of visible text.
    pub publisher: String,
    /// The operator account that deploys it.
    pub by: String,
    /// Where a browser may be sent after a consent; none keeps what the entry has.
    pub allowed_return_urls: Option<Vec<String>>,
    /// Where the bytes came from, where that is known. At most 512 bytes of visible text.
    pub source: Option<String>,
    /// What they could use a grant for.
    pub authority: Authority,
}

/// A workload identity that is made by hand.
#[derive(Clone, Debug)]
pub struct NewWorkload {
    /// The name.
    pub name: AgentName,
    /// Who publishes it. 1 to 128 bytes of visible text.
    pub publisher: String,
    /// The operator account that makes it.
    pub by: String,
    /// Where a browser may be sent after a consent.
    pub allowed_return_urls: Vec<String>,
    /// Words of the operator's.
    pub tags: Tags,
}

/// A workload identity that is being deleted. Whoever holds this revokes everything of its (grants, workload access
/// tokens, consent sessions) and then gives it to [`Directory::remove`].
///
/// In between, and after a crash until it is retired once more, nothing is done with the identity and its name is taken:
/// whoever makes one of this name later finds nothing that was granted to this one.
#[must_use = "the name is not free before it is removed"]
pub struct Retired {
    entry: Arc<WorkloadIdentity>,
}

impl Retired {
    /// The entry as it was.
    pub fn identity(&self) -> &WorkloadIdentity {
        &self.entry
    }
}

impl Directory {
    /// Makes the identity (origin `runtime`), or gives it a new version. A suspended agent stays suspended.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn deploy(&self, deployment: Deployment) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let Deployment { name, digest, publisher, by, allowed_return_urls, source, authority } = deployment;
        if source.as_ref().is_some_and(|source| source.len() > 512 || source.chars().any(|c| !c.is_ascii_graphic())) {
            return Err(ChangeError::NotVisible { what: "the source" });
        }
        let publisher = text::publisher(publisher)?;
        let by = visible("the operator account", by)?;
        let allowed_return_urls = allowed_return_urls.map(return_urls).transpose()?;
        self.change(move |inner, now| {
            let mut entry = match inner.entry(&name) {
                Some(entry) if entry.publisher != publisher => {
                    return Err(ChangeError::OtherPublisher { name, publisher: entry.publisher.clone() });
                }
                Some(entry) => living(&entry)?,
                None if inner.is_killed(digest) => return Err(ChangeError::Killed(digest)),
                None => inner.new_entry(&name, Origin::Runtime, publisher, by.clone(), now)?,
            };
            movable(inner, &entry, digest)?;
            entry.version = Some(Version { digest, deployed_by: by, deployed_at: now, source, authority });
            if let Some(urls) = allowed_return_urls {
                entry.allowed_return_urls = urls;
            }
            Ok(entry)
        })
        .await
    }

    /// Gives it back a version that ran under its name before: the one of this digest, or the one before the present.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn roll_back(
        &self,
        name: &AgentName,
        to: Option<Digest>,
        by: String,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let by = visible("the operator account", by)?;
        let versions = self.versions(name).await.map_err(ChangeError::Store)?;
        self.edit(name, move |inner, entry| {
            let now = entry.version.as_ref().map(|version| version.digest);
            let fits = |version: &&Version| match to {
                Some(digest) => version.digest == digest,
                None => Some(version.digest) != now && !inner.is_killed(version.digest),
            };
            let found = versions.iter().find(fits).cloned();
            let version = found.ok_or_else(|| ChangeError::NoVersion { name: entry.name.clone(), digest: to })?;
            movable(inner, entry, version.digest)?;
            entry.version = Some(Version { deployed_by: by, deployed_at: inner.clock.now(), ..version });
            Ok(())
        })
        .await
    }

    /// Lets no other version take the present one's place, or lets one again.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn pin(&self, name: &AgentName, pinned: bool) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.edit(name, move |_, entry| {
            if pinned && entry.version.is_none() {
                return Err(ChangeError::NoVersion { name: entry.name.clone(), digest: None });
            }
            entry.pinned = pinned;
            Ok(())
        })
        .await
    }

    /// Lets bytes run nowhere on this host, under whatever name. What runs of them is refused at its next call; whoever calls
    /// this stops it.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn kill(&self, digest: Digest, by: String, reason: String) -> Result<Killed, ChangeError> {
        let by = visible("the operator account", by)?;
        let reason = visible("the reason", reason)?;
        self.alone(async move |inner| {
            let killed = Killed { digest, by, at: inner.clock.now(), reason };
            inner.entries.kill(killed.clone()).await.map_err(ChangeError::Store)?;
            inner.show_killed(digest, Some(killed.clone()));
            Ok(killed)
        })
        .await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn revive(&self, digest: Digest) -> Result<(), ChangeError> {
        self.alone(async move |inner| {
            if !inner.is_killed(digest) {
                return Err(ChangeError::NotKilled(digest));
            }
            inner.entries.revive(digest).await.map_err(ChangeError::Store)?;
            inner.show_killed(digest, None);
            Ok(())
        })
        .await
    }

    /// Makes an identity by hand (origin `manual`), with nothing deployed.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn create(&self, new: NewWorkload) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let NewWorkload { name, publisher, by, allowed_return_urls, tags } = new;
        let publisher = text::publisher(publisher)?;
        let by = visible("the operator account", by)?;
        let allowed_return_urls = return_urls(allowed_return_urls)?;
        self.change(move |inner, now| {
            if let Some(entry) = inner.entry(&name) {
                living(&entry)?;
                return Err(ChangeError::AlreadyRegistered(name));
            }
            let entry = inner.new_entry(&name, Origin::Manual, publisher, by, now)?;
            Ok(WorkloadIdentity { allowed_return_urls, tags, ..entry })
        })
        .await
    }

    /// Replaces where a browser may be sent after a consent.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn update(
        &self,
        name: &AgentName,
        allowed_return_urls: Vec<String>,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let allowed_return_urls = return_urls(allowed_return_urls)?;
        self.edit(name, move |_, entry| {
            entry.allowed_return_urls = allowed_return_urls;
            Ok(())
        })
        .await
    }

    /// Suspends or resumes it. From its return on, [`Directory::resolve`] answers accordingly.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed. [`State::Retired`] is none of its states: see [`Directory::retire`].
    pub async fn set_state(&self, name: &AgentName, state: State) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.edit(name, move |_, entry| {
            if state == State::Retired {
                return Err(ChangeError::Retired(entry.name.clone()));
            }
            entry.state = state;
            Ok(())
        })
        .await
    }

    /// Adds these tags, or gives them new values.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn tag(&self, name: &AgentName, tags: Tags) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.edit(name, move |_, entry| {
            entry.tags = std::mem::take(&mut entry.tags).with(tags).map_err(ChangeError::Tags)?;
            Ok(())
        })
        .await
    }

    /// Takes the tags with these keys away.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn untag(&self, name: &AgentName, keys: Vec<String>) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.edit(name, move |_, entry| {
            entry.tags = std::mem::take(&mut entry.tags).without(&keys);
            Ok(())
        })
        .await
    }

    /// Binds a provider to it at run time, besides what the configuration says; one that was bound so before gets these
    /// scopes in place of its own. Whether there is such a provider is for the caller to know.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn bind(&self, name: &AgentName, provider: BoundProvider) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.edit(name, move |_, entry| {
            entry.bound.retain(|bound| bound.provider != provider.provider);
            if entry.bound.len() >= MOST_BOUND {
                return Err(ChangeError::TooManyProviders);
            }
            entry.bound.push(provider);
            entry.bound.sort_by(|a, b| a.provider.cmp(&b.provider));
            Ok(())
        })
        .await
    }

    /// Takes back what [`Directory::bind`] gave. Acts on the next call of what runs already.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed. What the configuration binds is not taken back at run time.
    pub async fn unbind(
        &self,
        name: &AgentName,
        provider: &ProviderName,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let provider = provider.clone();
        self.edit(name, move |inner, entry| {
            let before = entry.bound.len();
            entry.bound.retain(|bound| bound.provider != provider);
            match entry.bound.len() == before {
                false => Ok(()),
                true if inner.configuration_binds(entry, &provider) => {
                    Err(ChangeError::BoundByConfiguration { name: entry.name.clone(), provider })
                }
                true => Err(ChangeError::NotBound { name: entry.name.clone(), provider }),
            }
        })
        .await
    }

    /// Begins to delete an identity that was made by hand and has no component here. From its return on nothing is done
    /// with it. To retire what is retired already is no mistake: that is how a deletion goes on after a crash.
    ///
    /// # Errors
    /// [`ChangeError::HostManaged`] for an agent that runs here, which goes with [`Directory::retire`]; or another
    /// [`ChangeError`]. Then nothing changed.
    pub async fn retire_manual(&self, name: &AgentName) -> Result<Retired, ChangeError> {
        self.begin_to_delete(name, false).await
    }

    /// As [`Directory::retire_manual`], for agents that run here as well: an operator takes agent and identity away.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn retire(&self, name: &AgentName) -> Result<Retired, ChangeError> {
        self.begin_to_delete(name, true).await
    }

    async fn begin_to_delete(&self, name: &AgentName, host_managed: bool) -> Result<Retired, ChangeError> {
        let name = name.clone();
        let entry = self
            .change(move |inner, _| match inner.entry(&name) {
                Some(entry) if entry.host_managed() && !host_managed => Err(ChangeError::HostManaged(name)),
                Some(entry) => Ok(WorkloadIdentity { state: State::Retired, ..WorkloadIdentity::clone(&entry) }),
                None => Err(ChangeError::NotRegistered(name)),
            })
            .await?;
        Ok(Retired { entry })
    }

    /// Ends what [`Directory::retire`] began: the entry is gone and its name is free.
    ///
    /// # Errors
    /// [`ChangeError::Store`]; then it is still retired.
    pub async fn remove(&self, retired: Retired) -> Result<(), ChangeError> {
        let name = retired.entry.name.clone();
        self.alone(async move |inner| {
            // Two may have retired it; the second to come here may find another of the same name.
            if inner.entry(&name).is_some_and(|entry| entry.state == State::Retired) {
                inner.entries.remove(name.clone()).await.map_err(ChangeError::Store)?;
                inner.forget(&name);
            }
            Ok(())
        })
        .await
    }

    /// Changes an entry that is there and is not being deleted.
    async fn edit(
        &self,
        name: &AgentName,
        edit: impl FnOnce(&Inner, &mut WorkloadIdentity) -> Result<(), ChangeError> + Send + 'static,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let name = name.clone();
        self.change(move |inner, _| {
            let entry = inner.entry(&name).ok_or(ChangeError::NotRegistered(name))?;
            let mut entry = living(&entry)?;
            edit(inner, &mut entry)?;
            Ok(entry)
        })
        .await
    }

    /// Works the new entry out, makes it durable, shows it.
    async fn change(
        &self,
        work_out: impl FnOnce(&Inner, Timestamp) -> Result<WorkloadIdentity, ChangeError> + Send + 'static,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        self.alone(async move |inner| {
            let now = inner.clock.now();
            let entry = WorkloadIdentity { updated_at: now, ..work_out(&inner, now)? };
            inner.entries.put(entry.clone()).await.map_err(ChangeError::Store)?;
            let entry = Arc::new(entry);
            inner.show(entry.clone());
            Ok(entry)
        })
        .await
    }

    /// Alone, and to its end.
    async fn alone<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(Arc<Inner>) -> F + Send + 'static,
    ) -> Result<T, ChangeError>
    where
        F: Future<Output = Result<T, ChangeError>> + Send + 'static,
    {
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            let here = inner.clone();
            let _alone = here.changing.lock().await;
            work(inner).await
        });
        task.await.unwrap_or_else(|_| Err(ChangeError::Store(Unavailable("the host is stopping".into()))))
    }
}

/// Whether these bytes may take the place of what the entry runs.
fn movable(inner: &Inner, entry: &WorkloadIdentity, to: Digest) -> Result<(), ChangeError> {
    if inner.is_killed(to) {
        return Err(ChangeError::Killed(to));
    }
    match &entry.version {
        Some(version) if entry.pinned && version.digest != to => {
            Err(ChangeError::Pinned { name: entry.name.clone(), digest: version.digest })
        }
        _ => Ok(()),
    }
}

/// A copy to change, of an entry that is not being deleted.
fn living(entry: &WorkloadIdentity) -> Result<WorkloadIdentity, ChangeError> {
    match entry.state {
        State::Retired => Err(ChangeError::Retired(entry.name.clone())),
        State::Active | State::Suspended => Ok(entry.clone()),
    }
}

impl Inner {
    fn new_entry(
        &self,
        name: &AgentName,
        origin: Origin,
        publisher: String,
        by: String,
        now: Timestamp,
    ) -> Result<WorkloadIdentity, ChangeError> {
        if let Some(other) = self.alike(name) {
            return Err(ChangeError::Alike { name: name.clone(), other });
        }
        if let Some(other) = self.publisher_alike(&publisher) {
            return Err(ChangeError::PublisherAlike { publisher, other });
        }
        Ok(WorkloadIdentity {
            name: name.clone(),
            id: self.trust_domain.agent(name),
            origin,
            publisher,
            created_by: by,
            created_at: now,
            updated_at: now,
            allowed_return_urls: Vec::new(),
            tags: Tags::default(),
            bound: Vec::new(),
            state: State::Active,
            version: None,
            pinned: false,
        })
    }
}

/// Why the directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The name belongs to its first publisher.
    #[error("agent `{name}` belongs to publisher `{publisher}`; deploy under another name")]
    OtherPublisher {
        /// The name.
        name: AgentName,
        /// Whose it is.
        publisher: String,
    },
    /// The name is taken.
    #[error("agent `{0}` exists already; choose another name")]
    AlreadyRegistered(AgentName),
    /// Another name looks the same: but for its case, or but for letters that pass for others.
    #[error("`{name}` is too like agent `{other}`, for which people would take it; choose another name")]
    Alike {
        /// The name.
        name: AgentName,
        /// The one that is registered.
        other: AgentName,
    },
    /// Another publisher looks the same.
    #[error("publisher `{publisher}` is too like `{other}`, who is known here; write it just so, or name another")]
    PublisherAlike {
        /// The one that was named.
        publisher: String,
        /// The one that is known.
        other: String,
    },
    /// There is no such entry.
    #[error("agent `{0}` is not registered; run `attache agents` to see which are")]
    NotRegistered(AgentName),
    /// It is being deleted.
    #[error("agent `{0}` is being deleted; run `attache agents delete {0}` again if that does not end")]
    Retired(AgentName),
    /// It runs here, so its identity is not deleted alone.
    #[error(
        "agent `{0}` runs on this host and its identity goes with it; an operator runs `attache agents delete {0}`"
    )]
    HostManaged(AgentName),
    /// A browser is not sent there.
    #[error("`{url}` cannot be a return URL: {why}")]
    ReturnUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than 32.
    #[error("an agent has at most {MOST_RETURN_URLS} return URLs; remove some")]
    TooManyReturnUrls,
    /// Too many with those that it has.
    #[error(transparent)]
    Tags(Malformed),
    /// More than 128.
    #[error("at most {MOST_BOUND} providers are bound to one agent; unbind some")]
    TooManyProviders,
    /// Nobody bound it.
    #[error("provider `{provider}` is not bound to agent `{name}`; `attache agents show {name}` tells which are")]
    NotBound {
        /// The agent.
        name: AgentName,
        /// The provider.
        provider: ProviderName,
    },
    /// The configuration binds it.
    #[error(
        "provider `{provider}` is bound to agent `{name}` by the configuration; remove it there and restart the host"
    )]
    BoundByConfiguration {
        /// The agent.
        name: AgentName,
        /// The provider.
        provider: ProviderName,
    },
    /// Text for people with something in it that people cannot see.
    #[error("{what} must be 1 to 128 bytes of visible text, without control, invisible or direction characters")]
    NotVisible {
        /// Which text.
        what: &'static str,
    },
    /// Letters of several alphabets that pass for one another's.
    #[error(
        "the publisher must not mix alphabets whose letters look alike, such as Latin and Cyrillic; use one of them"
    )]
    MixedAlphabets,
    /// An operator holds it to what it runs.
    #[error("agent `{name}` is pinned to {digest}; run `attache agents unpin {name}` first")]
    Pinned {
        /// The agent.
        name: AgentName,
        /// What it runs.
        digest: Digest,
    },
    /// These bytes may run nowhere.
    #[error("{0} may not run on this host; `attache agents killed` tells why")]
    Killed(Digest),
    /// They may.
    #[error("{0} may run on this host; `attache agents killed` lists what may not")]
    NotKilled(Digest),
    /// It never ran under this name.
    #[error("agent `{name}` has no such version to run; `attache agents versions {name}` lists those that it had")]
    NoVersion {
        /// The agent.
        name: AgentName,
        /// The version that was wanted; none for the one before.
        digest: Option<Digest>,
    },
    /// The store could not be written.
    #[error("the change could not be stored; try again")]
    Store(#[source] Unavailable),
}
