//! Workload access tokens.

use crate::Bed;
use attache::directory::{Configured, Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use attache::identity::{Binding, WatTable};
use attache::ids::{AgentName, Digest, SessionId, TrustDomain};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct Nowhere;

impl Entries for Nowhere {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn put(&self, _: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

    fn remove(&self, _: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }
}

/// A binding of this user and the agent `calendar`, made as the host makes it.
pub(crate) async fn binding(bed: &Bed, subject: &str) -> Arc<Binding> {
    let domain = TrustDomain::parse("example.com").unwrap();
    let name = AgentName::parse("calendar").unwrap();
    let directory =
        Directory::load(Arc::new(Nowhere), domain.clone(), Configured::default(), bed.clock.clone()).await.unwrap();
    let deployment = Deployment {
        name: name.clone(),
        digest: Digest::of(b"calendar"),
        publisher: "ann".into(),
        by: "ann".into(),
        allowed_return_urls: None,
        source: None,
        authority: attache::directory::Authority::none(),
    };
    directory.deploy(deployment).await.unwrap();
    let user = bed.verify(&bed.token(subject)).await.unwrap();
    Binding::bind(directory.resolve(&name).unwrap(), Some(user.into()), SessionId::random(), &domain.host("0"))
}

#[tokio::test]
async fn a_token_stands_for_its_own_binding() {
    let bed = Bed::new();
    let table = WatTable::new(bed.clock.clone());
    let (alice, bob) = (binding(&bed, "alice").await, binding(&bed, "bob").await);
    let (of_alice, _alice_lives) = table.mint(alice.clone(), MINUTE);
    let (of_bob, _bob_lives) = table.mint(bob.clone(), MINUTE);
    assert!(Arc::ptr_eq(&table.resolve(&of_alice).unwrap(), &alice));
    assert!(Arc::ptr_eq(&table.resolve(&of_bob).unwrap(), &bob));
}

#[tokio::test]
async fn a_token_dies_with_its_invocation() {
    let bed = Bed::new();
    let table = WatTable::new(bed.clock.clone());
    let bound = binding(&bed, "alice").await;
    let (token, live) = table.mint(bound.clone(), MINUTE);
    let (other, _other_lives) = table.mint(bound.clone(), MINUTE);
    drop(live);
    assert!(table.resolve(&token).is_none());
    assert!(table.resolve(&other).is_some(), "another invocation's token lives on");
    assert_eq!(table.len(), 1);
    drop(_other_lives);
    assert!(table.is_empty());
    assert_eq!(Arc::strong_count(&bound), 1, "the table keeps no user's token behind");
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_was_given_and_never_above_ten_minutes() {
    let bed = Bed::new();
    let table = WatTable::new(bed.clock.clone());
    let bound = binding(&bed, "alice").await;
    let (short, _short_lives) = table.mint(bound.clone(), MINUTE);
    let (long, _long_lives) = table.mint(bound, 60 * MINUTE);
    bed.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(table.resolve(&short).is_some());
    bed.clock.advance(Duration::from_millis(1));
    assert!(table.resolve(&short).is_none());
    bed.clock.advance(9 * MINUTE - Duration::from_millis(1));
    assert!(table.resolve(&long).is_some());
    bed.clock.advance(Duration::from_millis(1));
    assert!(table.resolve(&long).is_none());
}

#[tokio::test]
async fn a_token_of_another_host_means_nothing() {
    let bed = Bed::new();
    let (here, there) = (WatTable::new(bed.clock.clone()), WatTable::new(bed.clock.clone()));
    let (token, _lives) = there.mint(binding(&bed, "alice").await, MINUTE);
    assert!(here.resolve(&token).is_none());
    assert!(there.resolve(&token).is_some());
}
