//! What a provider says about itself (OIDC Discovery §4, RFC 8414 §3): believed only where it names the configured issuer.

use super::client::OAuthError;
use crate::clock::{Clock, Timestamp};
use crate::egress::{Client, Fetch, check_url};
use crate::ids::{Issuer, Malformed};
use http::StatusCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// What we use of a discovery document. Algorithms are not among it: those are the operator's to choose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) revocation: Option<Url>,
    /// Callbacks always name their issuer (RFC 9207 §3).
    pub(super) callback_issuer: bool,
}

/// Documents by issuer: fresh for ten minutes, usable for a day while the provider cannot be asked.
pub(super) struct Discovery {
    client: Arc<Client>,
    clock: Clock,
    known: Mutex<HashMap<Issuer, Known>>,
}

struct Known {
    metadata: Arc<Metadata>,
    fetched_at: Timestamp,
    /// Not before: a provider that is down is not asked with every call.
    ask_at: Timestamp,
}

const FRESH: Duration = Duration::from_secs(10 * 60);
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
const AGAIN: Duration = Duration::from_secs(10);

impl Discovery {
    pub(super) fn new(client: Arc<Client>, clock: Clock) -> Self {
        Self { client, clock, known: Mutex::default() }
    }

    /// The document of an issuer, from memory while it is fresh.
    pub(super) async fn metadata(&self, issuer: &Issuer) -> Result<Arc<Metadata>, OAuthError> {
        let now = self.clock.now();
        if let Some(known) = self.known().get(issuer)
            && now < known.ask_at
            && now.since(known.fetched_at) < USABLE
        {
            return Ok(Arc::clone(&known.metadata));
        }
        match self.ask(issuer).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                let known = Known { metadata: Arc::clone(&metadata), fetched_at: now, ask_at: now.plus(FRESH) };
                self.known().insert(issuer.clone(), known);
                Ok(metadata)
            }
            Err(error) => {
                let mut all = self.known();
                let known = all
                    .get_mut(issuer)
                    .filter(|known| now.since(known.fetched_at) < USABLE)
                    .ok_or_else(|| error.clone())?;
                tracing::warn!(%issuer, %error, "discovery failed; the last document is used on");
                known.ask_at = now.plus(AGAIN);
                Ok(Arc::clone(&known.metadata))
            }
        }
    }

    /// OIDC's place first, then RFC 8414's where the first has nothing.
    async fn ask(&self, issuer: &Issuer) -> Result<Metadata, OAuthError> {
        let [openid, oauth] = places(issuer)?;
        let mut fetched = self.client.fetch(Fetch::get(openid)).await.map_err(unreachable)?;
        if fetched.status.is_client_error() {
            fetched = self.client.fetch(Fetch::get(oauth)).await.map_err(unreachable)?;
        }
        match fetched.status {
            StatusCode::OK => parse(issuer, &fetched.body),
            status if status.is_redirection() => Err(OAuthError::Unreadable(format!(
                "discovery of `{issuer}` answered with a redirect, which is not followed; configure the issuer it leads to"
            ))),
            status => Err(OAuthError::Unreachable(format!("discovery of `{issuer}` answered {}", status.as_u16()))),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Issuer, Known>> {
        // A map of whole values has no broken state to fear.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(error: crate::egress::FetchError) -> OAuthError {
    OAuthError::Unreachable(format!("discovery failed: {error}"))
}

/// `{issuer}/.well-known/openid-configuration` (OIDC Discovery §4.1) and
/// `{origin}/.well-known/oauth-authorization-server{path}` (RFC 8414 §3.1).
fn places(issuer: &Issuer) -> Result<[Url; 2], OAuthError> {
    let wrong = |reason: String| OAuthError::Configuration(format!("the issuer `{issuer}` cannot be asked: {reason}"));
    let base = Url::parse(issuer.as_str()).map_err(|error| wrong(error.to_string()))?;
    check_url(&base).map_err(|Malformed(reason)| wrong(reason))?;
    if base.query().is_some() {
        return Err(wrong("it has a query".into()));
    }
    let path = base.path().trim_end_matches('/').to_owned();
    let mut openid = base.clone();
    openid.set_path(&format!("{path}/.well-known/openid-configuration"));
    let mut oauth = base;
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Ok([openid, oauth])
}

#[derive(serde::Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

pub(super) fn parse(issuer: &Issuer, body: &[u8]) -> Result<Metadata, OAuthError> {
    let unreadable = |what: String| OAuthError::Unreadable(format!("the discovery document of `{issuer}` {what}"));
    // serde_json's message could quote the document, so only the place is told.
    let document: Document = serde_json::from_slice(body)
        .map_err(|error| unreadable(format!("cannot be read at line {}, column {}", error.line(), error.column())))?;
    if document.issuer != issuer.as_str() {
        return Err(unreadable(format!(
            "names another issuer, `{}`; configure exactly what it names, or static endpoints",
            shown(&document.issuer)
        )));
    }
    let endpoint = |name: &str, text: Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let url = Url::parse(&text).map_err(|error| unreadable(format!("has a bad `{name}`: {error}")))?;
        check_url(&url).map_err(|Malformed(reason)| unreadable(format!("has a bad `{name}`: {reason}")))?;
        Ok(Some(url))
    };
    let missing = |name: &str| unreadable(format!("has no `{name}`; configure static endpoints"));
    Ok(Metadata {
        authorization: endpoint("authorization_endpoint", document.authorization_endpoint)?
            .ok_or_else(|| missing("authorization_endpoint"))?,
        token: endpoint("token_endpoint", document.token_endpoint)?.ok_or_else(|| missing("token_endpoint"))?,
        revocation: endpoint("revocation_endpoint", document.revocation_endpoint)?,
        callback_issuer: document.authorization_response_iss_parameter_supported,
    })
}

/// A stranger's text, fit for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
