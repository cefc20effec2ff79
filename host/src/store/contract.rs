//! What every store must do, whatever it stands on. A second store passes the same functions.

use crate::access::{AccessKey, KeyId, KeyRow, KeyRows, Operations, Workloads};
use crate::audit::{Action, Actor, AgentRef, Decision, Filter, Journal, Outcome, Phase, Record, codes};
use crate::clock::Timestamp;
use crate::consent::{ConsentSession, Sessions, Stage};
use crate::directory::{Authority, BoundProvider, Entries, Killed, Origin, State, Tags, Version, WorkloadIdentity};
use crate::identity::{KeySetRow, KeySetRows};
use crate::ids::{
    AgentName, AttemptId, ConsentId, Digest, GrantId, HostId, Issuer, ProviderName, Scopes, SessionId, Subject,
    TrustDomain, UserId,
};
use crate::vault::{GrantRow, PendingRevocation, Rows};

pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

pub(super) fn user(name: &str) -> UserId {
    UserId { issuer: Issuer::parse("https://idp.example").unwrap(), subject: Subject::parse(name).unwrap() }
}

fn bound(provider: &str, scopes: &[&str]) -> BoundProvider {
    let scopes = Scopes::parse(scopes.iter().copied()).unwrap();
    BoundProvider { provider: ProviderName::parse(provider).unwrap(), scopes }
}

pub(super) fn entry(name: &str) -> WorkloadIdentity {
    let name = AgentName::parse(name).unwrap();
    WorkloadIdentity {
        id: TrustDomain::parse("example.org").unwrap().agent(&name),
        name,
        origin: Origin::Manual,
        publisher: "Müller & \"Söhne\"".into(),
        created_by: "olga".into(),
        created_at: at(1),
        updated_at: at(2),
        allowed_return_urls: vec!["https://app.example/a?b=\"c\"".into(), "http://127.0.0.1:1/".into()],
        tags: Tags::parse([("cost centre".to_owned(), "4 2".to_owned())]).unwrap(),
        bound: vec![bound("google-calendar", &["events.read", "events.write"]), bound("weather", &[])],
        state: State::Active,
        version: None,
        pinned: false,
    }
}

pub(super) fn grant(agent: &str, who: &str, asked: &[&str]) -> GrantRow {
    GrantRow {
        id: GrantId::random(),
        workload: format!("spiffe://example.org/agent/{agent}"),
        user: user(who),
        provider: ProviderName::parse("google-calendar").unwrap(),
        client: "attache at https://oauth2.googleapis.com/token".into(),
        asked: Scopes::parse(asked.iter().copied()).unwrap(),
        resources: Vec::new(),
        destinations: "https://www.googleapis.com/calendar/".into(),
        authority: Authority::of(["import attache:identity/credentials.oauth2".to_owned()]),
        granted: Scopes::default(),
        created_at: at(1),
        updated_at: at(2),
        expires_at: None,
        generation: 1,
        renewing_since: None,
        sealed: vec![0, 1, 255],
    }
}

pub(super) fn record(phase: Phase, resource: &str) -> Record {
    Record {
        attempt: AttemptId::random(),
        phase,
        at: at(1),
        host: HostId::parse("spiffe://example.org/host/0123456789abcdef0123456789abcdef").unwrap(),
        actor: Actor {
            agent: Some(AgentRef { name: "calendar".into(), digest: Some(Digest::of(b"calendar").to_string()) }),
            user: Some(user("alice")),
            caller: None,
            operator: None,
            session: Some("session-of-alice-0001".into()),
            invocation: Some("00112233445566778899aabbccddeeff".into()),
        },
        action: Action::new(codes::SEND, resource),
        outcome: (phase != Phase::Opened).then(Outcome::allowed),
    }
}

fn session(who: &str) -> ConsentSession {
    ConsentSession {
        id: ConsentId::random(),
        agent: AgentName::parse("calendar").unwrap(),
        digest: Some(Digest::of(b"calendar")),
        user: user(who),
        session: SessionId::random(),
        provider: ProviderName::parse("google-calendar").unwrap(),
        client: "client-1 at https://google.example".into(),
        authority: Authority::of(["import attache:identity/credentials.oauth2".to_owned()]),
        scopes: Scopes::parse(["events.read", "events.write"]).unwrap(),
        resources: vec!["https://a.example/".into(), "urn:b".into()],
        return_url: Some("https://app.example/done".into()),
        created_at: at(0),
        expires_at: at(600),
        stage: Stage::Started,
        state_hash: None,
        sealed_wishes: Some(vec![9, 9]),
        sealed_verifier: None,
        sealed_code: None,
    }
}

