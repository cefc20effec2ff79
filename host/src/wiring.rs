//! Builds every room once, from the configuration. The only place that sees them all.

mod compiled;
mod head;

pub use compiled::Ready;

use crate::access::{Door, Keys, KeysError};
use crate::audit::{Action, Actor, Outcome, Trail, Unwritable, codes};
use crate::broker::{Body, Broker, Desk, DeskParts, Guest};
use crate::clock::Clock;
use crate::config::Settings;
use crate::consent::Consents;
use crate::directory::{Directory, Unavailable};
use crate::egress::{Client, ClientError};
use crate::identity::{HostKey, HostKeyError, IssuedWats, IssuerError, Keeper, Verifier, WatTable, WorkloadIssuer};
use crate::ids::Digest;
use crate::oauth::OAuth;
use crate::providers::{Builder, Managed, Providers, RowsUnavailable};
use crate::runtime::{Compiler, Engine, EngineConfig, EngineError, InvokeError, LoadError};
use crate::sandbox::{self, SandboxError};
use crate::seal::{KeyRing, KeyRingError, Sealer};
use crate::store::{Components, Store, StoreError};
use crate::vault::{Vault, VaultError, VaultParts};
use crate::workers::Workers;
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
    kept: Arc<compiled::Kept>,
    workers: Option<Arc<Workers>>,
    ready: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Ready>>>>>,
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
    /// The database lacks a record that it had.
    #[error(
        "the database is older than it was, or another one: record {expected} of its trail is not in it, and its last is \
         {found}; what was revoked, rotated or written down since is undone. Put the newer database back; if this one is meant, \
         start once with `--accept-database {expected}`"
    )]
    OlderDatabase {
        /// The record that the head names.
        expected: u64,
        /// The last that is there.
        found: u64,
    },
    /// There is a database and no head.
    #[error(
        "there is a database and no `{}`, by which an older one would be noticed; put that file back, or, if this database is \
         meant, start once with `--accept-database 0`",
        path.display()
    )]
    NoHead {
        /// The file.
        path: PathBuf,
    },
    /// The head is not what this host wrote.
    #[error("`{}` was changed, or sealed with another key ring; put back what was there, or remove it", path.display())]
    BrokenHead {
        /// The file.
        path: PathBuf,
    },
    /// The head cannot be read or written.
    #[error("`{}` cannot be read or written", path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
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
    /// Workers cannot be confined here.
    #[error("`isolation = \"process\"` is not possible here")]
    Isolation(#[source] SandboxError),
    /// Workers are asked for, and it is not known of which program.
    #[error("`isolation = \"process\"` needs a program for the workers; start the host with `attache serve`")]
    NoProgram,
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

        let head = settings.head_file.clone().unwrap_or_else(|| data.join("head"));
        let head = Arc::new(head::Head::new(head, sealer.clone()));
        let found = head.check(&store, settings.accept_database).await?;
        // Before the first record: a host that dies between the two has a head that says that there was none.
        head.write(&store).await?;

        let host_id = settings.trust_domain.host(&key.fingerprint());
        let trail = Trail::new(store.clone(), host_id, clock.clone());
        let start = Action::new(codes::START, env!("CARGO_PKG_VERSION"));
        let ticket = trail.note(Actor::default(), start, Outcome::allowed()).map_err(StartError::Audit)?;
        trail.journal().durable(ticket).await.map_err(StartError::Audit)?;
        if let head::Found::Accepted(seq) = found {
            let lost = format!("record {seq} of its trail is not in it");
            let accepted = Action::new(codes::DATABASE_ACCEPT, lost);
            let ticket = trail.note(Actor::default(), accepted, Outcome::allowed()).map_err(StartError::Audit)?;
            trail.journal().durable(ticket).await.map_err(StartError::Audit)?;
            tracing::warn!(seq, "an older database was accepted, as its operator said");
        }
        let written = head.write(&store).await?;
        tokio::spawn(head.keep(Arc::downgrade(&store), written));

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
        tokio::spawn(Vault::work_reseals(Arc::downgrade(&vault)));
        let consents = Consents::new(
            store.clone(),
            sealer.clone(),
            vault.clone(),
            oauth.clone(),
            providers.clone(),
            directory.clone(),
            trail.clone(),
            settings.public_url.clone(),
            clock.clone(),
        );
        tokio::spawn(consents.clone().work_devices());
        // With workers, the engine of this process runs nothing: it knows what artefacts must be like.
        let room = match settings.workers {
            Some(_) => EngineConfig { max_instances: 1, ..settings.engine.clone() },
            None => settings.engine.clone(),
        };
        let engine = Engine::new(&room).map_err(StartError::Engine)?;
        let compiler = match (&settings.program, settings.compile) {
            (Some(program), Some(limits)) => Compiler::apart(engine.clone(), program.clone(), limits),
            _ => Compiler::here(engine.clone()),
        };
        let components = Arc::new(components);
        let kept = Arc::new(compiled::Kept {
            engine: engine.clone(),
            compiler,
            components: components.clone(),
            sealer,
            for_workers: settings.workers.is_some(),
        });
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
        let workers = match (settings.workers, &settings.program) {
            (None, _) => None,
            (Some(limits), Some(program)) => {
                sandbox::available().map_err(StartError::Isolation)?;
                let broker: Arc<dyn Broker> = Arc::new(desk.clone());
                Some(Workers::new(program.clone(), engine.clone(), limits, broker))
            }
            (Some(_), None) => return Err(StartError::NoProgram),
        };
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
            components,
            kept,
            workers,
            ready: Mutex::new(HashMap::new()),
        }))
    }

    /// The compiled component of this digest: from memory, or compiled once however many ask at the same time.
    ///
    /// # Errors
    /// [`ComponentError`]; the next call tries again.
    pub async fn ready(&self, digest: Digest) -> Result<Arc<Ready>, ComponentError> {
        let cell = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.entry(digest).or_default().clone()
        };
        let ready = cell.get_or_try_init(|| self.kept.ready(digest)).await?;
        Ok(ready.clone())
    }

    /// Runs a guest on a request, in an instance of its own: here, or in a worker of its agent and user.
    ///
    /// # Errors
    /// [`InvokeError`], when there is no response to begin with.
    pub async fn run(
        &self,
        ready: &Ready,
        guest: Guest,
        broker: Arc<dyn Broker>,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, InvokeError> {
        match (ready, &self.workers) {
            (Ready::Here(loaded), _) => self.engine.invoke(loaded, guest, broker, request).await,
            (Ready::Apart(compiled), Some(workers)) => workers.invoke(compiled, guest, request).await,
            (Ready::Apart(_), None) => Err(InvokeError::Host),
        }
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
