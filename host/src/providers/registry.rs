//! The registry: every provider in memory, by name.

use crate::egress::{Destinations, Placement};
use crate::ids::ProviderName;
use crate::oauth::Provider;
use crate::secret::SharedSecret;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A credential provider of either kind. Names are unique over both.
#[derive(Clone)]
pub enum CredentialProvider {
    /// OAuth 2 access tokens.
    Oauth2(Arc<Provider>),
    /// One key, the same for every user.
    ApiKey(Arc<ApiKeyProvider>),
}

/// A provider that is configured with an API key.
///
/// No `Debug`: it holds the key.
pub struct ApiKeyProvider {
    /// The operator's name for it.
    pub name: ProviderName,
    /// For people.
    pub display_name: String,
    /// The key.
    pub key: SharedSecret,
    /// Where in a request the host puts it.
    pub placement: Placement,
    /// Where it may go.
    pub destinations: Destinations,
}

impl CredentialProvider {
    /// The operator's name for it.
    pub fn name(&self) -> &ProviderName {
        match self {
            Self::Oauth2(provider) => &provider.name,
            Self::ApiKey(provider) => &provider.name,
        }
    }

    /// For people.
    pub fn display_name(&self) -> &str {
        match self {
            Self::Oauth2(provider) => &provider.display_name,
            Self::ApiKey(provider) => &provider.display_name,
        }
    }

    /// Where its credentials may go.
    pub fn destinations(&self) -> &Destinations {
        match self {
            Self::Oauth2(provider) => &provider.destinations,
            Self::ApiKey(provider) => &provider.destinations,
        }
    }
}

/// Every credential provider of this host. One per process; looking one up is a read lock.
pub struct Providers {
    known: RwLock<HashMap<ProviderName, CredentialProvider>>,
}

impl Providers {
    /// Those of the configuration.
    pub fn configured(providers: impl IntoIterator<Item = CredentialProvider>) -> Arc<Self> {
        let known = providers.into_iter().map(|provider| (provider.name().clone(), provider)).collect();
        Arc::new(Self { known: RwLock::new(known) })
    }

    /// The provider of this name.
    pub fn find(&self, name: &ProviderName) -> Option<CredentialProvider> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The provider of this name, if it is one of OAuth 2.
    pub fn oauth2(&self, name: &ProviderName) -> Option<Arc<Provider>> {
        match self.find(name)? {
            CredentialProvider::Oauth2(provider) => Some(provider),
            CredentialProvider::ApiKey(_) => None,
        }
    }

    /// All of them, in the order of their names.
    pub fn list(&self) -> Vec<CredentialProvider> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().cloned().collect();
        drop(known);
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }
}
