use super::*;
use crate::directory::{Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use crate::ids::{AgentName, Digest, TrustDomain};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use std::sync::{Arc, OnceLock};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn url() -> Url {
    Url::parse("https://agents.example.com/").unwrap()
}

fn open(path: &Path) -> Result<WorkloadIssuer, IssuerError> {
    WorkloadIssuer::open_or_create(path, &url())
}

/// The text of new keys, made once: an RSA key takes its time.
fn keys() -> &'static str {
    static KEYS: OnceLock<String> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        open(&folder.path().join("tokens.pem")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left behind");
        let path = folder.path().join("tokens.pem");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(path).unwrap()
    })
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.pem");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn issuer() -> WorkloadIssuer {
    open(&file(keys()).1).unwrap()
}

struct Nowhere;

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

async fn workload() -> Workload {
    let domain = TrustDomain::parse("example.com").unwrap();
    let clock = crate::clock::Clock::held(NOW);
    let directory = Directory::load(Arc::new(Nowhere), domain, Default::default(), clock).await.unwrap();
    let name = AgentName::parse("calendar").unwrap();
    let deployment = Deployment {
        name: name.clone(),
        digest: Digest::of(b"calendar"),
        publisher: "ann".into(),
        by: "ann".into(),
        allowed_return_urls: None,
        source: None,
        authority: crate::directory::Authority::none(),
    };
    directory.deploy(deployment).await.unwrap();
    Workload::of(&directory.resolve(&name).unwrap())
}

fn claims(token: &Secret) -> Value {
    let payload = token.expose_text().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn the_same_keys_after_a_restart() {
    let (_folder, path) = file(keys());
    let (first, second) = (open(&path).unwrap().key_set(), open(&path).unwrap().key_set());
    assert_eq!(first, second);
    let algorithms: Vec<_> = first["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect();
    assert_eq!(algorithms, ["ES256", "RS256"]);
    assert!(!first.to_string().contains("\"d\""));
}

#[tokio::test]
async fn of_each_algorithm_the_first_key_signs_and_all_are_published() {
    let newer = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let text = format!("{}{}", newer.to_pem().unwrap().expose_text().unwrap(), keys());
    let issuer = open(&file(&text).1).unwrap();
    assert_eq!(issuer.key_set()["keys"].as_array().unwrap().len(), 3);
    let token = issuer
        .assert(&workload().await, "a", SigningAlgorithm::Es256, Duration::from_secs(60), &Map::new(), NOW)
        .unwrap();
    let header = token.expose_text().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header["kid"], newer.kid());
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let (_folder, path) = file(keys());
    for mode in [0o640, 0o604, 0o644, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(open(&path), Err(IssuerError::Exposed { .. })), "{mode:o}");
    }
}

#[test]
fn damaged_keys_are_refused_and_never_replaced() {
    let elliptic = SigningKey::generate(SigningAlgorithm::Es256).unwrap().to_pem().unwrap();
    for (text, says) in [
        ("", "no private key"),
        (&keys()[..200], "no private key"),
        ("hunter2", "no private key"),
        (elliptic.expose_text().unwrap(), "none for `RS256`"),
    ] {
        let (_folder, path) = file(text);
        let error = open(&path).err().unwrap();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let said = format!("{error}: {cause}");
        assert!(said.contains(says) && said.contains("move them away") && !said.contains("hunter2"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_workload_token_says_who_which_bytes_for_whom_and_how_long() {
    let (issuer, workload) = (issuer(), workload().await);
    let extra = Map::from_iter([("team".to_owned(), Value::from("a"))]);
    let assert = |lifetime| {
        issuer.assert(&workload, "sts.example", SigningAlgorithm::Es256, Duration::from_secs(lifetime), &extra, NOW)
    };
    let said = claims(&assert(300).unwrap());
    assert_eq!(
        said,
        json!({
            "iss": "https://agents.example.com", "sub": "spiffe://example.com/agent/calendar", "aud": "sts.example",
            "iat": 1_800_000_000_u64, "nbf": 1_800_000_000_u64, "exp": 1_800_000_300_u64, "jti": said["jti"],
            "urn:attache:digest": Digest::of(b"calendar").to_string(), "team": "a",
        })
    );
    assert_ne!(claims(&assert(300).unwrap())["jti"], said["jti"]);
    assert_eq!(claims(&assert(86_400).unwrap())["exp"], 1_800_003_600_u64);
}

#[tokio::test]
async fn no_claim_of_the_hosts_is_replaced() {
    let (issuer, workload) = (issuer(), workload().await);
    for name in RESERVED {
        let extra = Map::from_iter([(name.to_owned(), Value::from("mine"))]);
        let life = Duration::from_secs(60);
        let outcome = issuer.assert(&workload, "a", SigningAlgorithm::Es256, life, &extra, NOW);
        assert_eq!(outcome.err(), Some(AssertError::Reserved(name.into())));
    }
    let outcome = issuer.assert(&workload, "a", SigningAlgorithm::EdDsa, Duration::ZERO, &Map::new(), NOW);
    assert_eq!(outcome.err(), Some(AssertError::Algorithm(SigningAlgorithm::EdDsa)));
}
