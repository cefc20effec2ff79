//! The registry from inside: what is durable, what shows, and what a name gives.

use super::*;
use crate::clock::Clock;
use crate::ids::{ProviderName, Scopes, TrustDomain};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Entries in memory, with a switch for a store that is down: the real one cannot be told to fail at will from here.
#[derive(Default)]
struct Memory {
    rows: Mutex<HashMap<AgentName, WorkloadIdentity>>,
    down: AtomicBool,
}

impl Entries for Memory {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        Box::pin(async { Ok(self.rows.lock().unwrap().values().cloned().collect()) })
    }
    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.down.load(Ordering::Relaxed) {
                return Err(Unavailable("the disk is full".into()));
            }
            self.rows.lock().unwrap().insert(entry.name.clone(), entry);
            Ok(())
        })
    }
    fn remove(&self, name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.down.load(Ordering::Relaxed) {
                return Err(Unavailable("the disk is full".into()));
            }
            self.rows.lock().unwrap().remove(&name);
            Ok(())
        })
    }
}

struct Bed {
    store: Arc<Memory>,
    clock: Clock,
    directory: Arc<Directory>,
}

async fn bed() -> Bed {
    let store = Arc::new(Memory::default());
    let clock = Clock::held(Timestamp::from_secs(1_000));
    let directory = reload(&store, &clock).await;
    Bed { store, clock, directory }
}

async fn reload(store: &Arc<Memory>, clock: &Clock) -> Arc<Directory> {
    let terms = Terms {
        providers: vec![BoundProvider {
            provider: ProviderName::parse("google-calendar").unwrap(),
            scopes: Scopes::default(),
        }],
        ..Terms::default()
    };
    let terms = HashMap::from([(name("calendar"), Arc::new(terms))]);
    Directory::load(store.clone(), TrustDomain::parse("example.org").unwrap(), terms.into(), clock.clone())
        .await
        .unwrap()
}

fn name(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

fn deployment(text: &str, bytes: &[u8]) -> Deployment {
    Deployment {
        name: name(text),
        digest: Digest::of(bytes),
        publisher: "Example Ltd".into(),
        by: "olga".into(),
        allowed_return_urls: None,
    }
}

#[tokio::test]
async fn deploying_makes_the_identity_by_itself() {
    let bed = bed().await;
    assert!(matches!(bed.directory.resolve(&name("calendar")), Err(Unresolved::NotRegistered(_))));
    let entry = bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    assert_eq!(entry.id.as_str(), "spiffe://example.org/agent/calendar");
    assert_eq!((entry.origin, entry.created_by.as_str()), (Origin::Runtime, "olga"));
    assert_eq!((entry.created_at, entry.updated_at), (Timestamp::from_secs(1_000), Timestamp::from_secs(1_000)));
    let agent = bed.directory.resolve(&name("calendar")).unwrap();
    assert_eq!(agent.digest(), Some(Digest::of(b"one")));
    assert!(agent.terms().provider(&ProviderName::parse("google-calendar").unwrap()).is_some());
    assert!(Arc::ptr_eq(&agent, &bed.directory.resolve(&name("calendar")).unwrap()), "resolving allocates");
}

#[tokio::test]
async fn a_new_version_leaves_running_invocations_alone() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    let before = bed.directory.resolve(&name("calendar")).unwrap();
    bed.clock.advance(std::time::Duration::from_secs(5));
    let entry = bed.directory.deploy(deployment("calendar", b"two")).await.unwrap();
    assert_eq!(entry.created_at, Timestamp::from_secs(1_000));
    assert_eq!(entry.updated_at, Timestamp::from_secs(1_005));
    assert_eq!(before.digest(), Some(Digest::of(b"one")));
    assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"two")));
}

#[tokio::test]
async fn a_name_belongs_to_its_first_publisher() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    let other = Deployment { publisher: "Rogue Inc".into(), ..deployment("calendar", b"two") };
    let error = bed.directory.deploy(other).await.unwrap_err();
    assert_eq!(error.to_string(), "agent `calendar` belongs to publisher `Example Ltd`; deploy under another name");
    assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
}

#[tokio::test]
async fn what_is_not_durable_does_not_show() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    bed.store.down.store(true, Ordering::Relaxed);
    assert!(matches!(bed.directory.deploy(deployment("calendar", b"two")).await, Err(ChangeError::Store(_))));
    assert!(matches!(bed.directory.deploy(deployment("other", b"two")).await, Err(ChangeError::Store(_))));
    assert!(matches!(bed.directory.set_state(&name("calendar"), State::Suspended).await, Err(ChangeError::Store(_))));
    assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
    assert_eq!(bed.directory.list().len(), 1);
}

#[tokio::test]
async fn a_change_whose_caller_went_away_still_shows() {
    let bed = bed().await;
    let mut change = Box::pin(bed.directory.deploy(deployment("calendar", b"one")));
    assert!(futures_util::poll!(&mut change).is_pending());
    drop(change);
    // Changes run one after the other: once the second is through, so is the first.
    bed.directory.deploy(deployment("second", b"two")).await.unwrap();
    assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
}

#[tokio::test]
async fn suspended_agents_stay_suspended_through_a_deployment_and_a_restart() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    bed.directory.set_state(&name("calendar"), State::Suspended).await.unwrap();
    bed.directory.deploy(deployment("calendar", b"two")).await.unwrap();
    assert!(matches!(bed.directory.resolve(&name("calendar")), Err(Unresolved::Suspended(_))));
    let again = reload(&bed.store, &bed.clock).await;
    assert!(matches!(again.resolve(&name("calendar")), Err(Unresolved::Suspended(_))));
    again.set_state(&name("calendar"), State::Active).await.unwrap();
    assert_eq!(again.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"two")));
    assert!(matches!(again.set_state(&name("nobody"), State::Active).await, Err(ChangeError::NotRegistered(_))));
}

#[tokio::test]
async fn an_identity_made_by_hand_has_nothing_to_run() {
    let bed = bed().await;
    let new = NewWorkload {
        name: name("batch"),
        publisher: "Example Ltd".into(),
        by: "olga".into(),
        allowed_return_urls: vec!["https://app.example/done".into(), "https://app.example/done".into()],
        tags: Tags::default(),
    };
    let entry = bed.directory.create(new.clone()).await.unwrap();
    assert_eq!((entry.origin, entry.allowed_return_urls.len()), (Origin::Manual, 1));
    assert!(matches!(bed.directory.resolve(&name("batch")), Err(Unresolved::NothingDeployed(_))));
    assert!(matches!(bed.directory.create(new).await, Err(ChangeError::AlreadyRegistered(_))));
    let entry = bed.directory.deploy(deployment("batch", b"one")).await.unwrap();
    assert_eq!((entry.origin, entry.allowed_return_urls.len()), (Origin::Manual, 1));
    assert!(bed.directory.resolve(&name("batch")).is_ok());
    assert!(bed.directory.resolve(&name("batch")).unwrap().terms().providers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_at_once_none_is_lost() {
    let bed = bed().await;
    let all = (0..40).map(|i| {
        let directory = bed.directory.clone();
        tokio::spawn(async move {
            directory.deploy(deployment(&format!("agent-{}", i % 20), format!("{i}").as_bytes())).await.unwrap();
        })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let names: Vec<_> = bed.directory.list().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names.len(), 20);
    assert!(names.is_sorted());
    for entry in bed.directory.list() {
        assert_eq!(bed.store.rows.lock().unwrap()[&entry.name], *entry);
    }
}
