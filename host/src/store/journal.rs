//! The audit trail: written by the one writer, read back newest first.

use super::columns::{count, id, millis, number, one_of, parsed, time};
use super::{Store, tell};
use crate::audit::{
    Action, Actor, AgentRef, Decision, Entry, Filter, Journal, Outcome, Phase, Record, Ticket, Unwritable,
};
use crate::clock::Timestamp;
use crate::ids::{AttemptId, UserId};
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, named_params, params};
use std::collections::HashMap;

/// Absent limits mean this.
const LIMIT: usize = 100;
/// No query returns more.
const MOST: usize = 10_000;

impl Journal for Store {
    fn append(&self, record: Record) -> Result<Ticket, Unwritable> {
        self.writer.append(record)
    }

    fn durable(&self, ticket: Ticket) -> BoxFuture<'_, Result<(), Unwritable>> {
        Box::pin(self.writer.durable(ticket))
    }

    fn query(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<Entry>, Unwritable>> {
        Box::pin(async move {
            let found = self.readers.read(move |connection| query(connection, &filter)).await;
            found.map_err(|error| Unwritable(tell(&error)))
        })
    }
}

/// The greatest number in the journal; 0 when it is empty.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(seq), 0) AS last FROM audit", [], |row| count(row, "last"))
}

/// Writes the records under the numbers from `first` on. Runs for every record, so it allocates nothing without need.
pub(super) fn insert(connection: &Connection, first: u64, records: &[Record]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    for (seq, record) in (first..).zip(records) {
        let Record { attempt, phase, at, host, actor, action, outcome } = record;
        let detail = (!action.detail.is_null()).then(|| action.detail.to_string());
        statement.execute(params![
            number(seq),
            attempt.bytes(),
            match phase {
                Phase::Opened => 0,
                Phase::Closed => 1,
                Phase::Whole => 2,
            },
            millis(*at),
            host.as_str(),
            actor.agent.as_ref().map(|agent| &agent.name),
            actor.agent.as_ref().and_then(|agent| agent.digest.as_ref()),
            actor.user.as_ref().map(|user| user.issuer.as_str()),
            actor.user.as_ref().map(|user| user.subject.as_str()),
            actor.operator,
            actor.session,
            actor.invocation,
            action.action,
            action.resource,
            detail,
            outcome.as_ref().map(|outcome| decision_number(outcome.decision)),
            outcome.as_ref().map(|outcome| &outcome.reason),
            actor.caller,
        ])?;
    }
    Ok(())
}

/// From the newest record backwards, a closing comes before its opening, so one pass joins them without an index. Both
/// bear the same names, so the names are filtered before. A closing whose opening is missing is not shown: nothing was
/// released for it.
fn query(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Entry>> {
    let limit = if filter.limit == 0 { LIMIT } else { filter.limit.min(MOST) };
    let mut statement = connection.prepare_cached(
        "SELECT * FROM audit
         WHERE (:agent IS NULL OR agent = :agent) AND (:subject IS NULL OR subject = :subject)
           AND (:action IS NULL OR action = :action)
           AND (:caller IS NULL OR caller = :caller OR operator = :caller)
           AND (:decision IS NULL OR phase = 0 OR decision = :decision)
         ORDER BY seq DESC",
    )?;
    let mut rows = statement.query(named_params! {
        ":agent": filter.agent,
        ":subject": filter.subject,
        ":action": filter.action,
        ":caller": filter.caller,
        ":decision": filter.decision.map(decision_number),
    })?;
    let mut closings: HashMap<AttemptId, (Timestamp, Option<Outcome>)> = HashMap::new();
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let attempt = id(row, "attempt", AttemptId::from_bytes)?;
        let phase = phase(row)?;
        let at = time(row, "at")?;
        if phase == Phase::Closed {
            closings.insert(attempt, (at, outcome(row)?));
            continue;
        }
        let (closed_at, outcome) = match phase {
            Phase::Whole => (Some(at), outcome(row)?),
            _ => match closings.remove(&attempt) {
                Some((closed_at, outcome)) => (Some(closed_at), outcome),
                None => (None, None),
            },
        };
        if filter.since.is_some_and(|since| at < since)
            || filter.decision.is_some_and(|wanted| outcome.as_ref().map(|o| o.decision) != Some(wanted))
        {
            continue;
        }
        let record = Record {
            attempt,
            phase,
            at,
            host: parsed(row, "host")?,
            actor: actor(row)?,
            action: action(row)?,
            outcome,
        };
        entries.push(Entry { seq: count(row, "seq")?, at, record, closed_at });
        if entries.len() == limit {
            break;
        }
    }
    Ok(entries)
}

fn actor(row: &Row<'_>) -> rusqlite::Result<Actor> {
    let agent = match row.get("agent")? {
        Some(name) => Some(AgentRef { name, digest: row.get("digest")? }),
        None => None,
    };
    let user = match row.get_ref("issuer")?.as_str_or_null()? {
        Some(_) => Some(UserId { issuer: parsed(row, "issuer")?, subject: parsed(row, "subject")? }),
        None => None,
    };
    Ok(Actor {
        agent,
        user,
        caller: row.get("caller")?,
        operator: row.get("operator")?,
        session: row.get("session")?,
        invocation: row.get("invocation")?,
    })
}

fn action(row: &Row<'_>) -> rusqlite::Result<Action> {
    let detail = match row.get_ref("detail")?.as_str_or_null()? {
        None => serde_json::Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(14, Type::Text, Box::new(error)))?,
    };
    Ok(Action { action: row.get("action")?, resource: row.get("resource")?, detail })
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<Option<Outcome>> {
    let decision = match row.get("decision")? {
        None => return Ok(None),
        Some(0) => Some(Decision::Allowed),
        Some(1) => Some(Decision::Refused),
        Some(2) => Some(Decision::Failed),
        Some(_) => None,
    };
    Ok(Some(Outcome { decision: one_of(row, "decision", decision)?, reason: row.get("reason")? }))
}

fn phase(row: &Row<'_>) -> rusqlite::Result<Phase> {
    let phase = match row.get("phase")? {
        0 => Some(Phase::Opened),
        1 => Some(Phase::Closed),
        2 => Some(Phase::Whole),
        _ => None,
    };
    one_of(row, "phase", phase)
}

fn decision_number(decision: Decision) -> i64 {
    match decision {
        Decision::Allowed => 0,
        Decision::Refused => 1,
        Decision::Failed => 2,
    }
}
