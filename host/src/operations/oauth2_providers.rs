//! Providers of OAuth 2 tokens that are made while the host runs.

use super::{Arn, OperationError, Operations};
use std::collections::BTreeMap;

impl Operations {
    pub(super) async fn tag_provider(&self, _: &Arn, _: Vec<(String, String)>) -> Result<(), OperationError> {
        Err(OperationError::NotOffered("credential providers have no tags here".into()))
    }

    pub(super) async fn untag_provider(&self, _: &Arn, _: Vec<String>) -> Result<(), OperationError> {
        Err(OperationError::NotOffered("credential providers have no tags here".into()))
    }

    pub(super) fn tags_of_provider(&self, _: &Arn) -> Result<BTreeMap<String, String>, OperationError> {
        Err(OperationError::NotOffered("credential providers have no tags here".into()))
    }
}
