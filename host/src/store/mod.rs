//! Where everything rests: one SQLite file, and the components beside it.
//!
//! The only room that knows SQL. [`Store`] implements the ports of the rooms that keep something:
//! [`Entries`](crate::directory::Entries), [`KeyRows`](crate::access::KeyRows), [`KeySetRows`](crate::identity::KeySetRows),
//! [`Journal`](crate::audit::Journal), [`Rows`](crate::vault::Rows),
//! [`ProviderRows`](crate::providers::ProviderRows) and [`Sessions`](crate::consent::Sessions). Every write goes through one thread that commits for all who wait
//! (`writer.rs`), and is durable when it returns. Secrets arrive here sealed.

mod access_keys;
mod columns;
mod components;
mod entries;
mod file;
mod gap;
mod grants;
mod issuer_keys;
mod journal;
mod mark;
mod providers;
mod schema;
mod sessions;
mod writer;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;

pub use components::Components;
pub use mark::Mark;

use crate::ids::Digest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open store. One per file in the whole system; a second is refused.
///
/// Dropping it writes what is queued, and blocks for that long.
pub struct Store {
    // In this order they are dropped: the lock is let go when nothing writes any more.
    writer: writer::Writer,
    readers: file::Readers,
    _lock: file::Lock,
}

impl Store {
    /// Opens the file, making it (mode 0600) when there is none, and brings it to the newest version. Blocks.
    ///
    /// # Errors
    /// [`StoreError`]: in use by another process, of a newer program, of another program, or not to be read or written.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        let (lock, connection) = file::open(path)?;
        let last = journal::last(&connection)?;
        let writer = writer::Writer::start(connection, last)
            .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        Ok(Arc::new(Self { writer, readers: file::Readers::new(path), _lock: lock }))
    }
}

/// Why the store could not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// One process at a time.
    #[error("the store `{}` is in use by another process; stop that one, or give this one a data folder of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// This program would not understand it.
    #[error(
        "the store `{}` has version {found} and this program knows {known}; run the newer program again, or restore a backup",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The greatest that is known.
        known: i64,
    },
    /// Somebody else's file.
    #[error("`{}` is not a store of ours; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("`{}` cannot be read or written; check the disk and who owns it", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No component of this digest is here.
    #[error("no component `{digest}` is here; deploy it again")]
    NoComponent {
        /// Which.
        digest: Digest,
    },
    /// The file of this digest holds other bytes.
    #[error("the component `{}` is not `{digest}` any more; deploy it again, and find out who changed it", path.display())]
    DamagedComponent {
        /// The file.
        path: PathBuf,
        /// What it should be.
        digest: Digest,
    },
    /// The transaction could not be committed.
    #[error("{0}; nothing is stored until that is mended")]
    Unwritable(String),
    /// The store is being closed.
    #[error("the store is closed; the host is stopping")]
    Closed,
    /// SQLite says no, or a row holds what it should not.
    #[error("{}", describe(.0))]
    Sql(#[from] rusqlite::Error),
}

/// What SQLite says, for people. Never values of rows.
fn describe(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(rusqlite::ErrorCode::SystemIoFailure) => format!("the disk failed ({error})"),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            format!("the file is damaged ({error}); restore a backup")
        }
        _ => error.to_string(),
    }
}

/// The error and its causes in one line, for ports whose errors are text.
fn tell(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = match error {
        // Its own line says it all.
        StoreError::Sql(_) => None,
        error => std::error::Error::source(error),
    };
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
