//! By what a database is known again: the last record of its trail, and what that record says.
//!
//! Every change of weight has its record in the same commit or one before, so a database that holds a given record has all
//! that was before it; one that does not is an older one, or another.

use super::{Store, StoreError};
use crate::ids::sha256;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A record that is durable: its number, and a hash of all that it says. The number is 0 where there is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub seq: u64,
    /// SHA-256 of its row.
    pub hash: [u8; 32],
}

impl Store {
    /// The newest record that is durable.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn mark(&self) -> Result<Mark, StoreError> {
        self.readers
            .read(|connection| {
                let seq = super::journal::last(connection)?;
                Ok(Mark { seq, hash: hash(connection, seq)?.unwrap_or_default() })
            })
            .await
    }

    /// Whether this database holds that very record.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn holds(&self, mark: Mark) -> Result<bool, StoreError> {
        self.readers.read(move |connection| Ok(mark.seq == 0 || hash(connection, mark.seq)? == Some(mark.hash))).await
    }
}

/// Of every column, with its type and length.
fn hash(connection: &Connection, seq: u64) -> rusqlite::Result<Option<[u8; 32]>> {
    let mut statement = connection.prepare_cached("SELECT * FROM audit WHERE seq = ?1")?;
    let columns = statement.column_count();
    let mut rows = statement.query([super::columns::number(seq)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut text = Vec::new();
    for column in 0..columns {
        let (kind, bytes): (u8, &[u8]) = match row.get_ref(column)? {
            // A column that a later release adds says nothing of older records.
            ValueRef::Null => continue,
            ValueRef::Integer(number) => {
                text.extend_from_slice(&[1, u8::try_from(column).unwrap_or(u8::MAX)]);
                text.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            ValueRef::Real(number) => {
                text.extend_from_slice(&[2, u8::try_from(column).unwrap_or(u8::MAX)]);
                text.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            ValueRef::Text(bytes) => (3, bytes),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        text.extend_from_slice(&[kind, u8::try_from(column).unwrap_or(u8::MAX)]);
        text.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        text.extend_from_slice(bytes);
    }
    Ok(Some(sha256(&text)))
}
