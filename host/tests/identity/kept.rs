//! Key sets that outlive the process, while the provider does not answer.

use crate::issuer::{TestIssuer, bearer};
use crate::{AUDIENCE, ISSUER, settle};
use attache::clock::{Clock, Timestamp};
use attache::identity::{Authorizer, IssuerRule, Keeper, KeySetRow, KeySetRows, Rejected, VerifiedUser, Verifier};
use attache::ids::{Account, Issuer};
use attache::seal::{KeyRing, Sealer};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Rows(Mutex<Vec<KeySetRow>>);

impl KeySetRows for Rows {
    fn all(&self) -> BoxFuture<'_, Result<Vec<KeySetRow>, String>> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }

    fn put(&self, row: KeySetRow) -> BoxFuture<'_, Result<(), String>> {
        let mut rows = self.0.lock().unwrap();
        rows.retain(|old| (&old.issuer, &old.metadata) != (&row.issuer, &row.metadata));
        rows.push(row);
        Box::pin(async { Ok(()) })
    }
}

/// A host that starts again and again on the same disk.
struct Host {
    issuer: TestIssuer,
    clock: Clock,
    rows: Arc<Rows>,
    sealer: Arc<Sealer>,
    authorizer: Authorizer,
    verifier: Option<Arc<Verifier>>,
    _folder: tempfile::TempDir,
}

impl Host {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open_or_create(&folder.path().join("keyring.toml")).unwrap();
        let issuer = TestIssuer::new(ISSUER);
        let rule = IssuerRule { audiences: vec![AUDIENCE.into()], ..IssuerRule::new(issuer.issuer()) };
        let mut host = Self {
            issuer,
            clock: Clock::held(Timestamp::from_secs(1_800_000_000)),
            rows: Arc::default(),
            sealer: Arc::new(Sealer::new(Arc::new(ring))),
            authorizer: Authorizer::new("test", vec![rule]).unwrap(),
            verifier: None,
            _folder: folder,
        };
        host.restart().await;
        host
    }

    async fn restart(&mut self) {
        let account = Account::parse("test").unwrap();
        let keeper = Keeper::load(self.rows.clone(), self.sealer.clone(), account).await.unwrap();
        self.verifier = Some(Verifier::with_kept(self.issuer.documents(), keeper, self.clock.clone()));
    }

    fn token(&self) -> String {
        let mut claims = self.issuer.claims("alice", AUDIENCE, self.clock.now());
        claims["exp"] = json!(self.clock.now().secs() + 10 * 86_400);
        self.issuer.sign(claims)
    }

    async fn verify(&self, token: &str) -> Result<Arc<VerifiedUser>, Rejected> {
        let verdict = self.verifier.as_ref().unwrap().verify(&bearer(token), &self.authorizer).await;
        settle().await;
        verdict
    }

    /// Verified once, and then the provider is gone and the host starts anew.
    async fn after_an_outage(change: impl FnOnce(&mut KeySetRow)) -> (Self, Result<Arc<VerifiedUser>, Rejected>) {
        let mut host = Self::new().await;
        host.verify(&host.token()).await.unwrap();
        host.issuer.set_down(true);
        change(&mut host.rows.0.lock().unwrap()[0]);
        host.restart().await;
        let verdict = host.verify(&host.token()).await;
        (host, verdict)
    }
}

#[tokio::test]
async fn a_host_that_starts_while_the_provider_is_down_verifies_its_users() {
    let (host, verdict) = Host::after_an_outage(|_| {}).await;
    verdict.unwrap();
    // And no others.
    let other = TestIssuer::new(ISSUER);
    let forged = other.sign_with(
        json!({ "alg": "ES256", "kid": host.issuer.kid("ES256") }),
        other.claims("alice", AUDIENCE, host.clock.now()),
    );
    assert_eq!(host.verify(&forged).await.unwrap_err(), Rejected::Signature);
}

/// What somebody does to a row.
type Touch = fn(&mut KeySetRow);

