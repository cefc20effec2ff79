//! The key ring: the keys under which data keys are sealed, each with an id.
//!
//! One TOML file, made at first start for this account alone (mode 0600). One key is active and seals; all of them open.
//! Losing the file loses every grant; a copy of it belongs into a safe, apart from the data, and again after each change.

use super::sealer::{KEY_LEN, cipher};
use crate::clock::Timestamp;
use aws_lc_rs::aead::RandomizedNonceKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use zeroize::{Zeroize as _, Zeroizing};

/// The keys of this host's vault. Has no `Debug`.
///
/// The file is read at start; after that it changes only through this, whole or not at all. What a change has made durable
/// is in effect when it returns, and what was sealed before opens as long as its key is there.
pub struct KeyRing {
    path: PathBuf,
    keys: RwLock<Keys>,
    /// Held while the file is changed.
    changing: Mutex<()>,
}

struct Keys {
    active: Arc<RingKey>,
    all: Vec<Arc<RingKey>>,
    modified_at: Timestamp,
}

/// One key of the ring.
pub(super) struct RingKey {
    pub(super) id: String,
    pub(super) cipher: RandomizedNonceKey,
}

/// Why there is no key ring, without which the host does not start, or why it was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file cannot be read.
    #[error("the key ring `{path}` cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There was none, and none can be made.
    #[error("the key ring `{path}` cannot be made")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read or change it.
    #[error(
        "the key ring `{path}` has mode `{mode:04o}`, so others can read it; run `chmod 600 {path}`, and think of its keys as known"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What it says is not a key ring.
    #[error("the key ring `{path}` is not understood: {reason}; restore it from a copy")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, without any key.
        reason: String,
    },
    /// It has no such key.
    #[error("the key ring has no key `{}`; it has {}", .id.escape_debug(), .known.join(", "))]
    NoSuchKey {
        /// Which was asked for.
        id: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// The key that seals cannot be removed.
    #[error("key `{id}` is the active one; make another active first")]
    Active {
        /// Which.
        id: String,
    },
    /// The file is not what was read at start.
    #[error("the key ring `{path}` was changed by somebody else; start the host anew before changing it here")]
    Changed {
        /// Which.
        path: PathBuf,
    },
}

/// The file, as it is written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Ring {
    active: String,
    keys: Vec<Entry>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    key: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyRing {
    /// Opens the file, or makes one with a single new key when there is none. Blocks; called once at start.
    ///
    /// # Errors
    /// [`KeyRingError`]. A file that others can read is refused, not repaired: its keys may be known.
    pub fn open_or_create(path: &Path) -> Result<Self, KeyRingError> {
        match Self::open(path) {
            Err(KeyRingError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| KeyRingError::Unwritable { path: path.to_owned(), source })?;
                Self::open(path)
            }
            result => result,
        }
    }

    fn open(path: &Path) -> Result<Self, KeyRingError> {
        let (ring, modified_at) = read(path)?;
        let keys = understood(&ring, modified_at).map_err(|reason| malformed(path, reason))?;
        Ok(Self { path: path.to_owned(), keys: RwLock::new(keys), changing: Mutex::new(()) })
    }

    /// The id of the key that seals.
    pub fn active_id(&self) -> String {
        self.keys().active.id.clone()
    }

    /// Every id, in the order of the file: the oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().all.iter().map(|key| key.id.clone()).collect()
    }

    /// When the ring last changed.
    pub fn modified_at(&self) -> Timestamp {
        self.keys().modified_at
    }

    /// Makes a new key the active one and returns its id. The older ones stay, to open. Blocks.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring then is what it was.
    pub fn rotate(&self) -> Result<String, KeyRingError> {
        let entry = Entry::random();
        let id = entry.id.clone();
        self.change(|ring| {
            ring.active.clone_from(&entry.id);
            ring.keys.push(entry);
            Ok(())
        })?;
        Ok(id)
    }

    /// Makes a key of the ring the active one. Blocks.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring then is what it was.
    pub fn activate(&self, id: &str) -> Result<(), KeyRingError> {
        self.change(|ring| {
            ring.has(id)?;
            ring.active = id.to_owned();
            Ok(())
        })
    }

    /// Removes a key for good. What is still sealed under it is lost, so everything is sealed anew first. Blocks.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring then is what it was.
    pub fn retire(&self, id: &str) -> Result<(), KeyRingError> {
        self.change(|ring| {
            ring.has(id)?;
            if ring.active == id {
                return Err(KeyRingError::Active { id: id.to_owned() });
            }
            ring.keys.retain(|entry| entry.id != id);
            Ok(())
        })
    }

    /// Reads the file, changes what it says, and puts the new one in its place. Only then it is in effect.
    fn change(&self, change: impl FnOnce(&mut Ring) -> Result<(), KeyRingError>) -> Result<(), KeyRingError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ring, _) = read(&self.path)?;
        let known = self.ids();
        if !ring.keys.iter().map(|entry| &entry.id).eq(&known) || ring.active != self.active_id() {
            return Err(KeyRingError::Changed { path: self.path.clone() });
        }
        change(&mut ring)?;
        understood(&ring, Timestamp::from_millis(0)).map_err(|reason| malformed(&self.path, reason))?;
        let unwritable = |source| KeyRingError::Unwritable { path: self.path.clone(), source };
        place(&self.path, &ring.text(), |beside, path| fs::rename(beside, path)).map_err(unwritable)?;
        let (ring, modified_at) = read(&self.path)?;
        let keys = understood(&ring, modified_at).map_err(|reason| malformed(&self.path, reason))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The key that seals.
    pub(super) fn active(&self) -> Arc<RingKey> {
        Arc::clone(&self.keys().active)
    }

    /// The key of this id.
    pub(super) fn key(&self, id: &str) -> Option<Arc<RingKey>> {
        self.keys().all.iter().find(|key| key.id == id).cloned()
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        // Replaced in one step, so there is no broken state to fear.
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn parse(text: &str) -> Result<Self, String> {
        let keys = understood(&parsed(text)?, Timestamp::from_millis(0))?;
        Ok(Self { path: PathBuf::new(), keys: RwLock::new(keys), changing: Mutex::new(()) })
    }

    #[cfg(test)]
    pub(crate) fn ephemeral() -> Self {
        Self::parse(&Ring::new().text()).unwrap()
    }
}

