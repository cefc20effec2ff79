//! What may be told of a provider: everything but its secrets.

use super::registry::CredentialProvider;
use super::rows::Kind;
use super::settings::{ApiKeySettings, Oauth2Settings, SecretKept};
use crate::clock::Timestamp;
use crate::directory::Tags;
use crate::egress::Destinations;
use crate::ids::ProviderName;
use crate::oauth::Endpoints;
use url::Url;

/// One provider, for people and for the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Its name.
    pub name: ProviderName,
    /// What it gives.
    pub kind: Kind,
    /// Made while the host runs, so it can be changed and removed; otherwise the configuration has it.
    pub managed: bool,
    /// AgentCore's name of its vendor; none for an API key.
    pub vendor: Option<String>,
    /// Our name there; none for an API key.
    pub client_id: Option<String>,
    /// Where it is asked; none for an API key, and while it cannot be used.
    pub endpoints: Option<Endpoints>,
    /// Where its credentials may go from guests.
    pub destinations: Destinations,
    /// What has to be registered there as redirect URI; none for an API key.
    pub callback_url: Option<Url>,
    /// Who keeps its secret; none where the configuration says it.
    pub secret: Option<SecretKept>,
    /// When it was made; one of the configuration, when the host started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The operator's own words.
    pub tags: Tags,
    /// Whether it can be used.
    pub status: Status,
    /// As it was described, where it is managed and of OAuth 2.
    pub oauth2: Option<Oauth2Settings>,
    /// As it was described, where it is managed and an API key.
    pub api_key: Option<ApiKeySettings>,
}

/// Whether a provider can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Ready,
    /// It cannot, for this reason, until somebody does something about it.
    Failed(String),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// In the order of their names.
    pub items: Vec<Facts>,
    /// What asks for the next page; none after the last. Callers make nothing of it.
    pub next: Option<String>,
}

impl Facts {
    /// What is the same for every provider that can be used.
    pub(super) fn of(provider: &CredentialProvider, at: Timestamp) -> Self {
        let oauth2 = match provider {
            CredentialProvider::Oauth2(provider) => Some(provider),
            CredentialProvider::ApiKey(_) => None,
        };
        Self {
            name: provider.name().clone(),
            kind: provider.kind(),
            managed: false,
            vendor: oauth2.map(|provider| provider.vendor.name().to_owned()),
            client_id: oauth2.map(|provider| provider.client_id.clone()),
            endpoints: oauth2.map(|provider| provider.endpoints.clone()),
            destinations: provider.destinations().clone(),
            callback_url: None,
            secret: None,
            created_at: at,
            updated_at: at,
            tags: Tags::default(),
            status: Status::Ready,
            oauth2: None,
            api_key: None,
        }
    }
}

/// The ARN by which AgentCore's API names a provider.
pub fn arn(region: &str, account: &str, kind: Kind, name: &ProviderName) -> String {
    let family = match kind {
        Kind::Oauth2 => "oauth2credentialprovider",
        Kind::ApiKey => "apikeycredentialprovider",
    };
    format!("arn:aws:bedrock-agentcore:{region}:{account}:token-vault/default/{family}/{name}")
}

/// The ARN by which AgentCore's API names the secret of a provider. There is nothing behind it.
pub fn secret_arn(region: &str, account: &str, kind: Kind, name: &ProviderName) -> String {
    let family = match kind {
        Kind::Oauth2 => "oauth2",
        Kind::ApiKey => "apikey",
    };
    format!("arn:aws:secretsmanager:{region}:{account}:secret:bedrock-agentcore-identity!default/{family}/{name}")
}
