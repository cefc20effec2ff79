//! Workload access tokens of the API.

use crate::Bed;
use crate::wat::{Nowhere, binding};
use attache::directory::{Configured, Directory, NewWorkload, Tags, Terms};
use attache::identity::{AssertedUser, Binding, IssuedWats, PresentedWat, User};
use attache::ids::{AgentName, SessionId, TrustDomain};
use attache::secret::Secret;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// A workload that runs elsewhere, registered as the host registers it; its word is taken for who its user is.
struct Elsewhere(Arc<Directory>);

impl Elsewhere {
    async fn new(bed: &Bed) -> Self {
        let terms = Terms { trusts_user_ids: true, ..Terms::default() };
        let configured = Configured {
            workloads: std::iter::once(("*".parse().unwrap(), Arc::new(terms))).collect(),
            ..Configured::default()
        };
        let domain = TrustDomain::parse("example.com").unwrap();
        let directory = Directory::load(Arc::new(Nowhere), domain, configured, bed.clock.clone()).await.unwrap();
        for name in ["batch", "other"] {
            let new = NewWorkload {
                name: AgentName::parse(name).unwrap(),
                publisher: "ann".into(),
                by: "ann".into(),
                allowed_return_urls: vec![],
                tags: Tags::default(),
            };
            directory.create(new).await.unwrap();
        }
        Self(directory)
    }

    fn bind(&self, name: &str, user: Option<User>) -> Arc<Binding> {
        let workload = self.0.resolve_elsewhere(&AgentName::parse(name).unwrap()).unwrap();
        let host = TrustDomain::parse("example.com").unwrap().host("0");
        Binding::bind(workload, user, SessionId::random(), &host)
    }

    fn asserted(&self, name: &str, user: &str) -> Arc<Binding> {
        let workload = self.0.resolve_elsewhere(&AgentName::parse(name).unwrap()).unwrap();
        self.bind(name, Some(AssertedUser::on_the_word_of(&workload, user).unwrap().into()))
    }
}

fn presented(token: &Secret) -> PresentedWat {
    PresentedWat::parse(token.expose_text().unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_stands_for_its_own_binding_until_it_expires() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let alice = elsewhere.bind("batch", Some(bed.verify(&bed.token("alice")).await.unwrap().into()));
    let nobody = elsewhere.bind("batch", None);
    let (of_alice, facts) = wats.mint(alice.clone(), "key:AKAT1", QUARTER).unwrap();
    let (of_nobody, bare) = wats.mint(nobody.clone(), "key:AKAT1", QUARTER).unwrap();
    assert!(Arc::ptr_eq(&wats.resolve(&presented(&of_alice)).unwrap(), &alice));
    assert!(Arc::ptr_eq(&wats.resolve(&presented(&of_nobody)).unwrap(), &nobody));
    assert_eq!(wats.introspect(&presented(&of_alice)).as_ref(), Some(&facts));
    assert_eq!(wats.facts(&facts.id).as_ref(), Some(&facts));
    assert_eq!((facts.workload.as_str(), facts.by.as_str(), facts.verified), ("batch", "key:AKAT1", true));
    assert_eq!(facts.user.as_ref().unwrap().subject.as_str(), "alice");
    assert_eq!((bare.user, bare.verified), (None, false));
    assert_eq!(facts.expires_at, bed.clock.now().plus(QUARTER));

    bed.clock.advance(QUARTER - Duration::from_millis(1));
    assert!(wats.resolve(&presented(&of_alice)).is_some());
    bed.clock.advance(Duration::from_millis(1));
    assert!(wats.resolve(&presented(&of_alice)).is_none());
    assert!(wats.introspect(&presented(&of_alice)).is_none() && wats.facts(&facts.id).is_none());
    assert!(wats.revoke(&presented(&of_alice)).is_none(), "there is nothing left to revoke");
}

#[tokio::test]
async fn no_token_lives_longer_than_an_hour() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let (_, facts) = wats.mint(elsewhere.bind("batch", None), "ann", 100 * QUARTER).unwrap();
    assert_eq!(facts.expires_at, bed.clock.now().plus(4 * QUARTER));
}

#[tokio::test]
async fn an_agent_that_runs_here_has_no_token_for_anybody() {
    let bed = Bed::new();
    let wats = IssuedWats::new(bed.clock.clone());
    let refused = wats.mint(binding(&bed, "alice").await, "ann", QUARTER).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "agent `calendar` runs on this host, which gives its tokens to nobody; invoke the agent instead"
    );
    assert!(wats.is_empty());
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_unrepeated() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let (token, _) = wats.mint(elsewhere.bind("batch", None), "ann", QUARTER).unwrap();
    let text = token.expose_text().unwrap();
    assert!(text.starts_with("wat_") && text.len() == 47, "43 characters of base64url are 256 bits");
    for bad in [
        "",
        "wat_",
        &text[4..],
        &text[..46],
        &format!("{text}="),
        &text.replace("wat_", "WAT_"),
        &format!("{}+", &text[..46]),
    ] {
        let error = PresentedWat::parse(bad).err().unwrap();
        assert_eq!(error.to_string(), "this is no workload access token; get one with `GetWorkloadAccessToken`");
    }
    let flipped = if text.ends_with('A') { 'B' } else { 'A' };
    let other = format!("{}{flipped}", &text[..46]);
    assert!(wats.resolve(&PresentedWat::parse(&other).unwrap()).is_none());
    assert!(IssuedWats::new(bed.clock.clone()).resolve(&presented(&token)).is_none(), "another host knows it not");
}

