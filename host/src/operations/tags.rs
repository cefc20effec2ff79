//! Tags of what has an ARN.

use super::{Arn, OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, codes};
use crate::directory::Tags;
use crate::ids::AgentName;
use serde_json::json;
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
        let permitted = self.permit(caller, Operation::TagResource, workload(&arn))?;
        let keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
        match &arn {
            Arn::Workload(name) | Arn::Runtime(name) => {
                let action = Action::new(codes::WORKLOAD_TAG, name.as_str()).with(json!({ "keys": keys }));
                let tags = Tags::parse(tags).map_err(|malformed| OperationError::malformed("tags", malformed))?;
                let deed = async { self.host.directory.tag(name, tags).await.map(drop).map_err(OperationError::from) };
                self.written(self.about(permitted.actor(), name), action, deed).await
            }
            Arn::Oauth2Provider(name) | Arn::ApiKeyProvider(name) => {
                let action = Action::new(codes::PROVIDER_TAG, name.as_str()).with(json!({ "keys": keys }));
                let deed = async { self.tag_provider(&arn, tags).await };
                self.written(permitted.actor(), action, deed).await
            }
        }
    }

    /// Removes tags. A key that is not there is no mistake.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn untag(&self, caller: &Arc<Caller>, arn: &str, keys: Vec<String>) -> Result<(), OperationError> {
        let arn = Arn::parse(arn)?;
        let permitted = self.permit(caller, Operation::UntagResource, workload(&arn))?;
        let detail = json!({ "keys": keys });
        match &arn {
            Arn::Workload(name) | Arn::Runtime(name) => {
                let action = Action::new(codes::WORKLOAD_UNTAG, name.as_str()).with(detail);
                let deed = async { self.host.directory.untag(name, keys).await.map(drop).map_err(OperationError::from) };
                self.written(self.about(permitted.actor(), name), action, deed).await
            }
            Arn::Oauth2Provider(name) | Arn::ApiKeyProvider(name) => {
                let action = Action::new(codes::PROVIDER_UNTAG, name.as_str()).with(detail);
                let deed = async { self.untag_provider(&arn, keys).await };
                self.written(permitted.actor(), action, deed).await
            }
        }
    }

    /// The tags of one thing.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn tags(&self, caller: &Arc<Caller>, arn: &str) -> Result<BTreeMap<String, String>, OperationError> {
        let arn = Arn::parse(arn)?;
        let _permitted = self.permit(caller, Operation::ListTagsForResource, workload(&arn))?;
        match &arn {
            Arn::Workload(name) | Arn::Runtime(name) => Ok(self.living(name)?.tags.clone().into()),
            Arn::Oauth2Provider(_) | Arn::ApiKeyProvider(_) => self.tags_of_provider(&arn),
        }
    }
}

fn workload(arn: &Arn) -> Option<&AgentName> {
    match arn {
        Arn::Workload(name) | Arn::Runtime(name) => Some(name),
        Arn::Oauth2Provider(_) | Arn::ApiKeyProvider(_) => None,
    }
}
