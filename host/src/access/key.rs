//! An access key: its id, what it may do, and the port where keys rest.

use super::rights::{Operations, Workloads};
use crate::clock::Timestamp;
use crate::ids::{Malformed, fill_random};
use futures_util::future::BoxFuture;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "AKAT";
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: usize = 16;

/// By which a key is named: `AKAT` and 16 characters of base32. Twenty in all, as clients of AWS expect. No secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// A new one: 80 random bits.
    pub fn random() -> Self {
        let mut bytes = [0; DIGITS];
        fill_random(&mut bytes);
        let digits = bytes.iter().map(|byte| char::from(BASE32[usize::from(byte & 31)]));
        Self(PREFIX.chars().chain(digits).collect())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.strip_prefix(PREFIX).unwrap_or_default().as_bytes();
        match digits.len() == DIGITS && digits.iter().all(|digit| BASE32.contains(digit)) {
            true => Ok(Self(text.to_owned())),
            false => Err(Malformed(format!("an access key id is `{PREFIX}` and {DIGITS} of `A-Z 2-7`"))),
        }
    }
}

/// An access key as it may be shown. Holds no secret.
///
/// What it may do never changes: a key with other rights is another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: KeyId,
    /// What people call it; not unique, so that a key and its successor can share a name.
    pub name: String,
    /// What it may do.
    pub operations: Operations,
    /// For which workloads.
    pub workloads: Workloads,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as the audit trail names them.
    pub created_by: String,
    /// When it was last used, to the hour; none before its first use.
    pub last_used_at: Option<Timestamp>,
    /// Whether it is refused.
    pub disabled: bool,
}

impl Serialize for AccessKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("AccessKey", 8)?;
        fields.serialize_field("access_key_id", self.id.as_str())?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("operations", &self.operations.to_vec())?;
        fields.serialize_field("workloads", &self.workloads.to_vec())?;
        fields.serialize_field("created_at", &self.created_at)?;
        fields.serialize_field("created_by", &self.created_by)?;
        fields.serialize_field("last_used_at", &self.last_used_at)?;
        fields.serialize_field("disabled", &self.disabled)?;
        fields.end()
    }
}

/// A key as it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Everything but the secret.
    pub key: AccessKey,
    /// The secret, sealed to the key's id and rights.
    pub sealed: Vec<u8>,
}

/// Where keys rest. Implemented by `store`; every change is durable when it returns.
pub trait KeyRows: Send + Sync {
    /// All of them, in the order of their ids.
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeyRow>, RowsError>>;
    /// Makes or replaces one.
    fn put(&self, row: KeyRow) -> BoxFuture<'_, Result<(), RowsError>>;
    /// Notes when it was last used; nothing where there is no such key.
    fn used(&self, id: KeyId, at: Timestamp) -> BoxFuture<'_, Result<(), RowsError>>;
    /// Removes one; nothing where there is none.
    fn delete(&self, id: KeyId) -> BoxFuture<'_, Result<(), RowsError>>;
}

/// The store could not be read or written. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct RowsError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_shape_that_clients_of_aws_expect() {
        let ids: std::collections::HashSet<KeyId> = (0..1000).map(|_| KeyId::random()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.as_str().len(), 20);
            assert_eq!(id.as_str().parse::<KeyId>().unwrap(), id);
        }
        let good = "AKATABCDEFGHIJKLMNOP";
        assert!(good.parse::<KeyId>().is_ok());
        for bad in [
            "",
            "AKAT",
            "AKIAABCDEFGHIJKLMNOP",
            "AKATABCDEFGHIJKLMNO1",
            "AKATABCDEFGHIJKLMNOPA",
            "akatABCDEFGHIJKLMNOP",
        ] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }
}