#[tokio::test]
async fn revoking_ends_a_token_at_once_and_no_other() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let who = elsewhere.asserted("batch", "alice");
    let mint = || wats.mint(who.clone(), "ann", QUARTER).unwrap();
    let ((first, _), (second, of_second), (third, _)) = (mint(), mint(), mint());
    assert!(wats.revoke(&presented(&first)).is_some());
    assert_eq!(wats.revoke_id(&of_second.id), Some(of_second.clone()));
    assert!(wats.resolve(&presented(&first)).is_none() && wats.resolve(&presented(&second)).is_none());
    assert!(wats.resolve(&presented(&third)).is_some());
    assert!(wats.revoke(&presented(&first)).is_none() && wats.revoke_id(&of_second.id).is_none(), "once");
    wats.revoke(&presented(&third));
    assert!(wats.is_empty());
    assert_eq!(Arc::strong_count(&who), 1, "the table keeps no user's token behind");
}

#[tokio::test]
async fn all_tokens_of_a_workload_or_a_user_end_together() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let alice: User = bed.verify(&bed.token("alice")).await.unwrap().into();
    let bob: User = bed.verify(&bed.token("bob")).await.unwrap().into();
    let mint = |workload: &str, user: Option<&User>| {
        let token = wats.mint(elsewhere.bind(workload, user.cloned()), "ann", QUARTER).unwrap().0;
        presented(&token)
    };
    let all = [
        mint("batch", Some(&alice)),
        mint("batch", Some(&bob)),
        mint("batch", None),
        mint("other", Some(&alice)),
        mint("other", Some(&bob)),
    ];
    let living = || all.iter().map(|token| u8::from(wats.resolve(token).is_some())).collect::<Vec<_>>();
    assert_eq!(wats.revoke_user(alice.id()), 2);
    assert_eq!(living(), [0, 1, 1, 0, 1]);
    assert_eq!(wats.revoke_workload(&AgentName::parse("batch").unwrap()), 2);
    assert_eq!(living(), [0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn of_too_many_tokens_for_one_user_the_oldest_ends_and_nobody_elses() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let (alice, bob) = (elsewhere.asserted("batch", "alice"), elsewhere.asserted("batch", "bob"));
    let of_bob = presented(&wats.mint(bob, "ann", QUARTER).unwrap().0);
    let of_alice: Vec<_> = (0..1030).map(|_| presented(&wats.mint(alice.clone(), "ann", QUARTER).unwrap().0)).collect();
    let living = of_alice.iter().map(|token| wats.resolve(token).is_some()).collect::<Vec<_>>();
    assert_eq!(living.iter().filter(|lives| **lives).count(), 1024);
    assert!(living[..6].iter().all(|lives| !lives) && living[6], "the oldest made room");
    assert!(wats.resolve(&of_bob).is_some());
    assert_eq!(of_alice.iter().map(PresentedWat::id).collect::<HashSet<_>>().len(), 1030);
}

#[tokio::test]
async fn expired_tokens_are_forgotten_by_a_sweep_and_by_the_next_mint() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let who = elsewhere.asserted("batch", "alice");
    for ttl in [QUARTER, 2 * QUARTER] {
        drop(wats.mint(who.clone(), "ann", ttl).unwrap());
    }
    bed.clock.advance(QUARTER);
    assert_eq!(wats.sweep(), 1);
    assert_eq!((wats.len(), Arc::strong_count(&who)), (1, 2));
    bed.clock.advance(QUARTER);
    drop(wats.mint(elsewhere.bind("other", None), "ann", QUARTER).unwrap());
    assert_eq!((wats.len(), Arc::strong_count(&who)), (1, 1));
}

#[tokio::test]
async fn a_host_that_mints_nothing_forgets_expired_tokens_too() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    drop(wats.mint(elsewhere.bind("batch", None), "ann", QUARTER).unwrap());
    bed.clock.advance(QUARTER);
    let sweeping = tokio::spawn(IssuedWats::keep_swept(Arc::downgrade(&wats)));
    while !wats.is_empty() {
        tokio::task::yield_now().await;
    }
    sweeping.abort();
    drop(wats);
    IssuedWats::keep_swept(std::sync::Weak::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_come_and_go_at_once_are_all_accounted_for() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (wats, who) = (wats.clone(), elsewhere.asserted("batch", &format!("user-{}", n % 4)));
            tokio::spawn(async move {
                for i in 0..500 {
                    let token = presented(&wats.mint(who.clone(), "ann", QUARTER).unwrap().0);
                    assert!(Arc::ptr_eq(&wats.resolve(&token).unwrap(), &who));
                    if i % 2 == 0 {
                        assert!(wats.revoke(&token).is_some());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(wats.len(), 8 * 250);
    assert_eq!(wats.revoke_workload(&AgentName::parse("batch").unwrap()), 8 * 250);
    assert!(wats.is_empty());
}

#[tokio::test]
async fn a_token_lives_no_longer_for_a_clock_that_is_turned_back() {
    let bed = Bed::new();
    let (elsewhere, wats) = (Elsewhere::new(&bed).await, IssuedWats::new(bed.clock.clone()));
    let (token, facts) = wats.mint(elsewhere.bind("batch", None), "key:AKAT1", QUARTER).unwrap();
    bed.clock.set(bed.clock.now().minus(4 * QUARTER));
    assert!(wats.resolve(&presented(&token)).is_some());
    bed.clock.advance(QUARTER);
    assert!(wats.resolve(&presented(&token)).is_none());
    assert!(wats.facts(&facts.id).is_none() && wats.sweep() == 1);
}
