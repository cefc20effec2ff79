//! Records that could not be written, so that the first one that can be says how many.

use crate::audit::{Action, Actor, Outcome, Phase, Record, codes};
use crate::clock::Timestamp;
use crate::ids::{AttemptId, HostId};

/// Counts what is missing since the last record that could be written.
#[derive(Default)]
pub(super) struct Gap {
    /// Taken, and not written.
    lost: u64,
    /// Not taken. Who opened an attempt was refused; who closed one had done it already.
    refused: u64,
    /// Of the latest of them.
    latest: Option<(HostId, Timestamp)>,
    cause: String,
}

impl Gap {
    pub(super) fn lost(&mut self, record: &Record, cause: &str) {
        self.lost += 1;
        self.note(record, cause);
    }

    pub(super) fn refused(&mut self, record: &Record, cause: &str) {
        self.refused += 1;
        self.note(record, cause);
    }

    fn note(&mut self, record: &Record, cause: &str) {
        match &mut self.latest {
            Some((_, at)) => *at = record.at.max(*at),
            None => self.latest = Some((record.host.clone(), record.at)),
        }
        if self.cause != cause {
            self.cause = cause.to_owned();
        }
    }

    /// Adds those of an earlier one, whose own record could not be written either.
    pub(super) fn join(&mut self, earlier: Self) {
        self.lost += earlier.lost;
        self.refused += earlier.refused;
        if self.latest.is_none() {
            self.latest = earlier.latest;
            self.cause = earlier.cause;
        }
    }

    /// Whether anything is missing.
    pub(super) fn any(&self) -> bool {
        self.latest.is_some()
    }

    /// The record that tells of it. Its time is that of the latest that is missing.
    pub(super) fn record(&self) -> Option<Record> {
        let (host, at) = self.latest.clone()?;
        Some(Record {
            attempt: AttemptId::random(),
            phase: Phase::Whole,
            at,
            host,
            actor: Actor::default(),
            action: Action::new(codes::GAP, "audit trail")
                .with(serde_json::json!({ "lost": self.lost, "refused": self.refused })),
            outcome: Some(Outcome::failed(format!(
                "{} records were lost and {} refused: {}",
                self.lost, self.refused, self.cause
            ))),
        })
    }
}
