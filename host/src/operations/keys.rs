//! Access keys: made, listed, disabled, deleted.

use super::{OperationError, Operations};
use crate::access::{self, AccessKey, Caller, KeyId, MadeKey, NewKey, Operation};
use crate::audit::{Action, codes};
use serde_json::json;
use std::sync::Arc;

impl Operations {
    /// Every access key, without its secret.
    ///
    /// # Errors
    /// [`OperationError::Forbidden`].
    pub fn list_keys(&self, caller: &Arc<Caller>) -> Result<Vec<AccessKey>, OperationError> {
        let _permitted = self.permit(caller, Operation::ListAccessKeys, None)?;
        Ok(self.host.door.keys().list())
    }

    /// Makes one, with no more rights than the caller has. What it gives is the one place where its secret can be seen.
    ///
    /// # Errors
    /// [`OperationError`]; none was made then.
    pub async fn create_key(
        &self,
        caller: &Arc<Caller>,
        name: String,
        operations: access::Operations,
        workloads: access::Workloads,
    ) -> Result<MadeKey, OperationError> {
        let permitted = self.permit(caller, Operation::CreateAccessKey, None)?;
        let detail = json!({ "name": name, "operations": operations.to_vec(), "workloads": workloads.to_vec() });
        let new = NewKey::new(name, operations, workloads);
        let action = Action::new(codes::KEY_CREATE, new.id().as_str()).with(detail);
        let deed = async { Ok(self.host.door.keys().create(&permitted, new).await?) };
        self.written(permitted.actor(), action, deed).await
    }

    /// Lets one not be used any more.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn disable_key(&self, caller: &Arc<Caller>, id: &KeyId) -> Result<Arc<AccessKey>, OperationError> {
        let permitted = self.permit(caller, Operation::DisableAccessKey, None)?;
        let deed = async { Ok(self.host.door.keys().disable(&permitted, id).await?) };
        self.written(permitted.actor(), Action::new(codes::KEY_DISABLE, id.as_str()), deed).await
    }

    /// Removes one.
    ///
    /// # Errors
    /// [`OperationError`]; nothing changed then.
    pub async fn delete_key(&self, caller: &Arc<Caller>, id: &KeyId) -> Result<Arc<AccessKey>, OperationError> {
        let permitted = self.permit(caller, Operation::DeleteAccessKey, None)?;
        let deed = async { Ok(self.host.door.keys().delete(&permitted, id).await?) };
        self.written(permitted.actor(), Action::new(codes::KEY_DELETE, id.as_str()), deed).await
    }
}
