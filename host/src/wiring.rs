//! Builds every room once, from the configuration. The only place that sees them all.

use crate::access::{Door, Keys, KeysError};
use crate::audit::{Action, Actor, Outcome, Trail, Unwritable, codes};
use crate::broker::{Desk, DeskParts};
use crate::clock::Clock;
use crate::config::Settings;
use crate::consent::Consents;
use crate::directory::{Directory, Unavailable};
use crate::egress::{Client, ClientError};
use crate::identity::{HostKey, HostKeyError, IssuedWats, IssuerError, Keeper, Verifier, WatTable, WorkloadIssuer};
use crate::ids::Digest;
use crate::oauth::OAuth;
use crate::providers::{Builder, Managed, Providers, RowsUnavailable};
use crate::runtime::{Engine, EngineError, LoadError, Loaded};
use crate::seal::{KeyRing, KeyRingError, Sealer};
use crate::store::{Components, Store, StoreError};
use crate::vault::{Vault, VaultError, VaultParts};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A host with all its rooms. Shared as [`Arc`]; dropping the last one closes the store.
pub struct Host {
    /// What the operator wrote.
    pub settings: Arc<Settings>,
    /// Time.
    pub clock: Clock,
    /// Which agents exist.
    pub directory: Arc<Directory>,
    /// Who asks.
    pub verifier: Arc<Verifier>,
    /// What the host says of its workloads to others.
    pub issuer: Arc<WorkloadIssuer>,
    /// Workload access tokens of the API.
    pub issued: Arc<IssuedWats>,
    /// Who calls the API, and the access keys.
    pub door: Arc<Door>,
    /// The keys under which everything rests.
    pub ring: Arc<KeyRing>,
    /// Who did what for whom.
    pub trail: Trail,
    /// Talking to providers, and to the identity provider for the host's own sign-in.
    pub oauth: Arc<OAuth>,
    /// The credential providers.
    pub providers: Arc<Providers>,
    /// Tokens, sealed.
    pub vault: Arc<Vault>,
    /// Consent sessions.
    pub consents: Arc<Consents>,
    /// The broker.
    pub desk: Desk,
    /// Runs guests.
    pub engine: Arc<Engine>,
    /// Component bytes, by digest.
    pub components: Arc<Components>,
    loaded: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Loaded>>>>>,
}

