//! A second OpenID provider, by other people and in another language: Debian's `glewlwyd`. What works with one
//! implementation alone does not pass here.
//!
//! It runs on loopback, with a database of its own in a folder that goes when it does. Its pages are JavaScript; what
//! they send is sent here instead.

use crate::browser::{Browser, Page};
use crate::call::{Caller, Reply};
use crate::host::free_port;
use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use url::Url;

/// What it offers.
pub const SCOPES: [&str; 3] = ["calendar.read", "calendar.write", "offline_access"];

/// Everybody's password.
const PASSWORD: &str = "password";

const TABLES: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";

/// Of its OpenID plugin; it wants most of them said.
const PARAMETERS: &str = r#"{
    "subject-type": "public", "jwt-type": "ecdsa", "jwt-key-size": "256", "jwks-show": true,
    "refresh-token-duration": 86400, "code-duration": 60,
    "refresh-token-rolling": false, "refresh-token-one-use": "always",
    "allow-non-oidc": true, "allowed-scope": ["openid", "calendar.read", "calendar.write", "offline_access"],
    "auth-type-code-enabled": true, "auth-type-code-revoke-replayed": true, "auth-type-token-enabled": false,
    "auth-type-id-token-enabled": true, "auth-type-none-enabled": false, "auth-type-password-enabled": false,
    "auth-type-client-enabled": true, "auth-type-device-enabled": true, "auth-type-refresh-enabled": true,
    "pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false,
    "introspection-revocation-allowed": true, "introspection-revocation-allow-target-client": true,
    "oauth-dpop-allowed": true, "oauth-dpop-iat-duration": 60, "oauth-dpop-nonce-mandatory": false,
    "oauth-dpop-nonce-counter": 10,
    "oauth-par-allowed": true, "oauth-par-required": false, "oauth-par-duration": 60,
    "oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:",
    "oauth-as-iss-id": true, "request-parameter-allow": false,
    "device-authorization-expiration": 600, "device-authorization-interval": 1,
    "session-management-allowed": false, "session-cookie-name": "GLEWLWYD2_OIDC", "session-cookie-expiration": 3600
}"#;

