//! Where access keys rest, their secrets sealed.

use super::columns::{millis, one_of, parsed, time, time_or_none};
use super::{Store, tell};
use crate::access::{AccessKey, KeyId, KeyRow, KeyRows, Operations, RowsError, Workloads};
use crate::clock::Timestamp;
use crate::ids::Malformed;
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{Row, params};

impl KeyRows for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeyRow>, RowsError>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                connection.prepare_cached("SELECT * FROM access_key ORDER BY id")?.query_map([], key_row)?.collect()
            });
            read.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn put(&self, row: KeyRow) -> BoxFuture<'_, Result<(), RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let KeyRow { key, sealed } = &row;
                connection
                    .prepare_cached(
                        "INSERT INTO access_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                         ON CONFLICT (id) DO UPDATE SET name = ?2, operations = ?3, workloads = ?4, created_at = ?5,
                             created_by = ?6, last_used_at = ?7, disabled = ?8, sealed = ?9",
                    )?
                    .execute(params![
                        key.id.as_str(),
                        key.name,
                        key.operations.to_vec().join(" "),
                        key.workloads.to_vec().join(" "),
                        millis(key.created_at),
                        key.created_by,
                        key.last_used_at.map(millis),
                        key.disabled,
                        sealed,
                    ])
                    .map(|_| ())
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn used(&self, id: KeyId, at: Timestamp) -> BoxFuture<'_, Result<(), RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("UPDATE access_key SET last_used_at = ?2 WHERE id = ?1")?
                    .execute(params![id.as_str(), millis(at)])
                    .map(|_| ())
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn delete(&self, id: KeyId) -> BoxFuture<'_, Result<(), RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM access_key WHERE id = ?1")?
                    .execute(params![id.as_str()])
                    .map(|_| ())
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let disabled = match row.get("disabled")? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    let key = AccessKey {
        id: parsed::<KeyId>(row, "id")?,
        name: row.get("name")?,
        operations: patterns(row, "operations", |all| Operations::parse(all.split(' ')))?,
        workloads: patterns(row, "workloads", |all| Workloads::parse(all.split(' ')))?,
        created_at: time(row, "created_at")?,
        created_by: row.get("created_by")?,
        last_used_at: time_or_none(row, "last_used_at")?,
        disabled: one_of(row, "disabled", disabled)?,
    };
    Ok(KeyRow { key, sealed: row.get("sealed")? })
}

fn patterns<T>(row: &Row<'_>, column: &str, read: impl Fn(&str) -> Result<T, Malformed>) -> rusqlite::Result<T> {
    read(row.get_ref(column)?.as_str()?).map_err(|why| {
        let index = row.as_ref().column_index(column).unwrap_or(usize::MAX);
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(why))
    })
}
