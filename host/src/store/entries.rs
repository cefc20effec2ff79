//! Where the directory's entries rest.

use super::columns::{millis, one_of, parsed, parsed_or_none, time};
use super::{Store, tell};
use crate::directory::{Entries, Origin, State, Unavailable, Version, WorkloadIdentity};
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{Row, params};

impl Entries for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                connection.prepare_cached("SELECT * FROM workload ORDER BY name")?.query_map([], entry)?.collect()
            });
            read.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let version = entry.version.as_ref();
                connection
                    .prepare_cached(
                        "INSERT INTO workload VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                         ON CONFLICT (name) DO UPDATE SET id = ?2, origin = ?3, publisher = ?4, created_by = ?5,
                             created_at = ?6, updated_at = ?7, allowed_return_urls = ?8, state = ?9, digest = ?10,
                             deployed_by = ?11, deployed_at = ?12",
                    )?
                    .execute(params![
                        entry.name.as_str(),
                        entry.id.as_str(),
                        match entry.origin {
                            Origin::Runtime => "runtime",
                            Origin::Gateway => "gateway",
                            Origin::Manual => "manual",
                        },
                        entry.publisher,
                        entry.created_by,
                        millis(entry.created_at),
                        millis(entry.updated_at),
                        serde_json::Value::from(entry.allowed_return_urls).to_string(),
                        match entry.state {
                            State::Active => "active",
                            State::Suspended => "suspended",
                        },
                        version.map(|version| version.digest.to_string()),
                        version.map(|version| &version.deployed_by),
                        version.map(|version| millis(version.deployed_at)),
                    ])
                    .map(|_| ())
            });
            written.await.map_err(|error| Unavailable(tell(&error)))
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<WorkloadIdentity> {
    let origin = match row.get_ref("origin")?.as_str()? {
        "runtime" => Some(Origin::Runtime),
        "gateway" => Some(Origin::Gateway),
        "manual" => Some(Origin::Manual),
        _ => None,
    };
    let state = match row.get_ref("state")?.as_str()? {
        "active" => Some(State::Active),
        "suspended" => Some(State::Suspended),
        _ => None,
    };
    let version = match parsed_or_none(row, "digest")? {
        None => None,
        Some(digest) => {
            Some(Version { digest, deployed_by: row.get("deployed_by")?, deployed_at: time(row, "deployed_at")? })
        }
    };
    let urls = row.get_ref("allowed_return_urls")?.as_str()?;
    Ok(WorkloadIdentity {
        name: parsed(row, "name")?,
        id: parsed(row, "id")?,
        origin: one_of(row, "origin", origin)?,
        publisher: row.get("publisher")?,
        created_by: row.get("created_by")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        allowed_return_urls: serde_json::from_str(urls)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(7, Type::Text, Box::new(error)))?,
        state: one_of(row, "state", state)?,
        version,
    })
}