impl Ring {
    fn new() -> Self {
        let entry = Entry::random();
        Self { active: entry.id.clone(), keys: vec![entry] }
    }

    fn has(&self, id: &str) -> Result<(), KeyRingError> {
        if self.keys.iter().any(|entry| entry.id == id) {
            return Ok(());
        }
        let known = self.keys.iter().map(|entry| format!("`{}`", entry.id)).collect();
        Err(KeyRingError::NoSuchKey { id: id.chars().take(64).collect(), known })
    }

    /// Ids and keys need no escaping: they were checked, or are ours.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(256 + 160 * self.keys.len()));
        text.push_str(
            "# The keys of this host's vault. Whoever reads this file reads every grant; without it every grant is lost.\n",
        );
        for part in ["active = \"", &self.active, "\"\n"] {
            text.push_str(part);
        }
        for entry in &self.keys {
            for part in ["\n[[keys]]\nid = \"", &entry.id, "\"\nkey = \"", &entry.key, "\"\n"] {
                text.push_str(part);
            }
        }
        text
    }
}

impl Entry {
    fn random() -> Self {
        let mut key = Zeroizing::new([0u8; KEY_LEN]);
        crate::ids::fill_random(key.as_mut_slice());
        let mut id = [0u8; 4];
        crate::ids::fill_random(&mut id);
        Self { id: format!("key-{}", crate::ids::hex(&id)), key: STANDARD.encode(key.as_slice()) }
    }
}

/// The file, if only its owner can read it, and when it last changed.
fn read(path: &Path) -> Result<(Ring, Timestamp), KeyRingError> {
    let unreadable = |source| KeyRingError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, not of whatever the path names by now.
    let meta = file.metadata().map_err(unreadable)?;
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyRingError::Exposed { path: path.to_owned(), mode });
    }
    // Reserved in one piece, so that no half-read copy stays behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(meta.len()).unwrap_or(0).min(1 << 20) + 1));
    file.take(1 << 20).read_to_string(&mut text).map_err(unreadable)?;
    let ring = parsed(&text).map_err(|reason| malformed(path, reason))?;
    Ok((ring, Timestamp::from_secs(u64::try_from(meta.mtime()).unwrap_or(0))))
}