/// Why the host does not start. Nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("the data folder `{path}` cannot be used; choose another with `data_dir` under `[host]`")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The host's own key.
    #[error("the host key cannot be used")]
    HostKey(#[source] HostKeyError),
    /// The keys that sign tokens about workloads.
    #[error("the keys for workload tokens cannot be used")]
    Issuer(#[source] IssuerError),
    /// The key ring.
    #[error("the key ring cannot be used")]
    KeyRing(#[source] KeyRingError),
    /// The store.
    #[error("the store cannot be opened")]
    Store(#[source] StoreError),
    /// The directory.
    #[error("the directory cannot be read")]
    Directory(#[source] Unavailable),
    /// The access keys.
    #[error("the access keys cannot be read")]
    Keys(#[source] KeysError),
    /// The key sets of identity providers that the last run kept.
    #[error("the kept keys of identity providers cannot be read: {0}")]
    IssuerKeys(String),
    /// The credential providers.
    #[error("the credential providers cannot be read")]
    Providers(#[source] RowsUnavailable),
    /// The vault.
    #[error("the vault cannot be read")]
    Vault(#[source] VaultError),
    /// The HTTP client.
    #[error("the HTTP client cannot be built")]
    Client(#[source] ClientError),
    /// The engine.
    #[error("the engine cannot be built")]
    Engine(#[source] EngineError),
    /// The audit trail.
    #[error("the host cannot write its audit trail, so it does not start")]
    Audit(#[source] Unwritable),
}

/// Why a component that is in the directory cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// Its bytes are gone or changed.
    #[error("the component's bytes cannot be read")]
    Store(#[source] StoreError),
    /// It does not load.
    #[error("the component does not load")]
    Load(#[source] LoadError),
    /// The compiling task was stopped.
    #[error("the component could not be compiled; try again")]
    Stopped,
}

impl Host {
    /// Opens everything under the data folder, in the order in which the rooms need each other.
    ///
    /// # Errors
    /// [`StartError`]: the host refuses to start rather than run without one of its parts.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Arc<Self>, StartError> {
        let data = settings.data_dir.clone();
        make_private(&data).map_err(|source| StartError::DataDir { path: data.clone(), source })?;
        let key = HostKey::open_or_create(&data.join("host.key")).map_err(StartError::HostKey)?;
        let issuer = WorkloadIssuer::open_or_create(&data.join("tokens.pem"), &settings.public_url)
            .map(Arc::new)
            .map_err(StartError::Issuer)?;
        let store = Store::open(&data.join("attache.db")).map_err(StartError::Store)?;
        let components = Components::open(&data.join("components")).map_err(StartError::Store)?;
        let ring = KeyRing::open_or_create(&data.join("keyring.toml")).map_err(StartError::KeyRing)?;
        let ring = Arc::new(ring);
        let sealer = Arc::new(Sealer::new(ring.clone()));

        let host_id = settings.trust_domain.host(&key.fingerprint());
        let trail = Trail::new(store.clone(), host_id, clock.clone());
        let start = Action::new(codes::START, env!("CARGO_PKG_VERSION"));
        let ticket = trail.note(Actor::default(), start, Outcome::allowed()).map_err(StartError::Audit)?;
        trail.journal().durable(ticket).await.map_err(StartError::Audit)?;

        let client = Client::new(&settings.network).map_err(StartError::Client)?;
        let keeper = Keeper::load(store.clone(), sealer.clone(), settings.account.clone())
            .await
            .map_err(StartError::IssuerKeys)?;
        let verifier = Verifier::with_kept(client.clone(), keeper, clock.clone());
        let oauth = OAuth::new(client.clone(), issuer.clone(), clock.clone());
        let directory = Directory::load(store.clone(), settings.trust_domain.clone(), settings.terms(), clock.clone())
            .await
            .map_err(StartError::Directory)?;
        let keys = Keys::load(store.clone(), sealer.clone(), settings.account.clone(), clock.clone())
            .await
            .map_err(StartError::Keys)?;
        let door = Door::new(keys, settings.operators.clone(), verifier.clone(), clock.clone());
        warn_of_trust(&settings);
        let managed = Managed {
            rows: store.clone(),
            sealer: sealer.clone(),
            account: settings.account.clone(),
            builder: Builder { oauth: oauth.clone(), folder: settings.secrets_folder.clone() },
        };
        let configured = settings.providers.values().cloned();
        let providers = Providers::load(configured, managed, settings.public_url.clone(), clock.clone())
            .await
            .map_err(StartError::Providers)?;
        let vault = Vault::load(VaultParts {
            rows: store.clone(),
            sealer: sealer.clone(),
            oauth: oauth.clone(),
            issuer: issuer.clone(),
            providers: providers.clone(),
            directory: directory.clone(),
            trail: trail.clone(),
            account: settings.account.clone(),
            clock: clock.clone(),
        })
        .await
        .map_err(StartError::Vault)?;
        tokio::spawn(vault.clone().work_revocations());
        let consents = Consents::new(
            store.clone(),
            sealer,
            vault.clone(),
            oauth.clone(),
            providers.clone(),
            directory.clone(),
            trail.clone(),
            settings.public_url.clone(),
            clock.clone(),
        );
        tokio::spawn(consents.clone().work_devices());
        let engine = Engine::new(&settings.engine).map_err(StartError::Engine)?;
        let desk = Desk::new(DeskParts {
            vault: vault.clone(),
            consents: consents.clone(),
            providers: providers.clone(),
            client,
            trail: trail.clone(),
            directory: directory.clone(),
            wats: WatTable::new(clock.clone()),
            lifetime: (settings.engine.deadline + Duration::from_secs(5)).min(Duration::from_secs(600)),
        });
        let issued = IssuedWats::new(clock.clone());
        tokio::spawn(IssuedWats::keep_swept(Arc::downgrade(&issued)));
        Ok(Arc::new(Self {
            settings: Arc::new(settings),
            clock,
            directory,
            verifier,
            issuer,
            door,
            issued,
            ring,
            trail,
            oauth,
            providers,
            vault,
            consents,
            desk,
            engine,
            components: Arc::new(components),
            loaded: Mutex::new(HashMap::new()),
        }))
    }

    /// The compiled component of this digest: from memory, or compiled once however many ask at the same time.
    ///
    /// # Errors
    /// [`ComponentError`]; the next call tries again.
    pub async fn loaded(&self, digest: Digest) -> Result<Arc<Loaded>, ComponentError> {
        let cell = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.entry(digest).or_default().clone()
        };
        let loaded = cell
            .get_or_try_init(|| async {
                let (engine, components) = (self.engine.clone(), self.components.clone());
                tokio::task::spawn_blocking(move || {
                    let bytes = components.load(digest).map_err(ComponentError::Store)?;
                    engine.load(&bytes).map_err(ComponentError::Load)
                })
                .await
                .map_err(|_| ComponentError::Stopped)?
            })
            .await?;
        Ok(loaded.clone())
    }
}

/// What an operator opened wide is said at each start, so that it is not forgotten.
fn warn_of_trust(settings: &Settings) {
    for (pattern, workload) in settings.workloads.patterns.iter() {
        if workload.terms.any_provider {
            tracing::warn!(%pattern, "`any_provider`: these workloads get every credential of whoever they act for");
        }
        if workload.terms.trusts_user_ids {
            tracing::warn!(%pattern, "`trust_user_ids`: these workloads act for whomever they name, without proof");
        }
    }
}

/// Makes the folder for this account alone (mode 0700), and tightens one that exists.
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
