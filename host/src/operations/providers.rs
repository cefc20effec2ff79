//! Credential providers of both kinds, made, changed and removed while the host runs.

use super::paging::Wanted;
use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, codes};
use crate::directory::Tags;
use crate::ids::ProviderName;
use crate::providers::{ApiKeyInput, ApiKeySettings, Facts, Kind, Oauth2Input, Oauth2Settings, Page, SecretInput};
use crate::secret::Secret;
use crate::vault::GrantFilter;
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A secret of a provider, as somebody sends it.
pub enum GivenSecret {
    /// This host is to keep it.
    Managed(Zeroizing<String>),
    /// The operator keeps it in the secrets folder.
    External {
        /// The file.
        secret_id: String,
        /// The member, when it holds a JSON object.
        json_key: Option<String>,
    },
    /// There is none.
    None,
    /// The one from before.
    Unchanged,
}

impl From<GivenSecret> for SecretInput {
    fn from(given: GivenSecret) -> Self {
        match given {
            GivenSecret::Managed(text) => Self::Managed(Secret::new(text.as_bytes().to_vec())),
            GivenSecret::External { secret_id, json_key } => Self::External { secret_id, json_key },
            GivenSecret::None => Self::None,
            GivenSecret::Unchanged => Self::Unchanged,
        }
    }
}

