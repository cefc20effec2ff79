//! Providers that give one key, the same for every user.

use super::source::{SecretSource, SecretUnavailable};
use crate::clock::Timestamp;
use crate::egress::{Destinations, Placement};
use crate::ids::ProviderName;
use crate::secret::{Secret, SharedSecret};

/// A provider of an API key.
///
/// No `Debug`: it holds the key.
pub struct ApiKeyProvider {
    /// The operator's name for it.
    pub name: ProviderName,
    /// For people.
    pub display_name: String,
    /// Where in a request the host puts it.
    pub placement: Placement,
    /// Where it may go. Empty: nowhere from guests.
    pub destinations: Destinations,
    key: SecretSource,
}

/// What is wrong with a key or with what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyProviderError {
    /// It would break out of its place.
    #[error("the key holds a space or a character beyond ASCII; no header or query can carry it")]
    Characters,
    /// What is shorter would cover ordinary words in replies, so it is not searched for.
    #[error("the key is shorter than {SHORTEST} characters, so replies could not be searched for it; get a longer one")]
    Short,
}

/// As `egress` searches for.
const SHORTEST: usize = 8;

impl ApiKeyProvider {
    /// A provider that is not asked yet.
    pub fn new(name: ProviderName, key: SecretSource, placement: Placement, destinations: Destinations) -> Self {
        Self { display_name: name.to_string(), name, placement, destinations, key }
    }

    /// Whether the key is there and can be placed. Reads its file.
    ///
    /// # Errors
    /// [`SecretUnavailable`], saying what to do.
    pub fn check(&self) -> Result<(), SecretUnavailable> {
        self.key(Timestamp::from_millis(0)).map(|_| ())
    }

    /// The key as it is now. Ask for it at each use: it can be rotated in between.
    ///
    /// # Errors
    /// [`SecretUnavailable`] while its file is wrong.
    pub fn key(&self, now: Timestamp) -> Result<SharedSecret, SecretUnavailable> {
        let key = self.key.secret(now)?;
        check(&key, &self.destinations).map_err(|error| {
            SecretUnavailable(format!("the key of provider `{}` cannot be used: {error}", self.name))
        })?;
        Ok(key)
    }
}

/// Whether a key can be placed, and found in replies. One that no request of a guest carries may be short.
pub(super) fn check(key: &Secret, destinations: &Destinations) -> Result<(), ApiKeyProviderError> {
    if key.is_empty() || !key.expose().iter().all(u8::is_ascii_graphic) {
        return Err(ApiKeyProviderError::Characters);
    }
    if !destinations.is_empty() && key.len() < SHORTEST {
        return Err(ApiKeyProviderError::Short);
    }
    Ok(())
}
