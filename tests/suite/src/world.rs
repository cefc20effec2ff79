//! A host between its users' identity provider and a third party, all real, and the people who use it.

use crate::browser::Browser;
use crate::call::Caller;
use crate::host::{AgentSpec, Host, ProviderSpec, Spec, free_port};
use crate::testbed::TestBed;
use crate::walk;
use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// The audience of users' tokens.
pub const AUDIENCE: &str = "https://attache.test/";

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
            issuer: bed.saas.clone(),
            client_id: "attache".into(),
            client_secret: "attache-secret-attache-secret".into(),
            scopes: scopes.clone(),
            hosts: vec![bed.saas.clone()],
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
            port: free_port()?,
            idp: bed.idp.clone(),
            audience: AUDIENCE.into(),
            sign_in: ("attache-sign-in".into(), "sign-in-secret-sign-in-secret".into()),
            providers: vec![provider("google-calendar"), provider("team-calendar")],
            agents: vec![
                agent("calendar", &["google-calendar"]),
                agent("rogue", &["team-calendar"]),
                agent("hello", &[]),
                agent("probe", &["google-calendar", "team-calendar"]),
            ],
            extra: String::new(),
        };
        change(&mut spec);
        let url = format!("http://127.0.0.1:{}", spec.port);
        bed.redirects("idp", json!({ "attache-sign-in": [format!("{url}/sign-in/callback")] })).await?;
        let back: Vec<String> = spec.providers.iter().map(|p| format!("{url}/oauth2/callback/{}", p.name)).collect();
        bed.redirects("saas", json!({ "attache": back })).await?;
        let host = Host::start(&spec)?;
        let caller = Caller::new(&host.url);
        Ok(Self { host, caller, bed })
    }

    /// Somebody who has just signed in to the app, with the clicks of it: authorization code with PKCE.
    pub async fn person(&self, name: &str) -> Result<Person> {
        let mut browser = Browser::new();
        let token = self.sign_in(&mut browser, name).await?;
        Ok(Person { name: name.into(), browser, token })
    }

    /// Signs in to the app once more; the same human, other bytes.
    pub async fn sign_in(&self, browser: &mut Browser, name: &str) -> Result<String> {
        const BACK: &str = "http://127.0.0.1/callback";
        let verifier = "a-verifier-of-the-app-that-is-long-enough-for-pkce";
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let mut url = url::Url::parse(&format!("{}/auth", self.bed.idp))?;
        url.query_pairs_mut()
            .extend_pairs([("client_id", "app"), ("response_type", "code"), ("redirect_uri", BACK)])
            .extend_pairs([("scope", "openid agent.invoke"), ("resource", AUDIENCE), ("state", "of-the-app")])
            .extend_pairs([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
        let page = browser.get_until(url.as_str(), BACK).await?;
        let page = walk::walk(browser, page, name, Some(BACK)).await?;
        let code = page.query("code").with_context(|| format!("no code at {}:\n{}", page.url, page.text))?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "authorization_code"), ("client_id", "app"), ("redirect_uri", BACK)])
            .extend_pairs([("code", code.as_str()), ("code_verifier", verifier), ("resource", AUDIENCE)])
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let reply = Caller::new(&self.bed.idp).send(http::Method::POST, "/token", None, &headers, form).await?;
        let token = reply.json()["access_token"].as_str().map(str::to_owned);
        token.with_context(|| format!("no token for {name}: {} {}", reply.status, reply.text()))
    }

    /// A token of the app's for this user, fresh.
    pub async fn token(&self, name: &str) -> Result<String> {
        self.token_with(json!({ "user": name })).await
    }

    /// A token with wishes: `{ user, client, scope, audience, expires_in, claims }`.
    pub async fn token_with(&self, wishes: Value) -> Result<String> {
        let answer = self.bed.control("idp", "token", wishes).await?;
        Ok(answer["access_token"].as_str().context("an access token")?.to_owned())
    }

    /// What the third party counted.
    pub async fn stats(&self) -> Result<Value> {
        self.bed.control("saas", "stats", json!({})).await
    }

    /// Lets `person` grant what the probe `agent` asks for when it is called at `rest`, such as
    /// `acquire?provider=google-calendar`.
    pub async fn grant(&self, person: &mut Person, agent: &str, rest: &str) -> Result<()> {
        let reply = self.caller.probe(agent, &person.token, rest).await?;
        let url = quoted(&reply.text(), "authorization_url: ")
            .with_context(|| format!("a consent link, not {} {}", reply.status, reply.text()))?;
        let page = walk::open(&mut person.browser, &url, &person.name.clone()).await?;
        ensure!(page.status == 200, "the consent of {} ended with {}: {}", person.name, page.status, page.text);
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
