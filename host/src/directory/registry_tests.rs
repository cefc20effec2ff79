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
        source: None,
        authority: crate::directory::Authority::none(),
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

fn by_hand(text: &str) -> NewWorkload {
    NewWorkload {
        name: name(text),
        publisher: "Example Ltd".into(),
        by: "olga".into(),
        allowed_return_urls: vec![],
        tags: Tags::default(),
    }
}

fn bound(provider: &str, scopes: &[&str]) -> BoundProvider {
    let scopes = Scopes::parse(scopes.iter().copied()).unwrap();
    BoundProvider { provider: ProviderName::parse(provider).unwrap(), scopes }
}

#[tokio::test]
async fn only_a_workload_made_by_hand_without_a_component_is_one_elsewhere() {
    let bed = bed().await;
    let resolve = |text: &str| bed.directory.resolve_elsewhere(&name(text));
    assert_eq!(resolve("batch").err(), Some(Unresolved::NoWorkload(name("batch"))));
    bed.directory.create(by_hand("batch")).await.unwrap();
    let workload = resolve("batch").unwrap();
    assert_eq!((workload.digest(), workload.name()), (None, &name("batch")));

    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    let linked = resolve("calendar").err().unwrap();
    assert!(
        linked
            .to_string()
            .starts_with("WorkloadIdentity is linked to a service and cannot retrieve an access token by the caller"),
        "clients know it by these words: {linked}"
    );

    bed.directory.set_state(&name("batch"), State::Suspended).await.unwrap();
    assert_eq!(resolve("batch").err(), Some(Unresolved::Suspended(name("batch"))));
    bed.directory.set_state(&name("batch"), State::Active).await.unwrap();
    bed.directory.deploy(deployment("batch", b"one")).await.unwrap();
    assert_eq!(resolve("batch").err(), Some(Unresolved::Linked(name("batch"))));
    assert_eq!(
        bed.directory.current_terms(&workload).err(),
        Some(Unresolved::Linked(name("batch"))),
        "what was given to somebody elsewhere ends when it runs here"
    );
}

#[tokio::test]
async fn names_that_differ_in_case_alone_are_refused_whichever_way_they_come() {
    let bed = bed().await;
    bed.directory.create(by_hand("Batch.One")).await.unwrap();
    let error = bed.directory.create(by_hand("batch.one")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`batch.one` is too like agent `Batch.One`, for which people would take it; choose another name"
    );
    let error = bed.directory.deploy(deployment("BATCH.ONE", b"one")).await.unwrap_err();
    assert!(matches!(error, ChangeError::Alike { .. }), "{error}");
    let again = reload(&bed.store, &bed.clock).await;
    assert!(matches!(again.create(by_hand("batch.ONE")).await, Err(ChangeError::Alike { .. })));
    let retired = again.retire(&name("Batch.One")).await.unwrap();
    assert!(again.create(by_hand("batch.one")).await.is_err(), "not before it is gone");
    again.remove(retired).await.unwrap();
    again.create(by_hand("batch.one")).await.unwrap();
}

#[tokio::test]
async fn names_and_publishers_that_pass_for_known_ones_are_refused() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    for alike in ["ca1endar", "caIendar", "CALENDAR"] {
        let error = bed.directory.create(by_hand(alike)).await.unwrap_err();
        assert!(matches!(&error, ChangeError::Alike { other, .. } if other.as_str() == "calendar"), "{alike}: {error}");
    }
    let by = |publisher: &str| NewWorkload { publisher: publisher.into(), ..by_hand("other") };
    for alike in ["example ltd", "EXAMPLE LTD", "Examp1e Ltd", "ExampIe Ltd"] {
        let error = bed.directory.create(by(alike)).await.unwrap_err();
        assert!(
            matches!(&error, ChangeError::PublisherAlike { other, .. } if other == "Example Ltd"),
            "{alike}: {error}"
        );
    }
    // In Cyrillic, and its double in Latin.
    bed.directory.create(by("\u{430}\u{441}\u{435}")).await.unwrap();
    let mut double = deployment("third", b"three");
    double.publisher = "ace".into();
    assert!(matches!(bed.directory.deploy(double).await, Err(ChangeError::PublisherAlike { .. })));
    let again = reload(&bed.store, &bed.clock).await;
    assert!(matches!(again.create(by_hand("ca1endar")).await, Err(ChangeError::Alike { .. })), "over a restart");
    // A publisher of whom nothing is left is nobody's double.
    let retired = again.retire(&name("other")).await.unwrap();
    again.remove(retired).await.unwrap();
    again.create(by("ace")).await.unwrap();
    assert!(matches!(
        again.create(NewWorkload { publisher: "a\u{441}e".into(), ..by_hand("fourth") }).await,
        Err(ChangeError::MixedAlphabets)
    ));
}

