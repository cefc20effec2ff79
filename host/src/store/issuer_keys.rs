//! Where key sets of identity providers rest between two runs, sealed.

use super::columns::{millis, parsed, time};
use super::{Store, tell};
use crate::identity::{KeySetRow, KeySetRows};
use futures_util::future::BoxFuture;
use rusqlite::{Row, params};

impl KeySetRows for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeySetRow>, String>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                connection.prepare_cached("SELECT * FROM issuer_keys")?.query_map([], row)?.collect()
            });
            read.await.map_err(|error| tell(&error))
        })
    }

    fn put(&self, row: KeySetRow) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO issuer_keys VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![row.issuer.as_str(), row.metadata, row.jwks_uri, millis(row.read_at), row.sealed])
                    .map(|_| ())
            });
            written.await.map_err(|error| tell(&error))
        })
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<KeySetRow> {
    Ok(KeySetRow {
        issuer: parsed(row, "issuer")?,
        metadata: row.get("metadata")?,
        jwks_uri: row.get("jwks_uri")?,
        read_at: time(row, "read_at")?,
        sealed: row.get("sealed")?,
    })
}
