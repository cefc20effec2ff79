//! A bench for the vault and the consent sessions: real rooms over stores in memory, an identity provider that signs,
//! and a third party on loopback that counts what it is asked.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

#[path = "../../../tests/suite/src/issuer.rs"]
mod issuer;
pub mod stores;
pub mod third_party;

use attache::audit::{Attempt, Record, Trail};
use attache::clock::{Clock, Timestamp};
use attache::consent::{Callback, Consents, Landing};
use attache::directory::{BoundProvider, Deployment, Directory, NewWorkload, Tags, Terms};
use attache::egress::{Destinations, Placement};
use attache::identity::{Authorizer, Binding, IssuerRule, VerifiedUser, Verifier};
use attache::ids::*;
use attache::oauth::{
    ActorToken, ClientAuthentication, ConsentBy, Delegation, Endpoints, OAuth, OnBehalfOf, Provider, Server, TokenSet,
    TokenType, When, token_types,
};
use attache::providers::{ApiKeyProvider, CredentialProvider, Providers, SecretFile, SecretSource};
use attache::seal::{KeyRing, Sealer};
use attache::secret::Secret;
use attache::vault::{Mint, Token, Vault, VaultError, VaultParts, Wanted};
use issuer::{TestIssuer, bearer};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use stores::{MemoryEntries, MemoryJournal, MemoryRows, MemorySessions};
use third_party::ThirdParty;

pub const ISSUER: &str = "https://idp.example";
pub const AUDIENCE: &str = "attache";
/// `orders` exchanges users' tokens, naming nobody as the actor; `orders-own` names the agent's own token, `orders-jwt` a JWT of
/// the host's. `tv` asks its users on another device. `bound` binds tokens to
/// keys. `weather` has an API key.
pub const PROVIDERS: [&str; 8] = ["google", "slack", "orders", "orders-own", "orders-jwt", "tv", "bound", "weather"];
pub const RETURN_URL: &str = "https://app.example/done?from=attache";

pub struct Bench {
    pub clock: Clock,
    pub journal: Arc<MemoryJournal>,
    pub rows: Arc<MemoryRows>,
    pub sessions: Arc<MemorySessions>,
    pub trail: Trail,
    pub sealer: Arc<Sealer>,
    pub ring: Arc<KeyRing>,
    pub oauth: Arc<OAuth>,
    pub providers: Arc<Providers>,
    pub directory: Arc<Directory>,
    pub vault: Arc<Vault>,
    pub consents: Arc<Consents>,
    pub saas: ThirdParty,
    verifier: Arc<Verifier>,
    issuer: TestIssuer,
    authorizer: Authorizer,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Agents `calendar`, `rogue` and `confined`, which is like `calendar` and confined to the provider that it uses first, a workload `elsewhere`, and one third party under many names: [`PROVIDERS`].
    pub async fn new() -> Self {
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open_or_create(&folder.path().join("keyring.toml")).unwrap();
        let ring = Arc::new(ring);
        let sealer = Arc::new(Sealer::new(ring.clone()));
        let journal = Arc::new(MemoryJournal::default());
        let trust_domain = TrustDomain::parse("example.org").unwrap();
        let trail = Trail::new(journal.clone(), trust_domain.host("0123"), clock.clone());
        let bound =
            |name: &str| BoundProvider { provider: ProviderName::parse(name).unwrap(), scopes: scopes("read write") };
        let terms = Terms { providers: PROVIDERS.map(bound).into(), reveal: true, ..Terms::default() };
        let saas = ThirdParty::start().await;
        let mut terms = HashMap::from(
            ["calendar", "elsewhere"].map(|name| (AgentName::parse(name).unwrap(), Arc::new(terms.clone()))),
        );
        let calendar = terms[&AgentName::parse("calendar").unwrap()].clone();
        let confined = Terms { confine: true, egress: vec![saas.url.clone()], ..Terms::clone(&calendar) };
        terms.insert(AgentName::parse("confined").unwrap(), Arc::new(confined));
        let directory = Directory::load(Arc::new(MemoryEntries::default()), trust_domain, terms.into(), clock.clone())
            .await
            .unwrap();
        for name in ["calendar", "rogue", "confined"] {
            let deployment = Deployment {
                name: AgentName::parse(name).unwrap(),
                digest: Digest::of(name.as_bytes()),
                publisher: format!("{name} makers"),
                by: "operator".into(),
                allowed_return_urls: Some(vec![RETURN_URL.into()]),
                source: None,
                authority: attache::directory::Authority::none(),
            };
            directory.deploy(deployment).await.ok().unwrap();
        }
        directory.create(elsewhere()).await.ok().unwrap();
        let key = folder.path().join("weather.key");
        std::fs::write(&key, "the-first-weather-key").unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let providers = Providers::configured(PROVIDERS.map(|name| saas.provider(name, &key)));
        let client = attache::egress::Client::new(&attache::egress::ClientConfig::development()).ok().unwrap();
        let oauth = OAuth::new(client, workload_issuer(), clock.clone());
        let (rows, sessions) = (Arc::new(MemoryRows::default()), Arc::new(MemorySessions::default()));
        let vault = load(&rows, &sealer, &oauth, &providers, &directory, &trail, &clock).await.unwrap();
        let consents = consents_of(&sessions, &sealer, &vault, &oauth, &providers, &directory, &trail, &clock);
        let issuer = TestIssuer::new(ISSUER);
        let verifier = Verifier::new(issuer.documents(), clock.clone());
        let mut rule = IssuerRule::new(Issuer::parse(ISSUER).unwrap());
        rule.audiences = vec![AUDIENCE.into()];
        let authorizer = Authorizer::new("test", vec![rule]).ok().unwrap();
        Self {
            clock,
            journal,
            rows,
            sessions,
            trail,
            sealer,
            ring,
            oauth,
            providers,
            directory,
            vault,
            consents,
            saas,
            verifier,
            issuer,
            authorizer,
            folder,
        }
    }

