//! Where credential providers rest that were made while the host runs.

use super::columns::{count, json, millis, number, one_of, parsed, time};
use super::{Store, tell};
use crate::directory::Tags;
use crate::ids::ProviderName;
use crate::providers::{Kind, ProviderRow, ProviderRows, RowsUnavailable};
use futures_util::future::BoxFuture;
use rusqlite::{Row, params};

impl ProviderRows for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<ProviderRow>, RowsUnavailable>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                connection
                    .prepare_cached("SELECT * FROM credential_provider ORDER BY name")?
                    .query_map([], provider)?
                    .collect()
            });
            read.await.map_err(|error| RowsUnavailable(tell(&error)))
        })
    }

    fn create(&self, row: ProviderRow) -> BoxFuture<'_, Result<bool, RowsUnavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO credential_provider VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                         ON CONFLICT (name) DO NOTHING",
                    )?
                    .execute(params![
                        row.name.as_str(),
                        row.kind.code(),
                        row.settings,
                        serde_json::json!(row.tags).to_string(),
                        number(row.generation),
                        millis(row.created_at),
                        millis(row.updated_at),
                        row.sealed,
                    ])
                    .map(|rows| rows == 1)
            });
            written.await.map_err(|error| RowsUnavailable(tell(&error)))
        })
    }

    fn replace(&self, from: u64, row: ProviderRow) -> BoxFuture<'_, Result<bool, RowsUnavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                // The kind is part of the condition, and when it was made: a later one of the same name is another.
                connection
                    .prepare_cached(
                        "UPDATE credential_provider SET settings = ?3, tags = ?4, generation = ?5, updated_at = ?7,
                             sealed = ?8
                         WHERE name = ?1 AND kind = ?2 AND created_at = ?6 AND generation = ?9",
                    )?
                    .execute(params![
                        row.name.as_str(),
                        row.kind.code(),
                        row.settings,
                        serde_json::json!(row.tags).to_string(),
                        number(row.generation),
                        millis(row.created_at),
                        millis(row.updated_at),
                        row.sealed,
                        number(from),
                    ])
                    .map(|rows| rows == 1)
            });
            written.await.map_err(|error| RowsUnavailable(tell(&error)))
        })
    }

    fn delete(&self, name: ProviderName, kind: Kind) -> BoxFuture<'_, Result<bool, RowsUnavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM credential_provider WHERE name = ?1 AND kind = ?2")?
                    .execute(params![name.as_str(), kind.code()])
                    .map(|rows| rows == 1)
            });
            written.await.map_err(|error| RowsUnavailable(tell(&error)))
        })
    }
}

fn provider(row: &Row<'_>) -> rusqlite::Result<ProviderRow> {
    let kind = Kind::of_code(row.get_ref("kind")?.as_str()?);
    Ok(ProviderRow {
        name: parsed(row, "name")?,
        kind: one_of(row, "kind", kind)?,
        settings: row.get("settings")?,
        tags: json::<Tags>(row, "tags")?,
        generation: count(row, "generation")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        sealed: row.get("sealed")?,
    })
}
