//! The one writer: a thread that takes what has come together, writes it in one transaction, commits once and then
//! answers everybody.
//!
//! Records of the audit trail come by [`Writer::append`], which neither blocks nor waits; everything else comes by
//! [`Writer::write`], which waits. Both share the commit. Most of what a commit costs it costs for a single row (250 µs of
//! processor time where we measured it, against 1 µs for each row more). So one begins as soon as somebody waits, but not
//! within a millisecond of one that several waited for: few callers never wait for company, and many do not spend a
//! processor on commits. When nobody waits one begins two milliseconds after the first record.
//!
//! When a commit fails, all that was in it failed, and the journal takes no records until a later commit succeeds. Those
//! that had no place are counted, and the first record after the recovery says how many.

use super::{StoreError, describe, gap::Gap, journal, schema};
use crate::audit::{Record, Ticket, Unwritable};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Records that may wait: at the rates that the trail is made for, more than half a second of them.
pub(super) const QUEUE: usize = 65_536;
/// How long a record waits for company when nobody waits for it: nothing is released on its account, and a commit costs
/// as much as fifty records.
const LINGER: Duration = Duration::from_millis(10);
/// How long after a commit with a crowd the next one begins.
const GATHER: Duration = Duration::from_millis(1);
/// So many who wait for one commit are a crowd.
const CROWD: usize = 4;
/// As many records do not wait for more.
const ENOUGH: usize = 512;
/// At most so many records in one commit, so that a flood of them keeps nobody waiting for longer than some
/// milliseconds. All commands go into the next commit, always.
const MOST: usize = 2_048;
/// How often the disk is tried after it failed.
const PROBE: Duration = Duration::from_millis(200);

/// Runs within the transaction; true when it may stay.
type Run = Box<dyn FnOnce(&Connection) -> (bool, Settle) + Send>;
/// Answers who waits, after the commit, which failed for this reason or did not.
type Settle = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// Dropping it writes what is queued, and waits for that.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    commits: AtomicU64,
    /// What the disk is made to do.
    #[cfg(test)]
    pub(super) disk: std::sync::atomic::AtomicU8,
}

struct Queue {
    /// The ticket of the next record. Those in the queue have the tickets before it, without a gap.
    next: u64,
    records: VecDeque<Record>,
    commands: Vec<Run>,
    /// How many wait for what is in the queue.
    waiting: usize,
    /// How many waited for the last commit.
    waited: usize,
    rest: Rest,
    /// Why the last commit failed.
    failure: Option<String>,
    gap: Gap,
    closing: bool,
    stopped: bool,
}

/// What the writer does, so that nobody wakes it in vain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Busy,
    /// Nothing to do: any record wakes it.
    Idle,
    /// Waits for company: the first who waits wakes it.
    Lingering,
}

/// What has become of the tickets so far.
#[derive(Default)]
pub(super) struct Progress {
    /// All up to this one are durable or lost.
    settled: u64,
    /// First and last, of records that were lost.
    lost: Vec<(u64, u64)>,
    /// Lost, as far as anybody remembers.
    forgotten: u64,
    cause: String,
    stopped: bool,
}

impl Progress {
    fn verdict(&self, ticket: u64) -> Option<Result<(), Unwritable>> {
        if ticket <= self.forgotten || self.lost.iter().any(|&(first, last)| (first..=last).contains(&ticket)) {
            return Some(Err(Unwritable(self.cause.clone())));
        }
        if ticket <= self.settled {
            return Some(Ok(()));
        }
        self.stopped.then(|| Err(Unwritable(CLOSED.into())))
    }

    #[cfg(test)]
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    fn refusal(&self) -> StoreError {
        if self.stopped || self.cause.is_empty() {
            return StoreError::Closed;
        }
        StoreError::Unwritable(self.cause.clone())
    }

    fn lose(&mut self, first: u64, last: u64, cause: &str) {
        self.cause = cause.to_owned();
        if first > last {
            return;
        }
        self.settled = last;
        self.lost.push((first, last));
        // One per outage. Nobody waits for a record from before the last 64 of them; if somebody does, it is a refusal.
        if self.lost.len() > 64 {
            self.forgotten = self.lost.remove(0).1;
        }
    }
}

const CLOSED: &str = "the store is closed";

/// One transaction.
struct Batch {
    /// Ticket of the first record.
    first: u64,
    records: Vec<Record>,
    commands: Vec<Run>,
    /// What the last of the records tells of.
    gap: Option<Gap>,
}

impl Batch {
    fn last(&self) -> u64 {
        self.first + self.records.len() as u64 - 1
    }
}

