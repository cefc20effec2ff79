//! Where a provider's secret comes from: from memory, or from a file that an operator replaces while the host runs.

use crate::clock::Timestamp;
use crate::ids::Malformed;
use crate::secret::{Secret, SharedSecret};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// A file above this is no secret.
const MAX_BYTES: u64 = 128 << 10;
/// So long the last look at a file counts. A rotated secret is used after that at the latest.
const LOOK: Duration = Duration::from_secs(2);

/// A secret, or where it is.
#[derive(Clone)]
pub enum SecretSource {
    /// It does not change.
    Fixed(SharedSecret),
    /// It is whatever this file holds.
    File(Arc<SecretFile>),
}

/// A secret cannot be had now. Nothing is used in its place, not even the one before. The message holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretUnavailable(pub String);

impl SecretSource {
    /// The secret as it is. For a file this may look at the disk, at most every two seconds.
    ///
    /// # Errors
    /// [`SecretUnavailable`] says what to do with the file.
    pub fn secret(&self, now: Timestamp) -> Result<SharedSecret, SecretUnavailable> {
        match self {
            Self::Fixed(secret) => Ok(Arc::clone(secret)),
            Self::File(file) => file.secret(now),
        }
    }
}

/// A file that only its owner can read, with one secret in it: as its one line, or as a member of a JSON object.
///
/// Replacing it needs no restart. What is not understood is not used, and neither is then what was there before: a key
/// that was taken away must stop working here too.
pub struct SecretFile {
    path: PathBuf,
    json_key: Option<String>,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    looked_at: Timestamp,
    /// None: there was no file to look at.
    stamp: Option<Stamp>,
    secret: Result<SharedSecret, SecretUnavailable>,
}

/// By which a change is noticed: the file, its length, and when its bytes and its entry last changed.
#[derive(PartialEq, Eq)]
struct Stamp([i64; 7]);

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        let number = |value: u64| i64::from_ne_bytes(value.to_ne_bytes());
        let (file, size) = ([number(meta.dev()), number(meta.ino())], number(meta.size()));
        Self([file[0], file[1], size, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()])
    }
}

impl SecretFile {
    /// Of this file; `json_key` names the member when it holds a JSON object. Reads nothing yet.
    pub fn new(path: PathBuf, json_key: Option<String>) -> Arc<Self> {
        Arc::new(Self { path, json_key, seen: Mutex::new(None) })
    }

    /// What it holds. Blocks for a look at the disk, at most every two seconds; reads only what has changed.
    ///
    /// # Errors
    /// [`SecretUnavailable`] until the file is right again.
    pub fn secret(&self, now: Timestamp) -> Result<SharedSecret, SecretUnavailable> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_ref()
            && now.is_within(seen.looked_at, seen.looked_at.plus(LOOK))
        {
            return seen.secret.clone();
        }
        let stamp = std::fs::metadata(&self.path).ok().map(|meta| Stamp::of(&meta));
        if let Some(seen) = seen.as_mut()
            && stamp.is_some()
            && seen.stamp == stamp
        {
            seen.looked_at = now;
            return seen.secret.clone();
        }
        let (stamp, secret) = self.read();
        if let Err(error) = &secret {
            tracing::error!(%error, "a secret cannot be had; its provider is not used until then");
        }
        *seen = Some(Seen { looked_at: now, stamp, secret: secret.clone() });
        secret
    }

    fn read(&self) -> (Option<Stamp>, Result<SharedSecret, SecretUnavailable>) {
        let shown = self.path.display();
        match read_private(&self.path) {
            Ok((meta, bytes)) => {
                let secret = match &self.json_key {
                    None => line(&bytes, &format!("the file `{shown}`")),
                    Some(key) => member(&bytes, key, &format!("the file `{shown}`")),
                };
                (Some(Stamp::of(&meta)), secret.map(Arc::new).map_err(SecretUnavailable))
            }
            Err(why) => (None, Err(SecretUnavailable(why))),
        }
    }
}

/// One line of text; one line ending after it is not part of it.
///
/// # Errors
/// Text that names `place` and says what is wrong with it.
pub(crate) fn line(bytes: &[u8], place: &str) -> Result<Secret, String> {
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    if end.is_empty() {
        return Err(format!("{place} holds no secret: it is empty"));
    }
    if std::str::from_utf8(end).is_err() || end.iter().any(u8::is_ascii_control) {
        return Err(format!("{place} holds no secret: it must be one line of text"));
    }
    Ok(Secret::new(end.to_vec()))
}

/// A member of an object whose other members do not matter.
fn member(bytes: &[u8], key: &str, place: &str) -> Result<Secret, String> {
    // The parser's own message could quote the file.
    let object: std::collections::HashMap<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|_| format!("{place} is no JSON object"))?;
    let mut object = object;
    let found = match object.remove(key) {
        Some(serde_json::Value::String(text)) => line(Zeroizing::new(text).as_bytes(), place),
        Some(_) => Err(format!("`{}` in {place} is no text", key.escape_debug())),
        None => Err(format!("{place} has no `{}`", key.escape_debug())),
    };
    // What else was in it may be secret as well.
    for value in object.into_values() {
        if let serde_json::Value::String(text) = value {
            drop(Zeroizing::new(text));
        }
    }
    found
}

/// A file that only its owner can read. Checked on the open file, so that it cannot be another one by then.
///
/// # Errors
/// Text that names the file and says what to do.
pub(crate) fn read_private(path: &Path) -> Result<(Metadata, Zeroizing<Vec<u8>>), String> {
    let shown = path.display();
    let unreadable = |error: io::Error| format!("the secret file `{shown}` cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(format!("the secret file `{shown}` is readable by others; run `chmod 600 {shown}`"));
    }
    if meta.len() > MAX_BYTES {
        return Err(format!("the secret file `{shown}` is larger than {MAX_BYTES} bytes"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((meta, bytes))
}

/// The operator's folder of secrets, named as `[secrets] folder`. Providers that are made while the host runs may name a
/// secret in it; that is all they can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFolder(PathBuf);

impl SecretFolder {
    /// This folder.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The file that a secret id names. Whether it is there is seen when it is read.
    ///
    /// # Errors
    /// [`Malformed`] for an id that could lead out of the folder.
    pub fn file(&self, id: &str, json_key: Option<&str>) -> Result<Arc<SecretFile>, Malformed> {
        Ok(SecretFile::new(self.path(id)?, json_key.map(str::to_owned)))
    }

    pub(super) fn path(&self, id: &str) -> Result<PathBuf, Malformed> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+=@!".contains(&b))
        };
        if id.len() > 512 || !id.split('/').all(plain) {
            return Err(Malformed(format!(
                "`{}` is no secret here; name a file below the operator's secrets folder, such as `team/github`",
                id.chars().take(100).collect::<String>().escape_debug()
            )));
        }
        Ok(self.0.join(id))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
