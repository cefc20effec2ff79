//! The token vault, whose key Amazon has in its key management and this host in its key ring.

use super::answers::{Answer, seconds};
use super::input::Values;
use crate::access::{Caller, Operation};
use crate::operations::{Arns, ChosenKey, OperationError, Operations, VAULT, VaultView};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn answer(
    operations: &Operations,
    caller: &Arc<Caller>,
    operation: Operation,
    input: &Values<'_>,
    arns: &Arns,
) -> Answer {
    let id = input.may_text("tokenVaultId").unwrap_or(VAULT);
    let view = match operation {
        Operation::SetTokenVaultCMK => {
            let config = input.inner("kmsConfiguration")?;
            let key = chosen(config.text("keyType")?, config.may_text("kmsKeyArn"))?;
            operations.set_vault_key(caller, id, key).await?
        }
        Operation::ResetTokenVaultKeyMaterial => operations.reset_vault(caller, id).await?,
        _ => operations.token_vault(caller, id)?,
    };
    Ok(told(&view, arns))
}

/// The last part of the ARN is the key's id in the ring.
fn chosen(kind: &str, arn: Option<&str>) -> Result<ChosenKey, OperationError> {
    let at = "kmsConfiguration.kmsKeyArn";
    match (kind, arn) {
        ("CustomerManagedKey", Some(arn)) => {
            Ok(ChosenKey::OfRing(arn.rsplit('/').next().unwrap_or_default().to_owned()))
        }
        ("CustomerManagedKey", None) => Err(OperationError::field(at, "is required for a `CustomerManagedKey`")),
        (_, Some(_)) => Err(OperationError::field(at, "has no place beside a `ServiceManagedKey`")),
        (_, None) => Ok(ChosenKey::New),
    }
}

fn told(view: &VaultView, arns: &Arns) -> serde_json::Value {
    let key = match view.by_operator {
        true => json!({ "keyType": "CustomerManagedKey", "kmsKeyArn": arns.key(&view.key) }),
        false => json!({ "keyType": "ServiceManagedKey" }),
    };
    json!({ "tokenVaultId": VAULT, "kmsConfiguration": key, "lastModifiedDate": seconds(view.modified_at) })
}
