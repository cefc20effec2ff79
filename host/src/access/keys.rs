//! The registry of access keys: every key in memory, its secret sealed; every change durable before it shows.

use super::caller::Permitted;
use super::door::Refused;
use super::key::{AccessKey, KeyId, KeyRow, KeyRows, RowsError};
use super::operation::Operation;
use super::rights::{Operations, Workloads};
use super::sigv4::{self, Signed};
use crate::clock::{Clock, Timestamp};
use crate::ids::{Account, fill_random};
use crate::seal::{SealError, Sealer};
use crate::secret::Secret;
use aws_lc_rs::hmac;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// More keys than anybody looks after.
const MOST_KEYS: usize = 1000;
/// Signing keys remembered per access key: of the days around midnight, in two regions.
const MOST_DERIVED: usize = 4;
/// The last use is kept to this.
const COARSE: Duration = Duration::from_secs(3600);
/// Bytes of a name.
const LONGEST_NAME: usize = 64;
/// What is sealed, so that no other row of the account opens as a key.
const KIND: &[u8] = b"access-key";

/// The access keys of one account. One per host; shared by [`Arc`].
///
/// Verifying takes no I/O: a look-up, and an HMAC with the signing key of the day, which is remembered. Changes are rare,
/// happen one after the other, and run to their end even when whoever asked for them goes away.
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Arc<dyn KeyRows>,
    sealer: Arc<Sealer>,
    account: Account,
    clock: Clock,
    slots: RwLock<HashMap<KeyId, Arc<Slot>>>,
    /// Held over the write to the store, so that of two changes of one key the second sees the first.
    changing: tokio::sync::Mutex<()>,
}

struct Slot {
    key: Arc<AccessKey>,
    sealed: Vec<u8>,
    used: Mutex<Option<Timestamp>>,
    derived: Mutex<Vec<Derived>>,
}

/// A signing key that verified a request.
struct Derived {
    date: String,
    region: String,
    key: hmac::Key,
}

/// A key that is to be made.
#[derive(Debug)]
pub struct NewKey {
    id: KeyId,
    name: String,
    operations: Operations,
    workloads: Workloads,
}

impl NewKey {
    /// With a new id. `name` is what people will call it: 1 to 64 bytes of visible text.
    pub fn new(name: String, operations: Operations, workloads: Workloads) -> Self {
        Self { id: KeyId::random(), name, operations, workloads }
    }

    /// The id that it will have, so that it can be written down before it is made.
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

/// A key that was just made. The one time that its secret can be seen.
pub struct MadeKey {
    /// The key.
    pub key: Arc<AccessKey>,
    secret: Secret,
}

impl MadeKey {
    /// The secret access key, to be shown to whoever asked for it, and never again.
    pub fn shown(&self) -> &str {
        // Base64 is ASCII.
        self.secret.expose_text().unwrap_or_default()
    }
}

/// Why keys could not be read or changed. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysError {
    /// There is no such key.
    #[error("there is no access key `{0}`; list them with `attache keys list`")]
    NotFound(KeyId),
    /// Not a name.
    #[error("a key's name must be 1 to {LONGEST_NAME} bytes without control characters")]
    Name,
    /// There are too many.
    #[error("there are {MOST_KEYS} access keys already; delete some with `attache keys delete`")]
    TooMany,
    /// A caller may not make a key that may do more than the caller.
    #[error("a key may do no more than who makes it; ask for fewer operations and workloads")]
    MoreThanYours,
    /// The permission is for something else: a mistake of ours.
    #[error("the permission is for `{0}`; this host has a mistake, please report it")]
    OtherPermission(Operation),
    /// A row cannot be read with this key ring.
    #[error("access key `{id}` cannot be used")]
    Seal {
        /// Which.
        id: KeyId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] RowsError),
}