fn version(bytes: &[u8], deployed_at: u64) -> Version {
    Version {
        digest: Digest::of(bytes),
        deployed_by: "otto".into(),
        deployed_at: at(deployed_at),
        source: Some("oci://registry.example/x:1@sha256:aa".into()),
        authority: Authority::of(["import wasi:http/outgoing-handler.handle".to_owned()]),
    }
}

/// Versions that ran under a name are remembered until it is removed, and what is killed until it is revived.
pub(super) async fn versions(store: &dyn Entries) {
    let mut agent = entry("calendar");
    let (one, two) = (version(b"one", 9), version(b"two", 10));
    for version in [one.clone(), two.clone()] {
        agent.version = Some(version);
        store.put(agent.clone()).await.unwrap();
    }
    agent.pinned = true;
    store.put(agent.clone()).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [agent.clone()]);
    assert_eq!(store.versions(agent.name.clone()).await.unwrap(), [two.clone(), one.clone()]);
    let again = Version { deployed_at: at(11), ..one };
    agent.version = Some(again.clone());
    store.put(agent.clone()).await.unwrap();
    assert_eq!(store.versions(agent.name.clone()).await.unwrap(), [again, two]);
    store.remove(agent.name.clone()).await.unwrap();
    assert_eq!(store.versions(agent.name.clone()).await.unwrap(), []);

    let killed =
        |bytes: &[u8]| Killed { digest: Digest::of(bytes), by: "otto".into(), at: at(1), reason: "stolen".into() };
    let (one, two) = (killed(b"one"), killed(b"two"));
    for killed in [&one, &two, &one] {
        store.kill(killed.clone()).await.unwrap();
    }
    assert_eq!(store.killed().await.unwrap().len(), 2);
    store.revive(one.digest).await.unwrap();
    store.revive(one.digest).await.unwrap();
    assert_eq!(store.killed().await.unwrap(), [two]);
}

/// Entries come back as they were put, in the order of their names, and the last put counts.
pub(super) async fn entries(store: &dyn Entries) {
    assert_eq!(store.all().await.unwrap(), []);
    let mut first = entry("zebra");
    let mut second = entry("aardvark");
    second.origin = Origin::Runtime;
    second.version = Some(version(b"one", 9));
    store.put(first.clone()).await.unwrap();
    store.put(second.clone()).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [second.clone(), first.clone()]);
    second.state = State::Suspended;
    second.allowed_return_urls.clear();
    second.version = None;
    second.origin = Origin::Gateway;
    second.tags = Tags::default();
    second.bound.remove(0);
    store.put(second.clone()).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [second.clone(), first.clone()]);
    first.state = State::Retired;
    store.put(first.clone()).await.unwrap();
    store.remove(second.name.clone()).await.unwrap();
    store.remove(second.name.clone()).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [first.clone()]);
    second.bound.clear();
    store.put(second.clone()).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [second, first], "what was bound to the one before is gone");
    let alike = entry("Zebra");
    assert!(store.put(alike).await.is_err(), "two names differ in case alone");
}

