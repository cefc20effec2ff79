//! Where consent sessions rest.

use super::columns::{id, millis, one_of, parsed, parsed_or_none, scopes, time, words};
use super::{Store, tell};
use crate::clock::Timestamp;
use crate::consent::{ConsentSession, Sessions, SessionsError, Stage};
use crate::ids::{ConsentId, UserId};
use futures_util::future::BoxFuture;
use rusqlite::{OptionalExtension as _, Row, params};

impl Sessions for Store {
    fn insert(&self, session: ConsentSession) -> BoxFuture<'_, Result<(), SessionsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO consent_session
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
                    )?
                    .execute(params![
                        session.id.bytes(),
                        session.agent.as_str(),
                        session.digest.map(|digest| digest.to_string()),
                        session.user.issuer.as_str(),
                        session.user.subject.as_str(),
                        session.session.as_str(),
                        session.provider.as_str(),
                        session.scopes.joined(),
                        session.resources.join(" "),
                        session.return_url,
                        millis(session.created_at),
                        millis(session.expires_at),
                        stage_text(session.stage),
                        session.state_hash,
                        session.sealed_wishes,
                        session.sealed_verifier,
                        session.sealed_code,
                        session.client,
                        session.authority.as_str(),
                    ])
                    .map(|_| ())
            });
            written.await.map_err(|error| SessionsError(tell(&error)))
        })
    }

    fn by_id(&self, id: ConsentId) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>> {
        Box::pin(async move {
            let read = self.readers.read(move |connection| {
                connection
                    .prepare_cached("SELECT * FROM consent_session WHERE id = ?1")?
                    .query_row([id.bytes()], session)
                    .optional()
            });
            read.await.map_err(|error| SessionsError(tell(&error)))
        })
    }

    fn by_state(&self, state_hash: [u8; 32]) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>> {
        Box::pin(async move {
            let read = self.readers.read(move |connection| {
                connection
                    .prepare_cached("SELECT * FROM consent_session WHERE state_hash = ?1")?
                    .query_row([state_hash], session)
                    .optional()
            });
            read.await.map_err(|error| SessionsError(tell(&error)))
        })
    }

    fn advance(&self, from: Stage, session: ConsentSession) -> BoxFuture<'_, Result<bool, SessionsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                // Whose session it is, what was asked and until when it lives are fixed when it is made.
                connection
                    .prepare_cached(
                        "UPDATE consent_session
                         SET stage = ?3, state_hash = ?4, sealed_verifier = ?5, sealed_code = ?6
                         WHERE id = ?1 AND stage = ?2",
                    )?
                    .execute(params![
                        session.id.bytes(),
                        stage_text(from),
                        stage_text(session.stage),
                        session.state_hash,
                        session.sealed_verifier,
                        session.sealed_code,
                    ])
                    .map(|changed| changed == 1)
            });
            written.await.map_err(|error| SessionsError(tell(&error)))
        })
    }

    fn sweep(&self, before: Timestamp) -> BoxFuture<'_, Result<(), SessionsError>> {
        Box::pin(async move {
            let written = self.writer.write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM consent_session WHERE expires_at < ?1")?
                    .execute([millis(before)])
                    .map(|_| ())
            });
            written.await.map_err(|error| SessionsError(tell(&error)))
        })
    }
}

fn session(row: &Row<'_>) -> rusqlite::Result<ConsentSession> {
    let stage = match row.get_ref("stage")?.as_str()? {
        "started" => Some(Stage::Started),
        "at-provider" => Some(Stage::AtProvider),
        "awaiting-completion" => Some(Stage::AwaitingCompletion),
        "exchanging" => Some(Stage::Exchanging),
        "completed" => Some(Stage::Completed),
        "failed" => Some(Stage::Failed),
        _ => None,
    };
    Ok(ConsentSession {
        id: id(row, "id", ConsentId::from_bytes)?,
        agent: parsed(row, "agent")?,
        digest: parsed_or_none(row, "digest")?,
        user: UserId { issuer: parsed(row, "issuer")?, subject: parsed(row, "subject")? },
        session: parsed(row, "session")?,
        provider: parsed(row, "provider")?,
        client: row.get("client")?,
        authority: parsed(row, "authority")?,
        scopes: scopes(row, "scopes")?,
        resources: words(row, "resources")?,
        return_url: row.get("return_url")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        stage: one_of(row, "stage", stage)?,
        state_hash: row.get("state_hash")?,
        sealed_wishes: row.get("sealed_wishes")?,
        sealed_verifier: row.get("sealed_verifier")?,
        sealed_code: row.get("sealed_code")?,
    })
}

fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Started => "started",
        Stage::AtProvider => "at-provider",
        Stage::AwaitingCompletion => "awaiting-completion",
        Stage::Exchanging => "exchanging",
        Stage::Completed => "completed",
        Stage::Failed => "failed",
    }
}
