//! `attache invoke`: calls an agent at the host's public URL, as any caller would.

use super::admin::Admin;
use super::call::call;
use super::table::{printable, time};
use super::{Format, Global};
use crate::clock::Timestamp;
use crate::ids::AgentName;
use crate::secret::Secret;
use anyhow::{Context as _, bail};
use clap::Args;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use url::Url;

/// Whom, as whom, and with what.
#[derive(Args)]
#[command(after_help = "Examples:\n  attache invoke hello --token-file alice.jwt\n  \
                        attache invoke calendar --data '{\"title\":\"Review\"}'   (token in ATTACHE_TOKEN)\n  \
                        attache invoke calendar --data @ask.json --url https://agents.example.com")]
pub(super) struct Invoke {
    /// The agent
    name: AgentName,
    /// The user's token; other users of this machine can see it here, so prefer a file or ATTACHE_TOKEN
    #[arg(long, env = "ATTACHE_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the user's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The body: text, @FILE, or @- for standard input
    #[arg(long, short)]
    data: Option<String>,
    /// What the body is [default: application/json for a body that looks like it]
    #[arg(long)]
    content_type: Option<String>,
    /// The method [default: POST with a body, else GET]
    #[arg(long, short = 'X')]
    method: Option<Method>,
    /// Path and query below the agent
    #[arg(long, default_value = "/")]
    path: String,
    /// The session to continue
    #[arg(long)]
    session: Option<String>,
    /// The host's public URL [default: as configured, or as the host on this machine says]
    #[arg(long, env = "ATTACHE_URL")]
    url: Option<Url>,
    /// Certificates in PEM to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// The members of a problem reply that say what to do (RFC 9457).
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
    authorization_url: Option<String>,
    expires_at: Option<u64>,
}

impl Invoke {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let body = self.body()?;
        let base = self.base(global).await?;
        let path = self.path.trim_start_matches('/');
        let target = format!("{}/agents/{}/invocations/{path}", base.as_str().trim_end_matches('/'), self.name);
        let method = self.method.clone().unwrap_or(if body.is_some() { Method::POST } else { Method::GET });
        let mut request = Request::builder().method(method).uri(target.trim_end_matches('/'));
        if let Some(token) = self.token()? {
            let text = token.expose_text().unwrap_or_default().trim();
            let mut value = HeaderValue::try_from(format!("Bearer {text}"))
                .ok()
                .context("the token is no token: it has strange characters")?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(session) = &self.session {
            request = request.header("attache-session-id", session);
        }
        if let Some(body) = &body {
            let json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            let guess = if json { "application/json" } else { "text/plain; charset=utf-8" };
            request = request.header(header::CONTENT_TYPE, self.content_type.as_deref().unwrap_or(guess));
        }
        let request = request.body(Full::new(body.unwrap_or_default().into()))?;
        let response = super::admin::patiently("waiting for the agent", call(request, self.ca.as_deref())).await?;
        report(global.format, &self.name, response).await
    }

    fn body(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(data) = &self.data else { return Ok(None) };
        match data.strip_prefix('@') {
            None => Ok(Some(data.clone().into_bytes())),
            Some("-") => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Some(file) => Ok(Some(std::fs::read(file).with_context(|| format!("`{file}` cannot be read"))?)),
        }
    }

    fn token(&self) -> anyhow::Result<Option<Secret>> {
        match (&self.token_file, &self.token) {
            (Some(file), _) => {
                let bytes = std::fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
                Ok(Some(Secret::new(bytes)))
            }
            (None, Some(token)) => Ok(Some(Secret::from_text(token.clone()))),
            (None, None) => Ok(None),
        }
    }

    async fn base(&self, global: &Global) -> anyhow::Result<Url> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        if let Ok(Some(glance)) = global.glance() {
            return Ok(glance.public_url);
        }
        let status = Admin::of(global)?
            .read("/v1/status", &[])
            .await
            .context("the host's public URL is not known; say it with `--url`")?;
        let Some(url) = status["public_url"].as_str().and_then(|url| Url::parse(url).ok()) else {
            bail!("the host's public URL is not known; say it with `--url`");
        };
        Ok(url)
    }
}

/// The reply goes to standard output as it comes; why there is none goes to standard error.
async fn report(format: Format, name: &AgentName, response: http::Response<Incoming>) -> anyhow::Result<ExitCode> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let problem = kind.starts_with("application/problem+json");
    let mut body = response.into_body();
    if problem && format == Format::Text {
        let bytes = http_body_util::Limited::new(body, 1 << 20).collect().await.map_err(anyhow::Error::from_boxed)?;
        let problem: Problem = serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default();
        eprintln!("{}", printable(&sentence(name, status, &problem)));
        return Ok(ExitCode::FAILURE);
    }
    let mut out = std::io::stdout().lock();
    let mut last = b'\n';
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the reply broke off")?.into_data() {
            out.write_all(&data)?;
            out.flush()?;
            last = data.last().copied().unwrap_or(last);
        }
    }
    if last != b'\n' {
        writeln!(out)?;
    }
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("`{name}` answered {status}");
    Ok(ExitCode::FAILURE)
}

fn sentence(name: &AgentName, status: StatusCode, problem: &Problem) -> String {
    if let Some(url) = &problem.authorization_url {
        let until =
            problem.expires_at.map_or(String::new(), |secs| format!(" (until {})", time(Timestamp::from_secs(secs))));
        return format!(
            "`{name}` needs your consent first. Open this in a browser{until}, then invoke it again: {url}"
        );
    }
    let hint = if status == StatusCode::UNAUTHORIZED { "; pass a token of yours with `--token-file`" } else { "" };
    match (problem.title.as_str(), problem.detail.as_str()) {
        ("", "") if problem.r#type.is_empty() => format!("error: `{name}` answered {status}{hint}"),
        ("", "") => format!("error: {}{hint}", problem.r#type),
        (title, "") => format!("error: {title}{hint}"),
        ("", detail) => format!("error: {detail}{hint}"),
        (title, detail) => format!("error: {title}: {detail}{hint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_that_is_missing_is_a_sentence_with_the_address() {
        let problem = Problem {
            authorization_url: Some("https://agents.example.com/consent/1".into()),
            expires_at: Some(1_700_000_000),
            ..Problem::default()
        };
        let text = sentence(&"calendar".parse().unwrap(), StatusCode::FORBIDDEN, &problem);
        assert_eq!(
            text.split_whitespace().collect::<Vec<_>>().join(" "),
            "`calendar` needs your consent first. Open this in a browser (until 2023-11-14T22:13:20Z), then invoke it again: \
             https://agents.example.com/consent/1"
        );
    }

    #[test]
    fn a_missing_token_is_answered_with_how_to_pass_one() {
        let problem = Problem { title: "sign in first".into(), ..Problem::default() };
        assert_eq!(
            sentence(&"hello".parse().unwrap(), StatusCode::UNAUTHORIZED, &problem),
            "error: sign in first; pass a token of yours with `--token-file`"
        );
    }
}