/// One row per (workload, user, provider, asked); a replacement needs the generation it was made from; a revocation is
/// queued exactly when its grant is removed.
pub(super) async fn rows(store: &dyn Rows) {
    assert_eq!(store.all().await.unwrap(), []);
    let mut alice = grant("calendar", "alice", &["events.read", "events.write"]);
    alice.granted = Scopes::parse(["events.read"]).unwrap();
    alice.expires_at = Some(at(3600));
    let bob = grant("calendar", "bob", &["events.read", "events.write"]);
    let rogue = grant("rogue", "alice", &["events.read", "events.write"]);
    let less = grant("calendar", "alice", &["events.read"]);
    let none = grant("calendar", "alice", &[]);
    let mut elsewhere = grant("calendar", "alice", &["events.read", "events.write"]);
    elsewhere.resources = vec!["https://a.example/".into(), "https://b.example/".into()];
    let mut all = vec![alice.clone(), bob, rogue, less, none, elsewhere.clone()];
    for row in &all {
        store.put(row.clone()).await.unwrap();
    }
    all.sort_by_key(|row| row.id);
    assert_eq!(sorted(store).await, all);

    let again = GrantRow { id: GrantId::random(), sealed: vec![7], generation: 9, updated_at: at(3), ..alice.clone() };
    store.put(again.clone()).await.unwrap();
    assert_eq!(sorted(store).await.len(), 6, "the same key is the same row");
    assert!(!store.replace(1, GrantRow { generation: 2, ..alice.clone() }).await.unwrap(), "that grant is gone");

    let refreshed = GrantRow { generation: 10, sealed: vec![8], expires_at: None, ..again.clone() };
    assert!(!store.replace(8, refreshed.clone()).await.unwrap(), "an older generation");
    assert!(store.replace(9, refreshed.clone()).await.unwrap());
    assert!(!store.replace(9, refreshed.clone()).await.unwrap(), "of two, one wins");
    let moved = GrantRow { user: user("mallory"), generation: 11, ..refreshed.clone() };
    assert!(!store.replace(10, moved).await.unwrap(), "a row never moves to another user");
    assert!(sorted(store).await.contains(&refreshed));
    let moved = GrantRow { resources: vec!["urn:c".into()], generation: 11, ..refreshed.clone() };
    assert!(!store.replace(10, moved).await.unwrap(), "nor to other resources");
    let moved = GrantRow { client: "other at https://evil.example/".into(), generation: 11, ..refreshed.clone() };
    assert!(!store.replace(10, moved).await.unwrap(), "nor to another client");

    assert!(!store.renewing(refreshed.id, 9, Some(at(5))).await.unwrap(), "an older generation");
    assert!(store.renewing(refreshed.id, 10, Some(at(5))).await.unwrap());
    let marked = GrantRow { renewing_since: Some(at(5)), ..refreshed.clone() };
    assert!(sorted(store).await.contains(&marked), "and nothing else was changed");
    assert!(store.renewing(refreshed.id, 10, None).await.unwrap());
    assert!(sorted(store).await.contains(&refreshed));
    assert!(store.renewing(refreshed.id, 10, Some(at(5))).await.unwrap());
    assert!(store.replace(10, GrantRow { generation: 11, ..refreshed.clone() }).await.unwrap());
    assert!(store.replace(11, refreshed.clone()).await.unwrap(), "what replaces a marked row is not marked");
    assert!(sorted(store).await.contains(&refreshed));
    assert!(store.remove(elsewhere.id).await.unwrap());
    assert!(!store.remove(elsewhere.id).await.unwrap(), "it is gone");
    assert_eq!(store.due(at(99)).await.unwrap(), [], "and nobody is told");

    let pending = PendingRevocation { grant: refreshed.id, row: refreshed.clone(), attempts: 0, next_at: at(10) };
    assert!(store.revoke(refreshed.id, pending.clone()).await.unwrap());
    assert!(!store.revoke(refreshed.id, pending.clone()).await.unwrap(), "it is gone");
    assert_eq!(sorted(store).await.len(), 4, "of six");
    assert_eq!(store.due(at(9)).await.unwrap(), []);
    assert_eq!(store.due(at(10)).await.unwrap(), std::slice::from_ref(&pending));
    store.reschedule(refreshed.id, 3, Some(at(20))).await.unwrap();
    assert_eq!(store.due(at(19)).await.unwrap(), []);
    assert_eq!(
        store.due(at(20)).await.unwrap(),
        [PendingRevocation { attempts: 3, next_at: at(20), ..pending.clone() }]
    );
    store.reschedule(refreshed.id, 3, None).await.unwrap();
    assert_eq!(store.due(at(99)).await.unwrap(), []);
    store.put(refreshed.clone()).await.unwrap();
    assert!(store.revoke(refreshed.id, pending).await.unwrap(), "granted again, revoked again");
}

async fn sorted(store: &dyn Rows) -> Vec<GrantRow> {
    let mut rows = store.all().await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows
}

