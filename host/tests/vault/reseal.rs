//! The key of the ring is changed: every grant is sealed anew, whatever happens meanwhile.

use crate::support::stores::Fault;
use crate::support::{Bench, eventually, scopes, text, tokens};
use attache::ids::ProviderName;
use attache::seal::Sealed;
use attache::vault::{Vault, VaultError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const USERS: [&str; 10] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"];

/// Ten users, each with a token of their own, under a key that was replaced since.
async fn bench() -> (Arc<Bench>, String) {
    let bench = Arc::new(Bench::new().await);
    for user in USERS {
        let who = bench.bind("calendar", user).await;
        bench.keep(&who, "google", scopes("read"), tokens(&format!("of-{user}"), Some("refresh"))).await;
    }
    let old = bench.ring.active_id();
    bench.ring.rotate().unwrap();
    assert_eq!(left(&bench, &old), USERS.len());
    (bench, old)
}

/// Rows that rest under this key.
fn left(bench: &Bench, key: &str) -> usize {
    let rows = bench.rows.rows.lock().unwrap();
    rows.iter().filter(|row| Sealed::parse(&row.sealed).unwrap().key_id() == key).count()
}

/// Everybody has their own token, and nobody has another's.
async fn whole(bench: &Bench, vault: &Vault) {
    assert_eq!(bench.rows.rows.lock().unwrap().len(), USERS.len(), "none is lost and none is there twice");
    for user in USERS {
        let who = bench.bind("calendar", user).await;
        let token = bench.token_of(vault, &who, "google", scopes("read")).await.unwrap();
        assert_eq!(text(&token), format!("of-{user}"));
        let rogue = bench.bind("rogue", user).await;
        assert!(matches!(bench.token_of(vault, &rogue, "google", scopes("read")).await, Err(VaultError::Missing)));
    }
}

#[tokio::test]
async fn every_grant_is_sealed_under_the_new_key_and_the_old_one_can_go() {
    let (bench, old) = bench().await;
    let generations =
        |bench: &Bench| -> Vec<u64> { bench.rows.rows.lock().unwrap().iter().map(|r| r.generation).collect() };
    let before = generations(&bench);
    let came = bench.vault.reseal(3).await;
    assert_eq!((came.done, came.left), (USERS.len(), 0));
    assert_eq!((left(&bench, &old), generations(&bench)), (0, before), "nothing else was changed");
    assert_eq!(bench.vault.reseal(3).await.done, 0, "and there is nothing more to do");
    whole(&bench, &bench.vault).await;
    bench.ring.retire(&old).unwrap();
    whole(&bench, &bench.restart().await.unwrap()).await;
}

#[tokio::test]
async fn a_host_that_dies_at_any_batch_goes_on_where_it_was() {
    for batch in [1, 3, 10] {
        let (bench, old) = bench().await;
        let mut kills = 0;
        for fault in [Fault::DiesBefore, Fault::DiesAfter].into_iter().cycle() {
            let vault = bench.restart().await.unwrap();
            let before = left(&bench, &old);
            if before == 0 {
                break;
            }
            let struck = bench.rows.struck.load(Ordering::SeqCst);
            *bench.rows.fault.lock().unwrap() = Some(("replace", fault));
            let working = tokio::spawn(async move { vault.reseal(batch).await });
            eventually("the kill", || bench.rows.struck.load(Ordering::SeqCst) > struck).await;
            // Rows of one batch are written together, but for those that wait for each other's turn.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            working.abort();
            let _ended = working.await;
            *bench.rows.fault.lock().unwrap() = None;
            kills += 1;
            let written = bench.rows.struck.load(Ordering::SeqCst) - struck;
            assert!((1..=batch).contains(&written), "one batch at a time: {written}");
            let expected = if fault == Fault::DiesAfter { before - written } else { before };
            assert_eq!(left(&bench, &old), expected);
            whole(&bench, &bench.restart().await.unwrap()).await;
        }
        assert!(kills >= 2 * USERS.len().div_ceil(batch), "{kills} kills");
        bench.ring.retire(&old).unwrap();
        whole(&bench, &bench.restart().await.unwrap()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_left_and_done_the_next_time() {
    let (bench, old) = bench().await;
    *bench.rows.fault.lock().unwrap() = Some(("replace", Fault::Fails));
    let came = bench.vault.reseal(4).await;
    assert_eq!((came.done, came.left, left(&bench, &old)), (0, USERS.len(), USERS.len()));
    *bench.rows.fault.lock().unwrap() = None;
    whole(&bench, &bench.vault).await;
    assert_eq!(bench.vault.reseal(4).await.done, USERS.len());
}

#[tokio::test]
async fn a_row_of_somebody_else_is_not_sealed_anew_for_whoever_put_it_there() {
    let (bench, old) = bench().await;
    {
        let mut rows = bench.rows.rows.lock().unwrap();
        let stolen = rows[0].sealed.clone();
        rows[1].sealed = stolen;
    }
    let vault = bench.restart().await.unwrap();
    let came = vault.reseal(4).await;
    assert_eq!((came.done, came.left, left(&bench, &old)), (USERS.len() - 1, 1, 1));
}

#[tokio::test]
async fn a_renewal_meanwhile_is_neither_lost_nor_undone() {
    let (bench, old) = bench().await;
    let who = bench.bind("calendar", "alice").await;
    bench.saas.issue("refresh");
    bench.clock.advance(Duration::from_secs(3600));
    let (token, came) = tokio::join!(bench.token(&who, "google", scopes("read")), bench.vault.reseal(2));
    assert_eq!(text(&token.unwrap()), "access-r0");
    assert_eq!(came.left, 0);
    assert_eq!(left(&bench, &old), 0);
    let again = bench.restart().await.unwrap();
    assert_eq!(text(&bench.token_of(&again, &who, "google", scopes("read")).await.unwrap()), "access-r0");
    assert_eq!(bench.saas.refreshes(), 1);
    let _named: ProviderName = "google".parse().unwrap();
}