/// Running. Ended, and its folder removed, when dropped.
pub struct Glewlwyd {
    /// Where it serves.
    pub url: String,
    caller: Caller,
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        // It is gone already: that is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Glewlwyd {
    /// Starts it, with the users `alice` and `bob`. None where it is not installed: `apt-get install glewlwyd sqlite3`.
    /// Its access tokens live for so many seconds; a refresh token of it is good once.
    ///
    /// # Errors
    /// When it does not start or does not take its settings.
    pub async fn start(lifetime: u32) -> Result<Option<Glewlwyd>> {
        let installed = |program: &str| {
            std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|p| p.join(program).is_file()))
        };
        if !installed("glewlwyd") || !installed("sqlite3") {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let settings = configure(folder.path(), &url)?;
        let log = File::create(folder.path().join("log"))?;
        let process = Command::new("glewlwyd")
            .arg("--config-file")
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("glewlwyd does not start")?;
        let caller = Caller::new(&url);
        let it = Glewlwyd { url, caller, process, folder };
        it.answers()?;
        it.fill(lifetime).await?;
        Ok(Some(it))
    }

    /// The issuer.
    pub fn issuer(&self) -> String {
        format!("{}/api/oidc", self.url)
    }

    /// Registers a client, known by a secret, and where browsers go back to for it.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn client(&self, id: &str, secret: &str, redirect_uris: &[&str]) -> Result<()> {
        let admin = self.signed_in("admin").await?;
        let client = json!({
            "client_id": id,
            "name": id,
            "confidential": true,
            "client_secret": secret,
            "password": secret,
            "redirect_uri": redirect_uris,
            "authorization_type": ["code", "refresh_token", "client_credentials", "device_authorization"],
            "token_endpoint_auth_method": ["client_secret_basic"],
            "scope": ["calendar.read"],
            "enabled": true,
        });
        self.done(Method::POST, "/api/client/", &admin, &client).await
    }

    /// From its sign-in page, where the browser has come to: signs in, agrees to what was asked for, goes on.
    ///
    /// # Errors
    /// When the page is another one, or a step is refused.
    pub async fn agree(&self, browser: &mut Browser, page: Page, user: &str) -> Result<Page> {
        ensure!(page.url.as_str().starts_with(&format!("{}/login.html", self.url)), "at {}: {}", page.url, page.body);
        let parameter = |name: &str| page.parameter(name).with_context(|| format!("no `{name}` at {}", page.url));
        let session = self.signed_in(user).await?;
        let grant = json!({ "scope": parameter("scope")? });
        self.done(Method::PUT, &format!("/api/auth/grant/{}/", parameter("client_id")?), &session, &grant).await?;
        // What its page adds when it has nothing left to ask.
        let on = Url::parse(&format!("{}&g_continue", parameter("callback_url")?))?;
        let path = &on[url::Position::BeforePath..];
        let reply = self.send(Method::GET, path, &[("cookie", &session)], String::new()).await?;
        let back = reply.headers.get("location").and_then(|l| l.to_str().ok());
        browser.get(back.with_context(|| format!("no way back: {} {}", reply.status, reply.text()))?).await
    }

    fn answers(&self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(self.url.trim_start_matches("http://")).is_err() {
            if Instant::now() > until {
                bail!("glewlwyd does not answer: {}", fs::read_to_string(self.folder.path().join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    async fn fill(&self, lifetime: u32) -> Result<()> {
        let admin = self.signed_in("admin").await?;
        let plugin = json!({
            "module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": self.parameters(lifetime)?,
        });
        self.done(Method::POST, "/api/mod/plugin/", &admin, &plugin).await?;
        for name in SCOPES {
            let scope = json!({
                "name": name, "display_name": name, "description": name, "password_required": false, "scheme": {},
            });
            self.done(Method::POST, "/api/scope/", &admin, &scope).await?;
        }
        for name in ["alice", "bob"] {
            let scopes: Vec<&str> = SCOPES.into_iter().chain(["openid", "g_profile"]).collect();
            let user =
                json!({ "username": name, "name": name, "password": PASSWORD, "scope": scopes, "enabled": true });
            self.done(Method::POST, "/api/user/", &admin, &user).await?;
        }
        Ok(())
    }

    fn parameters(&self, lifetime: u32) -> Result<Value> {
        let (key, cert) = keys()?;
        let mut parameters: Value = serde_json::from_str(PARAMETERS)?;
        parameters["iss"] = self.issuer().into();
        parameters["key"] = key.into();
        parameters["cert"] = cert.into();
        parameters["access-token-duration"] = lifetime.into();
        Ok(parameters)
    }

    /// The cookie of somebody who just signed in.
    async fn signed_in(&self, user: &str) -> Result<String> {
        let json = [("content-type", "application/json")];
        let body = json!({ "username": user, "password": PASSWORD }).to_string();
        let reply = self.send(Method::POST, "/api/auth/", &json, body).await?;
        let cookie = reply.headers.get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.with_context(|| format!("`{user}` is not signed in: {}", reply.status))?;
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }

    async fn done(&self, method: Method, path: &str, session: &str, body: &Value) -> Result<()> {
        let headers = [("content-type", "application/json"), ("cookie", session)];
        let reply = self.send(method, path, &headers, body.to_string()).await?;
        ensure!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.text());
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Result<Reply> {
        self.caller.send(method, path, None, headers, body).await
    }
}

/// Its settings and its database, in this folder. The path of the settings.
fn configure(folder: &Path, url: &str) -> Result<PathBuf> {
    let port = url.rsplit(':').next().unwrap_or_default();
    let database = folder.join("glewlwyd.db");
    let made = Command::new("sqlite3")
        .arg(&database)
        .stdin(File::open(TABLES).context("glewlwyd's tables")?)
        .stdout(Stdio::null())
        .status()?;
    ensure!(made.success(), "glewlwyd's database is not made: {made}");
    let modules: String =
        [("user", "user"), ("client", "client"), ("user_auth_scheme", "scheme"), ("plugin", "plugin")]
            .map(|(name, part)| format!("{name}_module_path=\"/usr/lib/glewlwyd/{part}\"\n"))
            .concat();
    let text = format!(
        "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"{url}\"\nlogin_url=\"login.html\"\napi_prefix=\"api\"\n\
         log_mode=\"console\"\nlog_level=\"WARNING\"\ncookie_secure=false\ncookie_same_site=\"empty\"\n\
         session_expiration=3600\nsession_key=\"GLEWLWYD2_SESSION_ID\"\nadmin_session_authentication=\"cookie\"\n\
         profile_session_authentication=\"cookie\"\nlogin_api_enabled=true\nallow_multiple_user_per_session=true\n\
         admin_scope=\"g_admin\"\nprofile_scope=\"g_profile\"\nadd_x_frame_option_header_deny=true\n\
         max_post_size=16778240\n{modules}use_secure_connection=false\nsecure_connection_key_file=\"\"\n\
         secure_connection_pem_file=\"\"\nhash_algorithm=\"SHA512\"\n\
         database={{ type=\"sqlite3\" path=\"{}\" }};\n",
        database.display()
    );
    let file = folder.join("glewlwyd.conf");
    fs::write(&file, text)?;
    Ok(file)
}

/// A key pair, in PEM.
fn keys() -> Result<(String, String)> {
    let pem = |label: &str, der: &[u8]| {
        let lines = STANDARD.encode(der);
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap_or_default()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("no key")?;
    let private = key.to_pkcs8v1().context("no key")?;
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().context("no key")?;
    Ok((pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref())))
}