/// A session comes back as it was; of two that advance it, one wins; whose it is never changes.
pub(super) async fn sessions(store: &dyn Sessions) {
    let started = session("alice");
    let other = ConsentSession { expires_at: at(601), return_url: None, ..session("bob") };
    store.insert(started.clone()).await.unwrap();
    store.insert(other.clone()).await.unwrap();
    assert!(store.insert(started.clone()).await.is_err(), "an id is made once");
    assert_eq!(store.by_id(started.id).await.unwrap(), Some(started.clone()));
    assert_eq!(store.by_id(other.id).await.unwrap(), Some(other.clone()));
    assert_eq!(store.by_id(ConsentId::random()).await.unwrap(), None);
    assert_eq!(store.by_state([1; 32]).await.unwrap(), None);

    let sent = ConsentSession {
        stage: Stage::AtProvider,
        state_hash: Some([1; 32]),
        sealed_verifier: Some(vec![1, 2, 3]),
        ..started.clone()
    };
    assert!(store.advance(Stage::Started, sent.clone()).await.unwrap());
    assert!(!store.advance(Stage::Started, sent.clone()).await.unwrap());
    assert_eq!(store.by_state([1; 32]).await.unwrap(), Some(sent.clone()));
    let again = ConsentSession { state_hash: Some([2; 32]), ..sent.clone() };
    assert!(store.advance(Stage::AtProvider, again.clone()).await.unwrap());
    assert_eq!(store.by_state([1; 32]).await.unwrap(), None, "the earlier state is dead");
    assert!(
        store.advance(Stage::Started, ConsentSession { state_hash: Some([2; 32]), ..other.clone() }).await.is_err(),
        "a state belongs to one session"
    );
    assert_eq!(store.by_id(other.id).await.unwrap(), Some(other.clone()));

    let stolen = ConsentSession { user: user("mallory"), stage: Stage::Completed, ..again.clone() };
    assert!(store.advance(Stage::AtProvider, stolen).await.unwrap());
    assert_eq!(store.by_id(started.id).await.unwrap().unwrap().user, user("alice"));
    assert!(!store.advance(Stage::Started, session("nobody")).await.unwrap());

    store.sweep(at(600)).await.unwrap();
    assert!(store.by_id(started.id).await.unwrap().is_some(), "not before its time");
    store.sweep(at(601)).await.unwrap();
    assert_eq!(store.by_id(started.id).await.unwrap(), None);
    assert_eq!(store.by_id(other.id).await.unwrap(), Some(other));
}

/// Keys come back as they were put, in the order of their ids, and the last put counts.
pub(super) async fn keys(store: &dyn KeyRows) {
    assert_eq!(store.all().await.unwrap(), []);
    let key = |id: &str| KeyRow {
        key: AccessKey {
            id: id.parse().unwrap(),
            name: "Müller's \"ci\"".into(),
            operations: Operations::parse(["runtime", "List*", "DeleteWorkloadIdentity"]).unwrap(),
            workloads: Workloads::parse(["team-*", "calendar"]).unwrap(),
            created_at: at(1),
            created_by: "uid:1000".into(),
            last_used_at: None,
            disabled: false,
        },
        sealed: vec![0, 1, 255],
    };
    let (mut first, second) = (key("AKATBBBBBBBBBBBBBBBB"), key("AKATAAAAAAAAAAAAAAAA"));
    for row in [&first, &second] {
        store.put(row.clone()).await.unwrap();
    }
    assert_eq!(store.all().await.unwrap(), [second.clone(), first.clone()]);
    first.key.disabled = true;
    first.key.last_used_at = Some(at(3600));
    first.sealed = vec![7];
    store.put(first.clone()).await.unwrap();
    store.used(first.key.id.clone(), at(7200)).await.unwrap();
    first.key.last_used_at = Some(at(7200));
    let nobody = KeyId::random();
    store.used(nobody.clone(), at(1)).await.unwrap();
    store.delete(nobody).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [second.clone(), first.clone()]);
    store.delete(first.key.id).await.unwrap();
    assert_eq!(store.all().await.unwrap(), [second]);
}

