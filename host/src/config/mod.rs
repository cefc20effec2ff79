//! `attache.toml`, read once at start and turned into [`Settings`].
//!
//! Closed means closed: an unknown key, a dangling name, an unreadable secret or a rule that would let everybody in is
//! refused, and all that is wrong is told at once. Relative paths are relative to the file. Secrets never stand in it.

mod agents;
mod api_keys;
mod authorizers;
mod behalf;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hosting;
mod keys;
mod limits;
mod operators;
mod problems;
mod providers;
mod quantity;
mod secrets;
mod sessions;
mod workloads;

pub use limits::Limits;
pub use problems::{ConfigError, Problem};
pub use sessions::SessionLimits;
pub use workloads::{NoAuthorizer, WorkloadSettings, Workloads};

use crate::access::People;
use crate::directory::Terms;
use crate::identity::{Authorizer, RelyingParty};
use crate::ids::{Account, AgentName, ProviderName, TrustDomain};
use crate::oauth::Provider;
use crate::providers::{CredentialProvider, SecretFolder};
use crate::workers::WorkerLimits;
use crate::{egress, runtime};
use file::File;
use http::HeaderName;
use problems::Problems;
use secrets::Secrets;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything that an operator decides. Nothing in it changes while the host runs.
pub struct Settings {
    /// Where to listen for agents' callers and browsers.
    pub listen: SocketAddr,
    /// How callers and browsers reach this host: an origin, without a path.
    pub public_url: Url,
    /// Where the store, the keys, the components and the administration socket are. Absolute.
    pub data_dir: PathBuf,
    /// The first part of every SPIFFE id.
    pub trust_domain: TrustDomain,
    /// The account that all identities of this host belong to.
    pub account: Account,
    /// Certificate and key, where this host ends TLS itself.
    pub tls: Option<TlsFiles>,
    /// The proxy in front, where one ends TLS.
    pub proxy: Option<Proxy>,
    /// Whether loopback addresses and plain http on loopback are allowed. Loud, and for development only.
    pub development: bool,
    /// For everything that leaves.
    pub network: egress::ClientConfig,
    /// Limits of the engine.
    pub engine: runtime::EngineConfig,
    /// What compiling a component may cost in a child process; none where the host compiles itself.
    pub compile: Option<runtime::CompileLimits>,
    /// The worker processes in which guests run; none where they run in the host's own.
    pub workers: Option<WorkerLimits>,
    /// Where the head of the trail is kept; none for the data folder.
    pub head_file: Option<PathBuf>,
    /// The record that an older database lacks, where its operator said that it is meant. Not in the file: it is said once.
    pub accept_database: Option<u64>,
    /// This program, for children of it; none where it is not known, and there are no children then. Not in the file: who
    /// starts the host knows it.
    pub program: Option<PathBuf>,
    /// How users sign in at the host's own pages; none, and there are no such pages.
    pub sign_in: Option<SignIn>,
    /// The credential providers.
    pub providers: HashMap<ProviderName, CredentialProvider>,
    /// Where secrets lie that providers may name which are made while the host runs.
    pub secrets_folder: Option<SecretFolder>,
    /// What is configured per agent. An agent that is absent has no terms and the default authorizer.
    pub agents: HashMap<AgentName, AgentSettings>,
    /// What is configured for workloads that run elsewhere.
    pub workloads: Workloads,
    /// The people who may call the API with a token; none, and only access keys and the socket let anybody in.
    pub operators: Option<People>,
    /// The authorizer of agents that name none, and of the user's own grants.
    pub default_authorizer: Option<Arc<Authorizer>>,
    /// How long a caller's session with an agent lives.
    pub sessions: SessionLimits,
    /// What one caller or one agent may take of the host.
    pub limits: Limits,
    /// By which rules `attache deploy` judges.
    pub deploy: DeployRules,
    /// The largest request body that is accepted, in bytes; 1 MiB unless set.
    pub max_body_bytes: u64,
    /// How long a response may wait for its reader before it is cut off; 30 s unless set.
    pub send_timeout: Duration,
}

/// By which rules `attache deploy` judges, where the command line does not say. The host itself reads none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployRules {
    /// A profile of `attache vet`, or a file.
    pub policy: Option<String>,
    /// Whose signatures count.
    pub trust: Option<PathBuf>,
    /// A copy of RustSec's advisory database.
    pub advisories: Option<PathBuf>,
}

