//! The store under load, on a full disk, and after the power went.

use super::contract::{self, at, entry, grant, record};
use super::writer::{FULL, QUEUE, REFUSES, SOUND};
use super::{Store, StoreError};
use crate::audit::{Action, Actor, Decision, Filter, Journal, Outcome, Phase, Ticket, Trail, codes};
use crate::clock::Clock;
use crate::directory::Entries;
use crate::ids::HostId;
use crate::vault::Rows;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

struct Bed {
    store: Arc<Store>,
    path: PathBuf,
    folder: tempfile::TempDir,
}

fn bed() -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attache.db");
    Bed { store: Store::open(&path).unwrap(), path, folder }
}

impl Bed {
    fn commits(&self) -> u64 {
        self.store.writer.shared().commits()
    }

    fn disk(&self, does: u8) {
        self.store.writer.shared().disk.store(does, Ordering::SeqCst);
    }

    /// Keeps the writer busy until the sender is dropped: what comes meanwhile comes together.
    async fn hold(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (started, waiting) = tokio::sync::oneshot::channel();
        let store = self.store.clone();
        tokio::spawn(async move {
            let job = move |_: &Connection| {
                started.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            };
            store.writer.write(job).await.unwrap();
        });
        waiting.await.unwrap();
        release
    }

    /// As the disk would look if the power went now. The main file does not change before a checkpoint, and these tests
    /// write too little for one.
    fn crash(&self, name: &str, wal_bytes: Option<usize>) -> (PathBuf, usize) {
        let image = self.folder.path().join(name);
        std::fs::create_dir(&image).unwrap();
        let path = image.join("attache.db");
        std::fs::copy(&self.path, &path).unwrap();
        let mut wal = std::fs::read(wal_of(&self.path)).unwrap();
        wal.truncate(wal_bytes.unwrap_or(usize::MAX));
        std::fs::write(wal_of(&path), &wal).unwrap();
        (path, wal.len())
    }
}

fn wal_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

async fn numbers(store: &Store) -> Vec<u64> {
    let all = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT seq FROM audit ORDER BY seq")?;
        statement.query_map([], |row| super::columns::count(row, "seq"))?.collect()
    };
    store.readers.read(all).await.unwrap()
}

#[tokio::test]
async fn entries_keep_the_contract() {
    contract::entries(&*bed().store).await;
}

#[tokio::test]
async fn versions_keep_the_contract() {
    contract::versions(&*bed().store).await;
}

#[tokio::test]
async fn rows_keep_the_contract() {
    contract::rows(&*bed().store).await;
}

#[tokio::test]
async fn sessions_keep_the_contract() {
    contract::sessions(&*bed().store).await;
}

#[tokio::test]
async fn keys_keep_the_contract() {
    contract::keys(&*bed().store).await;
}

#[tokio::test]
async fn key_sets_keep_the_contract() {
    contract::key_sets(&*bed().store).await;
}

#[tokio::test]
async fn the_journal_keeps_the_contract() {
    contract::journal(&*bed().store).await;
}

#[tokio::test]
async fn a_hundred_writes_at_once_share_one_commit() {
    let bed = bed();
    let release = bed.hold().await;
    let before = bed.commits();
    let writes: Vec<_> = (0..100).map(|i| Entries::put(&*bed.store, entry(&format!("agent-{i}")))).collect();
    let mut writes = Box::pin(futures_util::future::join_all(writes));
    assert!(futures_util::poll!(&mut writes).is_pending());
    drop(release);
    assert!(writes.await.iter().all(Result::is_ok));
    assert_eq!(bed.commits() - before, 2, "the one that was held, and one for all");
    assert_eq!(Entries::all(&*bed.store).await.unwrap().len(), 100);
}

#[test]
fn callers_that_come_again_and_again_keep_sharing_commits() {
    let bed = bed();
    let before = bed.commits();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..40 {
                    let ticket = bed.store.append(record(Phase::Opened, "x")).unwrap();
                    tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap()
                        .block_on(bed.store.durable(ticket))
                        .unwrap();
                }
            });
        }
    });
    let commits = bed.commits() - before;
    assert!((40..=320).contains(&commits), "{commits} commits for 40 rounds of 16");
}