/// Of each issuer and metadata the last set that was put.
pub(super) async fn key_sets(store: &dyn KeySetRows) {
    let row = |metadata: &str, secs, sealed: &[u8]| KeySetRow {
        issuer: Issuer::parse("https://idp.example").unwrap(),
        metadata: metadata.into(),
        jwks_uri: "https://idp.example/jwks".into(),
        read_at: at(secs),
        sealed: sealed.to_vec(),
    };
    assert_eq!(store.all().await.unwrap(), []);
    store.put(row("a", 2, b"first")).await.unwrap();
    store.put(row("b", 1, b"other")).await.unwrap();
    // The last one counts, even where it says that it is older: the clock may have been turned back.
    store.put(row("a", 1, b"second")).await.unwrap();
    let mut all = store.all().await.unwrap();
    all.sort_by(|a, b| a.metadata.cmp(&b.metadata));
    assert_eq!(all, [row("a", 1, b"second"), row("b", 1, b"other")]);
}

/// Tickets rise; what was opened is joined with what closed it; filters do what they say.
pub(super) async fn journal(store: &dyn Journal) {
    let opened = record(Phase::Opened, "GET https://www.googleapis.com/calendar/v3");
    let mut closed = Record { phase: Phase::Closed, at: at(5), ..opened.clone() };
    closed.outcome = Some(Outcome::failed("the provider answered `500`"));
    let mut refused = record(Phase::Whole, "google-calendar");
    refused.action = Action::new(codes::ACQUIRE, "google-calendar").with(serde_json::json!({"scopes": ["a", "b"]}));
    refused.outcome = Some(Outcome::refused("not bound"));
    refused.actor =
        Actor { user: Some(user("bob")), caller: Some("key:AKATAAAAAAAAAAAAAAAA".into()), ..Actor::default() };
    refused.at = at(7);
    let mut flying = record(Phase::Opened, "in flight");
    flying.actor = Actor::operator("olga");
    flying.at = at(8);

    let one = store.append(opened.clone()).unwrap();
    let two = store.append(refused.clone()).unwrap();
    let three = store.append(closed.clone()).unwrap();
    let four = store.append(flying.clone()).unwrap();
    assert!(one < two && two < three && three < four);
    store.durable(four).await.unwrap();
    store.durable(one).await.unwrap();
    assert!(store.durable(crate::audit::Ticket(four.0 + 1)).await.is_err(), "nobody has that ticket");

    let joined = Record { outcome: closed.outcome.clone(), ..opened.clone() };
    let all = store.query(Filter::default()).await.unwrap();
    let seen: Vec<_> = all.iter().map(|entry| (entry.seq, entry.record.clone(), entry.closed_at)).collect();
    assert_eq!(seen, [(four.0, flying, None), (two.0, refused, Some(at(7))), (one.0, joined, Some(at(5)))]);

    let of = |filter: Filter| async move {
        store.query(filter).await.unwrap().iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    let (one, two, four) = (one.0, two.0, four.0);
    assert_eq!(of(Filter { agent: Some("calendar".into()), ..Filter::default() }).await, [one]);
    assert_eq!(of(Filter { subject: Some("bob".into()), ..Filter::default() }).await, [two]);
    assert_eq!(of(Filter { action: Some(codes::SEND.into()), ..Filter::default() }).await, [four, one]);
    assert_eq!(of(Filter { decision: Some(Decision::Failed), ..Filter::default() }).await, [one]);
    assert_eq!(of(Filter { decision: Some(Decision::Refused), ..Filter::default() }).await, [two]);
    assert_eq!(of(Filter { decision: Some(Decision::Allowed), ..Filter::default() }).await, [0; 0]);
    assert_eq!(of(Filter { caller: Some("key:AKATAAAAAAAAAAAAAAAA".into()), ..Filter::default() }).await, [two]);
    assert_eq!(of(Filter { caller: Some("olga".into()), ..Filter::default() }).await, [four]);
    assert_eq!(of(Filter { since: Some(at(7)), ..Filter::default() }).await, [four, two]);
    assert_eq!(of(Filter { limit: 1, ..Filter::default() }).await, [four]);
    assert_eq!(of(Filter { limit: usize::MAX, ..Filter::default() }).await, [four, two, one]);
}
