//! What a provider says about itself (OIDC Discovery §4, RFC 8414 §3): believed only where it names the configured issuer.

use super::client::OAuthError;
use super::server::{Server, places};
use crate::clock::{Clock, Steady};
use crate::egress::{Client, Fetch, check_url};
use crate::ids::{Issuer, Malformed};
use http::StatusCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// Documents by issuer: fresh for ten minutes, usable for a day while the provider cannot be asked.
pub(super) struct Discovery {
    client: Arc<Client>,
    clock: Clock,
    known: Mutex<HashMap<Issuer, Known>>,
}

struct Known {
    server: Arc<Server>,
    fetched_at: Steady,
    /// Not before: a provider that is down is not asked with every call.
    ask_at: Steady,
}

const FRESH: Duration = Duration::from_secs(10 * 60);
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
const AGAIN: Duration = Duration::from_secs(10);

impl Discovery {
    pub(super) fn new(client: Arc<Client>, clock: Clock) -> Self {
        Self { client, clock, known: Mutex::default() }
    }

    /// The document of an issuer, from memory while it is fresh.
    pub(super) async fn server(&self, issuer: &Issuer) -> Result<Arc<Server>, OAuthError> {
        let now = self.clock.steady();
        if let Some(known) = self.known().get(issuer)
            && now < known.ask_at
            && now.since(known.fetched_at) < USABLE
        {
            return Ok(Arc::clone(&known.server));
        }
        match self.ask(issuer).await {
            Ok(server) => {
                let server = Arc::new(server);
                let known = Known { server: Arc::clone(&server), fetched_at: now, ask_at: now.plus(FRESH) };
                self.known().insert(issuer.clone(), known);
                Ok(server)
            }
            Err(error) => {
                let mut all = self.known();
                let known = all
                    .get_mut(issuer)
                    .filter(|known| now.since(known.fetched_at) < USABLE)
                    .ok_or_else(|| error.clone())?;
                tracing::warn!(%issuer, %error, "discovery failed; the last document is used on");
                known.ask_at = now.plus(AGAIN);
                Ok(Arc::clone(&known.server))
            }
        }
    }

    /// The issuer that the document at this place names, if that place is one of its own.
    pub(super) async fn issuer_at(&self, place: &Url) -> Result<Issuer, OAuthError> {
        let fetched = self.client.fetch(Fetch::get(place.clone())).await;
        let fetched = fetched.map_err(|error| unreachable(place.as_str(), &error))?;
        if fetched.status != StatusCode::OK {
            return Err(OAuthError::Unreachable(format!("`{place}` answered {}", fetched.status.as_u16())));
        }
        let unreadable = |what: &str| OAuthError::Unreadable(format!("the discovery document at `{place}` {what}"));
        let document: Document = serde_json::from_slice(&fetched.body).map_err(|_| unreadable("cannot be read"))?;
        let issuer = Issuer::parse(&document.issuer).map_err(|_| unreadable("names no issuer"))?;
        if !places(issuer.as_str()).is_ok_and(|places| places.contains(place)) {
            return Err(unreadable(&format!(
                "names the issuer `{}`, whose document stands elsewhere; configure its own place, or static endpoints",
                shown(issuer.as_str())
            )));
        }
        parse(&issuer, &fetched.body)?;
        Ok(issuer)
    }

    /// OIDC's place first, then RFC 8414's where the first has nothing.
    async fn ask(&self, issuer: &Issuer) -> Result<Server, OAuthError> {
        let [openid, oauth] = places(issuer.as_str())
            .map_err(|why| OAuthError::Configuration(format!("the issuer `{issuer}` cannot be asked: {why}")))?;
        let unreachable = |error| unreachable(issuer.as_str(), &error);
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

fn unreachable(of: &str, error: &crate::egress::FetchError) -> OAuthError {
    OAuthError::Unreachable(format!("discovery of `{of}` failed: {error}"))
}

#[derive(serde::Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

pub(super) fn parse(issuer: &Issuer, body: &[u8]) -> Result<Server, OAuthError> {
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
    let server = Server {
        issuer: Some(issuer.clone()),
        authorization: endpoint("authorization_endpoint", document.authorization_endpoint)?,
        token: endpoint("token_endpoint", document.token_endpoint)?.ok_or_else(|| missing("token_endpoint"))?,
        revocation: endpoint("revocation_endpoint", document.revocation_endpoint)?,
        device_authorization: endpoint("device_authorization_endpoint", document.device_authorization_endpoint)?,
        pushed_authorization: endpoint(
            "pushed_authorization_request_endpoint",
            document.pushed_authorization_request_endpoint,
        )?,
        requires_pushed: document.require_pushed_authorization_requests,
        callback_issuer: document.authorization_response_iss_parameter_supported,
        dpop: document.dpop_signing_alg_values_supported.iter().any(|name| name == "ES256"),
    };
    if server.requires_pushed && server.pushed_authorization.is_none() {
        return Err(missing("pushed_authorization_request_endpoint"));
    }
    Ok(server)
}

/// A stranger's text, fit for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