/// Files in PEM, read at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A proxy in front that ends TLS, and whose word is taken for what the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The header that holds the caller's address, for the log; none, and the log shows the proxy's.
    pub client_address_header: Option<HeaderName>,
}

/// This host as a relying party at the identity provider of its users.
pub struct SignIn {
    /// Whose users, and how their ID tokens are signed.
    pub party: RelyingParty,
    /// The host's client there.
    pub provider: Arc<Provider>,
}

/// One agent's configuration.
pub struct AgentSettings {
    /// What it may do.
    pub terms: Terms,
    /// Who may call it.
    pub authorizer: Arc<Authorizer>,
    /// Headers of the caller that it sees besides the usual ones.
    pub inbound_headers: Vec<HeaderName>,
    /// Where a browser may be sent after a consent, compared byte for byte.
    pub allowed_return_urls: Vec<String>,
}

/// What a command may know of the configuration without reading a secret.
pub struct Glance {
    /// Where the host's socket is.
    pub data_dir: PathBuf,
    /// How callers reach the host.
    pub public_url: Url,
    /// What each configured agent may do.
    pub agents: HashMap<AgentName, Terms>,
    /// The configured credential providers, in order, and the scopes that each offers.
    pub providers: Vec<(ProviderName, Vec<String>)>,
    /// Whether there is an authorizer for agents that name none.
    pub default_authorizer: bool,
    /// By which rules `attache deploy` judges.
    pub deploy: DeployRules,
}

/// Reads the configuration, its secrets included. Blocks; called once, at start.
///
/// # Errors
/// [`ConfigError`] names the file, and every line that is wrong.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    read(path, Secrets::Resolved)
}

/// Reads the configuration without its secrets, for commands that run beside the host.
///
/// # Errors
/// As [`load`], except that a secret which cannot be read is none.
pub fn glance(path: &Path) -> Result<Glance, ConfigError> {
    let settings = read(path, Secrets::Left)?;
    let mut providers: Vec<_> =
        settings.providers.values().map(|provider| (provider.name().clone(), scopes_of(provider))).collect();
    providers.sort();
    Ok(Glance {
        data_dir: settings.data_dir,
        public_url: settings.public_url,
        agents: settings.agents.into_iter().map(|(name, agent)| (name, agent.terms)).collect(),
        providers,
        default_authorizer: settings.default_authorizer.is_some(),
        deploy: settings.deploy,
    })
}

fn scopes_of(provider: &CredentialProvider) -> Vec<String> {
    match provider {
        CredentialProvider::Oauth2(provider) => provider.scopes.to_vec(),
        CredentialProvider::ApiKey(_) => Vec::new(),
    }
}

fn read(path: &Path, secrets: Secrets) -> Result<Settings, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let source = std::fs::read_to_string(path).map_err(unreadable)?;
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    parse(&source, path, absolute.parent().unwrap_or(Path::new("/")), secrets)
}

/// From its text; `base` is where names and paths in it are looked up.
fn parse(source: &str, path: &Path, base: &Path, secrets: Secrets) -> Result<Settings, ConfigError> {
    let file: File = toml::from_str(source).map_err(|error| ConfigError::Refused {
        path: path.to_owned(),
        problems: vec![problems::of_parser(source, &error)],
    })?;
    let mut problems = Problems::new(source);
    let settings = convert(file, base, secrets, &mut problems);
    problems.finish(path, settings)
}

/// Where names and paths of the file are looked up.
struct Context<'a> {
    /// The folder of the file.
    base: &'a Path,
    secrets: Secrets,
    /// Whether plain http on loopback may be named.
    development: bool,
    /// The folder whose files providers may name that are made while the host runs.
    shared: Option<PathBuf>,
    /// This host's own place, which is an issuer of nobody's users.
    own: Option<url::Origin>,
}

