//! Stores in memory that can be told to fail.

use attache::audit::{Entry, Filter, Journal, Record, Ticket, Unwritable};
use attache::clock::Timestamp;
use attache::consent::{ConsentSession, Sessions, SessionsError, Stage};
use attache::directory::{Entries, Unavailable, WorkloadIdentity};
use attache::ids::{AgentName, ConsentId, GrantId};
use attache::vault::{GrantRow, PendingRevocation, Rows, RowsError};
use futures_util::future::{BoxFuture, FutureExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    /// What becomes of one kind of write.
    pub fault: Mutex<Option<(&'static str, Fault)>>,
    /// How often a fault struck.
    pub struck: AtomicUsize,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing is changed.
    Fails,
    /// The host dies before it: nothing is changed, and nobody hears of it.
    DiesBefore,
    /// The host dies after it: it is durable, and nobody hears of it.
    DiesAfter,
}

impl MemoryRows {
    /// A write of this kind.
    async fn write<T>(
        &self,
        kind: &'static str,
        change: impl FnOnce(&mut Vec<GrantRow>, &mut Vec<PendingRevocation>) -> T,
    ) -> Result<T, RowsError> {
        let fault = self.fault.lock().unwrap().filter(|(at, _)| *at == kind).map(|(_, fault)| fault);
        if fault.is_some() {
            self.struck.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Some(Fault::Fails) => return Err(RowsError("broken".into())),
            Some(Fault::DiesBefore) => return std::future::pending().await,
            _ => {}
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(RowsError("broken".into()));
        }
        let done = change(&mut self.rows.lock().unwrap(), &mut self.queue.lock().unwrap());
        match fault {
            Some(Fault::DiesAfter) => std::future::pending().await,
            _ => Ok(done),
        }
    }
}

impl Rows for MemoryRows {
    fn all(&self) -> BoxFuture<'_, Result<Vec<GrantRow>, RowsError>> {
        async { Ok(self.rows.lock().unwrap().clone()) }.boxed()
    }
    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>> {
        let key = |row: &GrantRow| {
            (
                row.workload.clone(),
                row.user.clone(),
                row.provider.clone(),
                row.client.clone(),
                row.asked.clone(),
                row.resources.clone(),
            )
        };
        let put = move |rows: &mut Vec<GrantRow>, _: &mut Vec<_>| {
            rows.retain(|other| key(other) != key(&row));
            rows.push(row);
        };
        self.write("put", put).boxed()
    }
    fn replace(&self, from: u64, row: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>> {
        let replace = move |rows: &mut Vec<GrantRow>, _: &mut Vec<_>| {
            let old = rows.iter_mut().find(|old| old.id == row.id && old.generation == from);
            old.map(|old| *old = row).is_some()
        };
        self.write("replace", replace).boxed()
    }
    fn renewing(
        &self,
        id: GrantId,
        generation: u64,
        since: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<bool, RowsError>> {
        let mark = move |rows: &mut Vec<GrantRow>, _: &mut Vec<_>| {
            let row = rows.iter_mut().find(|row| row.id == id && row.generation == generation);
            row.map(|row| row.renewing_since = since).is_some()
        };
        self.write("renewing", mark).boxed()
    }
    fn remove(&self, id: GrantId) -> BoxFuture<'_, Result<bool, RowsError>> {
        self.write("remove", move |rows, _| rows.extract_if(.., |row| row.id == id).count() == 1).boxed()
    }
    fn revoke(&self, id: GrantId, pending: PendingRevocation) -> BoxFuture<'_, Result<bool, RowsError>> {
        let revoke = move |rows: &mut Vec<GrantRow>, queue: &mut Vec<_>| {
            let there = rows.extract_if(.., |row| row.id == id).count() == 1;
            if there {
                queue.push(pending);
            }
            there
        };
        self.write("revoke", revoke).boxed()
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
        let reschedule = move |_: &mut Vec<GrantRow>, queue: &mut Vec<PendingRevocation>| match next_at {
            None => queue.retain(|pending| pending.grant != id),
            Some(next_at) => {
                for pending in queue.iter_mut().filter(|pending| pending.grant == id) {
                    (pending.attempts, pending.next_at) = (attempts, next_at);
                }
            }
        };
        self.write("reschedule", reschedule).boxed()
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
