//! `attache.toml` as it is written. Private to this room: what leaves it are [`super::Settings`].

use super::behalf::OnBehalfOf;
use super::keys::{Assertion, KeyRef};
use super::quantity::{Count, Size, Span};
use super::secrets::SecretRef;
use super::workloads;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// A name or value and where it stands, for errors.
pub(super) type At<T> = Spanned<T>;
/// Tables by name, in the order of their names, so that errors come in one order.
pub(super) type Named<T> = BTreeMap<At<String>, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) host: At<Host>,
    pub(super) tls: Option<At<Tls>>,
    pub(super) proxy: Option<At<Proxy>>,
    #[serde(default)]
    pub(super) development: Development,
    #[serde(default)]
    pub(super) engine: Engine,
    #[serde(default)]
    pub(super) sessions: Sessions,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) network: Network,
    pub(super) sign_in: Option<At<SignIn>>,
    #[serde(default)]
    pub(super) issuers: Named<Issuer>,
    #[serde(default)]
    pub(super) providers: Named<Provider>,
    #[serde(default)]
    pub(super) api_keys: Named<ApiKey>,
    pub(super) secrets: Option<Secrets>,
    #[serde(default)]
    pub(super) authorizers: Named<Authorizer>,
    #[serde(default)]
    pub(super) agents: Named<Agent>,
    #[serde(default)]
    pub(super) workloads: workloads::Table,
    pub(super) operators: Option<Operators>,
    #[serde(default)]
    pub(super) deploy: Deploy,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deploy {
    pub(super) policy: Option<String>,
    pub(super) trust: Option<PathBuf>,
    pub(super) advisories: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operators {
    pub(super) authorizer: At<String>,
    pub(super) operations: At<Vec<String>>,
    pub(super) workloads: At<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub(super) listen: Option<At<String>>,
    pub(super) public_url: At<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) head_file: Option<PathBuf>,
    pub(super) trust_domain: Option<At<String>>,
    pub(super) account: Option<At<String>>,
    pub(super) max_body_bytes: Option<Size>,
    pub(super) send_timeout: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxy {
    pub(super) trusted: bool,
    pub(super) client_address_header: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Development {
    #[serde(default)]
    pub(super) allow_loopback: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Engine {
    #[serde(default)]
    pub(super) isolation: Isolation,
    pub(super) max_workers: Option<Count>,
    pub(super) worker_instances: Option<Count>,
    pub(super) worker_idle: Option<Span>,
    #[serde(default)]
    pub(super) compile: Compile,
    pub(super) compile_time: Option<Span>,
    pub(super) compile_memory: Option<Size>,
    pub(super) max_instances: Option<Count>,
    pub(super) admission_wait: Option<Span>,
    pub(super) deadline: Option<Span>,
    pub(super) tick: Option<Span>,
    pub(super) clock_resolution: Option<Span>,
    pub(super) max_memory: Option<Size>,
    pub(super) max_memories: Option<Count>,
    pub(super) max_table_elements: Option<Count>,
    pub(super) max_tables: Option<Count>,
    pub(super) max_core_instances: Option<Count>,
    pub(super) max_stack: Option<Size>,
    pub(super) max_component: Option<Size>,
    pub(super) hostcall_bytes: Option<Size>,
    pub(super) max_handles: Option<Count>,
    pub(super) max_requests: Option<Count>,
    pub(super) header_bytes: Option<Size>,
    pub(super) body_chunk_bytes: Option<Size>,
    pub(super) body_chunks: Option<Count>,
    pub(super) random_bytes: Option<Size>,
    pub(super) log_bytes: Option<Size>,
    pub(super) keep_resident_bytes: Option<Size>,
}

/// What keeps guests from each other and from the host.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Isolation {
    /// The engine's sandbox, in the host's own process.
    #[default]
    Sandbox,
    /// A process for each agent and user besides.
    Process,
}

/// Where components are compiled.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Compile {
    /// By a child process that can do nothing else.
    #[default]
    Apart,
    /// In the host's own process.
    Here,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    pub(super) idle_timeout: Option<At<Span>>,
    pub(super) max_lifetime: Option<At<Span>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    #[serde(default)]
    pub(super) confine: bool,
    pub(super) caller_invocations: Option<At<Count>>,
    pub(super) agent_invocations: Option<At<Count>>,
    pub(super) caller_rate: Option<Count>,
    pub(super) agent_rate: Option<Count>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    #[serde(default)]
    pub(super) extra_roots: Vec<PathBuf>,
    pub(super) connect_timeout: Option<Span>,
    pub(super) total_timeout: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    pub(super) issuer: At<String>,
    pub(super) client_id: String,
    pub(super) client_secret: Option<At<SecretRef>>,
    pub(super) client_authentication: Option<At<String>>,
    pub(super) client_key: Option<At<KeyRef>>,
    pub(super) client_assertion: Option<At<Assertion>>,
    #[serde(default)]
    pub(super) scopes: Vec<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    pub(super) issuer: At<String>,
    pub(super) discovery_url: Option<At<String>>,
    #[serde(default)]
    pub(super) algorithms: Vec<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) display_name: Option<String>,
    pub(super) vendor: Option<At<String>>,
    pub(super) tenant: Option<At<String>>,
    pub(super) issuer: Option<At<String>>,
    pub(super) authorization_endpoint: Option<At<String>>,
    pub(super) token_endpoint: Option<At<String>>,
    pub(super) revocation_endpoint: Option<At<String>>,
    pub(super) device_authorization_endpoint: Option<At<String>>,
    pub(super) pushed_authorization_endpoint: Option<At<String>>,
    pub(super) client_id: String,
    pub(super) client_secret: Option<At<SecretRef>>,
    pub(super) client_authentication: Option<At<String>>,
    pub(super) client_key: Option<At<KeyRef>>,
    pub(super) client_assertion: Option<At<Assertion>>,
    #[serde(default)]
    pub(super) scopes: Vec<At<String>>,
    pub(super) hosts: Option<At<Vec<At<String>>>>,
    #[serde(default)]
    pub(super) authorize_parameters: BTreeMap<At<String>, String>,
    #[serde(default)]
    pub(super) resource: Vec<At<String>>,
    pub(super) offline_scope: Option<At<String>>,
    pub(super) scope_separator: Option<At<String>>,
    pub(super) consent: Option<At<String>>,
    pub(super) pushed_authorization: Option<At<String>>,
    pub(super) dpop: Option<At<String>>,
    pub(super) on_behalf_of: Option<At<OnBehalfOf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKey {
    pub(super) display_name: Option<String>,
    pub(super) key: At<SecretRef>,
    pub(super) header: Option<At<String>>,
    pub(super) prefix: Option<At<String>>,
    pub(super) query: Option<At<String>>,
    pub(super) hosts: At<Vec<At<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secrets {
    pub(super) folder: At<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorizer {
    #[serde(default)]
    pub(super) rules: Vec<At<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) issuer: At<String>,
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    #[serde(default)]
    pub(super) clients: Vec<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) claims: Vec<At<Claim>>,
}

/// `{ path = "a.b", equals = … }`, or the same under `not = { … }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub(super) path: Path,
    pub(super) equals: Option<toml::Value>,
    pub(super) contains: Option<toml::Value>,
    pub(super) contains_any: Option<Vec<toml::Value>>,
    pub(super) not: Option<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) equals: Option<toml::Value>,
    pub(super) contains: Option<toml::Value>,
    pub(super) contains_any: Option<Vec<toml::Value>>,
    pub(super) not: Option<Box<Test>>,
}

/// Names with dots in them, such as `https://example.com/roles`, are written as an array.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a claim path is text such as \"realm.roles\", or an array of names")]
pub(super) enum Path {
    Dotted(String),
    Names(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    pub(super) authorizer: Option<At<String>>,
    #[serde(default)]
    pub(super) providers: Vec<BoundProvider>,
    #[serde(default)]
    pub(super) claims: Vec<String>,
    #[serde(default)]
    pub(super) egress: Vec<At<String>>,
    #[serde(default)]
    pub(super) reveal: bool,
    #[serde(default)]
    pub(super) trust_user_ids: bool,
    pub(super) confine: Option<bool>,
    #[serde(default)]
    pub(super) inbound_headers: Vec<At<String>>,
    #[serde(default)]
    pub(super) allowed_return_urls: Vec<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) authorizer: Option<At<String>>,
    #[serde(default)]
    pub(super) providers: Vec<BoundProvider>,
    #[serde(default)]
    pub(super) any_provider: bool,
    #[serde(default)]
    pub(super) trust_user_ids: bool,
    #[serde(default)]
    pub(super) allowed_return_urls: Vec<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoundProvider {
    pub(super) name: At<String>,
    #[serde(default)]
    pub(super) scopes: Vec<At<String>>,
}