    /// The user, as of a token that was signed this moment.
    pub async fn user(&self, name: &str) -> Arc<VerifiedUser> {
        let mut claims = self.issuer.claims(name, AUDIENCE, self.clock.now());
        let mut id = [0; 8];
        fill_random(&mut id);
        claims["jti"] = hex(&id).into();
        let bearer = bearer(&self.issuer.sign(claims));
        match self.verifier.verify(&bearer, &self.authorizer).await {
            Ok(user) => user,
            Err(rejected) => panic!("{rejected}"),
        }
    }

    /// A workload that runs elsewhere, for this user or for nobody.
    pub async fn bind_elsewhere(&self, user: Option<&str>) -> Arc<Binding> {
        let agent = self.directory.resolve_elsewhere(&AgentName::parse("elsewhere").unwrap()).ok().unwrap();
        let user = match user {
            Some(name) => Some(self.user(name).await.into()),
            None => None,
        };
        Binding::bind(agent, user, SessionId::random(), self.trail.host())
    }

    /// An agent that was invoked for itself.
    pub fn bind_alone(&self, agent: &str) -> Arc<Binding> {
        let agent = self.directory.resolve(&AgentName::parse(agent).unwrap()).ok().unwrap();
        Binding::bind(agent, None, SessionId::random(), self.trail.host())
    }

    /// The file of the key of `weather`.
    pub fn weather_key(&self) -> std::path::PathBuf {
        self.folder.path().join("weather.key")
    }

    pub async fn bind(&self, agent: &str, user: &str) -> Arc<Binding> {
        let agent = self.directory.resolve(&AgentName::parse(agent).unwrap()).ok().unwrap();
        Binding::bind(agent, Some(self.user(user).await.into()), SessionId::random(), self.trail.host())
    }

    pub fn provider(&self, name: &str) -> Arc<Provider> {
        self.providers.oauth2(&ProviderName::parse(name).unwrap()).unwrap()
    }

    pub fn attempt(&self, who: &Arc<Binding>) -> Attempt {
        self.trail
            .open(who, attache::audit::Action::new(attache::audit::codes::SEND, "GET https://api.example/"))
            .unwrap()
    }

    /// What the browser brings back once the user agreed at this URL.
    pub fn answer(&self, url: &url::Url) -> Callback {
        Callback {
            state: Some(query(url, "state")),
            code: Some(self.saas.agree(url)),
            iss: Some(self.saas.url.clone()),
            error: None,
            error_description: None,
        }
    }