impl Keys {
    /// Reads every key.
    ///
    /// # Errors
    /// [`KeysError`] when the store cannot be read, or a row needs a key that the ring does not have: a host does not
    /// start with half its keys.
    pub async fn load(
        rows: Arc<dyn KeyRows>,
        sealer: Arc<Sealer>,
        account: Account,
        clock: Clock,
    ) -> Result<Arc<Self>, KeysError> {
        let inner =
            Inner { sealer, account, clock, slots: RwLock::default(), changing: tokio::sync::Mutex::new(()), rows };
        for row in inner.rows.all().await? {
            inner.sealer.check(&row.sealed).map_err(|source| KeysError::Seal { id: row.key.id.clone(), source })?;
            inner.show(row);
        }
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// Makes one. It works from its return on.
    ///
    /// # Errors
    /// [`KeysError`]; then nothing changed.
    pub async fn create(&self, permitted: &Permitted, new: NewKey) -> Result<MadeKey, KeysError> {
        granted(permitted, Operation::CreateAccessKey)?;
        if !permitted.caller().covers(&new.operations, &new.workloads) {
            return Err(KeysError::MoreThanYours);
        }
        if new.name.is_empty() || new.name.len() > LONGEST_NAME || new.name.chars().any(char::is_control) {
            return Err(KeysError::Name);
        }
        let by = permitted.caller().to_string();
        self.change(move |inner| {
            if inner.read().len() >= MOST_KEYS {
                return Err(KeysError::TooMany);
            }
            let key = AccessKey {
                id: new.id,
                name: new.name,
                operations: new.operations,
                workloads: new.workloads,
                created_at: inner.clock.now(),
                created_by: by,
                last_used_at: None,
                disabled: false,
            };
            let secret = new_secret();
            let sealed = inner.seal(&key, &secret)?;
            Ok((Change::Put(KeyRow { key: key.clone(), sealed }), MadeKey { key: Arc::new(key), secret }))
        })
        .await
    }

    /// Lets it not be used any more. From its return on, its signatures are refused.
    ///
    /// # Errors
    /// [`KeysError`]; then nothing changed.
    pub async fn disable(&self, permitted: &Permitted, id: &KeyId) -> Result<Arc<AccessKey>, KeysError> {
        granted(permitted, Operation::DisableAccessKey)?;
        let id = id.clone();
        self.change(move |inner| {
            let slot = inner.slot(&id).ok_or(KeysError::NotFound(id))?;
            let key = AccessKey { disabled: true, ..slot.now() };
            Ok((Change::Put(KeyRow { key: key.clone(), sealed: slot.sealed.clone() }), Arc::new(key)))
        })
        .await
    }

    /// Removes it. From its return on, it is unknown.
    ///
    /// # Errors
    /// [`KeysError`]; then nothing changed.
    pub async fn delete(&self, permitted: &Permitted, id: &KeyId) -> Result<Arc<AccessKey>, KeysError> {
        granted(permitted, Operation::DeleteAccessKey)?;
        let id = id.clone();
        self.change(move |inner| {
            let slot = inner.slot(&id).ok_or_else(|| KeysError::NotFound(id.clone()))?;
            Ok((Change::Delete(id), Arc::new(slot.now())))
        })
        .await
    }

    /// All of them, the oldest first. No secrets.
    pub fn list(&self) -> Vec<AccessKey> {
        let mut all: Vec<AccessKey> = self.inner.read().values().map(|slot| slot.now()).collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    /// Whether there is such a key. Its id is no secret.
    pub(super) fn knows(&self, id: &KeyId) -> bool {
        self.inner.read().contains_key(id)
    }

    /// Checks a signature and gives the key that made it, disabled or not.
    pub(super) fn verify(&self, signed: &Signed, body: &[u8]) -> Result<Arc<AccessKey>, Refused> {
        let slot = self.inner.slot(signed.key()).ok_or_else(|| Refused::UnknownKey(signed.key().clone()))?;
        let is = |derived: &&Derived| derived.date == signed.date() && derived.region == signed.region();
        let known = slot.derived().iter().find(is).map(|derived| derived.key.clone());
        let signing_key = match &known {
            Some(key) => key.clone(),
            None => {
                let secret = self.inner.open(&slot).map_err(|error| {
                    tracing::error!(key = %slot.key.id, %error, "an access key cannot be used");
                    Refused::Unavailable(format!("access key `{}` cannot be used; look at the host's log", slot.key.id))
                })?;
                sigv4::signing_key(&secret, signed.date(), signed.region())
            }
        };
        if !signed.matches(&signing_key, body) {
            return Err(Refused::Signature);
        }
        // Only what the secret's holder signed with: strangers name any region they like.
        if known.is_none() {
            let mut derived = slot.derived();
            if derived.len() >= MOST_DERIVED {
                derived.remove(0);
            }
            let (date, region) = (signed.date().to_owned(), signed.region().to_owned());
            derived.push(Derived { date, region, key: signing_key });
        }
        Ok(slot.key.clone())
    }

    /// Remembers that it was used, and once an hour writes it down. Does not wait, and nothing depends on it.
    pub(super) fn note_use(&self, id: &KeyId, now: Timestamp) {
        let Some(slot) = self.inner.slot(id) else { return };
        let hour = COARSE.as_secs();
        let coarse = Timestamp::from_secs(now.secs() / hour * hour);
        {
            let mut used = slot.used();
            if used.is_some_and(|used| used >= coarse) {
                return;
            }
            *used = Some(coarse);
        }
        let (inner, id) = (self.inner.clone(), id.clone());
        tokio::spawn(async move {
            if let Err(error) = inner.rows.used(id, coarse).await {
                tracing::warn!(%error, "when an access key was last used could not be written down");
            }
        });
    }

    /// Works the change out, makes it durable, shows it; alone, and to its end.
    async fn change<T: Send + 'static>(
        &self,
        work_out: impl FnOnce(&Inner) -> Result<(Change, T), KeysError> + Send + 'static,
    ) -> Result<T, KeysError> {
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            let _alone = inner.changing.lock().await;
            let (change, result) = work_out(&inner)?;
            match change {
                Change::Put(row) => {
                    inner.rows.put(row.clone()).await?;
                    inner.show(row);
                }
                Change::Delete(id) => {
                    inner.rows.delete(id.clone()).await?;
                    inner.slots.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
                }
            }
            Ok(result)
        });
        task.await.unwrap_or_else(|_| Err(KeysError::Store(RowsError("the host is stopping".into()))))
    }
}

