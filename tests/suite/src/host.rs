//! The host itself, as an operator runs it: the binary, one file, agents deployed from the command line.

use crate::testbed::{ATTACHE_SECRET, AUDIENCE, SIGN_IN_SECRET, TestBed, checkout};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use url::Url;

/// The provider that `calendar` is bound to in [`HostProcess::start`].
pub const PROVIDER: &str = "google-calendar";

/// A running host. Dropping it kills it.
pub struct HostProcess {
    /// Its public URL.
    pub url: Url,
    /// Where its configuration and its data are.
    pub folder: TempDir,
    process: Child,
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        // It is gone already: that is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What an invocation answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as JSON where it is; else as a JSON string.
    pub body: Value,
}

impl HostProcess {
    /// Starts a host for this test bed, with the agents `hello`, `calendar` and `rogue` configured and none deployed.
    ///
    /// # Errors
    /// When it is not built, or does not serve within ten seconds; the message shows its log.
    pub async fn start(bed: &TestBed) -> Result<HostProcess> {
        let folder = TempDir::with_prefix("attache-")?;
        // Free a moment ago: the provider must know the port before the host has it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        bed.host_is_at(&url, &[PROVIDER]).await?;
        fs::write(folder.path().join("attache.toml"), configuration(bed, &url))?;
        let log = folder.path().join("attache.log");
        let output = File::create(&log)?;
        let process = Command::new(binary()?)
            .args(["serve", "--config", "attache.toml"])
            .current_dir(folder.path())
            .env("TEST_SIGN_IN_SECRET", SIGN_IN_SECRET)
            .env("TEST_PROVIDER_SECRET", ATTACHE_SECRET)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut host = HostProcess { url, folder, process };
        host.wait().await.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(host)
    }

    async fn wait(&mut self) -> Result<()> {
        let url = self.url.join(".well-known/oauth-protected-resource")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                bail!("the host ended: {status}");
            }
            if request("GET", &url, None, "").await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the host does not answer at {url}")
    }

    /// Its process, for tests that take it away.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Runs `attache` with these arguments against this host, and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message is what it wrote to its standard error.
    pub fn attache(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(binary()?)
            .args(arguments)
            .args(["--config", "attache.toml"])
            .current_dir(self.folder.path())
            .output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`attache {}`: {}: {error}", arguments.join(" "), output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same, with `--format json`.
    ///
    /// # Errors
    /// When it fails, or does not print JSON.
    pub fn attache_json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.attache(&[arguments, &["--format", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// Deploys one of the example agents.
    ///
    /// # Errors
    /// When it is not built, or refused.
    pub fn deploy(&self, agent: &str, publisher: &str) -> Result<()> {
        let file = guests().join(format!("{agent}.wasm"));
        ensure!(file.exists(), "`{}` is not there; run `cargo xtask guests`", file.display());
        let file = file.to_str().context("a path that is not text")?;
        self.attache(&["deploy", file, "--name", agent, "--publisher", publisher, "--yes"])?;
        Ok(())
    }

    /// `POST /agents/{agent}/invocations`.
    ///
    /// # Errors
    /// When there is no answer. Any status is one.
    pub async fn invoke(&self, agent: &str, token: &str, body: &Value) -> Result<Answer> {
        let url = self.url.join(&format!("agents/{agent}/invocations"))?;
        request("POST", &url, Some(token), &body.to_string()).await
    }
}

async fn request(method: &str, url: &Url, token: Option<&str>, body: &str) -> Result<Answer> {
    let mut request =
        http::Request::builder().method(method).uri(url.as_str()).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let body =
        serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// The binary of this build: `ATTACHE_BIN`, or beside the one that is running.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ATTACHE_BIN") {
        return Ok(path.into());
    }
    let running = std::env::current_exe()?;
    let found = running.ancestors().skip(1).take(2).map(|folder| folder.join("attache")).find(|path| path.exists());
    found.context("`attache` is not built; run `cargo build -p attache`")
}

/// Where the built guests are: `ATTACHE_GUESTS`, or where `cargo xtask guests` puts them.
pub fn guests() -> PathBuf {
    std::env::var_os("ATTACHE_GUESTS")
        .map_or_else(|| checkout().join("target/guests/wasm32-wasip2/guest"), |folder| Path::new(&folder).to_path_buf())
}

fn configuration(bed: &TestBed, url: &Url) -> String {
    let (idp, saas) = (bed.idp.issuer(), bed.saas.issuer());
    let listen = format!("127.0.0.1:{}", url.port().unwrap_or_default());
    let url = url.as_str().trim_end_matches('/');
    format!(
        r#"[host]
listen = "{listen}"
public_url = "{url}"
data_dir = "data"
trust_domain = "demo.test"

[development]
allow_loopback = true

[issuers.company]
issuer = "{idp}"

[sign_in]
issuer = "{idp}"
client_id = "attache-sign-in"
client_secret = {{ env = "TEST_SIGN_IN_SECRET" }}

[providers.{PROVIDER}]
display_name = "Google Calendar"
issuer = "{saas}"
client_id = "attache"
client_secret = {{ env = "TEST_PROVIDER_SECRET" }}
scopes = ["calendar.read", "calendar.write"]
hosts = ["{saas}"]

[authorizers.people]
[[authorizers.people.rules]]
issuer = "company"
audiences = ["{AUDIENCE}"]

[agents.hello]
authorizer = "people"

[agents.calendar]
authorizer = "people"
providers = [{{ name = "{PROVIDER}", scopes = ["calendar.read", "calendar.write"] }}]

[agents.rogue]
authorizer = "people"
"#
    )
}
