//! Where the directory's entries rest, each with the providers that were bound to it.

use super::columns::{json, millis, one_of, parsed, parsed_or_none, scopes, time};
use super::{Store, tell};
use crate::directory::{BoundProvider, Entries, Killed, Origin, State, Tags, Unavailable, Version, WorkloadIdentity};
use crate::ids::{AgentName, Digest};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, Row, params};
use std::collections::HashMap;

impl Entries for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                // One view of both tables.
                let view = connection.unchecked_transaction()?;
                let mut bound = bound(&view)?;
                let mut statement = view.prepare_cached("SELECT * FROM workload ORDER BY name")?;
                let entries = statement.query_map([], entry)?.map(|entry| {
                    let mut entry = entry?;
                    entry.bound = bound.remove(&entry.name).unwrap_or_default();
                    Ok(entry)
                });
                entries.collect()
            });
            read.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| put(connection, &entry));
            written.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn versions(&self, name: AgentName) -> BoxFuture<'_, Result<Vec<Version>, Unavailable>> {
        Box::pin(async move {
            let read = self.readers.read(move |connection| {
                let sql = "SELECT * FROM workload_version WHERE workload = ?1 ORDER BY deployed_at DESC, rowid DESC";
                let mut statement = connection.prepare_cached(sql)?;
                let versions = statement.query_map([name.as_str()], |row| {
                    Ok(Version {
                        digest: parsed(row, "digest")?,
                        deployed_by: row.get("deployed_by")?,
                        deployed_at: time(row, "deployed_at")?,
                        source: row.get("source")?,
                        authority: parsed(row, "authority")?,
                    })
                })?;
                versions.collect()
            });
            read.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn killed(&self) -> BoxFuture<'_, Result<Vec<Killed>, Unavailable>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                let mut statement = connection.prepare_cached("SELECT * FROM killed_component ORDER BY digest")?;
                let killed = statement.query_map([], |row| {
                    Ok(Killed {
                        digest: parsed(row, "digest")?,
                        by: row.get("killed_by")?,
                        at: time(row, "killed_at")?,
                        reason: row.get("reason")?,
                    })
                })?;
                killed.collect()
            });
            read.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn kill(&self, killed: Killed) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let sql = "INSERT OR REPLACE INTO killed_component VALUES (?1, ?2, ?3, ?4)";
                let Killed { digest, by, at, reason } = &killed;
                connection
                    .prepare_cached(sql)?
                    .execute(params![digest.to_string(), by, millis(*at), reason])
                    .map(|_| ())
            });
            written.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn revive(&self, digest: Digest) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let sql = "DELETE FROM killed_component WHERE digest = ?1";
                connection.prepare_cached(sql)?.execute([digest.to_string()]).map(|_| ())
            });
            written.await.map_err(|error| Unavailable(tell(&error)))
        })
    }

    fn remove(&self, name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                unbind_all(connection, &name)?;
                connection
                    .prepare_cached("DELETE FROM workload_version WHERE workload = ?1")?
                    .execute([name.as_str()])?;
                connection.prepare_cached("DELETE FROM workload WHERE name = ?1")?.execute([name.as_str()]).map(|_| ())
            });
            written.await.map_err(|error| Unavailable(tell(&error)))
        })
    }
}

fn put(connection: &Connection, entry: &WorkloadIdentity) -> rusqlite::Result<()> {
    let version = entry.version.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO workload VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (name) DO UPDATE SET id = ?2, origin = ?3, publisher = ?4, created_by = ?5,
                 created_at = ?6, updated_at = ?7, allowed_return_urls = ?8, tags = ?9, state = ?10, digest = ?11,
                 deployed_by = ?12, deployed_at = ?13, source = ?14, authority = ?15, pinned = ?16",
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
            serde_json::json!(entry.allowed_return_urls).to_string(),
            serde_json::json!(entry.tags).to_string(),
            match entry.state {
                State::Active => "active",
                State::Suspended => "suspended",
                State::Retired => "retired",
            },
            version.map(|version| version.digest.to_string()),
            version.map(|version| &version.deployed_by),
            version.map(|version| millis(version.deployed_at)),
            version.and_then(|version| version.source.as_ref()),
            version.map_or("[]", |version| version.authority.as_str()),
            entry.pinned,
        ])?;
    if let Some(Version { digest, deployed_by, deployed_at, source, authority }) = version {
        connection
            .prepare_cached(
                "INSERT INTO workload_version VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (workload, digest) DO UPDATE SET deployed_by = ?3, deployed_at = ?4, source = ?5, authority = ?6",
            )?
            .execute(params![
                entry.name.as_str(),
                digest.to_string(),
                deployed_by,
                millis(*deployed_at),
                source,
                authority.as_str()
            ])?;
    }
    unbind_all(connection, &entry.name)?;
    let mut bind = connection.prepare_cached("INSERT INTO workload_provider VALUES (?1, ?2, ?3)")?;
    for bound in &entry.bound {
        bind.execute(params![entry.name.as_str(), bound.provider.as_str(), bound.scopes.joined()])?;
    }
    Ok(())
}

fn unbind_all(connection: &Connection, name: &AgentName) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM workload_provider WHERE workload = ?1")?.execute([name.as_str()]).map(|_| ())
}

fn bound(connection: &Connection) -> rusqlite::Result<HashMap<AgentName, Vec<BoundProvider>>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    let mut statement = connection.prepare_cached("SELECT * FROM workload_provider ORDER BY workload, provider")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bound = BoundProvider { provider: parsed(row, "provider")?, scopes: scopes(row, "scopes")? };
        all.entry(parsed(row, "workload")?).or_default().push(bound);
    }
    Ok(all)
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
        "retired" => Some(State::Retired),
        _ => None,
    };
    let version = match parsed_or_none(row, "digest")? {
        None => None,
        Some(digest) => Some(Version {
            digest,
            deployed_by: row.get("deployed_by")?,
            deployed_at: time(row, "deployed_at")?,
            source: row.get("source")?,
            authority: parsed(row, "authority")?,
        }),
    };
    Ok(WorkloadIdentity {
        name: parsed(row, "name")?,
        id: parsed(row, "id")?,
        origin: one_of(row, "origin", origin)?,
        publisher: row.get("publisher")?,
        created_by: row.get("created_by")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        allowed_return_urls: json::<Vec<String>>(row, "allowed_return_urls")?,
        tags: json::<Tags>(row, "tags")?,
        bound: Vec::new(),
        state: one_of(row, "state", state)?,
        version,
        pinned: row.get("pinned")?,
    })
}
