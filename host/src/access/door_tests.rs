//! The door with a real key: what gets in, and that nothing else does.

use super::door::{Door, Refused};
use super::key::{AccessKey, KeyId, KeyRow};
use super::keys::Keys;
use super::rights::{Operations, Workloads};
use super::sigv4_tests::{head, vectors};
use super::testing::{MemoryKeys, Nowhere, sign};
use super::{Caller, Operation};
use crate::clock::{Clock, Timestamp};
use crate::identity::Verifier;
use crate::ids::{Account, AgentName};
use crate::seal::{KeyRing, Sealer};
use crate::secret::Secret;
use base64::Engine as _;
use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const ID: &str = "AKATTESTVECTOR234567";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYTESTVECTOR";
const USER: &str = "x-amzn-bedrock-agentcore-runtime-user-id";

pub(super) struct Bench {
    pub(super) clock: Clock,
    pub(super) rows: Arc<MemoryKeys>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) keys: Arc<Keys>,
    pub(super) door: Arc<Door>,
}

impl Bench {
    /// With one key, and its secret sealed as it always was: account, kind, id, operations, workloads.
    pub(super) async fn new(at: Timestamp, operations: &str, workloads: &str) -> Self {
        let clock = Clock::held(at);
        let sealer = Arc::new(Sealer::new(Arc::new(KeyRing::ephemeral())));
        let rows = Arc::new(MemoryKeys::default());
        let parts: [&[u8]; 5] = [b"test", b"access-key", ID.as_bytes(), operations.as_bytes(), workloads.as_bytes()];
        let sealed = sealer.seal(&parts, &Secret::from_text(SECRET.into())).unwrap();
        let key = AccessKey {
            id: ID.parse().unwrap(),
            name: "test".into(),
            operations: Operations::parse(operations.split(' ')).unwrap(),
            workloads: Workloads::parse(workloads.split(' ')).unwrap(),
            created_at: at,
            created_by: "uid:0".into(),
            last_used_at: None,
            disabled: false,
        };
        rows.rows.lock().unwrap().insert(key.id.clone(), KeyRow { key, sealed });
        let (keys, door) = Self::open(&rows, &sealer, &clock).await;
        Self { clock, rows, sealer, keys, door }
    }

    /// A host that starts on these rows.
    pub(super) async fn open(rows: &Arc<MemoryKeys>, sealer: &Arc<Sealer>, clock: &Clock) -> (Arc<Keys>, Arc<Door>) {
        let account = Account::parse("test").unwrap();
        let keys = Keys::load(rows.clone(), sealer.clone(), account, clock.clone()).await.ok().unwrap();
        let door = Door::new(keys.clone(), None, Verifier::new(Arc::new(Nowhere), clock.clone()), clock.clone());
        (keys, door)
    }

    pub(super) async fn admit(&self, head: &Parts, body: &[u8]) -> Result<Arc<Caller>, Refused> {
        let presented = self.door.present(head)?;
        self.door.admit(presented, body).await
    }

    async fn refusal(&self, head: &Parts, body: &[u8]) -> Refused {
        match self.admit(head, body).await {
            Ok(caller) => panic!("{caller:?} was let in"),
            Err(refused) => refused,
        }
    }

    /// Signed with the key, now.
    pub(super) fn signed(&self, body: &[u8]) -> Parts {
        sign(request(), body, ID, SECRET, "us-east-1", self.clock.now())
    }
}

fn request() -> Request<()> {
    Request::post("/identities/GetWorkloadAccessToken").header("host", "a.example").body(()).unwrap()
}

fn start() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

/// When boto3 sent what it sent.
fn captured_at(head: &Parts) -> Timestamp {
    let text = head.headers["x-amz-date"].to_str().unwrap();
    let time: jiff::Timestamp =
        format!("{}-{}-{}T{}:{}:{}Z", &text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15])
            .parse()
            .unwrap();
    Timestamp::from_secs(time.as_second().try_into().unwrap())
}

