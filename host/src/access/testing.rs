//! For tests: a client that signs, keys in memory, and a door with one key.

use super::key::{KeyId, KeyRow, KeyRows, RowsError};
use super::sigv4::{self, SCHEME};
use crate::clock::Timestamp;
use crate::identity::Documents;
use crate::ids::{hex, sha256};
use crate::secret::Secret;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Request};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Keys in memory.
#[derive(Default)]
pub(crate) struct MemoryKeys {
    pub(crate) rows: Mutex<BTreeMap<KeyId, KeyRow>>,
    /// Whether the next writes fail.
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

impl MemoryKeys {
    fn write(&self, act: impl FnOnce(&mut BTreeMap<KeyId, KeyRow>)) -> BoxFuture<'_, Result<(), RowsError>> {
        if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
            return Box::pin(async { Err(RowsError("the disk is full".into())) });
        }
        act(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async { Ok(()) })
    }
}

impl KeyRows for MemoryKeys {
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeyRow>, RowsError>> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        Box::pin(async { Ok(rows) })
    }
    fn put(&self, row: KeyRow) -> BoxFuture<'_, Result<(), RowsError>> {
        self.write(|rows| drop(rows.insert(row.key.id.clone(), row)))
    }
    fn used(&self, id: KeyId, at: Timestamp) -> BoxFuture<'_, Result<(), RowsError>> {
        self.write(|rows| {
            if let Some(row) = rows.get_mut(&id) {
                row.key.last_used_at = Some(at);
            }
        })
    }
    fn delete(&self, id: KeyId) -> BoxFuture<'_, Result<(), RowsError>> {
        self.write(|rows| drop(rows.remove(&id)))
    }
}

/// No identity provider answers.
pub(crate) struct Nowhere;

impl Documents for Nowhere {
    fn get(&self, _: &url::Url) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async { Err("there is no network".into()) })
    }
}

/// Signs as a client of AWS does that signs every header it has. Adds `x-amz-date` and `authorization`.
pub(crate) fn sign<B>(request: Request<B>, body: &[u8], id: &str, secret: &str, region: &str, at: Timestamp) -> Parts {
    let (mut head, _) = request.into_parts();
    let moment: String = at.to_string().split('.').next().unwrap().replace(['-', ':'], "") + "Z";
    head.headers.insert("x-amz-date", HeaderValue::from_str(&moment).unwrap());
    let mut signed: Vec<String> = head.headers.keys().map(ToString::to_string).collect();
    signed.sort();
    let signed: Vec<&str> = signed.iter().map(String::as_str).collect();
    let Ok(canonical) = sigv4::canonical(&head, &signed) else { panic!("it cannot be signed: {head:?}") };
    let canonical = hex(&sha256(format!("{canonical}{}", hex(&sha256(body))).as_bytes()));
    let scope = [&moment[..8], region, "bedrock-agentcore", "aws4_request"];
    let key = sigv4::derived(&Secret::from_text(secret.into()), scope);
    let text = sigv4::text_to_sign(&moment, scope, &canonical);
    let signature = hex(aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref());
    let (scope, signed) = (scope.join("/"), signed.join(";"));
    let value = format!("{SCHEME} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
    head.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
    head
}
