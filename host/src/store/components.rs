//! Components as files named by their digest. What is read is what was put, or an error.

use super::StoreError;
use super::file::make_folder;
use crate::ids::{Digest, InvocationId};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const DRAFT: &str = ".draft-";

/// A folder of components. Blocks; call it off the async threads.
pub struct Components {
    folder: PathBuf,
}

impl Components {
    /// Opens the folder, making it (mode 0700) when there is none, and removes what an interrupted deployment left.
    ///
    /// # Errors
    /// [`StoreError::File`] when the folder cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let this = Self { folder: folder.to_owned() };
        make_folder(folder).and_then(|()| this.sweep()).map_err(|source| this.failed(folder, source))?;
        Ok(this)
    }

    /// Keeps the bytes. Durable when it returns; keeping the same again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::File`] when they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        // A file that was damaged meanwhile is replaced.
        if !std::fs::read(&path).is_ok_and(|kept| kept == bytes) {
            self.write(&path, bytes).map_err(|source| self.failed(&path, source))?;
        }
        Ok(digest)
    }

    /// The bytes of this digest.
    ///
    /// # Errors
    /// [`StoreError::NoComponent`] when they were never put here, [`StoreError::DamagedComponent`] when the file holds
    /// other bytes.
    pub fn load(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.path(digest);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NoComponent { digest }),
            Err(source) => return Err(self.failed(&path, source)),
        };
        if Digest::of(&bytes) != digest {
            return Err(StoreError::DamagedComponent { path, digest });
        }
        Ok(bytes)
    }

    /// Keeps what a component was compiled to, sealed by the caller. Anything that was compiled from it for other engines is
    /// removed.
    ///
    /// # Errors
    /// [`StoreError::File`] when it cannot be written.
    pub fn put_compiled(&self, digest: Digest, compatibility: u64, sealed: &[u8]) -> Result<(), StoreError> {
        let folder = self.compiled();
        make_folder(&folder).map_err(|source| self.failed(&folder, source))?;
        let path = self.compiled_path(digest, compatibility);
        self.write(&path, sealed).map_err(|source| self.failed(&path, source))?;
        self.keep_only(&path, digest).map_err(|source| self.failed(&folder, source))
    }

    /// What [`Self::put_compiled`] kept, if it can be read. Nothing is known of it before it is opened.
    pub fn load_compiled(&self, digest: Digest, compatibility: u64) -> Option<Vec<u8>> {
        std::fs::read(self.compiled_path(digest, compatibility)).ok()
    }

    fn compiled(&self) -> PathBuf {
        self.folder.join("compiled")
    }

    fn compiled_path(&self, digest: Digest, compatibility: u64) -> PathBuf {
        self.compiled().join(format!("{}-{compatibility:016x}", digest.hex()))
    }

    fn keep_only(&self, path: &Path, digest: Digest) -> io::Result<()> {
        for entry in std::fs::read_dir(self.compiled())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&digest.hex()) && entry.path() != path {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.hex()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = self.folder.join(format!("{DRAFT}{}", InvocationId::random()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let written = file
            .set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&draft, path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if written.is_err() {
            // The next start removes it if this does not.
            let _ = std::fs::remove_file(&draft);
        }
        written
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(DRAFT.as_bytes()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn failed(&self, path: &Path, source: io::Error) -> StoreError {
        StoreError::File { path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let components = Components::open(&folder.path().join("components")).unwrap();
        let digest = components.put(b"\0asm one").unwrap();
        assert_eq!(components.put(b"\0asm one").unwrap(), digest);
        assert_ne!(components.put(b"\0asm two").unwrap(), digest);
        assert_eq!(components.load(digest).unwrap(), b"\0asm one");
        let mode = std::fs::metadata(components.path(digest)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let missing = Digest::of(b"three");
        assert!(matches!(components.load(missing), Err(StoreError::NoComponent { digest }) if digest == missing));
    }

    #[test]
    fn exchanged_bytes_never_run() {
        let folder = tempfile::tempdir().unwrap();
        let components = Components::open(folder.path()).unwrap();
        let digest = components.put(b"\0asm honest").unwrap();
        std::fs::write(components.path(digest), b"\0asm rogue!").unwrap();
        assert!(matches!(components.load(digest), Err(StoreError::DamagedComponent { .. })));
        components.put(b"\0asm honest").unwrap();
        assert_eq!(components.load(digest).unwrap(), b"\0asm honest");
    }

    #[test]
    fn an_interrupted_deployment_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Components::open(folder.path()).unwrap().put(b"kept").unwrap();
        std::fs::write(folder.path().join(".draft-0"), b"half").unwrap();
        Components::open(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
