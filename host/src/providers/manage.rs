//! Making, changing and removing providers while the host runs. Whether somebody may is not asked here, and nothing is
//! written to the trail: that is `operations`.

use super::build::Builder;
use super::facts::{Facts, Page};
use super::registry::{Change, CredentialProvider, Entry, Origin, Providers, State};
use super::rows::{Kind, ProviderRow, ProviderRows, RowsUnavailable};
use super::settings::{ApiKeySettings, Oauth2Settings, SecretKept};
use super::source::SecretSource;
use crate::directory::Tags;
use crate::ids::{Account, ProviderName};
use crate::oauth::Provider;
use crate::seal::Sealer;
use crate::secret::{Secret, SharedSecret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex};

/// What providers need that are made while the host runs.
pub struct Managed {
    /// Where they rest.
    pub rows: Arc<dyn ProviderRows>,
    /// Seals their secrets.
    pub sealer: Arc<Sealer>,
    /// Part of what a secret is sealed to.
    pub account: Account,
    /// Makes them from what is said of them.
    pub builder: Builder,
}

/// An OAuth 2 provider, as somebody describes it.
pub struct Oauth2Input {
    /// All but the secret.
    pub settings: Oauth2Settings,
    /// The client secret.
    pub secret: SecretInput,
}

/// A provider of an API key, as somebody describes it.
pub struct ApiKeyInput {
    /// All but the key.
    pub settings: ApiKeySettings,
    /// The key.
    pub key: SecretInput,
}

/// A secret, or who keeps it.
pub enum SecretInput {
    /// This host is to keep it.
    Managed(Secret),
    /// The operator keeps it in the secrets folder.
    External {
        /// The file.
        secret_id: String,
        /// The member, when it holds a JSON object.
        json_key: Option<String>,
    },
    /// There is none.
    None,
    /// The one from before; for changes only.
    Unchanged,
}

/// Why a provider was not made, changed or removed. Nothing was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManageError {
    /// What was said of it.
    #[error("`{field}`: {reason}")]
    Input {
        /// About what, by the name that this room has for it.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// There is one of this name, of either kind.
    #[error("there is a credential provider `{0}` already; choose another name")]
    Taken(ProviderName),
    /// It is not to be changed here.
    #[error("the credential provider `{0}` is in the host's configuration; change it there")]
    Configured(ProviderName),
    /// There is none of this name and kind.
    #[error("there is no credential provider `{0}`")]
    Unknown(String),
    /// There are enough.
    #[error("there are {MOST} providers of this kind; remove one first")]
    TooMany,
    /// The store, or the cipher.
    #[error("{0}")]
    Unavailable(String),
}

impl ManageError {
    pub(super) fn input(field: &'static str, reason: impl Display) -> Self {
        Self::Input { field, reason: reason.to_string() }
    }
}