    /// Keeps tokens as a consent would.
    pub async fn keep(
        &self,
        who: &Arc<Binding>,
        provider: &str,
        asked: impl Into<Wanted>,
        tokens: TokenSet,
    ) -> GrantId {
        let attempt = self.attempt(who);
        let written = attempt.written().await.unwrap();
        self.vault.keep(&written, &self.provider(provider), &asked.into(), tokens, None).await.unwrap()
    }

    /// A token that nobody is asked for.
    pub async fn minted(&self, who: &Arc<Binding>, provider: &str, mint: &Mint) -> Result<Token, VaultError> {
        let attempt = self.attempt(who);
        let written = attempt.written().await.unwrap();
        self.vault.minted(&written, &self.provider(provider), mint).await
    }

    pub async fn token(
        &self,
        who: &Arc<Binding>,
        provider: &str,
        wanted: impl Into<Wanted>,
    ) -> Result<Token, VaultError> {
        self.token_of(&self.vault, who, provider, wanted).await
    }

    pub async fn token_of(
        &self,
        vault: &Vault,
        who: &Arc<Binding>,
        provider: &str,
        wanted: impl Into<Wanted>,
    ) -> Result<Token, VaultError> {
        let attempt = self.attempt(who);
        let written = attempt.written().await.unwrap();
        vault.token(&written, &self.provider(provider), &wanted.into()).await
    }

    /// Consents of a host that starts anew on the same sessions.
    pub fn restarted_consents(&self) -> Arc<Consents> {
        self.restarted_consents_with(&self.providers)
    }

    /// The same with other providers.
    pub fn restarted_consents_with(&self, providers: &Arc<Providers>) -> Arc<Consents> {
        consents_of(
            &self.sessions,
            &self.sealer,
            &self.vault,
            &self.oauth,
            providers,
            &self.directory,
            &self.trail,
            &self.clock,
        )
    }

    /// A host that starts anew after this provider was made another: an address of somebody else's under the same name, or
    /// another client.
    pub fn replace_provider(&mut self, name: &str, change: impl FnOnce(&mut Provider)) {
        let mut provider = Provider::clone(&self.provider(name));
        change(&mut provider);
        let others = self.providers.list().into_iter().filter(|other| other.name().as_str() != name);
        let all = others.chain([CredentialProvider::Oauth2(Arc::new(provider))]);
        self.providers = Providers::configured(all.collect::<Vec<_>>());
        self.consents = self.restarted_consents();
    }

    /// Deletes the workload `elsewhere`, and makes another of that name.
    pub async fn remake_elsewhere(&self) {
        let name = AgentName::parse("elsewhere").unwrap();
        let retired = self.directory.retire(&name).await.ok().unwrap();
        self.directory.remove(retired).await.ok().unwrap();
        self.directory.create(elsewhere()).await.ok().unwrap();
    }

    /// A host that starts anew on the same rows.
    pub async fn restart(&self) -> Result<Arc<Vault>, VaultError> {
        load(&self.rows, &self.sealer, &self.oauth, &self.providers, &self.directory, &self.trail, &self.clock).await
    }

    pub fn records(&self, action: &str) -> Vec<Record> {
        self.journal.records().into_iter().filter(|record| record.action.action == action).collect()
    }

    /// How the attempts of this action ended.
    pub fn outcomes(&self, action: &str) -> Vec<String> {
        let ended = |record: Record| record.outcome.map(|o| format!("{:?} {}", o.decision, o.reason).trim().to_owned());
        self.records(action).into_iter().filter_map(ended).collect()
    }
}