fn malformed(path: &Path, reason: String) -> KeyRingError {
    KeyRingError::Malformed { path: path.to_owned(), reason }
}

fn parsed(text: &str) -> Result<Ring, String> {
    // The parser's own message quotes the line, which may hold a key.
    toml::from_str(text).map_err(|_| "it needs `active` and `[[keys]]` with `id` and `key`".into())
}

fn understood(ring: &Ring, modified_at: Timestamp) -> Result<Keys, String> {
    let mut all: Vec<Arc<RingKey>> = Vec::with_capacity(ring.keys.len());
    for Entry { id, key } in &ring.keys {
        let good_id = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !good_id {
            return Err("a key id must be 1 to 64 of `a-z 0-9 -`".into());
        }
        if all.iter().any(|known| known.id == *id) {
            return Err(format!("key id `{id}` stands there twice"));
        }
        let bytes = STANDARD.decode(key.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| format!("key `{id}` is not base64"))?;
        if bytes.len() != KEY_LEN {
            return Err(format!("key `{id}` is not {KEY_LEN} bytes long"));
        }
        all.push(Arc::new(RingKey { id: id.clone(), cipher: cipher(&bytes).map_err(|error| error.to_string())? }));
    }
    let active = all.iter().find(|key| key.id == ring.active).cloned();
    let active = active.ok_or_else(|| "`active` names a key that it does not have".to_owned())?;
    Ok(Keys { active, all, modified_at })
}

/// Of two hosts that start at once one makes it and both read the same.
fn create(path: &Path) -> io::Result<()> {
    place(path, &Ring::new().text(), |beside, path| match fs::hard_link(beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    })
}