impl Writer {
    /// Starts the thread. `last` is the greatest ticket in the file.
    pub(super) fn start(connection: Connection, last: u64) -> std::io::Result<Self> {
        let queue = Queue {
            next: last + 1,
            records: VecDeque::new(),
            commands: Vec::new(),
            waiting: 0,
            waited: 0,
            rest: Rest::Busy,
            failure: None,
            gap: Gap::default(),
            closing: false,
            stopped: false,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            progress: watch::Sender::new(Progress { settled: last, ..Progress::default() }),
            commits: AtomicU64::new(0),
            #[cfg(test)]
            disk: Default::default(),
        });
        let thread = std::thread::Builder::new().name("store".into()).spawn({
            let shared = shared.clone();
            move || work(&Stopping(shared), &connection)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Changes with every commit, and with every one that fails.
    #[cfg(test)]
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Takes a record; see [`crate::audit::Journal::append`].
    pub(super) fn append(&self, record: Record) -> Result<Ticket, Unwritable> {
        let mut queue = self.shared.lock();
        let refused = match &queue.failure {
            _ if queue.stopped || queue.closing => Some(CLOSED.to_owned()),
            Some(cause) => Some(cause.clone()),
            None if queue.records.len() >= QUEUE => Some("more records come than the disk takes".to_owned()),
            None => None,
        };
        if let Some(cause) = refused {
            queue.gap.refused(&record, &cause);
            return Err(Unwritable(cause));
        }
        let ticket = Ticket(queue.next);
        queue.next += 1;
        queue.records.push_back(record);
        let wanted = queue.rest == Rest::Idle || queue.records.len() == ENOUGH;
        self.shared.wake(queue, wanted);
        Ok(ticket)
    }

    /// Waits for a record; see [`crate::audit::Journal::durable`].
    pub(super) async fn durable(&self, Ticket(ticket): Ticket) -> Result<(), Unwritable> {
        let verdict = self.shared.progress.borrow().verdict(ticket);
        if let Some(verdict) = verdict {
            return verdict;
        }
        let mut progress = self.shared.progress.subscribe();
        self.shared.hurry(ticket)?;
        loop {
            let verdict = progress.borrow_and_update().verdict(ticket);
            if let Some(verdict) = verdict {
                return verdict;
            }
            progress.changed().await.map_err(|_| Unwritable(CLOSED.into()))?;
        }
    }

    /// Runs the job in a transaction and waits until its effect is durable. When the job fails, or the caller goes away,
    /// what others wrote in the same transaction stays.
    ///
    /// # Errors
    /// The job's own error, or that nothing can be written: then nothing was changed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let run: Run = Box::new(move |connection| {
            let done = job(connection);
            let stays = done.is_ok();
            let settle: Settle = Box::new(move |commit| {
                // Who asked may have gone away; it is done all the same.
                let _ = reply.send(match (done, commit) {
                    (Err(error), _) => Err(StoreError::from(error)),
                    (Ok(_), Err(cause)) => Err(StoreError::Unwritable(cause.to_owned())),
                    (Ok(value), Ok(())) => Ok(value),
                });
            });
            (stays, settle)
        });
        {
            let mut queue = self.shared.lock();
            if queue.stopped || queue.closing {
                return Err(StoreError::Closed);
            }
            queue.commands.push(run);
            self.shared.wait_in(queue);
        }
        match answer.await {
            Ok(answer) => answer,
            // It was dropped without having run: its transaction failed before its turn.
            Err(_) => Err(self.shared.progress.borrow().refusal()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closing = true;
        self.shared.wake(queue, true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writer if it rests and is wanted. After the lock is let go, so that it does not wake up to wait for it.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>, wanted: bool) {
        let wake = wanted && queue.rest != Rest::Busy;
        if wake {
            queue.rest = Rest::Busy;
        }
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Makes a commit due for this ticket.
    fn hurry(&self, ticket: u64) -> Result<(), Unwritable> {
        let queue = self.lock();
        if ticket >= queue.next {
            return Err(Unwritable("there is no such record".into()));
        }
        // Otherwise it is in the commit that is going on.
        if ticket >= queue.next - queue.records.len() as u64 {
            self.wait_in(queue);
        }
        Ok(())
    }

    /// One more waits.
    fn wait_in(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.waiting += 1;
        let wanted = queue.rest == Rest::Idle || queue.waiting == 1;
        self.wake(queue, wanted);
    }

    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Waits until a commit is due and takes what goes into it; none when the store closes and all is written.
    fn batch(&self) -> Option<Batch> {
        let mut queue = self.lock();
        let last_commit = Instant::now();
        let mut first_record: Option<Instant> = None;
        loop {
            if queue.closing || queue.records.len() >= ENOUGH {
                break;
            }
            let (rest, until) = if queue.failure.is_some() {
                if queue.waiting > 0 {
                    break;
                }
                (Rest::Idle, last_commit + PROBE)
            } else if queue.waiting > 0 {
                if queue.waited < CROWD {
                    break;
                }
                (Rest::Lingering, last_commit + GATHER)
            } else if !queue.records.is_empty() || queue.gap.any() {
                (Rest::Lingering, *first_record.get_or_insert_with(Instant::now) + LINGER)
            } else {
                queue.rest = Rest::Idle;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue.rest = rest;
            queue = self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.rest = Rest::Busy;
        if queue.closing && queue.commands.is_empty() && queue.records.is_empty() {
            return None;
        }
        let first = queue.next - queue.records.len() as u64;
        let taken = queue.records.len().min(MOST);
        let mut records: Vec<Record> = queue.records.drain(..taken).collect();
        queue.waited = std::mem::take(&mut queue.waiting);
        // Some may wait for what is left over; it goes next, at once.
        if !queue.records.is_empty() && queue.waited > 0 {
            (queue.waiting, queue.waited) = (1, 0);
        }
        let mut gap = None;
        if queue.records.is_empty()
            && let Some(record) = queue.gap.record()
        {
            records.push(record);
            queue.next += 1;
            gap = Some(std::mem::take(&mut queue.gap));
        }
        Some(Batch { first, records, commands: std::mem::take(&mut queue.commands), gap })
    }

    fn succeeded(&self, last: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let recovered = self.lock().failure.take();
        if let Some(cause) = recovered {
            tracing::warn!(%cause, "the store can be written again");
        }
        self.progress.send_modify(|progress| {
            progress.settled = progress.settled.max(last);
        });
    }

    /// All that was in the batch is lost, and the records that came meanwhile with it: an order with a hole in the middle
    /// would look like a record removed.
    fn failed(&self, batch: Batch, cause: &str) {
        let mut queue = self.lock();
        let Batch { first, mut records, gap, .. } = batch;
        if let Some(gap) = gap {
            queue.gap.join(gap);
            records.pop();
            // Nobody has the ticket of that record. It is given again, so that trying the disk uses none up.
            if queue.records.is_empty() {
                queue.next -= 1;
            }
        }
        records.extend(std::mem::take(&mut queue.records));
        for record in &records {
            queue.gap.lost(record, cause);
        }
        queue.waiting = queue.commands.len();
        if queue.failure.replace(cause.to_owned()).is_none() {
            tracing::error!(%cause, lost = records.len(), "the store cannot be written; nothing is released until it can");
        }
        let last = queue.next - 1;
        // Within the lock: whoever asks for a ticket of the next batch sees this one settled.
        self.progress.send_modify(|progress| progress.lose(first, last, cause));
    }
}

fn work(Stopping(shared): &Stopping, connection: &Connection) {
    let mut settles = Vec::new();
    while let Some(mut batch) = shared.batch() {
        #[cfg(test)]
        set_disk(shared, connection);
        let mut commands = std::mem::take(&mut batch.commands).into_iter();
        match transact(connection, &batch, &mut commands, &mut settles) {
            Ok(()) => {
                shared.succeeded(batch.last());
                settles.drain(..).for_each(|settle| settle(Ok(())));
            }
            Err(cause) => {
                if !connection.is_autocommit() {
                    // The transaction is void either way; beginning the next one would say so.
                    let _ = connection.execute_batch("ROLLBACK");
                }
                shared.failed(batch, &cause);
                // Those that did not run hear of it after the cause is known.
                drop(commands);
                settles.drain(..).for_each(|settle| settle(Err(&cause)));
            }
        }
    }
}

/// Writes the batch. Commands that ran leave their answer in `settles`; those whose turn did not come stay.
fn transact(
    connection: &Connection,
    batch: &Batch,
    commands: &mut std::vec::IntoIter<Run>,
    settles: &mut Vec<Settle>,
) -> Result<(), String> {
    let run = |sql| connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(|e| describe(&e));
    run("BEGIN IMMEDIATE")?;
    if batch.records.is_empty() && commands.as_slice().is_empty() {
        schema::touch(connection).map_err(|e| describe(&e))?;
    }
    journal::insert(connection, batch.first, &batch.records).map_err(|e| describe(&e))?;
    for command in commands {
        run("SAVEPOINT command")?;
        let (stays, settle) = command(connection);
        settles.push(settle);
        if connection.is_autocommit() {
            return Err("the disk failed within a transaction".to_owned());
        }
        if !stays {
            run("ROLLBACK TO command")?;
        }
        run("RELEASE command")?;
    }
    run("COMMIT").map(|_| ())
}

/// The disk takes everything.
#[cfg(test)]
pub(super) const SOUND: u8 = 0;
/// The file cannot grow.
#[cfg(test)]
pub(super) const FULL: u8 = 1;
/// The disk takes nothing.
#[cfg(test)]
pub(super) const REFUSES: u8 = 2;

#[cfg(test)]
fn set_disk(shared: &Shared, connection: &Connection) {
    let disk = shared.disk.load(Ordering::SeqCst);
    let pages = if disk == FULL { 1 } else { 1_000_000_000 };
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    connection.pragma_update(None, "query_only", disk == REFUSES).unwrap();
}

/// When the thread ends, for whatever reason, nobody waits for it.
struct Stopping(Arc<Shared>);

impl Drop for Stopping {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.stopped = true;
        queue.records.clear();
        queue.commands.clear();
        self.0.progress.send_modify(|progress| progress.stopped = true);
    }
}