/// A workload that runs elsewhere.
fn elsewhere() -> NewWorkload {
    NewWorkload {
        name: AgentName::parse("elsewhere").unwrap(),
        publisher: "somebody".into(),
        by: "operator".into(),
        allowed_return_urls: vec![RETURN_URL.into()],
        tags: Tags::default(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one of each room")]
fn consents_of(
    sessions: &Arc<MemorySessions>,
    sealer: &Arc<Sealer>,
    vault: &Arc<Vault>,
    oauth: &Arc<OAuth>,
    providers: &Arc<Providers>,
    directory: &Arc<Directory>,
    trail: &Trail,
    clock: &Clock,
) -> Arc<Consents> {
    Consents::new(
        sessions.clone(),
        sealer.clone(),
        vault.clone(),
        oauth.clone(),
        Arc::clone(providers),
        directory.clone(),
        trail.clone(),
        "https://attache.example/".parse().unwrap(),
        clock.clone(),
    )
}

async fn load(
    rows: &Arc<MemoryRows>,
    sealer: &Arc<Sealer>,
    oauth: &Arc<OAuth>,
    providers: &Arc<Providers>,
    directory: &Arc<Directory>,
    trail: &Trail,
    clock: &Clock,
) -> Result<Arc<Vault>, VaultError> {
    let parts = VaultParts {
        rows: rows.clone(),
        sealer: sealer.clone(),
        oauth: oauth.clone(),
        issuer: workload_issuer(),
        providers: providers.clone(),
        directory: directory.clone(),
        trail: trail.clone(),
        account: Account::parse("test").unwrap(),
        clock: clock.clone(),
    };
    Vault::load(parts).await
}

pub fn scopes(text: &str) -> Scopes {
    Scopes::parse(text.split_whitespace()).unwrap()
}

pub fn text(token: &Token) -> String {
    token.secret.expose_text().unwrap().to_owned()
}

/// Tokens of an hour.
pub fn tokens(access: &str, refresh: Option<&str>) -> TokenSet {
    TokenSet {
        access: Secret::from_text(access.into()),
        refresh: refresh.map(|text| Secret::from_text(text.into())),
        expires_in: Some(Duration::from_secs(3600)),
        scopes: None,
        id_token: None,
        holder: None,
        token_type: TokenType::Bearer,
        issued_token_type: None,
    }
}

/// Waits for what another task is about to do.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came about: {what}");
}

pub fn query(url: &url::Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
}

pub fn session_uri(landing: &Landing) -> ConsentId {
    let Landing::ReturnToApp { url } = landing else { panic!("{landing:?}") };
    ConsentId::from_session_uri(&query(url, "session_id")).unwrap()
}

impl ThirdParty {
    pub fn provider(&self, which: &str, key: &std::path::Path) -> CredentialProvider {
        let name = ProviderName::parse(which).unwrap();
        let destinations = Destinations::parse([format!("{}/api/", self.url).as_str()]).ok().unwrap();
        if which == "weather" {
            let source = SecretSource::File(SecretFile::new(key.to_owned(), None));
            let placement = Placement::header("x-weather-key", "").ok().unwrap();
            let provider = ApiKeyProvider::new(name, source, placement, destinations);
            return CredentialProvider::ApiKey(Arc::new(provider));
        }
        let actor = match which {
            "orders" => Some(ActorToken::None),
            "orders-own" => Some(ActorToken::MachineToMachine { scopes: scopes("act") }),
            "orders-jwt" => Some(ActorToken::WorkloadJwt { audience: None }),
            _ => None,
        };
        let on_behalf_of = actor.map(|actor| OnBehalfOf {
            grant: Delegation::TokenExchange,
            actor,
            subject_token_type: token_types::JWT.into(),
            requested_token_type: None,
            client_authentication: None,
        });
        let dpop = if which == "bound" { When::Always } else { When::Never };
        let consent = if which == "tv" { ConsentBy::Device } else { ConsentBy::Browser };
        let url = |path: &str| format!("{}{path}", self.url).parse().unwrap();
        let server = Server {
            issuer: Some(Issuer::parse(&self.url).unwrap()),
            revocation: Some(url("/revoke")),
            device_authorization: Some(url("/device")),
            ..Server::new(Some(url("/authorize")), url("/token"))
        };
        let authentication = ClientAuthentication::Post(Arc::new(Secret::from_text("secret".into())));
        let provider = Provider {
            destinations,
            on_behalf_of,
            consent,
            dpop,
            ..Provider::new(name, Endpoints::Static(Arc::new(server)), "attache", authentication)
        };
        CredentialProvider::Oauth2(Arc::new(provider))
    }
}

/// The keys that sign tokens about workloads; the same in all tests of a process, since an RSA key takes its time.
pub fn workload_issuer() -> Arc<attache::identity::WorkloadIssuer> {
    static ISSUER: std::sync::LazyLock<Arc<attache::identity::WorkloadIssuer>> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let url = "https://agents.example.com/".parse().unwrap();
        let path = folder.path().join("tokens.pem");
        Arc::new(attache::identity::WorkloadIssuer::open_or_create(&path, &url).unwrap())
    });
    ISSUER.clone()
}