#[tokio::test]
async fn boto3_is_let_in_as_its_key_as_often_as_it_likes() {
    let captured = vectors("boto3.json");
    for request in captured["requests"].as_array().unwrap() {
        let head = head(request);
        let body = base64::engine::general_purpose::STANDARD.decode(request["body"].as_str().unwrap()).unwrap();
        let bench = Bench::new(captured_at(&head), "*", "*").await;
        for _ in 0..2 {
            let caller = bench.admit(&head, &body).await.unwrap_or_else(|refused| panic!("{request}: {refused}"));
            assert_eq!(caller.to_string(), format!("key:{ID}"));
            assert!(matches!(caller.region(), Some("us-east-1" | "eu-central-1")));
        }
    }
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_either_way() {
    let bench = Bench::new(start(), "*", "*").await;
    let check = async |signed: Timestamp, good: bool| {
        let head = sign(request(), b"{}", ID, SECRET, "us-east-1", signed);
        match bench.admit(&head, b"{}").await {
            Ok(_) => assert!(good, "{signed}"),
            Err(Refused::Skew { .. }) => assert!(!good, "{signed}"),
            Err(refused) => panic!("{refused}"),
        }
    };
    let now = bench.clock.now();
    for (seconds, good) in [(0, true), (300, true), (301, false), (86_400, false)] {
        check(now.minus(Duration::from_secs(seconds)), good).await;
        check(now.plus(Duration::from_secs(seconds)), good).await;
    }
    // The day in between has a signing key of its own.
    let midnight = Timestamp::from_secs(start().secs() / 86_400 * 86_400 + 86_400);
    bench.clock.advance(midnight.since(now));
    check(midnight.minus(Duration::from_secs(1)), true).await;
    check(midnight, true).await;
}

#[tokio::test]
async fn whoever_is_not_known_is_told_apart_from_whoever_is_wrong() {
    let bench = Bench::new(start(), "*", "*").await;
    let now = bench.clock.now();
    let refused = bench.refusal(&request().into_parts().0, b"").await;
    assert_eq!(refused.exception(), "MissingAuthenticationTokenException");
    let stranger = sign(request(), b"", "AKATAAAAAAAAAAAAAAAA", SECRET, "us-east-1", now);
    let refused = bench.refusal(&stranger, b"").await;
    assert_eq!(refused.exception(), "UnrecognizedClientException");
    assert!(refused.to_string().contains("there is no access key `AKATAAAAAAAAAAAAAAAA`"), "{refused}");
    let wrong = sign(request(), b"", ID, "wrong", "us-east-1", now);
    assert!(matches!(bench.refusal(&wrong, b"").await, Refused::Signature));
    let presigned = Request::get("/tags/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00").body(()).unwrap();
    assert!(matches!(bench.refusal(&presigned.into_parts().0, b"").await, Refused::Presigned));
    let bearer = Request::get("/").header("authorization", "Bearer abc").body(()).unwrap();
    assert!(matches!(bench.refusal(&bearer.into_parts().0, b"").await, Refused::NoPeople));
    let basic = Request::get("/").header("authorization", "Basic abc").body(()).unwrap();
    assert!(matches!(bench.refusal(&basic.into_parts().0, b"").await, Refused::Missing));
    let mut both = bench.signed(b"");
    both.headers.append("authorization", "Bearer abc".parse().unwrap());
    assert!(matches!(bench.refusal(&both, b"").await, Refused::Malformed(_)));
}

#[tokio::test]
async fn a_request_that_cannot_be_told_from_another_is_taken_once_where_it_is_unique() {
    let bench = Bench::new(start(), "*", "*").await;
    let now = bench.clock.now();
    let mut unique = request();
    unique.headers_mut().insert("amz-sdk-invocation-id", "0b5b2d6e-2f25-4b1c-9d5a-000000000001".parse().unwrap());
    let unique = sign(unique, b"{}", ID, SECRET, "us-east-1", now);
    assert!(bench.admit(&unique, b"{}").await.is_ok());
    assert!(matches!(bench.refusal(&unique, b"{}").await, Refused::Replayed));
    bench.clock.advance(Duration::from_secs(300));
    assert!(matches!(bench.refusal(&unique, b"{}").await, Refused::Replayed));
    bench.clock.advance(Duration::from_secs(1));
    assert!(matches!(bench.refusal(&unique, b"{}").await, Refused::Skew { .. }));
    // A forger cannot use a signature up.
    let mut other = request();
    other.headers_mut().insert("amz-sdk-invocation-id", "0b5b2d6e-2f25-4b1c-9d5a-000000000002".parse().unwrap());
    let other = sign(other, b"{}", ID, SECRET, "us-east-1", bench.clock.now());
    assert!(matches!(bench.refusal(&other, b"[]").await, Refused::Signature));
    assert!(bench.admit(&other, b"{}").await.is_ok());
}

#[tokio::test]
async fn the_hash_of_a_body_that_was_declared_must_be_its_hash() {
    let bench = Bench::new(start(), "*", "*").await;
    let declared = |body: &[u8]| {
        let mut request = request();
        let hash = crate::ids::hex(&crate::ids::sha256(body));
        request.headers_mut().insert("x-amz-content-sha256", hash.parse().unwrap());
        request
    };
    let good = sign(declared(b"{}"), b"{}", ID, SECRET, "us-east-1", bench.clock.now());
    assert!(bench.admit(&good, b"{}").await.is_ok());
    let lies = sign(declared(b"[]"), b"{}", ID, SECRET, "us-east-1", bench.clock.now());
    assert!(matches!(bench.refusal(&lies, b"{}").await, Refused::Signature));
}

#[tokio::test]
async fn a_key_may_what_it_was_made_for_and_the_refusal_says_how_to_get_more() {
    let bench = Bench::new(start(), "runtime ListWorkloadIdentities TagResource", "team-*").await;
    let caller = bench.admit(&bench.signed(b""), b"").await.unwrap_or_else(|refused| panic!("{refused}"));
    let team = AgentName::parse("team-mail").unwrap();
    let other = AgentName::parse("payroll").unwrap();
    let permitted = caller.may(Operation::GetResourceOauth2Token, Some(&team)).unwrap();
    assert_eq!((permitted.operation(), permitted.workload()), (Operation::GetResourceOauth2Token, Some(&team)));
    assert_eq!(permitted.actor().caller.as_deref(), Some("key:AKATTESTVECTOR234567"));
    let told = |operation, workload| caller.may(operation, workload).unwrap_err().to_string();
    assert_eq!(
        told(Operation::DeleteWorkloadIdentity, Some(&team)),
        "access key `AKATTESTVECTOR234567` may not `DeleteWorkloadIdentity` for `team-mail`; create one with `attache \
         keys create --operations DeleteWorkloadIdentity --workloads team-mail`"
    );
    assert!(told(Operation::GetResourceOauth2Token, Some(&other)).contains("for `payroll`; create one"));
    // A mistake of ours must not become a permission.
    assert!(told(Operation::GetResourceOauth2Token, None).contains("--workloads NAME"));
    let list = caller.may(Operation::ListWorkloadIdentities, None).unwrap();
    assert!(list.reaches(&team) && !list.reaches(&other));
    assert!(caller.may(Operation::TagResource, None).is_ok());
    assert!(caller.may(Operation::TagResource, Some(&other)).is_err());
    assert!(caller.might(Operation::GetResourceApiKey).is_ok() && caller.might(Operation::RevokeGrant).is_err());
}

#[tokio::test]
async fn a_disabled_key_is_told_only_to_whoever_holds_its_secret() {
    let bench = Bench::new(start(), "*", "*").await;
    let (one, _two) = tokio::net::UnixStream::pair().unwrap();
    let operator = Caller::at_socket(&one).unwrap();
    let id: KeyId = ID.parse().unwrap();
    let permitted = operator.may(Operation::DisableAccessKey, None).unwrap();
    bench.keys.disable(&permitted, &id).await.unwrap();
    let refused = bench.refusal(&bench.signed(b""), b"").await;
    assert!(matches!(refused, Refused::Disabled(_)), "{refused}");
    let wrong = sign(request(), b"", ID, "wrong", "us-east-1", bench.clock.now());
    assert!(matches!(bench.refusal(&wrong, b"").await, Refused::Signature));
    let permitted = operator.may(Operation::DeleteAccessKey, None).unwrap();
    bench.keys.delete(&permitted, &id).await.unwrap();
    assert!(matches!(bench.refusal(&bench.signed(b""), b"").await, Refused::UnknownKey(_)));
}

#[tokio::test]
async fn when_a_key_was_last_used_is_written_once_an_hour() {
    let bench = Bench::new(start(), "*", "*").await;
    let hour = |at: Timestamp| Some(Timestamp::from_secs(at.secs() / 3600 * 3600));
    let used = || bench.rows.rows.lock().unwrap().values().next().unwrap().key.last_used_at;
    let now = bench.clock.now();
    bench.admit(&bench.signed(b""), b"").await.ok().unwrap();
    tokio::task::yield_now().await;
    assert_eq!((used(), bench.keys.list()[0].last_used_at), (hour(now), hour(now)));
    bench.clock.advance(Duration::from_secs(3600));
    bench.admit(&bench.signed(b""), b"").await.ok().unwrap();
    tokio::task::yield_now().await;
    assert_eq!(used(), hour(bench.clock.now()));
    // It is a note: a store that fails keeps nobody out.
    bench.rows.broken.store(true, Ordering::Relaxed);
    bench.clock.advance(Duration::from_secs(3600));
    assert!(bench.admit(&bench.signed(b""), b"").await.is_ok());
}

/// One byte of a request, by what it belongs to.
#[derive(Debug, Clone)]
enum Part {
    Method,
    Path,
    Query,
    Header(usize),
    Authorization,
    Body,
}

fn anything_signed() -> impl Strategy<Value = (String, String, Vec<u8>, String)> {
    (
        "(/[A-Za-z0-9%3A._~-]{1,12}){1,4}/?",
        "[a-z]{1,4}=[A-Za-z0-9%+._~-]{0,8}(&[a-z]{1,4}=[a-z]{0,4}){0,3}",
        any::<Vec<u8>>(),
        "[a-z@. ]{1,16}",
    )
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Method),
        Just(Part::Path),
        Just(Part::Query),
        (0usize..4).prop_map(Part::Header),
        Just(Part::Authorization),
        Just(Part::Body),
    ]
}

