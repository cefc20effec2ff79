//! Who calls, from outside: keys in a real store, and people with real tokens.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../tests/suite/src/issuer.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other packages, which use other parts of it")]
mod issuer;

use attache::access::{Caller, Door, Keys, NewKey, Operation, Operations, People, Refused, Who, Workloads};
use attache::clock::{Clock, Timestamp};
use attache::identity::{Authorizer, ClaimRule, Condition, IssuerRule, Verifier};
use attache::ids::{Account, AgentName};
use attache::seal::{KeyRing, Sealer};
use attache::store::Store;
use http::Request;
use issuer::TestIssuer;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const AUDIENCE: &str = "https://agents.example.com";

struct Bed {
    issuer: TestIssuer,
    clock: Clock,
    door: Arc<Door>,
}

fn operations(text: &str) -> Operations {
    Operations::parse(text.split(' ')).unwrap()
}

fn workloads(text: &str) -> Workloads {
    Workloads::parse(text.split(' ')).unwrap()
}

async fn keys(folder: &Path, clock: &Clock) -> Arc<Keys> {
    let ring = KeyRing::open_or_create(&folder.join("keyring.toml")).unwrap();
    let store = Store::open(&folder.join("attache.db")).unwrap();
    let account = Account::parse("test").unwrap();
    Keys::load(store, Arc::new(Sealer::new(Arc::new(ring))), account, clock.clone()).await.unwrap()
}

impl Bed {
    /// Whoever is in the group `operators` may look at everything, and change `team-*`.
    async fn new(folder: &Path) -> Self {
        let issuer = TestIssuer::new("https://login.example.com");
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let rule = IssuerRule {
            audiences: vec![AUDIENCE.into()],
            claims: vec![ClaimRule { path: vec!["groups".into()], condition: Condition::Contains(json!("operators")) }],
            ..IssuerRule::new(issuer.issuer())
        };
        let people = People {
            authorizer: Arc::new(Authorizer::new("operators", vec![rule]).unwrap()),
            operations: operations("Get* List* DeleteWorkloadIdentity"),
            workloads: workloads("team-*"),
        };
        let verifier = Verifier::new(issuer.documents(), clock.clone());
        let door = Door::new(keys(folder, &clock).await, Some(people), verifier, clock.clone());
        Self { issuer, clock, door }
    }

    async fn with_token(&self, token: &str) -> Result<Arc<Caller>, Refused> {
        let request = Request::get("/v1/x").header("authorization", format!("Bearer {token}")).body(()).unwrap();
        self.door.admit(self.door.present(&request.into_parts().0)?, b"").await
    }

    fn token(&self, subject: &str, groups: &[&str]) -> String {
        let mut claims = self.issuer.claims(subject, AUDIENCE, self.clock.now());
        claims["groups"] = json!(groups);
        self.issuer.sign(claims)
    }
}

fn operator() -> Arc<Caller> {
    let (one, _two) = tokio::net::UnixStream::pair().unwrap();
    Caller::at_socket(&one).unwrap()
}

#[tokio::test]
async fn people_come_with_a_token_of_the_operators_issuer_and_may_what_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::new(folder.path()).await;
    let olga = bed.with_token(&bed.token("olga", &["staff", "operators"])).await.unwrap();
    assert!(matches!(olga.who(), Who::Person(user) if user.id().subject.as_str() == "olga"));
    assert_eq!(olga.actor().caller.as_deref(), Some("person:olga at https://login.example.com"));
    let (team, payroll) = (AgentName::parse("team-mail").unwrap(), AgentName::parse("payroll").unwrap());
    assert!(olga.may(Operation::DeleteWorkloadIdentity, Some(&team)).is_ok());
    let list = olga.may(Operation::ListWorkloadIdentities, None).unwrap();
    assert!(list.reaches(&team) && !list.reaches(&payroll));
    let told = olga.may(Operation::DeleteWorkloadIdentity, Some(&payroll)).unwrap_err().to_string();
    assert!(told.starts_with("`olga at https://login.example.com` may not `DeleteWorkloadIdentity` for `payroll`"));
    assert!(told.ends_with("under `[operators]`"), "{told}");
    assert!(olga.may(Operation::CreateAccessKey, None).is_err());

    let user = bed.with_token(&bed.token("alice", &["staff"])).await.unwrap_err();
    assert_eq!(user.exception(), "UnauthorizedException");
    let token = bed.token("olga", &["operators"]);
    bed.clock.advance(Duration::from_secs(86_400));
    assert!(matches!(bed.with_token(&token).await.unwrap_err(), Refused::Token(_)));
}

#[tokio::test]
async fn keys_outlive_the_host_and_their_secrets_are_not_in_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    let (secret, made, deleted) = {
        let keys = keys(folder.path(), &clock).await;
        let permitted = operator().may(Operation::CreateAccessKey, None).unwrap();
        let new = |name: &str| NewKey::new(name.into(), operations("runtime List*"), workloads("team-* billing"));
        let (one, two) =
            (keys.create(&permitted, new("one")).await.unwrap(), keys.create(&permitted, new("two")).await);
        let (one, two) = (one, two.unwrap());
        keys.disable(&operator().may(Operation::DisableAccessKey, None).unwrap(), &one.key.id).await.unwrap();
        keys.delete(&operator().may(Operation::DeleteAccessKey, None).unwrap(), &two.key.id).await.unwrap();
        (one.shown().to_owned(), keys.list(), two.key.id.clone())
    };
    let again = keys(folder.path(), &clock).await;
    assert_eq!(again.list(), made);
    assert!(made.len() == 1 && made[0].disabled && made[0].id != deleted);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