impl Operations {
    /// Makes a provider of OAuth 2. Half a description is refused now, and a document that it names is asked for now.
    ///
    /// # Errors
    /// [`OperationError`]; none was made then.
    pub async fn create_oauth2_provider(
        &self,
        caller: &Arc<Caller>,
        name: &ProviderName,
        settings: Oauth2Settings,
        secret: GivenSecret,
        tags: Tags,
    ) -> Result<Facts, OperationError> {
        let permitted = self.permit(caller, Operation::CreateOauth2CredentialProvider, None)?;
        let action = Action::new(codes::PROVIDER_CREATE, name.as_str()).with(of_oauth2(&settings));
        let input = Oauth2Input { settings, secret: secret.into() };
        let deed = async { Ok(self.host.providers.create_oauth2(name.as_str(), input, tags).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Replaces all that was said of a provider of OAuth 2. Acts on the next credential; tokens of another client or
    /// server are gone.
    ///
    /// # Errors
    /// [`OperationError`]; the provider is what it was then.
    pub async fn update_oauth2_provider(
        &self,
        caller: &Arc<Caller>,
        name: &ProviderName,
        settings: Oauth2Settings,
        secret: GivenSecret,
    ) -> Result<Facts, OperationError> {
        let permitted = self.permit(caller, Operation::UpdateOauth2CredentialProvider, None)?;
        let action = Action::new(codes::PROVIDER_UPDATE, name.as_str()).with(of_oauth2(&settings));
        let input = Oauth2Input { settings, secret: secret.into() };
        let deed = async { Ok(self.host.providers.update_oauth2(name.as_str(), input).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Makes a provider of an API key.
    ///
    /// # Errors
    /// [`OperationError`]; none was made then.
    pub async fn create_api_key_provider(
        &self,
        caller: &Arc<Caller>,
        name: &ProviderName,
        settings: ApiKeySettings,
        key: GivenSecret,
        tags: Tags,
    ) -> Result<Facts, OperationError> {
        let permitted = self.permit(caller, Operation::CreateApiKeyCredentialProvider, None)?;
        let action = Action::new(codes::PROVIDER_CREATE, name.as_str()).with(of_api_key(&settings));
        let input = ApiKeyInput { settings, key: key.into() };
        let deed = async { Ok(self.host.providers.create_api_key(name.as_str(), input, tags).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Replaces the key of a provider; without settings, it goes where it went.
    ///
    /// # Errors
    /// [`OperationError`]; the provider is what it was then.
    pub async fn update_api_key_provider(
        &self,
        caller: &Arc<Caller>,
        name: &ProviderName,
        settings: Option<ApiKeySettings>,
        key: GivenSecret,
    ) -> Result<Facts, OperationError> {
        let permitted = self.permit(caller, Operation::UpdateApiKeyCredentialProvider, None)?;
        let settings = match settings {
            Some(settings) => settings,
            None => self.host.providers.facts_of(Kind::ApiKey, name.as_str())?.api_key.unwrap_or_default(),
        };
        let action = Action::new(codes::PROVIDER_UPDATE, name.as_str()).with(of_api_key(&settings));
        let input = ApiKeyInput { settings, key: key.into() };
        let deed = async { Ok(self.host.providers.update_api_key(name.as_str(), input).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Removes a provider: its secret, what users granted there, its tokens in memory, and every binding that was made while
    /// the host ran. A later one of the same name begins with nothing.
    ///
    /// Grants go first, while there is still somebody to tell of it; how far that got stands in the trail.
    ///
    /// # Errors
    /// [`OperationError`]. Then the provider may still be there with fewer grants; deleting it again goes on.
    pub async fn delete_provider(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        name: &ProviderName,
    ) -> Result<(), OperationError> {
        let operation = match kind {
            Kind::Oauth2 => Operation::DeleteOauth2CredentialProvider,
            Kind::ApiKey => Operation::DeleteApiKeyCredentialProvider,
        };
        let permitted = self.permit(caller, operation, None)?;
        let action = Action::new(codes::PROVIDER_DELETE, name.as_str());
        let host = &self.host;
        let of_it = GrantFilter { provider: Some(name.clone()), ..GrantFilter::default() };
        let deed = async {
            // First whether there is one to delete: a configured one keeps its grants.
            host.providers.deletable(kind, name.as_str())?;
            host.vault.revoke_where(&of_it, &permitted.actor()).await?;
            host.providers.delete(kind, name.as_str()).await?;
            host.vault.forget_minted(&of_it);
            // What was agreed to in between.
            host.vault.revoke_where(&of_it, &permitted.actor()).await?;
            for workload in host.directory.list() {
                if workload.bound.iter().any(|bound| bound.provider == *name) {
                    host.directory.unbind(&workload.name, name).await?;
                }
            }
            Ok(())
        };
        self.written(permitted.actor(), action, deed).await
    }

    /// What may be told of a provider.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn provider(&self, caller: &Arc<Caller>, kind: Kind, name: &ProviderName) -> Result<Facts, OperationError> {
        let operation = match kind {
            Kind::Oauth2 => Operation::GetOauth2CredentialProvider,
            Kind::ApiKey => Operation::GetApiKeyCredentialProvider,
        };
        let _permitted = self.permit(caller, operation, None)?;
        Ok(self.host.providers.facts_of(kind, name.as_str())?)
    }

    /// What may be told of all of one kind, page by page, in the order of their names.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn list_providers(&self, caller: &Arc<Caller>, kind: Kind, wanted: Wanted<'_>) -> Result<Page, OperationError> {
        let operation = match kind {
            Kind::Oauth2 => Operation::ListOauth2CredentialProviders,
            Kind::ApiKey => Operation::ListApiKeyCredentialProviders,
        };
        let _permitted = self.permit(caller, operation, None)?;
        Ok(self.host.providers.page(kind, wanted.token, wanted.most)?)
    }

    pub(super) async fn tag_provider(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        name: ProviderName,
        tags: Tags,
    ) -> Result<(), OperationError> {
        let permitted = self.permit(caller, Operation::TagResource, None)?;
        let action = Action::new(codes::PROVIDER_TAG, name.as_str()).with(json!(tags));
        let deed = async { Ok(self.host.providers.tag(kind, name.as_str(), tags).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    pub(super) async fn untag_provider(
        &self,
        caller: &Arc<Caller>,
        kind: Kind,
        name: ProviderName,
        keys: Vec<String>,
    ) -> Result<(), OperationError> {
        let permitted = self.permit(caller, Operation::UntagResource, None)?;
        let action = Action::new(codes::PROVIDER_UNTAG, name.as_str()).with(json!(keys));
        let deed = async { Ok(self.host.providers.untag(kind, name.as_str(), keys).await?) };
        self.written(permitted.actor(), action, deed).await
    }
}

/// What of a description stands in the trail: who is asked as whom, and where its tokens go.
fn of_oauth2(settings: &Oauth2Settings) -> serde_json::Value {
    json!({
        "kind": Kind::Oauth2.code(),
        "vendor": settings.vendor,
        "client_id": settings.client_id,
        "tenant": settings.tenant,
        "hosts": settings.hosts,
    })
}

fn of_api_key(settings: &ApiKeySettings) -> serde_json::Value {
    json!({ "kind": Kind::ApiKey.code(), "hosts": settings.hosts })
}