/// Changes the byte at `at` into another by `flip`; none where there is nothing to change.
fn changed(text: &[u8], at: usize, flip: u8) -> Option<Vec<u8>> {
    let mut bytes = text.to_vec();
    let at = at.checked_rem(bytes.len())?;
    bytes[at] ^= flip;
    Some(bytes)
}

fn tampered(head: &Parts, body: &[u8], part: &Part, at: usize, flip: u8) -> Option<(Parts, Vec<u8>)> {
    let (mut head, mut body) = (head.clone(), body.to_vec());
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    match part {
        Part::Method => {
            head.method = http::Method::from_bytes(&changed(head.method.as_str().as_bytes(), at, flip)?).ok()?
        }
        Part::Path => {
            let path = String::from_utf8(changed(path.as_bytes(), at, flip)?).ok()?;
            head.uri = format!("{path}?{query}").parse().ok()?;
        }
        Part::Query => {
            let query = String::from_utf8(changed(query.as_bytes(), at, flip)?).ok()?;
            head.uri = format!("{path}?{query}").parse().ok()?;
        }
        Part::Header(index) => {
            let name = ["host", "content-type", USER, "x-amz-date"][*index];
            let value = changed(head.headers[name].as_bytes(), at, flip)?;
            head.headers.insert(name, http::HeaderValue::from_bytes(&value).ok()?);
        }
        Part::Authorization => {
            let value = changed(head.headers["authorization"].as_bytes(), at, flip)?;
            head.headers.insert("authorization", http::HeaderValue::from_bytes(&value).ok()?);
        }
        Part::Body => body = changed(&body, at, flip)?,
    }
    Some((head, body))
}

