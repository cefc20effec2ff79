//! The registry: who may make which keys, and that nothing shows before it is durable.

use super::door_tests::Bench;
use super::testing::sign;
use super::{Caller, KeysError, NewKey, Operation, Operations, Permitted, Workloads};
use crate::clock::Timestamp;
use crate::seal::{KeyRing, Sealer};
use http::Request;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn new_key(name: &str, operations: &str, workloads: &str) -> NewKey {
    let operations = Operations::parse(operations.split(' ')).unwrap();
    NewKey::new(name.into(), operations, Workloads::parse(workloads.split(' ')).unwrap())
}

fn operator() -> Arc<Caller> {
    let (one, _two) = tokio::net::UnixStream::pair().unwrap();
    Caller::at_socket(&one).unwrap()
}

fn permission(operation: Operation) -> Permitted {
    operator().may(operation, None).unwrap()
}

async fn bench(operations: &str, workloads: &str) -> Bench {
    Bench::new(Timestamp::from_secs(1_790_000_000), operations, workloads).await
}

#[tokio::test]
async fn a_key_works_from_when_it_was_made_and_after_a_restart() {
    let bench = bench("*", "*").await;
    let permitted = permission(Operation::CreateAccessKey);
    let made = bench.keys.create(&permitted, new_key("ci", "runtime", "team-*")).await.unwrap();
    let secret = made.shown().to_owned();
    assert_eq!(secret.len(), 40);
    assert_eq!(made.key.created_by, operator().to_string());
    let request = Request::post("/identities/GetWorkloadAccessToken").header("host", "a.example").body(()).unwrap();
    let head = sign(request, b"", made.key.id.as_str(), &secret, "us-east-1", bench.clock.now());
    assert!(bench.admit(&head, b"").await.is_ok());
    let (keys, door) = Bench::open(&bench.rows, &bench.sealer, &bench.clock).await;
    assert_eq!(keys.list().len(), 2);
    let presented = door.present(&head).unwrap_or_else(|refused| panic!("{refused}"));
    assert!(door.admit(presented, b"").await.is_ok());
    let at_rest = format!("{:?}", bench.rows.rows.lock().unwrap());
    let sealed = bench.rows.rows.lock().unwrap()[&made.key.id].sealed.clone();
    assert!(!at_rest.contains(&secret) && !sealed.windows(40).any(|bytes| bytes == secret.as_bytes()));
    let shown = serde_json::to_value(&*made.key).unwrap();
    assert_eq!(shown["access_key_id"], made.key.id.as_str());
    assert_eq!(shown["operations"], serde_json::json!(["runtime"]));
    assert!(!shown.to_string().contains(&secret));
}

#[tokio::test]
async fn what_is_not_durable_does_not_show() {
    let bench = bench("*", "*").await;
    bench.rows.broken.store(true, Ordering::Relaxed);
    let made = bench.keys.create(&permission(Operation::CreateAccessKey), new_key("ci", "*", "*")).await;
    assert!(matches!(made.err(), Some(KeysError::Store(_))));
    let id = bench.keys.list()[0].id.clone();
    assert!(bench.keys.disable(&permission(Operation::DisableAccessKey), &id).await.is_err());
    assert!(bench.keys.delete(&permission(Operation::DeleteAccessKey), &id).await.is_err());
    let keys = bench.keys.list();
    assert!(keys.len() == 1 && !keys[0].disabled);
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_more_than_they_may() {
    let bench = bench("CreateAccessKey Get* runtime", "team-*").await;
    let head = sign(
        Request::post("/").header("host", "a.example").body(()).unwrap(),
        b"",
        "AKATTESTVECTOR234567",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYTESTVECTOR",
        "us-east-1",
        bench.clock.now(),
    );
    let caller = bench.admit(&head, b"").await.unwrap_or_else(|refused| panic!("{refused}"));
    let permitted = caller.may(Operation::CreateAccessKey, None).unwrap();
    for (operations, workloads, good) in [
        ("GetTokenVault", "team-mail", true),
        ("runtime", "team-*", true),
        ("operator", "team-*", false),
        ("*", "team-*", false),
        ("GetTokenVault", "*", false),
        ("GetTokenVault", "payroll", false),
        ("DeleteAccessKey", "team-mail", false),
    ] {
        let made = bench.keys.create(&permitted, new_key("ci", operations, workloads)).await;
        assert_eq!(made.is_ok(), good, "{operations} {workloads}");
    }
}

#[tokio::test]
async fn a_permission_is_for_one_operation() {
    let bench = bench("*", "*").await;
    let id = bench.keys.list()[0].id.clone();
    let other = permission(Operation::ListAccessKeys);
    assert!(bench.keys.create(&other, new_key("ci", "*", "*")).await.is_err());
    assert!(bench.keys.disable(&other, &id).await.is_err());
    assert!(bench.keys.delete(&permission(Operation::DisableAccessKey), &id).await.is_err());
    assert_eq!(bench.keys.list().len(), 1);
    let permitted = permission(Operation::CreateAccessKey);
    for bad in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(bench.keys.create(&permitted, new_key(bad, "*", "*")).await.err(), Some(KeysError::Name)));
    }
}

#[tokio::test]
async fn rights_that_were_changed_in_the_store_make_the_key_useless() {
    let bench = bench("runtime", "team-*").await;
    let head = bench.signed(b"");
    assert!(bench.admit(&head, b"").await.is_ok());
    let tamper = |change: fn(&mut super::AccessKey)| {
        let mut rows = bench.rows.rows.lock().unwrap();
        change(&mut rows.values_mut().next().unwrap().key);
    };
    for change in [(|key| key.operations = Operations::parse(["*"]).unwrap()) as fn(&mut super::AccessKey), |key| {
        key.workloads = Workloads::parse(["*"]).unwrap()
    }] {
        let before = bench.rows.rows.lock().unwrap().clone();
        tamper(change);
        let (_, door) = Bench::open(&bench.rows, &bench.sealer, &bench.clock).await;
        let presented = door.present(&head).unwrap_or_else(|refused| panic!("{refused}"));
        let refused = door.admit(presented, b"").await.err().unwrap();
        assert!(matches!(refused, super::Refused::Unavailable(_)), "{refused}");
        *bench.rows.rows.lock().unwrap() = before;
    }
}

#[tokio::test]
async fn a_host_without_the_key_ring_of_its_keys_does_not_start() {
    let bench = bench("*", "*").await;
    let other = Arc::new(Sealer::new(Arc::new(KeyRing::ephemeral())));
    let account = crate::ids::Account::parse("test").unwrap();
    let loaded = super::Keys::load(bench.rows.clone(), other, account, bench.clock.clone()).await;
    assert!(matches!(loaded.err(), Some(KeysError::Seal { .. })));
}
