//! Where the vault's sealed rows rest.

use super::columns::{count, id, millis, number, parsed, scopes, time, time_or_none, words};
use super::{Store, tell};
use crate::clock::Timestamp;
use crate::ids::{GrantId, UserId};
use crate::vault::{GrantRow, PendingRevocation, Rows, RowsError};
use futures_util::future::BoxFuture;
use rusqlite::{Row, ToSql, named_params};

impl Rows for Store {
    fn all(&self) -> BoxFuture<'_, Result<Vec<GrantRow>, RowsError>> {
        Box::pin(async {
            let read = self.readers.read(|connection| {
                connection
                    .prepare_cached("SELECT * FROM vault_grant ORDER BY created_at, id")?
                    .query_map([], grant)?
                    .collect()
            });
            read.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let mut statement = connection.prepare_cached(
                    "INSERT INTO vault_grant VALUES (:id, :workload, :issuer, :subject, :provider, :client, :asked, :resources,
                         :granted, :created_at, :updated_at, :expires_at, :generation, :renewing_since, :sealed, :destinations, :authority)
                     ON CONFLICT (workload, issuer, subject, provider, client, asked, resources) DO UPDATE SET id = :id,
                         granted = :granted, created_at = :created_at, updated_at = :updated_at,
                         expires_at = :expires_at, generation = :generation, renewing_since = :renewing_since,
                         sealed = :sealed, destinations = :destinations, authority = :authority",
                )?;
                with_columns(&row, &[], |columns| statement.execute(columns)).map(|_| ())
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn replace(&self, from: u64, row: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                // The key is part of the condition: a row never moves to another workload, user, provider or scope set.
                let mut statement = connection.prepare_cached(
                    "UPDATE vault_grant SET granted = :granted, created_at = :created_at, updated_at = :updated_at,
                         expires_at = :expires_at, generation = :generation, renewing_since = :renewing_since,
                         sealed = :sealed
                     WHERE id = :id AND generation = :from AND workload = :workload AND issuer = :issuer
                         AND subject = :subject AND provider = :provider AND client = :client AND asked = :asked
                         AND resources = :resources AND destinations = :destinations AND authority = :authority",
                )?;
                with_columns(&row, &[(":from", &number(from))], |columns| statement.execute(columns)).map(|n| n == 1)
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn renewing(
        &self,
        id: GrantId,
        generation: u64,
        since: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<bool, RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("UPDATE vault_grant SET renewing_since = ?3 WHERE id = ?1 AND generation = ?2")?
                    .execute((id.bytes(), number(generation), since.map(millis)))
                    .map(|changed| changed == 1)
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<bool, RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let deleted = connection.prepare_cached("DELETE FROM vault_grant WHERE id = ?1")?.execute([id.bytes()]);
                deleted.map(|deleted| deleted == 1)
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn revoke(&self, id: GrantId, pending: PendingRevocation) -> BoxFuture<'_, Result<bool, RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let gone =
                    connection.prepare_cached("DELETE FROM vault_grant WHERE id = ?1")?.execute([id.bytes()])? == 0;
                if gone {
                    return Ok(false);
                }
                let mut statement = connection.prepare_cached(
                    "INSERT INTO vault_revocation VALUES (:pending, :attempts, :next_at, :id, :workload, :issuer,
                         :subject, :provider, :client, :asked, :resources, :granted, :created_at, :updated_at, :expires_at,
                         :generation, :renewing_since, :sealed, :destinations, :authority)",
                )?;
                let more: [(&str, &dyn ToSql); 3] = [
                    (":pending", &pending.grant.bytes()),
                    (":attempts", &pending.attempts),
                    (":next_at", &millis(pending.next_at)),
                ];
                with_columns(&pending.row, &more, |columns| statement.execute(columns)).map(|_| true)
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<PendingRevocation>, RowsError>> {
        Box::pin(async move {
            let read = self.readers.read(move |connection| {
                connection
                    .prepare_cached("SELECT * FROM vault_revocation WHERE next_at <= ?1 ORDER BY next_at, pending")?
                    .query_map([millis(now)], pending)?
                    .collect()
            });
            read.await.map_err(|error| RowsError(tell(&error)))
        })
    }

    fn reschedule(
        &self,
        id: GrantId,
        attempts: u32,
        next_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), RowsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                let changed = match next_at {
                    None => connection
                        .prepare_cached("DELETE FROM vault_revocation WHERE pending = ?1")?
                        .execute([id.bytes()]),
                    Some(next_at) => connection
                        .prepare_cached("UPDATE vault_revocation SET attempts = ?2, next_at = ?3 WHERE pending = ?1")?
                        .execute((id.bytes(), attempts, millis(next_at))),
                };
                changed.map(|_| ())
            });
            written.await.map_err(|error| RowsError(tell(&error)))
        })
    }
}

/// Hands a row's columns over by name, with some more.
fn with_columns<T>(row: &GrantRow, more: &[(&str, &dyn ToSql)], run: impl FnOnce(&[(&str, &dyn ToSql)]) -> T) -> T {
    let (asked, granted) = (row.asked.joined(), row.granted.joined());
    // No URI holds a space.
    let (resources, renewing_since) = (row.resources.join(" "), row.renewing_since.map(millis));
    let id = row.id.bytes();
    let (created_at, updated_at) = (millis(row.created_at), millis(row.updated_at));
    let (expires_at, generation) = (row.expires_at.map(millis), number(row.generation));
    let (issuer, subject, provider) = (row.user.issuer.as_str(), row.user.subject.as_str(), row.provider.as_str());
    let columns: &[(&str, &dyn ToSql)] = named_params! {
        ":id": id, ":workload": row.workload, ":issuer": issuer, ":subject": subject, ":provider": provider,
        ":client": row.client, ":asked": asked, ":resources": resources, ":granted": granted, ":created_at": created_at, ":updated_at": updated_at,
        ":expires_at": expires_at, ":generation": generation, ":renewing_since": renewing_since, ":sealed": row.sealed,
        ":destinations": row.destinations,
        ":authority": row.authority.as_str(),
    };
    run(&[columns, more].concat())
}

fn grant(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        id: id(row, "id", GrantId::from_bytes)?,
        workload: row.get("workload")?,
        user: UserId { issuer: parsed(row, "issuer")?, subject: parsed(row, "subject")? },
        provider: parsed(row, "provider")?,
        client: row.get("client")?,
        asked: scopes(row, "asked")?,
        resources: words(row, "resources")?,
        destinations: row.get("destinations")?,
        authority: parsed(row, "authority")?,
        granted: scopes(row, "granted")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        expires_at: time_or_none(row, "expires_at")?,
        generation: count(row, "generation")?,
        renewing_since: time_or_none(row, "renewing_since")?,
        sealed: row.get("sealed")?,
    })
}

fn pending(row: &Row<'_>) -> rusqlite::Result<PendingRevocation> {
    Ok(PendingRevocation {
        grant: id(row, "pending", GrantId::from_bytes)?,
        row: grant(row)?,
        attempts: row.get("attempts")?,
        next_at: time(row, "next_at")?,
    })
}