/// What a client means: HTTP itself does not tell space around a value, nor the order of what is in a query, nor an
/// empty pair of it.
fn meaning(head: &Parts, body: &[u8]) -> impl PartialEq + use<> {
    let mut pairs: Vec<(String, String)> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    pairs.sort();
    let value = |name: &str| head.headers[name].as_bytes().trim_ascii().to_vec();
    // Spaces between the three parts of the header mean nothing.
    let authorization: Vec<u8> = value("authorization").into_iter().filter(|b| *b != b' ').collect();
    let headers = ["host", "content-type", USER, "x-amz-date"].map(value);
    (head.method.clone(), head.uri.path().to_owned(), pairs, headers, authorization, body.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_anywhere_is_refused(
        (path, query, body, user) in anything_signed(), part in part(), at in any::<usize>(), flip in 1u8..,
    ) {
        thread_local! {
            static BENCH: (tokio::runtime::Runtime, Bench) = {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let bench = runtime.block_on(Bench::new(start(), "*", "*"));
                (runtime, bench)
            };
        }
        let user = user.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let request = Request::post(format!("{path}?{query}"))
            .header("host", "a.example").header("content-type", "application/json").header(USER, &user)
            .body(()).unwrap();
        BENCH.with(|(runtime, bench)| runtime.block_on(async {
            let untidy = path.split('/').any(|segment| segment == "." || segment == "..");
            prop_assume!(!untidy);
            let head = sign(request, &body, ID, SECRET, "us-east-1", bench.clock.now());
            prop_assert!(bench.admit(&head, &body).await.is_ok());
            let Some((bad, bad_body)) = tampered(&head, &body, &part, at, flip) else { return Ok(()) };
            if meaning(&bad, &bad_body) == meaning(&head, &body) {
                return Ok(());
            }
            let result = bench.admit(&bad, &bad_body).await;
            prop_assert!(result.is_err(), "{part:?} {at} {flip}: {bad:?}");
            Ok(())
        }))?;
    }
}