impl From<RowsUnavailable> for ManageError {
    fn from(error: RowsUnavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Of each kind. AgentCore allows fifty; all of ours are in memory.
const MOST: usize = 1_000;
/// Longest pages, as in AgentCore's API.
const OAUTH2_PAGE: usize = 20;
const API_KEY_PAGE: usize = 100;

/// What a row says in the clear, as JSON.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "one per provider, in a box where it stays")]
pub(super) enum Stored {
    Oauth2 {
        settings: Oauth2Settings,
        secret: SecretKept,
        /// What its discovery URL led to when it was made.
        issuer: Option<String>,
    },
    ApiKey {
        settings: ApiKeySettings,
        secret: SecretKept,
    },
}

impl Stored {
    fn kind(&self) -> Kind {
        match self {
            Self::Oauth2 { .. } => Kind::Oauth2,
            Self::ApiKey { .. } => Kind::ApiKey,
        }
    }

    pub(super) fn kept(&self) -> &SecretKept {
        match self {
            Self::Oauth2 { secret, .. } | Self::ApiKey { secret, .. } => secret,
        }
    }
}

/// Described, built and tried; not written yet.
struct Draft {
    stored: Stored,
    secret: Option<SharedSecret>,
    provider: CredentialProvider,
}

impl Managed {
    /// The provider that this says. For an API key whose file the operator keeps, `secret` is not looked at.
    pub(super) fn build(
        &self,
        name: &ProviderName,
        stored: &Stored,
        secret: Option<SharedSecret>,
    ) -> Result<CredentialProvider, ManageError> {
        match stored {
            Stored::Oauth2 { settings, issuer, .. } => {
                let provider = self.builder.oauth2(name, settings, issuer.as_deref(), secret)?;
                Ok(CredentialProvider::Oauth2(Arc::new(provider)))
            }
            Stored::ApiKey { settings, secret: kept } => {
                let key = match kept {
                    SecretKept::External { secret_id, json_key } => {
                        let folder = self.builder.folder("key")?;
                        let file = folder.file(secret_id, json_key.as_deref());
                        SecretSource::File(file.map_err(|why| ManageError::input("key", why))?)
                    }
                    SecretKept::Managed | SecretKept::None => {
                        SecretSource::Fixed(secret.ok_or_else(|| ManageError::input("key", "it is missing; add it"))?)
                    }
                };
                Ok(CredentialProvider::ApiKey(Arc::new(self.builder.api_key(name, settings, key)?)))
            }
        }
    }

    /// How a provider stands in the registry. One of OAuth 2 whose secret is in a file is built when it is used.
    pub(super) fn state(&self, name: &ProviderName, stored: &Stored, secret: Option<SharedSecret>) -> State {
        let built = match stored {
            Stored::Oauth2 { secret: SecretKept::External { secret_id, json_key }, .. } => self
                .builder
                .folder("client_secret")
                .and_then(|folder| {
                    let file = folder.file(secret_id, json_key.as_deref());
                    file.map_err(|why| ManageError::input("client_secret", why))
                })
                .map(|file| State::External { file, built: Mutex::default() }),
            _ => self.build(name, stored, secret).map(State::Fixed),
        };
        built.unwrap_or_else(|error| State::Broken(error.to_string()))
    }

    /// Opens a row: all that it says in the clear is part of what its secret is sealed to.
    pub(super) fn open(&self, row: &ProviderRow) -> Result<(Stored, Option<SharedSecret>), String> {
        let secret = self.with_parts(row, |parts| self.sealer.open(parts, &row.sealed)).map_err(|e| e.to_string())?;
        let stored: Stored = serde_json::from_str(&row.settings).map_err(|_| {
            "its settings are not in a form that this version reads; remove it and make it anew".to_owned()
        })?;
        let secret = matches!(stored.kept(), SecretKept::Managed).then(|| Arc::new(secret));
        Ok((stored, secret))
    }

    fn seal(&self, row: &mut ProviderRow, secret: Option<&Secret>) -> Result<(), ManageError> {
        let none = Secret::new(Vec::new());
        let sealed = self.with_parts(row, |parts| self.sealer.seal(parts, secret.unwrap_or(&none)));
        row.sealed = sealed.map_err(|error| ManageError::Unavailable(error.to_string()))?;
        Ok(())
    }

    fn with_parts<T>(&self, row: &ProviderRow, with: impl FnOnce(&[&[u8]]) -> T) -> T {
        with(&[
            b"credential-provider",
            self.account.as_str().as_bytes(),
            row.name.as_str().as_bytes(),
            row.kind.code().as_bytes(),
            &row.generation.to_be_bytes(),
            &row.created_at.millis().to_be_bytes(),
            &row.updated_at.millis().to_be_bytes(),
            row.settings.as_bytes(),
        ])
    }
}

impl Providers {
    /// Makes a provider of OAuth 2. Where it is described by a document of its own, that is asked for.
    ///
    /// # Errors
    /// [`ManageError`]: half a description is refused here, not at first use.
    pub async fn create_oauth2(
        self: &Arc<Self>,
        name: &str,
        input: Oauth2Input,
        tags: Tags,
    ) -> Result<Facts, ManageError> {
        let name = self.free(name, Kind::Oauth2)?;
        let draft = self.draft_oauth2(&name, input, None).await?;
        self.create(name, draft, tags).await
    }

    /// Makes a provider of an API key.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn create_api_key(
        self: &Arc<Self>,
        name: &str,
        input: ApiKeyInput,
        tags: Tags,
    ) -> Result<Facts, ManageError> {
        let name = self.free(name, Kind::ApiKey)?;
        let draft = self.draft_api_key(&name, input, None)?;
        self.create(name, draft, tags).await
    }

    /// Replaces all that was said of a provider of OAuth 2.
    ///
    /// # Errors
    /// [`ManageError`]; the provider then is what it was.
    pub async fn update_oauth2(self: &Arc<Self>, name: &str, input: Oauth2Input) -> Result<Facts, ManageError> {
        let (name, entry) = self.ours(name, Kind::Oauth2)?;
        let draft = self.draft_oauth2(&name, input, Some(&entry)).await?;
        self.replace(name, draft).await
    }

    /// Replaces all that was said of a provider of an API key.
    ///
    /// # Errors
    /// [`ManageError`]; the provider then is what it was.
    pub async fn update_api_key(self: &Arc<Self>, name: &str, input: ApiKeyInput) -> Result<Facts, ManageError> {
        let (name, entry) = self.ours(name, Kind::ApiKey)?;
        let draft = self.draft_api_key(&name, input, Some(&entry))?;
        self.replace(name, draft).await
    }

    /// Removes a provider, and its secret with it.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn delete(self: &Arc<Self>, kind: Kind, name: &str) -> Result<(), ManageError> {
        let (name, _) = self.ours(name, kind)?;
        let this = Arc::clone(self);
        to_the_end(async move {
            let _changing = this.changing.lock().await;
            if !this.managed()?.rows.delete(name.clone(), kind).await? {
                return Err(ManageError::Unknown(name.to_string()));
            }
            this.remove(&name);
            this.tell(&Change::Deleted(name));
            Ok(())
        })
        .await
    }

