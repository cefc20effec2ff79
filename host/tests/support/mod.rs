//! A bench for the vault and the consent sessions: real rooms over stores in memory, an identity provider that signs,
//! and a third party on loopback that counts what it is asked.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

#[path = "../../../tests/suite/src/issuer.rs"]
mod issuer;
pub mod stores;
pub mod third_party;

use attache::audit::{Attempt, Record, Trail};
use attache::clock::{Clock, Timestamp};
use attache::consent::{Consents, Landing};
use attache::directory::{BoundProvider, Deployment, Directory, Terms};
use attache::identity::{Authorizer, Binding, IssuerRule, VerifiedUser, Verifier};
use attache::ids::*;
use attache::oauth::{ClientAuthentication, Endpoints, OAuth, Provider, Server, TokenSet, TokenType};
use attache::providers::{CredentialProvider, Providers};
use attache::seal::{KeyRing, Sealer};
use attache::secret::Secret;
use attache::vault::{Token, Vault, VaultError};
use issuer::{TestIssuer, bearer};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use stores::{MemoryEntries, MemoryJournal, MemoryRows, MemorySessions};
use third_party::ThirdParty;

pub const ISSUER: &str = "https://idp.example";
pub const AUDIENCE: &str = "attache";
pub const RETURN_URL: &str = "https://app.example/done?from=attache";

pub struct Bench {
    pub clock: Clock,
    pub journal: Arc<MemoryJournal>,
    pub rows: Arc<MemoryRows>,
    pub sessions: Arc<MemorySessions>,
    pub trail: Trail,
    pub sealer: Arc<Sealer>,
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
    /// Agents `calendar` and `rogue`, providers `google` and `slack` (one third party under two names).
    pub async fn new() -> Self {
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open_or_create(&folder.path().join("keyring.toml")).unwrap();
        let sealer = Arc::new(Sealer::new(Arc::new(ring)));
        let journal = Arc::new(MemoryJournal::default());
        let trust_domain = TrustDomain::parse("example.org").unwrap();
        let trail = Trail::new(journal.clone(), trust_domain.host("0123"), clock.clone());
        let bound =
            |name: &str| BoundProvider { provider: ProviderName::parse(name).unwrap(), scopes: scopes("read write") };
        let terms = Terms { providers: vec![bound("google"), bound("slack")], ..Terms::default() };
        let terms = HashMap::from([(AgentName::parse("calendar").unwrap(), Arc::new(terms))]);
        let directory = Directory::load(Arc::new(MemoryEntries::default()), trust_domain, terms.into(), clock.clone())
            .await
            .unwrap();
        for name in ["calendar", "rogue"] {
            let deployment = Deployment {
                name: AgentName::parse(name).unwrap(),
                digest: Digest::of(name.as_bytes()),
                publisher: format!("{name} makers"),
                by: "operator".into(),
                allowed_return_urls: Some(vec![RETURN_URL.into()]),
            };
            directory.deploy(deployment).await.ok().unwrap();
        }
        let saas = ThirdParty::start().await;
        let providers = Providers::configured(["google", "slack"].map(|name| saas.provider(name)));
        let client = attache::egress::Client::new(&attache::egress::ClientConfig::development()).ok().unwrap();
        let oauth = OAuth::new(client, workload_issuer(), clock.clone());
        let (rows, sessions) = (Arc::new(MemoryRows::default()), Arc::new(MemorySessions::default()));
        let vault = load(&rows, &sealer, &oauth, &providers, &trail, &clock).await.unwrap();
        let consents = Consents::new(
            sessions.clone(),
            sealer.clone(),
            vault.clone(),
            oauth.clone(),
            Arc::clone(&providers),
            directory.clone(),
            trail.clone(),
            "https://attache.example/".parse().unwrap(),
            clock.clone(),
        );
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

    /// Keeps tokens as a consent would.
    pub async fn keep(&self, who: &Arc<Binding>, provider: &str, asked: &Scopes, tokens: TokenSet) -> GrantId {
        let attempt = self.attempt(who);
        let written = attempt.written().await.unwrap();
        self.vault.keep(&written, &self.provider(provider), asked, tokens).await.unwrap()
    }

    pub async fn token(&self, who: &Arc<Binding>, provider: &str, wanted: &Scopes) -> Result<Token, VaultError> {
        self.token_of(&self.vault, who, provider, wanted).await
    }

    pub async fn token_of(
        &self,
        vault: &Vault,
        who: &Arc<Binding>,
        provider: &str,
        wanted: &Scopes,
    ) -> Result<Token, VaultError> {
        let attempt = self.attempt(who);
        let written = attempt.written().await.unwrap();
        vault.token(&written, &self.provider(provider), wanted).await
    }

    /// A host that starts anew on the same rows.
    pub async fn restart(&self) -> Result<Arc<Vault>, VaultError> {
        load(&self.rows, &self.sealer, &self.oauth, &self.providers, &self.trail, &self.clock).await
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

async fn load(
    rows: &Arc<MemoryRows>,
    sealer: &Arc<Sealer>,
    oauth: &Arc<OAuth>,
    providers: &Arc<Providers>,
    trail: &Trail,
    clock: &Clock,
) -> Result<Arc<Vault>, VaultError> {
    Vault::load(
        rows.clone(),
        sealer.clone(),
        oauth.clone(),
        providers.clone(),
        trail.clone(),
        Account::parse("test").unwrap(),
        clock.clone(),
    )
    .await
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
    ConsentId::from_session_uri(&query(url, "session_uri")).unwrap()
}

impl ThirdParty {
    pub fn provider(&self, name: &str) -> CredentialProvider {
        let name = ProviderName::parse(name).unwrap();
        let url = |path: &str| format!("{}{path}", self.url).parse().unwrap();
        let server = Server {
            issuer: Some(Issuer::parse(&self.url).unwrap()),
            revocation: Some(url("/revoke")),
            ..Server::new(Some(url("/authorize")), url("/token"))
        };
        let authentication = ClientAuthentication::Post(Arc::new(Secret::from_text("secret".into())));
        let provider = Provider {
            destinations: attache::egress::Destinations::parse([format!("{}/api/", self.url).as_str()]).ok().unwrap(),
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
