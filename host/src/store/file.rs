//! The file: who may read it, who may write it, and how connections are set up.

use super::{StoreError, schema};
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Held for as long as the store is open; the system releases it when the process ends, however it ends.
pub(super) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

/// Opens the file for its one writer: makes it when there is none, locks it, brings it to the newest version.
pub(super) fn open(path: &Path) -> Result<(Lock, Connection), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    make_folder(folder).map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock = lock(Path::new(&lock_path), path)?;
    // Made here and not by SQLite, whose files get the mode that the umask leaves. Its `-wal` and `-shm` copy this one's.
    private_file(path)
        .and_then(|_| File::open(folder)?.sync_all())
        .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    let mut connection = connect(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| match row.get_ref(0)?.as_str()? {
        "wal" => Ok(()),
        _ => Err(rusqlite::Error::InvalidQuery),
    })?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    schema::migrate(&mut connection, path)?;
    Ok((lock, connection))
}

/// Makes the folder, and those above it that are missing, readable by us alone. One that exists stays as it is.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Opens a file that only we may read, making it when there is none.
fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn lock(lock_path: &Path, path: &Path) -> Result<Lock, StoreError> {
    let failed = |source| StoreError::File { path: lock_path.to_owned(), source };
    let file = private_file(lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // SQLite refuses every link on the way to the file, also the folder's, so the folder is resolved first.
    let resolved = std::fs::canonicalize(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    let connection = Connection::open_with_flags(resolved, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

/// Connections that only read, kept for the next reader. At most four read at a time.
pub(super) struct Readers {
    path: PathBuf,
    free: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), free: Arc::default(), turns: Arc::new(Semaphore::new(4)) }
    }

    /// Reads off the async threads. Sees everything whose write has returned.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (path, free) = (self.path.clone(), self.free.clone());
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let kept = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => {
                    let connection = connect(&path)?;
                    connection.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 268435456;")?;
                    connection
                }
            };
            let found = job(&connection)?;
            free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(found)
        });
        read.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_may_read_any_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/deeper/attache.db");
        let (_lock, connection) = open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let mut seen = 0;
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = entry.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            seen += 1;
        }
        assert_eq!(seen, 4, "the file, its -wal and -shm, the lock");
    }

    #[test]
    fn a_file_that_others_could_read_is_tightened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attache.db");
        drop(open(&path).unwrap());
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let _open = open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_second_writer_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attache.db");
        let first = open(&path).unwrap();
        let error = open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        drop(first);
        open(&path).unwrap();
    }

    #[test]
    fn a_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (_lock, connection) = open(&folder.path().join("attache.db")).unwrap();
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((pragma("synchronous"), pragma("foreign_keys"), pragma("secure_delete")), (2, 1, 1));
        assert_eq!((pragma("trusted_schema"), pragma("cell_size_check")), (0, 1));
    }
}
