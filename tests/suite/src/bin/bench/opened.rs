//! A whole host in this process, over the data folder of one that was set up the usual way; and grants that are there without
//! clicks.

use anyhow::{Context as _, Result};
use attache::clock::Clock;
use attache::identity::{Bearer, Binding};
use attache::ids::{AgentName, Scopes, SessionId};
use attache::oauth::{Provider, TokenSet, TokenType};
use attache::secret::Secret;
use attache::wiring::Host;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use suite::host::component;
use suite::world::World;

/// The provider that everything here is about, and the one scope.
pub(crate) const PROVIDER: &str = "google-calendar";
pub(crate) const SCOPE: &str = "calendar.read";
/// Workloads of this pattern run elsewhere and may use every provider.
pub(crate) const WORKLOADS: &str = "\n[workloads.\"open-*\"]\nany_provider = true\nauthorizer = \"default\"\n\
                                    trust_user_ids = true\n";

/// A host in this process, with the agent `probe` deployed and a user's grant for it.
pub(crate) struct Opened {
    pub(crate) host: Arc<Host>,
    pub(crate) world: World,
    token: String,
}

impl Opened {
    /// With this clock.
    pub(crate) async fn start(clock: Clock) -> Result<Self> {
        let mut world =
            World::start_with(|spec| spec.extra.push_str(&format!("{}{WORKLOADS}", crate::NO_RATE))).await?;
        world.bed.saas.control("settings", json!({ "access_token_ttl": 3600 })).await?;
        world.host.deploy("probe", &component("probe")?, "bench.example")?;
        let mut alice = world.person("alice").await?;
        world.grant(&mut alice, "probe", &format!("acquire?provider={PROVIDER}&scope={SCOPE}")).await?;
        let token = world.token_with(json!({ "user": "alice", "expires_in": 3600 })).await?;
        world.host.kill();
        let mut settings = attache::config::load(&world.host.dir().join("attache.toml"))?;
        settings.data_dir = world.host.data();
        let host = Host::start(settings, clock).await?;
        Ok(Self { host, world, token })
    }

    /// An invocation of `probe` for the user.
    pub(crate) async fn binding(&self) -> Result<Arc<Binding>> {
        let (host, name) = (&self.host, AgentName::parse("probe")?);
        let authorizer = host.settings.authorizer_of(&name)?;
        let user = host.verifier.verify(&Bearer::from_text(&self.token)?, authorizer).await?;
        let agent = host.directory.resolve(&name)?;
        Ok(Binding::bind(agent, Some(user.into()), SessionId::random(), host.trail.host()))
    }

    /// The provider.
    pub(crate) fn provider(&self) -> Result<Arc<Provider>> {
        self.host.providers.oauth2(&PROVIDER.parse()?).context("the provider")
    }
}

/// The one scope.
pub(crate) fn scopes() -> Result<Scopes> {
    Ok(Scopes::parse([SCOPE])?)
}

/// What a provider might answer: an access token of 1 KiB, as large as a JWT, and a refresh token.
pub(crate) fn tokens() -> TokenSet {
    TokenSet {
        access: Secret::new(vec![b'a'; 1024]),
        token_type: TokenType::Bearer,
        refresh: Some(Secret::new(vec![b'r'; 64])),
        expires_in: Some(Duration::from_secs(3600)),
        scopes: None,
        id_token: None,
        holder: None,
        issued_token_type: None,
    }
}
