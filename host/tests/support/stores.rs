//! Stores in memory that can be told to fail.

use attache::audit::{Entry, Filter, Journal, Record, Ticket, Unwritable};
use attache::clock::Timestamp;
use attache::consent::{ConsentSession, Sessions, SessionsError, Stage};
use attache::directory::{Entries, Unavailable, WorkloadIdentity};
use attache::ids::{AgentName, ConsentId, GrantId};
use attache::vault::{GrantRow, PendingRevocation, Rows, RowsError};
use futures_util::future::{BoxFuture, FutureExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<Record>>,
    pub full: AtomicBool,
}

impl MemoryJournal {
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, record: Record) -> Result<Ticket, Unwritable> {
        let mut records = self.records.lock().unwrap();
        records.push(record);
        Ok(Ticket(records.len() as u64))
    }
    fn durable(&self, _: Ticket) -> BoxFuture<'_, Result<(), Unwritable>> {
        let full = self.full.load(Ordering::SeqCst);
        async move { if full { Err(Unwritable("the disk is full".into())) } else { Ok(()) } }.boxed()
    }
    fn query(&self, _: Filter) -> BoxFuture<'_, Result<Vec<Entry>, Unwritable>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

#[derive(Default)]
pub struct MemoryEntries(Mutex<Vec<WorkloadIdentity>>);

impl Entries for MemoryEntries {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        async { Ok(self.0.lock().unwrap().clone()) }.boxed()
    }
    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move {
            let mut entries = self.0.lock().unwrap();
            entries.retain(|other| other.name != entry.name);
            entries.push(entry);
            Ok(())
        }
        .boxed()
    }
    fn remove(&self, name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move {
            self.0.lock().unwrap().retain(|other| other.name != name);
            Ok(())
        }
        .boxed()
    }
}

#[derive(Default)]
pub struct MemoryRows {
    pub rows: Mutex<Vec<GrantRow>>,
    pub queue: Mutex<Vec<PendingRevocation>>,
    /// Every write fails.
    pub broken: AtomicBool,
}

impl MemoryRows {
    fn check(&self) -> Result<(), RowsError> {
        if self.broken.load(Ordering::SeqCst) { Err(RowsError("broken".into())) } else { Ok(()) }
    }
}

impl Rows for MemoryRows {
    fn all(&self) -> BoxFuture<'_, Result<Vec<GrantRow>, RowsError>> {
        async { Ok(self.rows.lock().unwrap().clone()) }.boxed()
    }
    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>> {
        async move {
            self.check()?;
            let mut rows = self.rows.lock().unwrap();
            let key =
                |row: &GrantRow| (row.workload.clone(), row.user.clone(), row.provider.clone(), row.asked.clone());
            rows.retain(|other| key(other) != key(&row));
            rows.push(row);
            Ok(())
        }
        .boxed()
    }
    fn replace(&self, from: u64, row: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>> {
        async move {
            self.check()?;
            let mut rows = self.rows.lock().unwrap();
            let Some(old) = rows.iter_mut().find(|old| old.id == row.id && old.generation == from) else {
                return Ok(false);
            };
            *old = row;
            Ok(true)
        }
        .boxed()
    }
    fn revoke(&self, id: GrantId, pending: PendingRevocation) -> BoxFuture<'_, Result<bool, RowsError>> {
        async move {
            self.check()?;
            let mut rows = self.rows.lock().unwrap();
            let before = rows.len();
            rows.retain(|row| row.id != id);
            if rows.len() == before {
                return Ok(false);
            }
            self.queue.lock().unwrap().push(pending);
            Ok(true)
        }
        .boxed()
    }
    fn due(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<PendingRevocation>, RowsError>> {
        async move { Ok(self.queue.lock().unwrap().iter().filter(|p| p.next_at <= now).cloned().collect()) }.boxed()
    }
    fn reschedule(
        &self,
        id: GrantId,
        attempts: u32,
        next_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), RowsError>> {
        async move {
            self.check()?;
            let mut queue = self.queue.lock().unwrap();
            match next_at {
                None => queue.retain(|pending| pending.grant != id),
                Some(next_at) => {
                    for pending in queue.iter_mut().filter(|pending| pending.grant == id) {
                        (pending.attempts, pending.next_at) = (attempts, next_at);
                    }
                }
            }
            Ok(())
        }
        .boxed()
    }
}

#[derive(Default)]
pub struct MemorySessions(pub Mutex<Vec<ConsentSession>>);

impl MemorySessions {
    pub fn stage(&self, id: ConsentId) -> Stage {
        self.0.lock().unwrap().iter().find(|session| session.id == id).unwrap().stage
    }
}

impl Sessions for MemorySessions {
    fn insert(&self, session: ConsentSession) -> BoxFuture<'_, Result<(), SessionsError>> {
        async move {
            self.0.lock().unwrap().push(session);
            Ok(())
        }
        .boxed()
    }
    fn by_id(&self, id: ConsentId) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>> {
        async move { Ok(self.0.lock().unwrap().iter().find(|session| session.id == id).cloned()) }.boxed()
    }
    fn by_state(&self, hash: [u8; 32]) -> BoxFuture<'_, Result<Option<ConsentSession>, SessionsError>> {
        async move { Ok(self.0.lock().unwrap().iter().find(|session| session.state_hash == Some(hash)).cloned()) }
            .boxed()
    }
    fn advance(&self, from: Stage, session: ConsentSession) -> BoxFuture<'_, Result<bool, SessionsError>> {
        async move {
            let mut all = self.0.lock().unwrap();
            match all.iter_mut().find(|old| old.id == session.id && old.stage == from) {
                Some(old) => {
                    *old = session;
                    Ok(true)
                }
                None => Ok(false),
            }
        }
        .boxed()
    }
    fn sweep(&self, before: Timestamp) -> BoxFuture<'_, Result<(), SessionsError>> {
        async move {
            self.0.lock().unwrap().retain(|session| session.expires_at >= before);
            Ok(())
        }
        .boxed()
    }
}
