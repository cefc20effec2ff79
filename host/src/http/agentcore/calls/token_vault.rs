//! The one token vault of an account, and its keys.

use super::Call;
use super::names::{TIME, USUAL};
use crate::access::Operation;
use crate::http::agentcore::fault::Kind::*;
use crate::http::agentcore::shape::{Field, Shape, may, need};

const ID: Shape = Shape::matching("TokenVaultId", 1, 64, r"[a-zA-Z0-9\-_]+");
pub(super) const KEY_ARN: Shape =
    Shape::matching("KmsKeyArn", 1, 2048, r"arn:aws(|-cn|-us-gov):kms:[a-zA-Z0-9-]*:[0-9]{12}:key/[a-zA-Z0-9-]{36}");
const KEY: Shape = Shape::structure(
    "KmsConfiguration",
    &[
        need("keyType", &Shape::choice("KeyType", &["CustomerManagedKey", "ServiceManagedKey"])),
        may("kmsKeyArn", &KEY_ARN),
    ],
);
const VAULT: &[Field] = &[need("tokenVaultId", &ID), need("kmsConfiguration", &KEY), need("lastModifiedDate", &TIME)];

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::GetTokenVault,
        summary: "Tells which key seals the vault",
        status: 200,
        input: &[may("tokenVaultId", &ID)],
        output: VAULT,
        faults: USUAL,
    },
    Call {
        operation: Operation::SetTokenVaultCMK,
        summary: "Seals the vault under another key",
        status: 200,
        input: &[may("tokenVaultId", &ID), need("kmsConfiguration", &KEY)],
        output: VAULT,
        faults: &[
            Unauthorized,
            ConcurrentModification,
            Validation,
            AccessDenied,
            Conflict,
            NotFound,
            Throttling,
            Internal,
        ],
    },
    Call {
        operation: Operation::ResetTokenVaultKeyMaterial,
        summary: "Makes a new key and destroys every user's tokens, for good",
        status: 200,
        input: &[need("tokenVaultId", &ID)],
        output: VAULT,
        faults: &[Unauthorized, Validation, AccessDenied, Conflict, NotFound, Throttling, Internal],
    },
];
