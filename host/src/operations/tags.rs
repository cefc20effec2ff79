//! Tags of what has an ARN.

use super::{Arn, OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::directory::Tags;
use crate::providers::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Operations {
    /// Adds tags, or gives them new values.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn tag(
        &self,
        caller: &Arc<Caller>,
        arn: &str,
        tags: Vec<(String, String)>,
    ) -> Result<(), OperationError> {
        let arn = Arn::parse(arn)?;
        let tags = Tags::parse(tags).map_err(|malformed| OperationError::malformed("tags", malformed))?;
        match arn {
            Arn::Workload(name) | Arn::Runtime(name) => self.tag_workload(caller, &name, tags).await.map(drop),
            Arn::Oauth2Provider(name) => self.tag_provider(caller, Kind::Oauth2, name, tags).await,
            Arn::ApiKeyProvider(name) => self.tag_provider(caller, Kind::ApiKey, name, tags).await,
        }
    }

    /// Removes tags. A key that is not there is no mistake.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn untag(&self, caller: &Arc<Caller>, arn: &str, keys: Vec<String>) -> Result<(), OperationError> {
        let arn = Arn::parse(arn)?;
        match arn {
            Arn::Workload(name) | Arn::Runtime(name) => self.untag_workload(caller, &name, keys).await.map(drop),
            Arn::Oauth2Provider(name) => self.untag_provider(caller, Kind::Oauth2, name, keys).await,
            Arn::ApiKeyProvider(name) => self.untag_provider(caller, Kind::ApiKey, name, keys).await,
        }
    }

    /// The tags of one thing.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn tags(&self, caller: &Arc<Caller>, arn: &str) -> Result<BTreeMap<String, String>, OperationError> {
        let arn = Arn::parse(arn)?;
        let workload = match &arn {
            Arn::Workload(name) | Arn::Runtime(name) => Some(name),
            Arn::Oauth2Provider(_) | Arn::ApiKeyProvider(_) => None,
        };
        let _permitted = self.permit(caller, Operation::ListTagsForResource, workload)?;
        let tags = match &arn {
            Arn::Workload(name) | Arn::Runtime(name) => self.living(name)?.tags.clone(),
            Arn::Oauth2Provider(name) => self.host.providers.facts_of(Kind::Oauth2, name.as_str())?.tags,
            Arn::ApiKeyProvider(name) => self.host.providers.facts_of(Kind::ApiKey, name.as_str())?.tags,
        };
        Ok(tags.into())
    }
}
