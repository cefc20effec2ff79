//! A host between its users' identity provider and a third party, all real, and the people who use it.

use crate::browser::Browser;
use crate::call::Caller;
use crate::host::{AgentSpec, Host, ProviderSpec, Spec, free_port};
use crate::testbed::{ATTACHE_SECRET, AUDIENCE, SIGN_IN_SECRET, TestBed};
use crate::walk;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Everything that a test of the whole host needs. Stopped when dropped.
pub struct World {
    /// The host.
    pub host: Host,
    /// An app's client of it.
    pub caller: Caller,
    /// The two providers.
    pub bed: TestBed,
}

/// Somebody with a browser and a token of the app's.
pub struct Person {
    /// Their name at the identity provider; also their `sub`.
    pub name: String,
    /// Their browser.
    pub browser: Browser,
    /// What the app got when they signed in.
    pub token: String,
}

/// What the third party offers to the calendar agent.
pub const SCOPES: [&str; 2] = ["calendar.read", "calendar.write"];

impl World {
    /// With agents `calendar`, `rogue`, `hello` and `probe` configured, and nothing deployed.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// As [`World::start`], after a change to the host's configuration.
    pub async fn start_with(change: impl FnOnce(&mut Spec)) -> Result<Self> {
        let bed = TestBed::start().await?;
        let scopes: Vec<String> = SCOPES.iter().map(|s| (*s).to_owned()).collect();
        let provider = |name: &str| ProviderSpec {
            name: name.into(),
            issuer: bed.saas.issuer(),
            client_id: "attache".into(),
            client_secret: ATTACHE_SECRET.into(),
            scopes: scopes.clone(),
            hosts: vec![bed.saas.issuer()],
            resource: None,
        };
        let agent = |name: &str, providers: &[&str]| AgentSpec {
            name: name.into(),
            providers: providers.iter().map(|p| ((*p).to_owned(), scopes.clone())).collect(),
            claims: vec!["email".into()],
            egress: Vec::new(),
            return_urls: vec!["http://127.0.0.1:9/consented".into()],
            reveal: false,
        };
        let mut spec = Spec {
            program: None,
            port: free_port()?,
            idp: bed.idp.issuer(),
            idp_lines: String::new(),
            audience: AUDIENCE.into(),
            sign_in: ("attache-sign-in".into(), SIGN_IN_SECRET.into()),
            providers: vec![provider("google-calendar"), provider("team-calendar")],
            agents: vec![
                agent("calendar", &["google-calendar"]),
                agent("rogue", &["team-calendar"]),
                agent("hello", &[]),
                agent("probe", &["google-calendar", "team-calendar"]),
            ],
            extra: String::new(),
            own_isolation: false,
            more_providers: Vec::new(),
            files: Vec::new(),
        };
        change(&mut spec);
        let url = url::Url::parse(&format!("http://127.0.0.1:{}/", spec.port))?;
        let more = spec.more_providers.iter().map(String::as_str);
        let names: Vec<&str> = spec.providers.iter().map(|p| p.name.as_str()).chain(more).collect();
        bed.host_is_at(&url, &names).await?;
        let host = Host::start(&spec)?;
        let caller = Caller::new(&host.url);
        Ok(Self { host, caller, bed })
    }

    /// Somebody who has just signed in to the app, with the clicks of it: authorization code with PKCE.
    pub async fn person(&self, name: &str) -> Result<Person> {
        Ok(Person { name: name.into(), browser: Browser::new(), token: self.bed.idp.sign_in(name).await? })
    }

    /// A token of the app's for this user, fresh.
    pub async fn token(&self, name: &str) -> Result<String> {
        self.token_with(json!({ "user": name })).await
    }

    /// A token with wishes: `{ user, client, scope, audience, expires_in, claims }`.
    pub async fn token_with(&self, wishes: Value) -> Result<String> {
        self.bed.idp.mint(wishes).await
    }

    /// What the third party counted.
    pub async fn stats(&self) -> Result<Value> {
        self.bed.saas.control("stats", json!({})).await
    }

    /// Every opaque token that the third party ever issued: canaries.
    pub async fn canaries(&self) -> Result<Vec<String>> {
        let tokens = self.bed.saas.control("tokens", json!({})).await?;
        Ok(tokens.as_array().context("a list")?.iter().filter_map(|t| t["value"].as_str().map(str::to_owned)).collect())
    }

    /// Lets `person` grant what the probe `agent` asks for when it is called at `rest`, such as
    /// `acquire?provider=google-calendar`.
    pub async fn grant(&self, person: &mut Person, agent: &str, rest: &str) -> Result<()> {
        let reply = self.caller.probe(agent, &person.token, rest).await?;
        let url = quoted(&reply.text(), "authorization-url: ")
            .with_context(|| format!("a consent link, not {} {}", reply.status, reply.text()))?;
        let page = walk::open(&mut person.browser, &url, &person.name.clone()).await?;
        ensure!(page.status == 200, "the consent of {} ended with {}: {}", person.name, page.status, page.body);
        Ok(())
    }

    /// Waits until something is so, at most 20 seconds: for what happens beside a reply, such as telling a provider.
    pub async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if so().await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("not within 20 seconds: {what}")
    }
}

/// The text in quotation marks that follows `name` in what the probe printed.
pub fn quoted(text: &str, name: &str) -> Option<String> {
    let rest = text[text.find(name)? + name.len()..].strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}
