//! Key sets that outlive the process: a host that starts while a provider is down verifies its users all the same.
//!
//! Whoever could write a key set into the database could make users, so a set rests sealed to its issuer, to where it was
//! found and to when it was read: one that was changed, moved to another issuer or made younger does not open, and counts
//! as none. Of an issuer there is one set, the last that was read; a key that is gone from it is gone.

use super::key::KeySet;
use crate::clock::Timestamp;
use crate::ids::{Account, Issuer};
use crate::seal::Sealer;
use crate::secret::Secret;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What is sealed, so that no other row of the account opens as a key set.
const KIND: &[u8] = b"issuer-keys";

/// A key set at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetRow {
    /// Whose.
    pub issuer: Issuer,
    /// Where the issuer's metadata is. With the issuer, unique.
    pub metadata: String,
    /// Where the set was read.
    pub jwks_uri: String,
    /// When it was asked for, by the wall clock: it is never younger than it says.
    pub read_at: Timestamp,
    /// The document, sealed to all of that.
    pub sealed: Vec<u8>,
}

/// Where such rows rest. Implemented by `store`. The errors say why not, for the log.
pub trait KeySetRows: Send + Sync {
    /// All of them: one for each issuer that was ever asked.
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeySetRow>, String>>;
    /// Replaces the one of this issuer and metadata. Durable when it returns.
    fn put(&self, row: KeySetRow) -> BoxFuture<'_, Result<(), String>>;
}

/// The sets of the last run, and where those of this one are kept. One per host.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    rows: Arc<dyn KeySetRows>,
    sealer: Arc<Sealer>,
    account: Account,
    found: HashMap<(Issuer, String), KeptSet>,
}

/// A set as it was read.
pub(super) struct KeptSet {
    pub issuer: Issuer,
    pub metadata: String,
    pub jwks_uri: String,
    pub read_at: Timestamp,
    pub document: Vec<u8>,
}

impl Keeper {
    /// Reads what the last run kept. A row that does not open is left out, and the log says so: its issuer is asked, as if
    /// there had been none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(rows: Arc<dyn KeySetRows>, sealer: Arc<Sealer>, account: Account) -> Result<Self, String> {
        let mut found = HashMap::new();
        for row in rows.all().await? {
            let at = row.read_at.millis().to_be_bytes();
            match sealer.open(&bound(&account, &row.issuer, &row.metadata, &row.jwks_uri, &at), &row.sealed) {
                Ok(document) => {
                    let KeySetRow { issuer, metadata, jwks_uri, read_at, .. } = row;
                    let document = document.expose().to_vec();
                    let place = (issuer.clone(), metadata.clone());
                    found.insert(place, KeptSet { issuer, metadata, jwks_uri, read_at, document });
                }
                Err(error) => {
                    tracing::warn!(issuer = %row.issuer, %error, "the kept keys of an issuer are not used; it is asked anew");
                }
            }
        }
        Ok(Self(Arc::new(Inner { rows, sealer, account, found })))
    }

    pub(super) fn find(&self, issuer: &Issuer, metadata: &Url) -> Option<&KeptSet> {
        self.0.found.get(&(issuer.clone(), metadata.to_string()))
    }

    pub(super) async fn keep(&self, kept: KeptSet) -> Result<(), String> {
        let Inner { rows, sealer, account, .. } = &*self.0;
        let KeptSet { issuer, metadata, jwks_uri, read_at, document } = kept;
        let at = read_at.millis().to_be_bytes();
        let sealed = sealer
            .seal(&bound(account, &issuer, &metadata, &jwks_uri, &at), &Secret::new(document))
            .map_err(|error| error.to_string())?;
        rows.put(KeySetRow { issuer, metadata, jwks_uri, read_at, sealed }).await
    }
}

impl KeptSet {
    /// The keys, and how old they are. None of a set from the future: how old that is, nobody can tell.
    pub(super) fn restored(&self, now: Timestamp) -> Option<(KeySet, Duration)> {
        let set = KeySet::parse(&self.document).ok()?;
        now.is_within(self.read_at, Timestamp::from_millis(u64::MAX)).then(|| (set, now.since(self.read_at)))
    }
}

fn bound<'a>(
    account: &'a Account,
    issuer: &'a Issuer,
    metadata: &'a str,
    jwks_uri: &'a str,
    read_at: &'a [u8; 8],
) -> [&'a [u8]; 6] {
    [account.as_str().as_bytes(), KIND, issuer.as_str().as_bytes(), metadata.as_bytes(), jwks_uri.as_bytes(), read_at]
}