#[tokio::test]
async fn after_a_crowd_one_alone_is_served_too() {
    let bed = bed();
    let release = bed.hold().await;
    let crowd = (0..10).map(|i| Entries::put(&*bed.store, entry(&format!("agent-{i}"))));
    let mut crowd = Box::pin(futures_util::future::join_all(crowd));
    assert!(futures_util::poll!(&mut crowd).is_pending());
    drop(release);
    crowd.await;
    Entries::put(&*bed.store, entry("alone")).await.unwrap();
    let ticket = bed.store.append(record(Phase::Opened, "alone")).unwrap();
    bed.store.durable(ticket).await.unwrap();
}

#[tokio::test]
async fn a_write_that_fails_takes_no_other_with_it() {
    let bed = bed();
    let release = bed.hold().await;
    let before = bed.commits();
    let mut thief = entry("thief");
    thief.id = entry("owner").id;
    let (owner, thief) = (Entries::put(&*bed.store, entry("owner")), Entries::put(&*bed.store, thief));
    let later = Entries::put(&*bed.store, entry("later"));
    let mut all = Box::pin(async { futures_util::join!(owner, thief, later) });
    assert!(futures_util::poll!(&mut all).is_pending());
    let ticket = bed.store.append(record(Phase::Whole, "beside them")).unwrap();
    drop(release);
    let (owner, thief, later) = all.await;
    assert_eq!((owner.is_ok(), thief.is_err(), later.is_ok()), (true, true, true));
    bed.store.durable(ticket).await.unwrap();
    assert_eq!(bed.commits() - before, 2);
    assert_eq!(Entries::all(&*bed.store).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_write_that_fails_halfway_leaves_nothing() {
    let bed = bed();
    Entries::put(&*bed.store, entry("calendar")).await.unwrap();
    let halfway = bed.store.writer.write(|connection| {
        assert_eq!(connection.execute("DELETE FROM workload", [])?, 1);
        connection.execute("INSERT INTO workload (name) VALUES ('x')", [])
    });
    let (halfway, other) = futures_util::join!(halfway, Entries::put(&*bed.store, entry("other")));
    assert!(matches!(halfway, Err(StoreError::Sql(_))));
    other.unwrap();
    assert_eq!(Entries::all(&*bed.store).await.unwrap(), [entry("calendar"), entry("other")]);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_done() {
    let bed = bed();
    let mut put = Entries::put(&*bed.store, entry("calendar"));
    assert!(futures_util::poll!(&mut put).is_pending());
    drop(put);
    Entries::put(&*bed.store, entry("later")).await.unwrap();
    assert_eq!(Entries::all(&*bed.store).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_flood_of_records_holds_no_write_up() {
    let bed = bed();
    let release = bed.hold().await;
    let tickets: Vec<_> = (0..10_000).map(|_| bed.store.append(record(Phase::Whole, "flood")).unwrap()).collect();
    let count = |connection: &Connection| connection.query_row("SELECT count(*) FROM audit", [], |row| row.get(0));
    let mut write = Box::pin(bed.store.writer.write(count));
    assert!(futures_util::poll!(&mut write).is_pending());
    drop(release);
    let written_before: i64 = write.await.unwrap();
    assert!(written_before < 3_000, "{written_before} records went first");
    bed.store.durable(tickets[9_999]).await.unwrap();
    assert_eq!(numbers(&bed.store).await.len(), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_in_the_order_of_their_tickets() {
    let bed = bed();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let store = bed.store.clone();
            std::thread::spawn(move || {
                let append = |i| store.append(record(Phase::Whole, &format!("{thread}/{i}"))).unwrap();
                (0..500).map(|i| (append(i), format!("{thread}/{i}"))).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut given: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    given.sort();
    bed.store.durable(given[3_999].0).await.unwrap();
    let mut found = bed.store.query(Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
    found.reverse();
    let found: Vec<_> = found.into_iter().map(|e| (Ticket(e.seq), e.record.action.resource)).collect();
    assert_eq!(found, given);
    assert!(bed.commits() < 1_000, "{} commits for 4,000 records", bed.commits());
}

#[tokio::test]
async fn records_that_nobody_waits_for_are_written_soon() {
    let bed = bed();
    let mut progress = bed.store.writer.progress();
    let ticket = bed.store.append(record(Phase::Closed, "x")).unwrap();
    while progress.borrow_and_update().settled() < ticket.0 {
        progress.changed().await.unwrap();
    }
    assert_eq!(numbers(&bed.store).await, [ticket.0]);
}

#[tokio::test]
async fn more_records_than_fit_are_refused_and_counted() {
    let bed = bed();
    let release = bed.hold().await;
    for _ in 0..QUEUE {
        bed.store.append(record(Phase::Opened, "x")).unwrap();
    }
    for _ in 0..3 {
        let error = bed.store.append(record(Phase::Opened, "too many")).unwrap_err();
        assert!(error.to_string().contains("more records come than the disk takes"), "{error}");
    }
    drop(release);
    let gap = after_gap(&bed).await;
    assert_eq!(gap.1, serde_json::json!({"lost": 0, "refused": 3}));
    let ticket = bed.store.append(record(Phase::Opened, "again")).unwrap();
    bed.store.durable(ticket).await.unwrap();
}

/// Waits for the record that tells of missing ones, and returns its number and detail.
async fn after_gap(bed: &Bed) -> (u64, serde_json::Value) {
    let mut progress = bed.store.writer.progress();
    let found = async {
        loop {
            let filter = Filter { action: Some(codes::GAP.into()), ..Filter::default() };
            if let Some(gap) = bed.store.query(filter).await.unwrap().pop() {
                return gap;
            }
            progress.changed().await.unwrap();
        }
    };
    let gap = tokio::time::timeout(std::time::Duration::from_secs(60), found).await.expect("no gap was recorded");
    assert_eq!(gap.record.outcome.as_ref().unwrap().decision, Decision::Failed);
    (gap.seq, gap.record.action.detail)
}

#[tokio::test]
async fn a_disk_that_refuses_refuses_everybody_and_recovers_by_itself() {
    let bed = bed();
    let kept = bed.store.append(record(Phase::Opened, "before")).unwrap();
    bed.store.durable(kept).await.unwrap();

    bed.disk(REFUSES);
    let lost = bed.store.append(record(Phase::Opened, "lost")).unwrap();
    let also_lost = bed.store.append(record(Phase::Opened, "lost too")).unwrap();
    let (first, second) = futures_util::join!(bed.store.durable(lost), bed.store.durable(also_lost));
    assert!(first.is_err() && second.is_err());
    assert!(bed.store.append(record(Phase::Opened, "refused")).is_err());
    let error = Entries::put(&*bed.store, entry("calendar")).await.unwrap_err();
    assert!(error.to_string().starts_with("the store is unavailable: "), "{error}");
    assert!(bed.store.append(record(Phase::Opened, "refused")).is_err());
    bed.store.durable(kept).await.expect("what is durable stays so");

    // Nobody calls: the writer tries the disk on its own.
    bed.disk(SOUND);
    let (gap, detail) = after_gap(&bed).await;
    assert_eq!(detail, serde_json::json!({"lost": 2, "refused": 2}));
    assert!(bed.store.durable(lost).await.is_err(), "a lost record stays lost");
    let next = bed.store.append(record(Phase::Opened, "after")).unwrap();
    bed.store.durable(next).await.unwrap();
    assert_eq!(numbers(&bed.store).await, [kept.0, gap, next.0]);
    Entries::put(&*bed.store, entry("calendar")).await.unwrap();
}

#[tokio::test]
async fn records_that_came_while_a_commit_failed_are_lost_with_it() {
    let bed = bed();
    let (started, waiting) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let store = bed.store.clone();
    let fails = tokio::spawn(async move {
        let job = move |connection: &Connection| {
            started.send(()).unwrap();
            let _ = released.recv();
            // As SQLite does by itself after some failures of the disk.
            connection.execute_batch("ROLLBACK")
        };
        store.writer.write(job).await
    });
    waiting.await.unwrap();
    let ticket = bed.store.append(record(Phase::Opened, "meanwhile")).unwrap();
    drop(release);
    assert!(matches!(fails.await.unwrap(), Err(StoreError::Unwritable(_))));
    assert!(bed.store.durable(ticket).await.is_err());
    assert_eq!(after_gap(&bed).await.1, serde_json::json!({"lost": 1, "refused": 0}));
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_stored_and_nothing_is_broken() {
    let bed = bed();
    let small = grant("calendar", "alice", &["events.read"]);
    Rows::put(&*bed.store, small.clone()).await.unwrap();
    bed.disk(FULL);
    let large = crate::vault::GrantRow { sealed: vec![7; 100_000], ..grant("calendar", "bob", &["events.read"]) };
    let error = Rows::put(&*bed.store, large.clone()).await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(Rows::all(&*bed.store).await.unwrap(), [small]);
    bed.disk(SOUND);
    Rows::put(&*bed.store, large).await.unwrap();
    let sound: String = bed
        .store
        .readers
        .read(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let bed = bed();
    Entries::put(&*bed.store, entry("calendar")).await.unwrap();
    Rows::put(&*bed.store, grant("calendar", "alice", &["a"])).await.unwrap();
    let ticket = bed.store.append(record(Phase::Opened, "x")).unwrap();
    bed.store.durable(ticket).await.unwrap();
    let (path, _) = bed.crash("image", None);
    let after = Store::open(&path).unwrap();
    assert_eq!(Entries::all(&*after).await.unwrap(), [entry("calendar")]);
    assert_eq!(Rows::all(&*after).await.unwrap().len(), 1);
    assert_eq!(numbers(&after).await, [ticket.0]);
    assert_eq!(after.append(record(Phase::Opened, "y")).unwrap(), Ticket(ticket.0 + 1), "numbers go on");
}

#[tokio::test]
async fn dropping_the_store_writes_what_is_queued() {
    let Bed { store, path, folder: _folder } = bed();
    for _ in 0..100 {
        store.append(record(Phase::Closed, "x")).unwrap();
    }
    drop(store);
    assert_eq!(numbers(&Store::open(&path).unwrap()).await, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn wherever_the_log_is_cut_the_records_are_a_prefix() {
    let bed = bed();
    let mut acknowledged = Vec::new();
    for i in 0..12 {
        let last = (0..20).fold(None, |_, _| bed.store.append(record(Phase::Whole, &format!("{i}"))).ok()).unwrap();
        bed.store.durable(last).await.unwrap();
        acknowledged.push((std::fs::metadata(wal_of(&bed.path)).unwrap().len() as usize, last.0));
    }
    let (_, whole) = bed.crash("whole", None);
    let mut longest = 0;
    // Frames are 24 + 4,096 bytes behind a header of 32; cuts at their edges, beside them and within.
    for cut in (0..whole).step_by(4_120).flat_map(|edge| [edge, edge + 32, edge + 33, edge + 2_000]) {
        let cut = cut.min(whole);
        let (path, _) = bed.crash(&format!("cut-{longest}-{cut}"), Some(cut));
        let found = numbers(&Store::open(&path).unwrap()).await;
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        let promised = acknowledged.iter().filter(|(length, _)| *length <= cut).map(|(_, last)| *last).max();
        assert!(found.len() as u64 >= promised.unwrap_or(0), "cut at {cut}: {} of {promised:?}", found.len());
        longest = longest.max(found.len());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    assert!(longest >= 220, "{longest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_moment_keeps_what_was_acknowledged() {
    let bed = bed();
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let load = tokio::spawn({
        let (store, acknowledged, stop) = (bed.store.clone(), acknowledged.clone(), stop.clone());
        async move {
            // Fewer than fill the log to its first checkpoint.
            for i in 0..10_000 {
                let ticket = store.append(record(Phase::Whole, &format!("{i}"))).unwrap();
                if i % 7 == 0 {
                    store.durable(ticket).await.unwrap();
                    acknowledged.store(ticket.0, Ordering::SeqCst);
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        }
    });
    for moment in 0..12 {
        while acknowledged.load(Ordering::SeqCst) < moment * 20 {
            tokio::task::yield_now().await;
        }
        let promised = acknowledged.load(Ordering::SeqCst);
        let (path, _) = bed.crash(&format!("moment-{moment}"), None);
        let found = numbers(&Store::open(&path).unwrap()).await;
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        assert!(found.len() as u64 >= promised, "{} of {promised}", found.len());
    }
    stop.store(true, Ordering::SeqCst);
    load.await.unwrap();
}

#[tokio::test]
async fn a_row_that_was_tampered_with_is_an_error_and_no_default() {
    let bed = bed();
    Entries::put(&*bed.store, entry("calendar")).await.unwrap();
    Rows::put(&*bed.store, grant("calendar", "alice", &["a"])).await.unwrap();
    let ticket = bed.store.append(record(Phase::Whole, "x")).unwrap();
    bed.store.durable(ticket).await.unwrap();
    for tamper in [
        "UPDATE workload SET state = 'actve'",
        "UPDATE workload SET name = '../calendar'",
        "UPDATE workload SET digest = 'sha256:00', deployed_by = 'x', deployed_at = 1",
        "UPDATE workload SET allowed_return_urls = '[1]'",
        "UPDATE workload SET created_at = -1",
    ] {
        assert!(tampered(&bed.path, tamper, Entries::all(&*bed.store)).await.is_err(), "{tamper}");
    }
    for tamper in [
        "UPDATE vault_grant SET asked = 'a \"b\"'",
        "UPDATE vault_grant SET id = x'00'",
        "UPDATE vault_grant SET subject = ''",
        "UPDATE vault_grant SET generation = -1",
    ] {
        assert!(tampered(&bed.path, tamper, Rows::all(&*bed.store)).await.is_err(), "{tamper}");
    }
    for tamper in [
        "UPDATE audit SET phase = 3",
        "UPDATE audit SET decision = 3",
        "UPDATE audit SET detail = '{'",
        "UPDATE audit SET attempt = x'0011'",
    ] {
        assert!(tampered(&bed.path, tamper, bed.store.query(Filter::default())).await.is_err(), "{tamper}");
    }
}

/// Does it behind the store's back, reads, and undoes it.
async fn tampered<T>(path: &Path, sql: &str, read: impl Future<Output = T>) -> T {
    let table = sql.split(' ').nth(1).unwrap();
    let raw = Connection::open(path).unwrap();
    raw.pragma_update(None, "ignore_check_constraints", true).unwrap();
    raw.execute_batch(&format!("CREATE TABLE aside AS SELECT * FROM {table}; {sql};")).unwrap();
    let found = read.await;
    raw.execute_batch(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM aside; DROP TABLE aside;"))
        .unwrap();
    found
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let Bed { store, path, folder: _folder } = bed();
    let error = Store::open(&path).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(store);
    Store::open(&path).unwrap();
}

#[tokio::test]
async fn a_deed_that_was_dropped_is_closed_as_failed() {
    let bed = bed();
    let host = HostId::parse("spiffe://example.org/host/00").unwrap();
    let clock = Clock::held(at(100));
    let trail = Trail::new(bed.store.clone(), host.clone(), clock.clone());
    let deed = trail.open_deed(Actor::operator("olga"), Action::new(codes::DEPLOY, "calendar")).unwrap();
    deed.written().await.unwrap();
    clock.advance(std::time::Duration::from_secs(3));
    drop(deed);
    let kept = trail.open_deed(Actor::operator("olga"), Action::new(codes::SUSPEND, "calendar")).unwrap();
    kept.close(Outcome::allowed());
    let ticket = trail.note(Actor::default(), Action::new(codes::START, "host"), Outcome::allowed()).unwrap();
    bed.store.durable(ticket).await.unwrap();
    let entries = bed.store.query(Filter::default()).await.unwrap();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry.record.host == host));
    assert_eq!(entries[1].record.outcome, Some(Outcome::allowed()));
    let dropped = &entries[2];
    assert_eq!(dropped.record.outcome.as_ref().unwrap().decision, Decision::Failed);
    assert_eq!((dropped.at, dropped.closed_at), (at(100), Some(at(103))));
}