#[tokio::test]
async fn a_kept_set_that_was_changed_moved_or_made_younger_is_not_used() {
    let changes: [(&str, Touch); 6] = [
        ("the keys", |row| *row.sealed.last_mut().unwrap() ^= 1),
        ("nothing sealed", |row| row.sealed = br#"{"keys":[]}"#.to_vec()),
        ("the issuer", |row| row.issuer = Issuer::parse("https://login.example.com/").unwrap()),
        ("the metadata", |row| row.metadata.push('x')),
        ("where it was read", |row| row.jwks_uri.push('x')),
        ("when", |row| row.read_at = row.read_at.plus(Duration::from_millis(1))),
    ];
    for (what, change) in changes {
        let (host, verdict) = Host::after_an_outage(change).await;
        assert!(verdict.is_err_and(|why| why.is_unavailable()), "{what}");
        // As if there had been none: once the provider answers, it is asked.
        host.issuer.set_down(false);
        host.clock.advance(MINUTE);
        host.verify(&host.token()).await.unwrap();
    }
}

#[tokio::test]
async fn the_set_of_one_issuer_is_not_anothers() {
    // Everything as it should be, but for whose it is: both parts of the place are changed together.
    let other = "https://other.example.com";
    let (_, verdict) = Host::after_an_outage(|_| {}).await;
    verdict.unwrap();
    let mut host = Host::new().await;
    host.verify(&host.token()).await.unwrap();
    {
        let mut rows = host.rows.0.lock().unwrap();
        let mut moved = rows[0].clone();
        moved.issuer = Issuer::parse(other).unwrap();
        moved.metadata = format!("{other}/.well-known/openid-configuration");
        rows.push(moved);
    }
    host.issuer.set_down(true);
    let rule = IssuerRule { audiences: vec![AUDIENCE.into()], ..IssuerRule::new(Issuer::parse(other).unwrap()) };
    host.authorizer = Authorizer::new("other", vec![rule]).unwrap();
    host.restart().await;
    let mut claims = host.issuer.claims("alice", AUDIENCE, host.clock.now());
    claims["iss"] = json!(other);
    let why = host.verify(&host.issuer.sign(claims)).await.unwrap_err();
    assert!(why.is_unavailable(), "{why}");
}

#[tokio::test]
async fn however_often_a_host_starts_its_last_keys_serve_for_a_day() {
    let mut host = Host::new().await;
    let token = host.token();
    host.verify(&token).await.unwrap();
    host.issuer.set_down(true);
    for _ in 0..23 {
        host.clock.advance(HOUR);
        host.restart().await;
        host.verify(&token).await.unwrap();
    }
    host.clock.advance(HOUR);
    // Neither the host that ran on nor one that starts now.
    assert!(host.verify(&token).await.unwrap_err().is_unavailable());
    host.restart().await;
    assert!(host.verify(&token).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_key_that_is_gone_stays_gone() {
    let mut host = Host::new().await;
    let old = host.token();
    host.verify(&old).await.unwrap();
    host.clock.advance(MINUTE);
    host.issuer.rotate();
    host.verify(&host.token()).await.unwrap();
    assert_eq!(host.rows.0.lock().unwrap().len(), 1, "the newer set is in the place of the older");
    host.issuer.set_down(true);
    host.restart().await;
    host.verify(&host.token()).await.unwrap();
    assert!(matches!(host.verify(&old).await, Err(Rejected::Key(_))));
}

#[tokio::test]
async fn a_provider_that_answers_is_asked_before_an_old_set_is_used() {
    let mut host = Host::new().await;
    let old = host.token();
    host.verify(&old).await.unwrap();
    host.issuer.rotate();
    host.clock.advance(HOUR);
    host.restart().await;
    assert!(
        matches!(host.verify(&old).await, Err(Rejected::Key(_))),
        "the kept set is an hour old, so the provider is asked"
    );
}

#[tokio::test]
async fn a_set_from_the_future_is_not_used() {
    let mut host = Host::new().await;
    host.verify(&host.token()).await.unwrap();
    host.issuer.set_down(true);
    host.clock.set(host.clock.now().minus(HOUR));
    host.restart().await;
    assert!(host.verify(&host.token()).await.unwrap_err().is_unavailable());
}