/// Each part goes on after a problem, so that one reading tells them all; none only where a part could not be built.
fn convert(file: File, base: &Path, secrets: Secrets, problems: &mut Problems<'_>) -> Option<Settings> {
    let shared = file.secrets.as_ref().map(|secrets| base.join(secrets.folder.get_ref()));
    let own = Url::parse(file.host.get_ref().public_url.get_ref()).ok().map(|url| url.origin());
    let context = Context { base, secrets, development: file.development.allow_loopback, shared, own };
    let hosting = hosting::convert(&context, file.host, file.tls, file.proxy, problems);
    if let (Some(secrets), Some(shared), Some(hosting)) = (&file.secrets, &context.shared, &hosting)
        && hosting.data_dir.starts_with(shared)
    {
        let text = "`folder` must not hold the host's own files; name one with nothing in it but what whoever may make \
                    providers may name";
        problems.at(&secrets.folder.span(), text);
    }
    let network = hosting::network(&context, file.network);
    let workers = hosting::workers(&file.engine);
    let compile = hosting::compiling(&file.engine);
    let engine = hosting::engine(file.engine);
    let issuers = authorizers::issuers(&context, file.issuers, problems);
    let sign_in = file.sign_in.map(|sign_in| providers::sign_in(&context, sign_in, &issuers, problems));
    let providers = providers::convert(&context, file.providers, problems);
    let providers = api_keys::convert(&context, providers, file.api_keys, problems);
    let authorizers = authorizers::convert(&context, file.authorizers, &issuers, problems);
    let let_in = agents::authorizers(&file.agents).chain(file.workloads.authorizers()).cloned().collect::<Vec<_>>();
    let operators = operators::convert(file.operators, &authorizers, &let_in, problems);
    let limits = limits::convert(&file.limits, engine.max_instances, problems);
    let agents = agents::convert(&context, file.agents, limits.confine, &providers, &authorizers, problems);
    let workloads = workloads::convert(file.workloads, &providers, &authorizers, problems);
    let sessions = sessions::convert(&file.sessions, problems);
    let profile = |name: &String| crate::vet::PROFILES.iter().any(|(profile, _)| profile == name);
    let in_folder = |policy: String| base.join(policy).to_string_lossy().into_owned();
    let deploy = DeployRules {
        policy: file.deploy.policy.map(|policy| if profile(&policy) { policy } else { in_folder(policy) }),
        trust: file.deploy.trust.map(|path| base.join(path)),
        advisories: file.deploy.advisories.map(|path| base.join(path)),
    };
    let hosting = hosting?;
    Some(Settings {
        listen: hosting.listen,
        public_url: hosting.public_url,
        data_dir: hosting.data_dir,
        trust_domain: hosting.trust_domain,
        account: hosting.account,
        tls: hosting.tls,
        proxy: hosting.proxy,
        development: context.development,
        network,
        engine,
        compile,
        workers,
        head_file: hosting.head_file,
        accept_database: None,
        program: None,
        sign_in: sign_in.flatten(),
        providers: providers.into_iter().filter_map(|(name, provider)| Some((name, provider?))).collect(),
        secrets_folder: context.shared.map(SecretFolder::new),
        agents,
        workloads,
        operators,
        default_authorizer: authorizers.get(authorizers::DEFAULT).cloned().flatten(),
        sessions,
        limits,
        deploy,
        max_body_bytes: hosting.max_body_bytes,
        send_timeout: hosting.send_timeout,
    })
}

/// The nearest of these names, if one is near: at most a third of the letters differ.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (wrong.len().max(name.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// An address that browsers or this host will open: https, or http on loopback where development allows it.
fn url(context: &Context<'_>, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{}` is no URL: {error}", text.escape_debug()))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("`{}` must have no user name, password or fragment", url.host_str().unwrap_or_default()));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if context.development && on_loopback(&url) => Ok(url),
        "http" if on_loopback(&url) => {
            Err(format!("`{url}` is plain http; that needs `allow_loopback = true` under `[development]`"))
        }
        _ => Err(format!("`{url}` must begin with `https://`")),
    }
}

fn on_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// "there is no `[providers.gogle]`; did you mean `google`?"
fn dangling<'a>(table: &str, wrong: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let wrong = wrong.escape_debug();
    match nearest(&wrong.to_string(), names.clone()) {
        Some(near) => format!("there is no `[{table}.{wrong}]`; did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = names.collect();
            if known.is_empty() {
                return format!("there is no `[{table}.{wrong}]`; add it");
            }
            format!("there is no `[{table}.{wrong}]`; add it, or use one of {}", problems::quoted(&known))
        }
    }
}