/// Written beside its place, synced, then put there: the file is the old one or the new one, whole, and is never readable
/// by others.
fn place(path: &Path, text: &str, put: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut suffix = [0u8; 8];
    crate::ids::fill_random(&mut suffix);
    let beside = folder.join(format!(".keyring-{}", crate::ids::hex(&suffix)));
    let made = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(&beside, path)
    })();
    let removed = match fs::remove_file(&beside) {
        // It was moved.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::Sealer;
    use super::*;
    use crate::secret::Secret;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_first_start_makes_a_private_file_that_the_next_one_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.toml");
        let first = Sealer::new(Arc::new(KeyRing::open_or_create(&path).unwrap()));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let sealed = first.seal(&[b"row"], &Secret::from_text("token".into())).unwrap();
        let second = Sealer::new(Arc::new(KeyRing::open_or_create(&path).unwrap()));
        assert_eq!(second.open(&[b"row"], &sealed).ok().unwrap().expose(), b"token");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.toml");
        KeyRing::open_or_create(&path).unwrap();
        let before = fs::read(&path).unwrap();
        for open in [0o640, 0o604, 0o644, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let error = KeyRing::open_or_create(&path).err().unwrap().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            assert_eq!(mode(&path), open);
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn older_keys_still_open_and_the_active_one_seals() {
        let (one, two) = (STANDARD.encode([1u8; 32]), STANDARD.encode([2u8; 32]));
        let keys = format!("[[keys]]\nid = \"one\"\nkey = \"{one}\"\n[[keys]]\nid = \"two\"\nkey = \"{two}\"\n");
        let sealer =
            |active: &str| Sealer::new(Arc::new(KeyRing::parse(&format!("active = \"{active}\"\n{keys}")).unwrap()));
        let (before, after) = (sealer("one"), sealer("two"));
        let sealed = before.seal(&[], &Secret::from_text("token".into())).unwrap();
        assert_eq!(after.open(&[], &sealed).ok().unwrap().expose(), b"token");
        let sealed = after.seal(&[], &Secret::from_text("token".into())).unwrap();
        assert_eq!(super::super::Sealed::parse(&sealed).unwrap().key_id(), "two");
    }

    #[test]
    fn what_is_not_understood_is_refused_without_telling_a_key() {
        let key = STANDARD.encode([7u8; 32]);
        for text in [
            String::new(),
            "active = \"a\"\nkeys = []\n".to_owned(),
            format!("active = \"b\"\n[[keys]]\nid = \"a\"\nkey = \"{key}\"\n"),
            format!("active = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{key}\"\n[[keys]]\nid = \"a\"\nkey = \"{key}\"\n"),
            format!("active = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{key}\"\nextra = 1\n"),
            format!("active = \"a\"\n[[keys]]\nid = \"a\"\nkey = \"{}\"\n", &key[..20]),
            format!("active = \"A b\"\n[[keys]]\nid = \"A b\"\nkey = \"{key}\"\n"),
            format!("active = \"a\"\n[[keys]]\nid = \"a\"\nkey = {key}\n"),
        ] {
            let reason = KeyRing::parse(&text).err().unwrap();
            assert!(!reason.contains(&key[..10]), "{reason}");
        }
    }

    fn at(folder: &tempfile::TempDir) -> (PathBuf, Arc<KeyRing>, Sealer) {
        let path = folder.path().join("keyring.toml");
        let ring = Arc::new(KeyRing::open_or_create(&path).unwrap());
        (path, Arc::clone(&ring), Sealer::new(ring))
    }

    fn sealed_under(sealed: &[u8]) -> String {
        super::super::Sealed::parse(sealed).unwrap().key_id().to_owned()
    }

    #[test]
    fn after_a_rotation_the_new_key_seals_the_old_one_opens_and_the_next_start_sees_both() {
        let folder = tempfile::tempdir().unwrap();
        let (path, ring, sealer) = at(&folder);
        let first = ring.active_id();
        let before = sealer.seal(&[], &Secret::from_text("token".into())).unwrap();
        let second = ring.rotate().unwrap();
        assert_eq!((ring.active_id(), ring.ids()), (second.clone(), vec![first.clone(), second.clone()]));
        let after = sealer.seal(&[], &Secret::from_text("token".into())).unwrap();
        assert_eq!((sealed_under(&before), sealed_under(&after)), (first.clone(), second.clone()));
        assert_eq!((mode(&path), fs::read_dir(folder.path()).unwrap().count()), (0o600, 1));
        let (_, again, sealer) = at(&folder);
        assert_eq!((again.active_id(), again.ids()), (second, vec![first, ring.active_id()]));
        assert!(again.modified_at() >= ring.modified_at());
        for sealed in [before, after] {
            assert_eq!(sealer.open(&[], &sealed).ok().unwrap().expose(), b"token");
        }
    }

    #[test]
    fn a_key_of_the_ring_can_be_made_active_and_only_another_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (_, ring, sealer) = at(&folder);
        let first = ring.active_id();
        let second = ring.rotate().unwrap();
        ring.activate(&first).unwrap();
        assert!(matches!(ring.retire(&first), Err(KeyRingError::Active { .. })));
        assert!(matches!(ring.activate("key-none"), Err(KeyRingError::NoSuchKey { .. })));
        let sealed = sealer.seal(&[], &Secret::from_text("token".into())).unwrap();
        ring.activate(&second).unwrap();
        ring.retire(&first).unwrap();
        assert_eq!(ring.ids(), [second]);
        assert_eq!(sealer.open(&[], &sealed).err(), Some(super::super::SealError::UnknownKey(first)));
    }

    /// The steps: beside the file, synced, moved, read back. Before the move the old ring is in effect and on the disk, after
    /// it the new one.
    #[test]
    fn a_change_that_breaks_off_leaves_the_ring_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (path, ring, sealer) = at(&folder);
        let (before, active) = (fs::read(&path).unwrap(), ring.active_id());
        // Killed before the move: what is left beside it is nobody's ring.
        fs::write(folder.path().join(".keyring-0123"), "active = \"half").unwrap();
        let (_, again, _) = at(&folder);
        assert_eq!(again.active_id(), active);
        // The move itself fails.
        let failed = place(&path, &Ring::new().text(), |_, _| Err(io::Error::other("no")));
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        // Somebody else has changed the file: their keys are not overwritten.
        let mut other = read(&path).unwrap().0;
        other.keys.push(Entry::random());
        place(&path, &other.text(), |beside, path| fs::rename(beside, path)).unwrap();
        assert!(matches!(ring.rotate(), Err(KeyRingError::Changed { .. })));
        assert_eq!((ring.active_id(), read(&path).unwrap().0.keys.len()), (active.clone(), 2));
        // The file is gone, or open to others.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ring.rotate(), Err(KeyRingError::Exposed { .. })));
        fs::remove_file(&path).unwrap();
        assert!(ring.rotate().is_err());
        assert_eq!(sealed_under(&sealer.seal(&[], &Secret::from_text("t".into())).unwrap()), active);
    }
}
