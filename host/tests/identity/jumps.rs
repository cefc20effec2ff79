//! The wall clock is set, forward or back, while the host runs.

use crate::wat::binding;
use crate::{Bed, settle};
use attache::identity::{Rejected, WatTable};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A token without `iat`, which would be refused as one from the future when the clock goes back.
fn undated(bed: &Bed, lifetime: Duration) -> String {
    let mut claims = bed.claims("alice");
    claims.as_object_mut().unwrap().remove("iat");
    claims["exp"] = json!(bed.clock.now().plus(lifetime).secs());
    bed.issuer.sign(claims)
}

#[tokio::test]
async fn after_a_jump_a_token_is_verified_anew() {
    let bed = Bed::new();
    let token = undated(&bed, 10 * HOUR);
    let first = bed.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &bed.verify(&token).await.unwrap()), "remembered");
    for at in [bed.clock.now().plus(HOUR), bed.clock.now().minus(HOUR)] {
        let before = bed.verify(&token).await.unwrap();
        bed.clock.set(at);
        let after = bed.verify(&token).await.unwrap();
        assert!(!Arc::ptr_eq(&before, &after), "verified anew at {at}");
        assert!(Arc::ptr_eq(&after, &bed.verify(&token).await.unwrap()), "and remembered again");
    }
}

#[tokio::test]
async fn a_token_that_was_verified_is_judged_by_the_new_time() {
    let bed = Bed::new();
    let token = bed.token("alice");
    bed.verify(&token).await.unwrap();
    let now = bed.clock.now();
    bed.clock.set(now.plus(HOUR));
    assert!(matches!(bed.refused(&token).await, Rejected::Expired(_)));
    bed.clock.set(now);
    bed.verify(&token).await.unwrap();
    bed.clock.set(now.minus(HOUR));
    assert!(matches!(bed.refused(&token).await, Rejected::TooEarly(_)), "it was issued in the future");
}

#[tokio::test]
async fn keys_get_old_whatever_the_wall_clock_says() {
    let mut bed = Bed::new();
    let token = undated(&bed, 100 * HOUR);
    bed.verify(&token).await.unwrap();
    bed.issuer.rotate();
    bed.clock.set(bed.clock.now().minus(50 * HOUR));
    bed.clock.advance(21 * MINUTE);
    assert!(matches!(bed.refused(&token).await, Rejected::Key(_)), "its key is gone for twenty minutes");
    bed.issuer.set_down(true);
    bed.verify(&undated(&bed, HOUR)).await.unwrap();
    bed.clock.advance(25 * HOUR);
    assert!(bed.refused(&undated(&bed, HOUR)).await.is_unavailable(), "a day is a day");
}

#[tokio::test]
async fn new_keys_are_found_although_the_clock_was_turned_back() {
    let mut bed = Bed::new();
    bed.verify(&bed.token("alice")).await.unwrap();
    bed.clock.set(bed.clock.now().minus(50 * HOUR));
    bed.clock.advance(MINUTE);
    bed.issuer.rotate();
    bed.verify(&bed.token("alice")).await.unwrap();
    settle().await;
}

#[tokio::test]
async fn a_workload_access_token_lives_no_longer_for_a_clock_that_is_turned_back() {
    let bed = Bed::new();
    let table = WatTable::new(bed.clock.clone());
    let alice = binding(&bed, "alice").await;
    let (back, _lives) = table.mint(alice.clone(), MINUTE);
    bed.clock.set(bed.clock.now().minus(HOUR));
    assert!(table.resolve(&back).is_some());
    bed.clock.advance(MINUTE);
    assert!(table.resolve(&back).is_none());
    let (forward, _lives) = table.mint(alice, MINUTE);
    bed.clock.set(bed.clock.now().plus(HOUR));
    assert!(table.resolve(&forward).is_none(), "and no longer than its time by any clock");
}
