//! Which machine this is: one Ed25519 key pair, made at the first start and kept in a file only we can read.

use crate::ids::{hex, sha256};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any PKCS#8 document of an Ed25519 key; a larger file is none.
const LARGEST: u64 = 1024;

/// The key pair of this host. Its fingerprint is the last segment of the host's SPIFFE id, so it stands in every audit
/// record. It has no `Debug` and no way to read the private half.
pub struct HostKey {
    pair: Ed25519KeyPair,
}

impl HostKey {
    /// Reads the key from this file, or makes it there (PKCS#8 in DER, mode 0600) when there is none. Blocks.
    ///
    /// Of two processes that start at once, one makes the key and both use it.
    ///
    /// # Errors
    /// [`HostKeyError`] when the file is readable by others, is no Ed25519 key, or cannot be read or written.
    pub fn open_or_create(path: &Path) -> Result<Self, HostKeyError> {
        match Self::open(path) {
            Err(HostKeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| HostKeyError::File { path: path.to_owned(), source })?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    fn open(path: &Path) -> Result<Self, HostKeyError> {
        let failed = |source| HostKeyError::File { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
        // Of the open file, not of the path: what is checked is what is read.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(HostKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut document = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1));
        file.take(LARGEST + 1).read_to_end(&mut document).map_err(failed)?;
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| HostKeyError::NoKey { path: path.to_owned() })?;
        Ok(Self { pair })
    }

    /// 32 hexadecimal digits: the first half of the SHA-256 of the public key.
    pub fn fingerprint(&self) -> String {
        hex(&sha256(self.public_key())[..16])
    }

    /// The public key: 32 bytes (RFC 8032 §5.1.5).
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs: 64 bytes (RFC 8032 §5.1.6).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Writes a new key beside the path and links it into place: it appears whole or not at all, and never replaces one.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| io::Error::other("the system gave no randomness"))?;
    let draft = folder.join(format!(".host-key-{}", crate::ids::InvocationId::random()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = file
        .set_permissions(std::fs::Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(document.as_ref()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        // Another process was faster; its key is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.and_then(|()| File::open(folder)?.sync_all()),
    }
}

/// Why there is no host key to start with.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// Others may read it, so it may be known to others.
    #[error(
        "the host key `{}` is readable by others (mode {mode:o}); make a new one, or `chmod 600` it if nobody has read it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("`{}` holds no Ed25519 key in PKCS#8; restore it, or move it away to start as a new host", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("the host key `{}` cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        (folder, path)
    }

    #[test]
    fn the_same_host_after_a_restart() {
        let (_folder, path) = fresh();
        let first = HostKey::open_or_create(&path).unwrap();
        let second = HostKey::open_or_create(&path).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.fingerprint().len(), 32);
        let signature = first.sign(b"checkpoint");
        UnparsedPublicKey::new(&ED25519, second.public_key()).verify(b"checkpoint", &signature).unwrap();
        assert!(UnparsedPublicKey::new(&ED25519, second.public_key()).verify(b"checkpoinT", &signature).is_err());
    }

    #[test]
    fn two_hosts_differ() {
        let ((_a, a), (_b, b)) = (fresh(), fresh());
        assert_ne!(
            HostKey::open_or_create(&a).unwrap().fingerprint(),
            HostKey::open_or_create(&b).unwrap().fingerprint()
        );
    }

    #[test]
    fn the_file_is_for_us_alone_and_leaves_no_draft() {
        let (folder, path) = fresh();
        HostKey::open_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let (_folder, path) = fresh();
        HostKey::open_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o644, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(HostKey::open_or_create(&path), Err(HostKeyError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_damaged_key_is_refused_and_never_replaced() {
        let (_folder, path) = fresh();
        HostKey::open_or_create(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 20);
        for damaged in [bytes, Vec::new(), vec![0; 5000]] {
            std::fs::write(&path, &damaged).unwrap();
            assert!(matches!(HostKey::open_or_create(&path), Err(HostKeyError::NoKey { .. })));
            assert_eq!(std::fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn many_starts_at_once_agree_on_one_key() {
        let (_folder, path) = fresh();
        let keys: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| HostKey::open_or_create(&path).unwrap().fingerprint())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    }
}