enum Change {
    Put(KeyRow),
    Delete(KeyId),
}

impl Inner {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<KeyId, Arc<Slot>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, id: &KeyId) -> Option<Arc<Slot>> {
        self.read().get(id).cloned()
    }

    fn show(&self, row: KeyRow) {
        let id = row.key.id.clone();
        let used = Mutex::new(row.key.last_used_at);
        let slot = Slot { key: Arc::new(row.key), sealed: row.sealed, used, derived: Mutex::default() };
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(slot));
    }

    fn seal(&self, key: &AccessKey, secret: &Secret) -> Result<Vec<u8>, KeysError> {
        let sealed = self.sealer.seal(&refs(&self.parts(key)), secret);
        sealed.map_err(|source| KeysError::Seal { id: key.id.clone(), source })
    }

    fn open(&self, slot: &Slot) -> Result<Secret, SealError> {
        self.sealer.open(&refs(&self.parts(&slot.key)), &slot.sealed)
    }

    /// What the secret is sealed to: account, kind, id, and rights, so that a row whose rights were changed in the store
    /// does not open.
    fn parts(&self, key: &AccessKey) -> Vec<Vec<u8>> {
        let mut parts = vec![self.account.as_str().into(), KIND.to_vec(), key.id.as_str().into()];
        parts.push(key.operations.to_vec().join(" ").into_bytes());
        parts.push(key.workloads.to_vec().join(" ").into_bytes());
        parts
    }
}

impl Slot {
    fn used(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn derived(&self) -> std::sync::MutexGuard<'_, Vec<Derived>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With its last use.
    fn now(&self) -> AccessKey {
        AccessKey { last_used_at: *self.used(), ..AccessKey::clone(&self.key) }
    }
}

fn refs(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

fn granted(permitted: &Permitted, operation: Operation) -> Result<(), KeysError> {
    match permitted.operation() == operation {
        true => Ok(()),
        false => Err(KeysError::OtherPermission(permitted.operation())),
    }
}

/// 240 random bits in 40 characters of base64, the shape that clients of AWS expect.
fn new_secret() -> Secret {
    use base64::Engine as _;
    let mut bytes = Zeroizing::new([0u8; 30]);
    fill_random(bytes.as_mut_slice());
    Secret::from_text(base64::engine::general_purpose::STANDARD.encode(bytes.as_slice()))
}
