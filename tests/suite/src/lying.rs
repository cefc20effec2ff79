//! A whole host among providers that lie: its users' identity provider, the third parties of its agents, or both.

use crate::browser::{Browser, Page};
use crate::call::Caller;
use crate::host::{AgentSpec, Host, Spec, component, free_port};
use crate::operator::Operator;
use crate::testbed::{AUDIENCE, Service};
use crate::walk;
use crate::world::quoted;
use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};

/// The liar (`tests/testbed/liar.mjs`) and a host whose users sign in there, as alice.
pub struct Lying {
    /// The host.
    pub host: Host,
    /// An app's client of it.
    pub caller: Caller,
}

/// Somebody's way through pages, and what the host said of it: there, in its trail and in its log.
#[derive(Debug)]
pub struct Told {
    /// Whether it ended well.
    pub well: bool,
    /// The last page, the last record of the trail, and the lines of the log that were written meanwhile.
    pub said: String,
}

/// The liar itself.
///
/// # Errors
/// When it does not start.
pub async fn liar() -> Result<Service> {
    Service::start(json!({ "mode": "liar" })).await
}

/// `[providers.NAME]` at an issuer of the liar's, for the scopes `read` and `openid`.
pub fn provider(liar: &Service, name: &str, lies: &[&str], lines: &str) -> (String, String) {
    let known = format!(
        "[providers.{name}]\nissuer = {:?}\nclient_id = \"attache\"\nclient_secret = {{ file = \"liar.key\" }}\n\
         scopes = [\"read\", \"openid\"]\nhosts = [{:?}]\n{lines}",
        liar.lying(lies),
        liar.issuer()
    );
    (name.to_owned(), known)
}

impl Lying {
    /// A host whose users are those of this issuer. The probe is deployed where there are providers; all of them are bound
    /// to it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn host(issuer: &str, providers: Vec<(String, String)>, extra: &str) -> Result<Self> {
        let scopes = || vec!["read".to_owned(), "openid".to_owned()];
        let probe = AgentSpec {
            name: "probe".into(),
            providers: providers.iter().map(|(name, _)| (name.clone(), scopes())).collect(),
            claims: Vec::new(),
            egress: Vec::new(),
            return_urls: vec!["http://127.0.0.1:9/consented".into()],
            reveal: false,
        };
        let lines = providers.iter().map(|(_, lines)| lines.as_str());
        let spec = Spec {
            program: None,
            port: free_port()?,
            idp: issuer.to_owned(),
            // As OpenID providers sign unless they are told otherwise (OIDC Core §2).
            idp_lines: "algorithms = [\"RS256\"]\n".into(),
            audience: AUDIENCE.into(),
            sign_in: ("attache-sign-in".into(), "a-secret-a-secret-a-secret".into()),
            providers: Vec::new(),
            extra: format!("\n{}\n{extra}", lines.collect::<Vec<_>>().join("\n")),
            agents: vec![probe],
            own_isolation: false,
            more_providers: Vec::new(),
            files: vec![("liar.key".into(), "a-secret-a-secret-a-secret".into())],
        };
        let host = tokio::task::spawn_blocking(move || Host::start(&spec)).await??;
        if !providers.is_empty() {
            host.deploy("probe", &component("probe")?, "acme.example")?;
        }
        let caller = Caller::new(&host.url);
        Ok(Self { host, caller })
    }

    /// Somebody opens the host's own page in a new browser, and is sent to sign in.
    ///
    /// # Errors
    /// When a step cannot be taken at all.
    pub async fn sign_in(&self) -> Result<Told> {
        self.told("user.sign-in", async |browser| {
            let page = browser.get(&format!("{}/me", self.host.url)).await?;
            Ok((page.status == 200 && page.url.path() == "/me", page))
        })
        .await
    }

    /// Alice, whose token this is, is asked for what the probe wants of a provider, and agrees.
    ///
    /// # Errors
    /// When a step cannot be taken at all.
    pub async fn consent(&self, token: &str, query: &str) -> Result<Told> {
        let text = self.probe(token, &format!("acquire?{query}")).await?;
        let Some(link) = quoted(&text, "authorization-url: ") else { return Ok(Told { well: false, said: text }) };
        self.told("consent.complete", async |browser| {
            let before = self.grants()?;
            let page = walk::open(browser, &link, "alice").await?;
            Ok((page.status == 200 && self.grants()? == before + 1, page))
        })
        .await
    }

    /// What the probe says to this.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn probe(&self, token: &str, rest: &str) -> Result<String> {
        let reply = self.caller.probe("probe", token, rest).await?;
        ensure!(reply.status == 200, "{rest}: {} {}", reply.status, reply.text());
        Ok(reply.text())
    }

    /// How many grants there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn grants(&self) -> Result<usize> {
        Ok(self.host.json(&["grants", "list"])?.as_array().context("a list")?.len())
    }

    async fn told(&self, action: &str, way: impl AsyncFnOnce(&mut Browser) -> Result<(bool, Page)>) -> Result<Told> {
        let last = async || {
            let path = format!("/v1/audit?action={action}&limit=1");
            let reply = Operator::new(&self.host.data()).send(Method::GET, &path, "").await?;
            ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
            anyhow::Ok(reply.text())
        };
        let (before, earlier) = (self.host.log()?.len(), last().await?);
        let mut browser = Browser::new();
        let (well, page) = way(&mut browser).await?;
        // A refusal is written down beside the reply, within milliseconds; what cannot be told from noise, not at all.
        let mut records = last().await?;
        for _ in 0..25 {
            if records != earlier {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            records = last().await?;
        }
        let log = self.host.log()?;
        let log = log.get(before..).unwrap_or_default();
        let said = format!("{} {}\n{}\n{records}\n{log}", page.url, page.status, page.body);
        Ok(Told { well, said })
    }
}

impl Service {
    /// A user's access token for agents, by an issuer of the liar's with these lies.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn lying_token(&self, wishes: Value) -> Result<String> {
        let mut wishes = wishes;
        wishes["audience"] = json!(AUDIENCE);
        let answer = self.control("token", wishes).await?;
        Ok(answer["access_token"].as_str().context("no access_token")?.to_owned())
    }
}
