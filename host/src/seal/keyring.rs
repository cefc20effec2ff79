//! The key ring: the keys under which data keys are sealed, each with an id.
//!
//! One TOML file, made at first start for this account alone (mode 0600). One key is active and seals; all of them open.
//! Losing the file loses every grant; a copy of it belongs into a safe, apart from the data.

use super::sealer::{KEY_LEN, cipher};
use crate::secret::Secret;
use aws_lc_rs::aead::RandomizedNonceKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The keys of this host's vault. Read once; has no `Debug`.
pub struct KeyRing {
    active: usize,
    keys: Vec<(String, RandomizedNonceKey)>,
}

/// Why there is no key ring. The host does not start without one.
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
}

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
        Self::parse(&text).map_err(|reason| KeyRingError::Malformed { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message quotes the line, which may hold a key.
        let ring: Ring = toml::from_str(text).map_err(|_| "it needs `active` and `[[keys]]` with `id` and `key`")?;
        let mut keys: Vec<(String, RandomizedNonceKey)> = Vec::with_capacity(ring.keys.len());
        for Entry { id, key } in ring.keys {
            let key = Secret::from_text(key);
            let good_id = (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !good_id {
                return Err("a key id must be 1 to 64 of `a-z 0-9 -`".into());
            }
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(format!("key id `{id}` stands there twice"));
            }
            let bytes = STANDARD.decode(key.expose()).map(Zeroizing::new);
            let bytes = bytes.map_err(|_| format!("key `{id}` is not base64"))?;
            if bytes.len() != KEY_LEN {
                return Err(format!("key `{id}` is not {KEY_LEN} bytes long"));
            }
            keys.push((id, cipher(&bytes).map_err(|error| error.to_string())?));
        }
        let active = keys.iter().position(|(id, _)| *id == ring.active);
        let active = active.ok_or_else(|| "`active` names a key that it does not have".to_owned())?;
        Ok(Self { active, keys })
    }

    /// The key that seals, with its id.
    pub(super) fn active(&self) -> (&str, &RandomizedNonceKey) {
        let (id, key) = &self.keys[self.active];
        (id, key)
    }

    /// The key of this id.
    pub(super) fn key(&self, id: &str) -> Option<&RandomizedNonceKey> {
        self.keys.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    #[cfg(test)]
    pub(crate) fn ephemeral() -> Self {
        Self::parse(&new_ring()).unwrap()
    }
}

fn new_ring() -> Zeroizing<String> {
    let mut key = Zeroizing::new([0u8; KEY_LEN]);
    crate::ids::fill_random(key.as_mut_slice());
    let key = Zeroizing::new(STANDARD.encode(key.as_slice()));
    let mut id = [0u8; 4];
    crate::ids::fill_random(&mut id);
    let id = format!("key-{}", crate::ids::hex(&id));
    Zeroizing::new(format!(
        "# The keys of this host's vault. Whoever reads this file reads every grant; without it every grant is lost.\n\
         active = \"{id}\"\n\n[[keys]]\nid = \"{id}\"\nkey = \"{}\"\n",
        key.as_str()
    ))
}

/// Written beside its place, synced, then linked to it: the file is whole or absent, is never readable by others, and
/// of two hosts that start at once one makes it and both read the same.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut suffix = [0u8; 8];
    crate::ids::fill_random(&mut suffix);
    let beside = folder.join(format!(".keyring-{}", crate::ids::hex(&suffix)));
    let made = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(new_ring().as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&beside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    })();
    let removed = fs::remove_file(&beside);
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::Sealer;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

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
}
