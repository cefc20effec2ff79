//! Consent on another device (RFC 8628): the user types a short code at the provider while we ask whether they did.

use super::client::{OAuth, OAuthError, Request, asked, no_endpoint, text};
use super::more::{More, Proofs};
use super::provider::Provider;
use super::tokens::{TokenSet, from_json, number, unreadable};
use crate::egress::check_url;
use crate::ids::Scopes;
use crate::secret::Secret;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;
use url::Url;

/// What a user is shown, and what only we keep (RFC 8628 §3.2).
pub struct DeviceAuthorization {
    /// Exchanged for tokens; never shown.
    pub device_code: Secret,
    /// What the user types: at most 64 printable characters.
    pub user_code: String,
    /// Where.
    pub verification_uri: Url,
    /// The same with the code in it, for a link or a QR code.
    pub verification_uri_complete: Option<Url>,
    /// How long both codes live, from now.
    pub expires_in: Duration,
    /// How long to wait before each question, at first.
    pub interval: Duration,
}

/// What the provider says while the user decides (RFC 8628 §3.5).
pub enum DeviceAnswer {
    /// Not yet.
    Pending,
    /// Not yet, and from now on wait five seconds longer.
    SlowDown,
    /// The user agreed.
    Granted(Box<TokenSet>),
    /// Too late; begin anew.
    Expired,
    /// The user said no.
    Denied,
}

impl OAuth {
    /// Asks for a pair of codes (RFC 8628 §3.1).
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn device_authorization(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        scopes: &Scopes,
        more: &More,
    ) -> Result<DeviceAuthorization, OAuthError> {
        let server = self.server(provider).await?;
        let endpoint = server
            .device_authorization
            .as_ref()
            .ok_or_else(|| no_endpoint(provider, "device_authorization_endpoint"))?;
        let scope = provider.scope_text(scopes.iter().chain(&provider.offline_scope));
        let mut form: Vec<_> = scope.as_deref().map(|scope| ("scope", scope)).into_iter().collect();
        more.add_to(provider, &mut form).map_err(asked)?;
        // The codes are nobody's token yet.
        let proofs = Proofs { dpop: None, ..proofs };
        let request = Request::new(provider, &server, endpoint, proofs, form);
        let fetched = self.send(Request { names_client: true, ..request }).await?;
        if !fetched.status.is_success() {
            return Err(self.read_refusal(provider, &fetched, &[]));
        }
        read(&fetched.body)
    }

    /// Asks once whether the user has decided (RFC 8628 §3.4). The caller keeps the interval.
    ///
    /// # Errors
    /// [`OAuthError`]; after [`OAuthError::Unreachable`] ask again, more slowly (RFC 8628 §3.5).
    pub async fn device_token(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        device_code: &Secret,
    ) -> Result<DeviceAnswer, OAuthError> {
        let server = self.server(provider).await?;
        let form = vec![("grant_type", DEVICE_CODE), ("device_code", text(device_code)?)];
        let request = Request::new(provider, &server, &server.token, proofs, form);
        match self.tokens(Request { names_client: true, ..request }, &[device_code]).await {
            Ok(tokens) => Ok(DeviceAnswer::Granted(Box::new(tokens))),
            Err(OAuthError::GrantGone) => Ok(DeviceAnswer::Expired),
            Err(OAuthError::Refused { error, description }) => match error.as_str() {
                "authorization_pending" => Ok(DeviceAnswer::Pending),
                "slow_down" => Ok(DeviceAnswer::SlowDown),
                "expired_token" => Ok(DeviceAnswer::Expired),
                "access_denied" => Ok(DeviceAnswer::Denied),
                _ => Err(OAuthError::Refused { error, description }),
            },
            Err(error) => Err(error),
        }
    }
}

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const LONGEST_LIFE: f64 = 60.0 * 60.0;
const LONGEST_INTERVAL: f64 = 60.0;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    device_code: Cow<'a, str>,
    user_code: String,
    /// `verification_url` is what Google's drafts called it.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Value,
    #[serde(default)]
    interval: Value,
}

/// What is shown to a user is a stranger's text, and what is linked to a stranger's address: both are bounded.
fn read(body: &[u8]) -> Result<DeviceAuthorization, OAuthError> {
    let answer: Answer<'_> = from_json(body)?;
    let printable = |text: &str| text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.trim() == text;
    if !(1..=64).contains(&answer.user_code.len()) || !printable(&answer.user_code) {
        return Err(unreadable("its `user_code` cannot be shown"));
    }
    if answer.device_code.is_empty() {
        return Err(unreadable("it has no `device_code`"));
    }
    let url = |text: &str| {
        let url = Url::parse(text).map_err(|_| unreadable("its `verification_uri` is no URL"))?;
        check_url(&url).map_err(|_| unreadable("its `verification_uri` leads nowhere safe"))?;
        Ok::<_, OAuthError>(url)
    };
    let seconds = |value: &Value, most: f64, what: &str| {
        let seconds = number(value).ok_or_else(|| unreadable(&format!("its `{what}` is not a number of seconds")))?;
        Ok::<_, OAuthError>(Duration::from_secs_f64(seconds.clamp(1.0, most).trunc()))
    };
    Ok(DeviceAuthorization {
        verification_uri: url(&answer.verification_uri)?,
        verification_uri_complete: answer.verification_uri_complete.as_deref().map(url).transpose()?,
        expires_in: seconds(&answer.expires_in, LONGEST_LIFE, "expires_in")?,
        interval: match &answer.interval {
            // RFC 8628 §3.2.
            Value::Null => Duration::from_secs(5),
            value => seconds(value, LONGEST_INTERVAL, "interval")?,
        },
        user_code: answer.user_code,
        device_code: Secret::from_text(answer.device_code.into_owned()),
    })
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