    /// Whether there is such a provider to delete.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], and [`ManageError::Configured`] for one of the configuration.
    pub fn deletable(&self, kind: Kind, name: &str) -> Result<(), ManageError> {
        self.ours(name, kind).map(drop)
    }

    /// What may be told of a provider.
    ///
    /// # Errors
    /// [`ManageError::Unknown`], also for the name of another kind.
    pub fn facts_of(&self, kind: Kind, name: &str) -> Result<Facts, ManageError> {
        let (name, entry) = self.of_kind(name, kind)?;
        Ok(self.facts(&name, &entry))
    }

    /// What may be told of all of one kind, in pages of at most 20 (OAuth 2) or 100 (API keys).
    ///
    /// # Errors
    /// [`ManageError::Input`] for a page that is too long, or a `next` that was never given.
    pub fn page(&self, kind: Kind, next: Option<&str>, most: Option<usize>) -> Result<Page, ManageError> {
        let longest = match kind {
            Kind::Oauth2 => OAUTH2_PAGE,
            Kind::ApiKey => API_KEY_PAGE,
        };
        let most = most.unwrap_or(longest);
        if !(1..=longest).contains(&most) {
            return Err(ManageError::input("max_results", format!("it must be 1 to {longest}")));
        }
        let after = next.map(|token| read_token(kind, token)).transpose()?;
        let (items, more) = self.entries_after(kind, after.as_ref().map(ProviderName::as_str), most);
        let next = items.last().filter(|_| more).map(|last| token(kind, &last.name));
        Ok(Page { items, next })
    }