#[tokio::test]
async fn what_is_bound_and_unbound_at_run_time_acts_on_what_runs() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    let running = bed.directory.resolve(&name("calendar")).unwrap();
    let may = |provider: &str| {
        let provider = ProviderName::parse(provider).unwrap();
        let terms = bed.directory.current_terms(&running).unwrap();
        terms.provider(&provider).map(|bound| bound.scopes.joined())
    };
    assert_eq!(may("slack"), None);
    bed.directory.bind(&name("calendar"), bound("slack", &["read", "write"])).await.unwrap();
    assert_eq!(may("slack").as_deref(), Some("read write"));
    bed.directory.bind(&name("calendar"), bound("slack", &["read"])).await.unwrap();
    assert_eq!(may("slack").as_deref(), Some("read"), "binding again replaces");
    let again = reload(&bed.store, &bed.clock).await;
    assert_eq!(again.terms(&name("calendar")).providers.len(), 2, "it is durable, and beside what is configured");

    let unbind = |provider: &'static str| {
        let directory = bed.directory.clone();
        async move { directory.unbind(&name("calendar"), &ProviderName::parse(provider).unwrap()).await }
    };
    unbind("slack").await.unwrap();
    assert_eq!(may("slack"), None);
    assert!(matches!(unbind("slack").await, Err(ChangeError::NotBound { .. })));
    assert!(matches!(unbind("google-calendar").await, Err(ChangeError::BoundByConfiguration { .. })));
    assert!(may("google-calendar").is_some(), "what the configuration says stands");
}

#[tokio::test]
async fn a_workload_has_at_most_128_providers_at_run_time() {
    let bed = bed().await;
    bed.directory.create(by_hand("batch")).await.unwrap();
    for i in 0..128 {
        bed.directory.bind(&name("batch"), bound(&format!("p{i}"), &[])).await.unwrap();
    }
    let more = bed.directory.bind(&name("batch"), bound("another", &[])).await;
    assert!(matches!(more, Err(ChangeError::TooManyProviders)));
    bed.directory.bind(&name("batch"), bound("p0", &["other"])).await.unwrap();
}

#[tokio::test]
async fn a_deleted_name_is_free_only_when_everything_of_its_is_gone() {
    let bed = bed().await;
    let batch = name("batch");
    bed.directory.create(by_hand("batch")).await.unwrap();
    bed.directory.bind(&batch, bound("slack", &[])).await.unwrap();
    let before = bed.directory.resolve_elsewhere(&batch).unwrap();
    let retired = bed.directory.retire_manual(&batch).await.unwrap();
    assert_eq!(retired.identity().name, batch);
    let ended = Some(Unresolved::Retired(batch.clone()));
    assert_eq!(bed.directory.resolve_elsewhere(&batch).err(), ended);
    assert_eq!(bed.directory.current_terms(&before).err(), ended);
    assert!(bed.directory.page(None, 20, |_| true).unwrap().entries.is_empty(), "it is no longer listed");
    for refused in [
        bed.directory.create(by_hand("batch")).await.err(),
        bed.directory.deploy(deployment("batch", b"one")).await.err(),
        bed.directory.update(&batch, vec![]).await.err(),
        bed.directory.tag(&batch, Tags::default()).await.err(),
        bed.directory.bind(&batch, bound("slack", &[])).await.err(),
        bed.directory.set_state(&batch, State::Active).await.err(),
    ] {
        assert!(matches!(refused, Some(ChangeError::Retired(_))), "{refused:?}");
    }

    // The host died in between: it goes on from there.
    drop(retired);
    let again = reload(&bed.store, &bed.clock).await;
    assert!(again.create(by_hand("batch")).await.is_err());
    let retired = again.retire_manual(&batch).await.unwrap();
    bed.store.down.store(true, Ordering::Relaxed);
    assert!(matches!(again.remove(retired).await, Err(ChangeError::Store(_))));
    bed.store.down.store(false, Ordering::Relaxed);
    assert!(again.create(by_hand("batch")).await.is_err(), "what is not durable does not show");
    let (first, second) = (again.retire(&batch).await.unwrap(), again.retire(&batch).await.unwrap());
    again.remove(first).await.unwrap();
    assert!(bed.store.rows.lock().unwrap().is_empty());

    let made = again.create(by_hand("batch")).await.unwrap();
    assert!(made.bound.is_empty());
    again.remove(second).await.unwrap();
    assert!(again.entry(&batch).is_some(), "who deleted the one before does not delete this one");
}

#[tokio::test]
async fn whoever_was_bound_before_a_name_was_made_again_is_nobody() {
    let bed = bed().await;
    let batch = name("batch");
    bed.directory.create(by_hand("batch")).await.unwrap();
    let before = bed.directory.resolve_elsewhere(&batch).unwrap();
    assert!(bed.directory.current_terms(&before).is_ok());
    let retired = bed.directory.retire(&batch).await.unwrap();
    bed.directory.remove(retired).await.unwrap();
    bed.directory.create(by_hand("batch")).await.unwrap();
    assert_eq!(bed.directory.current_terms(&before).err(), Some(Unresolved::Retired(batch.clone())));
    let since = |begun| bed.directory.resolve_since(&batch, true, Timestamp::from_secs(begun)).map(|_| ());
    assert_eq!(since(999), Err(Unresolved::Retired(batch.clone())), "nor does what was begun before go on");
    assert_eq!(since(1_000), Ok(()));
    assert!(bed.directory.current_terms(&bed.directory.resolve_elsewhere(&batch).unwrap()).is_ok());
}

