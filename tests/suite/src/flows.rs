//! A host whose probe may use providers that stand in its configuration as an operator would write them.

use crate::host::component;
use crate::world::{Person, World, quoted};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything that the third party offers.
pub const SCOPES: [&str; 4] = ["calendar.read", "calendar.write", "tasks.read", "tasks.write"];

/// One table of the configuration.
pub struct Written {
    name: String,
    kind: &'static str,
    lines: String,
    scopes: Vec<&'static str>,
    files: Vec<(String, String)>,
}

impl Written {
    /// `[providers.NAME]` with these lines. `SAAS` in them is the third party's URL, `IDP` the identity provider's.
    pub fn oauth2(name: &str, lines: &str) -> Self {
        let lines = format!("scopes = {SCOPES:?}\nhosts = [\"SAAS\"]\n{lines}");
        Self { name: name.into(), kind: "providers", lines, scopes: SCOPES.to_vec(), files: Vec::new() }
    }

    /// `[providers.NAME]` for the third party's client of this id, known by the secret that all of them have.
    pub fn saas(name: &str, client: &str, lines: &str) -> Self {
        let known = format!("issuer = \"SAAS\"\nclient_id = {client:?}\nclient_secret = {{ file = \"{name}.key\" }}");
        Self::oauth2(name, &format!("{known}\n{lines}")).file(&format!("{name}.key"), crate::testbed::ATTACHE_SECRET)
    }

    /// `[api_keys.NAME]` with these lines and this key.
    pub fn api_key(name: &str, key: &str, lines: &str) -> Self {
        let lines = format!("key = {{ file = \"{name}.key\" }}\nhosts = [\"SAAS\"]\n{lines}");
        let it = Self { name: name.into(), kind: "api_keys", lines, scopes: Vec::new(), files: Vec::new() };
        it.file(&format!("{name}.key"), key)
    }

    /// A file that the lines name.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Another host than the third party is where its credential goes.
    #[must_use]
    pub fn sent_to(mut self, url: &str) -> Self {
        self.lines = self.lines.replace("hosts = [\"SAAS\"]", &format!("hosts = [{url:?}]"));
        self
    }

    /// The only scopes that the probe is bound to there.
    #[must_use]
    pub fn bound_to(mut self, scopes: &[&'static str]) -> Self {
        self.scopes = scopes.to_vec();
        self
    }
}

/// A world with these, and the probe deployed.
///
/// # Errors
/// When a part does not start, or the host does not take what is written.
pub async fn world(written: Vec<Written>) -> Result<World> {
    let world = World::start_with(|spec| {
        let saas = spec.providers.first().map(|provider| provider.issuer.clone()).unwrap_or_default();
        let idp = spec.idp.clone();
        spec.providers.clear();
        spec.agents.retain(|agent| agent.name == "probe");
        for agent in &mut spec.agents {
            agent.providers.clear();
        }
        for table in written {
            let lines = table.lines.replace("SAAS", &saas).replace("IDP", &idp);
            spec.extra += &format!("\n[{}.{}]\n{lines}\n", table.kind, table.name);
            let scopes: Vec<String> = table.scopes.iter().map(|scope| (*scope).to_owned()).collect();
            for agent in &mut spec.agents {
                agent.providers.push((table.name.clone(), scopes.clone()));
            }
            spec.more_providers.push(table.name);
            spec.files.extend(table.files);
        }
    })
    .await?;
    world.host.deploy("probe", &component("probe")?, "acme.example")?;
    Ok(world)
}

impl World {
    /// What the probe says to this.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn ask(&self, token: &str, rest: &str) -> Result<String> {
        let reply = self.caller.probe("probe", token, rest).await?;
        ensure!(reply.status == 200, "{rest}: {} {}", reply.status, reply.text());
        Ok(reply.text())
    }

    /// Sends with the credential that `query` asks for, and reads what the third party says of its token.
    ///
    /// # Errors
    /// When there is no such credential, or the third party does not take it.
    pub async fn about(&self, token: &str, query: &str) -> Result<Value> {
        let text = self.ask(token, &format!("send?{query}&url={}/about", self.bed.saas.issuer())).await?;
        let body = text.strip_prefix("200 ").and_then(|text| text.split_once('\n'));
        let (_, body) = body.with_context(|| format!("the third party does not take it: {text}"))?;
        Ok(serde_json::from_str(body)?)
    }

    /// The link to the consent that the probe is refused with.
    ///
    /// # Errors
    /// When it is not.
    pub async fn link(&self, token: &str, query: &str) -> Result<String> {
        let text = self.ask(token, &format!("acquire?{query}")).await?;
        quoted(&text, "authorization-url: ").with_context(|| format!("consent was to be asked, not {text}"))
    }

    /// Lets `person` grant what the probe asks for.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn agree(&self, person: &mut Person, query: &str) -> Result<()> {
        self.grant(person, "probe", &format!("acquire?{query}")).await
    }

    /// How often the third party answered a token request of this grant type with a token.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn tokens_of(&self, grant: &str) -> Result<u64> {
        Ok(self.stats().await?["token_requests"][grant].as_u64().unwrap_or_default())
    }

    /// Tells the third party how to behave from now on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn saas_settings(&self, settings: Value) -> Result<()> {
        self.bed.saas.control("settings", settings).await.map(drop)
    }

    /// Waits until the access token of the one grant may not be used any more.
    ///
    /// # Errors
    /// When there is no grant, or its token lives long.
    pub async fn until_expired(&self) -> Result<()> {
        let grants = self.host.json(&["grants", "list"])?;
        let until = grants[0]["expires_at"].as_u64().with_context(|| format!("one grant with an end: {grants}"))?;
        self.until("the token is over", async || {
            Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() >= u128::from(until))
        })
        .await
    }

    /// What the trail says of this action, the latest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn trail(&self, action: &str) -> Result<Vec<Value>> {
        let entries = self.host.json(&["audit", "--action", action, "--limit", "1000"])?;
        Ok(entries.as_array().context("a list")?.clone())
    }

    /// The digest of what is deployed as the probe.
    ///
    /// # Errors
    /// When it is not there.
    pub fn probe_digest(&self) -> Result<String> {
        let agents = self.host.json(&["agents"])?;
        let text = agents.to_string();
        let at = text.find("sha256:").with_context(|| format!("a digest: {text}"))?;
        Ok(text[at..at + "sha256:".len() + 64].to_owned())
    }
}

/// The claims of a JWT, unverified: whoever received it has verified it.
///
/// # Errors
/// When it is none.
pub fn claims(jwt: &Value) -> Result<Value> {
    use base64::Engine as _;
    let text = jwt.as_str().with_context(|| format!("a token, not {jwt}"))?;
    let payload = text.split('.').nth(1).with_context(|| format!("a JWT, not {text}"))?;
    Ok(serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload)?)?)
}

/// Settings under which an access token is over after two seconds.
pub fn short_lived() -> Value {
    json!({ "access_token_ttl": 2 })
}