    /// Adds tags to a provider.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn tag(self: &Arc<Self>, kind: Kind, name: &str, tags: Tags) -> Result<(), ManageError> {
        self.change_tags(kind, name, |before| before.with(tags).map_err(|error| ManageError::input("tags", error)))
            .await
    }

    /// Removes tags from a provider.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn untag(self: &Arc<Self>, kind: Kind, name: &str, keys: Vec<String>) -> Result<(), ManageError> {
        self.change_tags(kind, name, move |before| Ok(before.without(&keys))).await
    }

    /// Seals every secret anew that is sealed under another key than the active one, and says how many. What fails is tried
    /// again at the next call; what does not open stays as it is.
    ///
    /// # Errors
    /// [`ManageError::Unavailable`].
    pub async fn reseal(self: &Arc<Self>) -> Result<usize, ManageError> {
        let this = Arc::clone(self);
        to_the_end(async move {
            let _changing = this.changing.lock().await;
            let managed = this.managed()?;
            let mut count = 0;
            for entry in this.entries() {
                let Origin::Managed { row, stored } = &entry.origin else { continue };
                if !managed.sealer.is_stale(&row.sealed) {
                    continue;
                }
                let (_, secret) = managed.open(row).map_err(ManageError::Unavailable)?;
                let mut row = row.clone();
                managed.seal(&mut row, secret.as_deref())?;
                if managed.rows.replace(row.generation, row.clone()).await? {
                    this.retag(&entry, Origin::Managed { row, stored: stored.clone() });
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }

    async fn change_tags(
        self: &Arc<Self>,
        kind: Kind,
        name: &str,
        change: impl FnOnce(Tags) -> Result<Tags, ManageError> + Send + 'static,
    ) -> Result<(), ManageError> {
        let (name, _) = self.ours(name, kind)?;
        let this = Arc::clone(self);
        to_the_end(async move {
            let _changing = this.changing.lock().await;
            let (name, entry) = this.ours(name.as_str(), kind)?;
            let Origin::Managed { row, stored } = &entry.origin else {
                return Err(ManageError::Unavailable(format!(
                    "the row of `{name}` does not open; remove the provider"
                )));
            };
            let row = ProviderRow { tags: change(row.tags.clone())?, ..row.clone() };
            if !this.managed()?.rows.replace(row.generation, row.clone()).await? {
                return Err(ManageError::Unknown(name.to_string()));
            }
            this.retag(&entry, Origin::Managed { row, stored: stored.clone() });
            Ok(())
        })
        .await
    }

    fn managed(&self) -> Result<&Managed, ManageError> {
        self.managed.as_ref().ok_or_else(|| ManageError::Unavailable("this host makes no credential providers".into()))
    }

    fn free(&self, name: &str, kind: Kind) -> Result<ProviderName, ManageError> {
        let name = ProviderName::parse(name).map_err(|error| ManageError::input("name", error))?;
        if self.entry(&name).is_some() {
            return Err(ManageError::Taken(name));
        }
        if self.count_managed(kind) >= MOST {
            return Err(ManageError::TooMany);
        }
        Ok(name)
    }

    fn of_kind(&self, name: &str, kind: Kind) -> Result<(ProviderName, Arc<Entry>), ManageError> {
        let name = ProviderName::parse(name).map_err(|error| ManageError::input("name", error))?;
        match self.entry(&name) {
            Some(entry) if entry.kind() == kind => Ok((name, entry)),
            _ => Err(ManageError::Unknown(name.to_string())),
        }
    }

    fn ours(&self, name: &str, kind: Kind) -> Result<(ProviderName, Arc<Entry>), ManageError> {
        match self.of_kind(name, kind)? {
            (name, entry) if matches!(entry.origin, Origin::Configured) => Err(ManageError::Configured(name)),
            found => Ok(found),
        }
    }

    async fn draft_oauth2(
        &self,
        name: &ProviderName,
        input: Oauth2Input,
        before: Option<&Entry>,
    ) -> Result<Draft, ManageError> {
        let managed = self.managed()?;
        let Oauth2Input { settings, secret } = input;
        let reused = matches!(secret, SecretInput::Unchanged);
        let (kept, secret) = self.keep("client_secret", secret, before, 2_048)?;
        // All that can be seen without asking is refused before anybody is asked.
        let asks = matches!(settings.discovery, Some(super::settings::Discovery::Url(_)));
        if !asks {
            managed.builder.oauth2(name, &settings, None, secret.clone())?;
        }
        let issuer = managed.builder.issuer_of(&settings).await?;
        let provider = managed.builder.oauth2(name, &settings, issuer.as_deref(), secret.clone())?;
        let provider = CredentialProvider::Oauth2(Arc::new(provider));
        // Whoever changes a provider need not know its secret, and must not learn it by having it sent to another place.
        if reused && secret.is_some() && !before.is_some_and(|before| self.same_place(before, &provider)) {
            let why = "it stays only while the client and its endpoints stay as they are; send it anew for others";
            return Err(ManageError::input("client_secret", why));
        }
        if let CredentialProvider::Oauth2(provider) = &provider {
            managed.builder.try_out(&settings, provider).await?;
        }
        let stored = Stored::Oauth2 { settings, secret: kept, issuer };
        Ok(Draft { stored, secret, provider })
    }

    fn draft_api_key(
        &self,
        name: &ProviderName,
        input: ApiKeyInput,
        before: Option<&Entry>,
    ) -> Result<Draft, ManageError> {
        let ApiKeyInput { settings, key } = input;
        let reused = matches!(key, SecretInput::Unchanged);
        let (kept, secret) = self.keep("key", key, before, 65_536)?;
        let stored = Stored::ApiKey { settings, secret: kept };
        let provider = self.managed()?.build(name, &stored, secret.clone())?;
        if let CredentialProvider::ApiKey(provider) = &provider {
            provider.key(self.clock.now()).map_err(|error| ManageError::input("key", error))?;
        }
        if reused && !before.is_some_and(|before| self.same_hosts(before, &provider)) {
            return Err(ManageError::input(
                "key",
                "it stays only while its hosts stay as they are; send it anew for others",
            ));
        }
        Ok(Draft { stored, secret, provider })
    }

    /// Who keeps a secret, and the secret.
    fn keep(
        &self,
        field: &'static str,
        input: SecretInput,
        before: Option<&Entry>,
        longest: usize,
    ) -> Result<(SecretKept, Option<SharedSecret>), ManageError> {
        match input {
            SecretInput::None => Ok((SecretKept::None, None)),
            SecretInput::Managed(secret) => {
                let text = secret.expose_text().is_some_and(|text| !text.chars().any(char::is_control));
                if secret.is_empty() || secret.len() > longest || !text {
                    return Err(ManageError::input(
                        field,
                        format!("it must be one line of 1 to {longest} bytes of text"),
                    ));
                }
                Ok((SecretKept::Managed, Some(Arc::new(secret))))
            }
            SecretInput::External { secret_id, json_key } => {
                let folder = self.managed()?.builder.folder(field)?;
                let file =
                    folder.file(&secret_id, json_key.as_deref()).map_err(|why| ManageError::input(field, why))?;
                let secret = file.secret(self.clock.now()).map_err(|error| ManageError::input(field, error))?;
                Ok((SecretKept::External { secret_id, json_key }, Some(secret)))
            }
            SecretInput::Unchanged => match before.map(|entry| &entry.origin) {
                Some(Origin::Managed { row, .. }) => {
                    let (stored, secret) = self.managed()?.open(row).map_err(ManageError::Unavailable)?;
                    match stored.kept().clone() {
                        SecretKept::External { secret_id, json_key } => {
                            self.keep(field, SecretInput::External { secret_id, json_key }, None, longest)
                        }
                        kept => Ok((kept, secret)),
                    }
                }
                _ => Err(ManageError::input(field, "it is missing; add it")),
            },
        }
    }

    async fn create(self: &Arc<Self>, name: ProviderName, draft: Draft, tags: Tags) -> Result<Facts, ManageError> {
        let this = Arc::clone(self);
        to_the_end(async move {
            let _changing = this.changing.lock().await;
            // Somebody else may have been faster since.
            let name = this.free(name.as_str(), draft.stored.kind())?;
            let now = this.clock.now();
            let row = this.row(&name, &draft, tags, 1, (now, now))?;
            if !this.managed()?.rows.create(row.clone()).await? {
                return Err(ManageError::Taken(name));
            }
            this.take_effect(row, draft, Change::Created(name))
        })
        .await
    }

    async fn replace(self: &Arc<Self>, name: ProviderName, draft: Draft) -> Result<Facts, ManageError> {
        let this = Arc::clone(self);
        to_the_end(async move {
            let _changing = this.changing.lock().await;
            let (name, entry) = this.ours(name.as_str(), draft.stored.kind())?;
            let before = match &entry.origin {
                Origin::Managed { row, .. } | Origin::Damaged(row) => row,
                Origin::Configured => return Err(ManageError::Configured(name)),
            };
            let times = (before.created_at, this.clock.now());
            let row = this.row(&name, &draft, before.tags.clone(), before.generation + 1, times)?;
            if !this.managed()?.rows.replace(before.generation, row.clone()).await? {
                return Err(ManageError::Unknown(name.to_string()));
            }
            let elsewhere = !this.same_place(&entry, &draft.provider);
            this.take_effect(row, draft, Change::Updated { name, elsewhere })
        })
        .await
    }

    fn row(
        &self,
        name: &ProviderName,
        draft: &Draft,
        tags: Tags,
        generation: u64,
        (created_at, updated_at): (crate::clock::Timestamp, crate::clock::Timestamp),
    ) -> Result<ProviderRow, ManageError> {
        let settings = serde_json::to_string(&draft.stored)
            .map_err(|error| ManageError::Unavailable(format!("the settings cannot be stored: {error}")))?;
        let kind = draft.stored.kind();
        let mut row = ProviderRow {
            name: name.clone(),
            kind,
            settings,
            tags,
            generation,
            created_at,
            updated_at,
            sealed: Vec::new(),
        };
        let managed = matches!(draft.stored.kept(), SecretKept::Managed);
        self.managed()?.seal(&mut row, draft.secret.as_deref().filter(|_| managed))?;
        Ok(row)
    }

    fn take_effect(&self, row: ProviderRow, draft: Draft, change: Change) -> Result<Facts, ManageError> {
        let (name, kind) = (row.name.clone(), row.kind);
        let Draft { stored, secret, .. } = draft;
        let state = self.managed()?.state(&name, &stored, secret);
        self.insert(name.clone(), Origin::Managed { row, stored: Box::new(stored) }, state);
        self.tell(&change);
        self.facts_of(kind, name.as_str())
    }

    /// Whether tokens from before still belong to the same client of the same server. Whoever cannot be asked is another.
    fn same_place(&self, before: &Entry, now: &CredentialProvider) -> bool {
        let place = |provider: &Provider| (provider.endpoints.clone(), provider.client_id.clone());
        match (self.usable(now.name()), now) {
            (Ok(CredentialProvider::Oauth2(before)), CredentialProvider::Oauth2(now)) => place(&before) == place(now),
            (_, CredentialProvider::ApiKey(_)) => before.kind() == Kind::ApiKey,
            _ => false,
        }
    }

    /// Whether its key goes where it went. Whoever cannot be asked went elsewhere.
    fn same_hosts(&self, before: &Entry, now: &CredentialProvider) -> bool {
        before.kind() == now.kind()
            && self.usable(now.name()).is_ok_and(|before| before.destinations() == now.destinations())
    }
}

/// Runs it to its end even if nobody waits any more: what is written also takes effect.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ManageError>> + Send + 'static,
) -> Result<T, ManageError> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(ManageError::Unavailable("the change was broken off; look whether it is made".into())))
}

/// Where the next page begins. It proves nothing: whoever makes one up sees what the list shows anyway.
fn token(kind: Kind, last: &ProviderName) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {last}", kind.code()))
}

fn read_token(kind: Kind, token: &str) -> Result<ProviderName, ManageError> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref()
        .and_then(|text| text.split_once(' '))
        .filter(|(code, _)| *code == kind.code())
        .and_then(|(_, name)| ProviderName::parse(name).ok())
        .ok_or_else(|| ManageError::input("next_token", "it was not given by this list; begin without one"))
}