#[tokio::test]
async fn an_agent_that_runs_here_is_deleted_by_an_operator_alone() {
    let bed = bed().await;
    bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
    assert!(matches!(bed.directory.retire_manual(&name("calendar")).await, Err(ChangeError::HostManaged(_))));
    assert!(bed.directory.resolve(&name("calendar")).is_ok(), "nothing changed");
    let retired = bed.directory.retire(&name("calendar")).await.unwrap();
    assert_eq!(bed.directory.resolve(&name("calendar")).err(), Some(Unresolved::Retired(name("calendar"))));
    bed.directory.remove(retired).await.unwrap();
    assert_eq!(bed.directory.resolve(&name("calendar")).err(), Some(Unresolved::NotRegistered(name("calendar"))));
    assert!(matches!(bed.directory.retire(&name("calendar")).await, Err(ChangeError::NotRegistered(_))));
}

#[tokio::test]
async fn pages_miss_nothing_that_stays_and_show_nothing_twice() {
    let bed = bed().await;
    for i in 0..45 {
        bed.directory.create(by_hand(&format!("w-{i:02}"))).await.unwrap();
    }
    let page = |token: Option<String>| bed.directory.page(token.as_deref(), 20, |entry| entry.name != name("w-07"));
    let first = page(None).unwrap();
    assert_eq!(
        (first.entries.len(), first.entries[19].name.as_str()),
        (20, "w-20"),
        "what is not wanted takes no place"
    );
    // One goes that was shown, one that was not, and others come.
    for gone in ["w-20", "w-30"] {
        let retired = bed.directory.retire(&name(gone)).await.unwrap();
        bed.directory.remove(retired).await.unwrap();
    }
    bed.directory.create(by_hand("a-before")).await.unwrap();
    bed.directory.create(by_hand("w-21a")).await.unwrap();
    let second = page(first.next).unwrap();
    let third = page(second.next.clone()).unwrap();
    assert_eq!(third.next, None);
    let rest: Vec<_> = second.entries.iter().chain(&third.entries).map(|entry| entry.name.to_string()).collect();
    let expect: Vec<_> = (21..45).filter(|i| *i != 30).map(|i| format!("w-{i}")).collect();
    let mut expect = [expect, vec!["w-21a".into()]].concat();
    expect.sort();
    assert_eq!(rest, expect);

    let exact = bed.directory.page(None, rest.len(), |entry| rest.contains(&entry.name.to_string())).unwrap();
    assert_eq!(exact.next, None, "there is no empty last page");
    for forged in ["", "!", "Li4vLi4", "w-20"] {
        assert!(page(Some(forged.into())).is_err(), "{forged}");
    }
}

#[tokio::test]
async fn return_urls_and_tags_of_one_that_is_there_are_changed() {
    let bed = bed().await;
    bed.directory.create(by_hand("batch")).await.unwrap();
    bed.clock.advance(std::time::Duration::from_secs(5));
    let urls = vec!["com.example.app:/done".to_owned()];
    let entry = bed.directory.update(&name("batch"), urls.clone()).await.unwrap();
    assert_eq!((&entry.allowed_return_urls, entry.updated_at), (&urls, Timestamp::from_secs(1_005)));
    let agent = bed.directory.resolve_elsewhere(&name("batch")).unwrap();
    assert_eq!(agent.return_url(b"com.example.app:/done"), Some("com.example.app:/done"));
    assert_eq!(agent.return_url(b"com.example.app:/Done"), None);
    let bad = bed.directory.update(&name("batch"), vec!["javascript:alert(1)".into()]).await.unwrap_err();
    assert!(matches!(bad, ChangeError::ReturnUrl { .. }));

    let tags = |tags: &[(&str, &str)]| {
        Tags::parse(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
    };
    bed.directory.tag(&name("batch"), tags(&[("team", "a"), ("stage", "test")])).await.unwrap();
    bed.directory.tag(&name("batch"), tags(&[("team", "b")])).await.unwrap();
    let entry = bed.directory.untag(&name("batch"), vec!["stage".into()]).await.unwrap();
    assert_eq!(entry.tags, tags(&[("team", "b")]));
    let fifty = Tags::parse((0..50).map(|i| (format!("k{i}"), String::new()))).unwrap();
    assert!(matches!(bed.directory.tag(&name("batch"), fifty).await, Err(ChangeError::Tags(_))));
    assert_eq!(bed.directory.entry(&name("batch")).unwrap().tags, tags(&[("team", "b")]));
    assert!(matches!(bed.directory.tag(&name("nobody"), Tags::default()).await, Err(ChangeError::NotRegistered(_))));
}
