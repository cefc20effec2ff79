use super::*;
use crate::directory::{Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use crate::ids::{AgentName, Digest, TrustDomain};
use futures_util::future::BoxFuture;
use std::sync::LazyLock;

/// One issuer for all tests of this room: an RSA key takes its time.
pub(in crate::oauth) fn issuer() -> Arc<WorkloadIssuer> {
    static ISSUER: LazyLock<Arc<WorkloadIssuer>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let url = url::Url::parse("https://agents.example.com/").unwrap();
        Arc::new(WorkloadIssuer::open_or_create(&folder.path().join("tokens.pem"), &url).unwrap())
    });
    Arc::clone(&ISSUER)
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn read(token: &str) -> (Value, Value) {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let mut parts = token.split('.');
    (part(parts.next().unwrap()), part(parts.next().unwrap()))
}

type Pairs = Vec<(String, String)>;

/// What is sent: the form, and the authorization header.
fn applied(
    authentication: &ClientAuthentication,
    workload: Option<&Workload>,
) -> Result<(Pairs, Option<HeaderValue>), OAuthError> {
    let (mut form, mut headers) = (Form::new(), HeaderMap::new());
    let issuer = issuer();
    let asking = Asking { client_id: "client:1", audience: "https://as.example", workload, issuer: &issuer, now: NOW };
    authentication.apply(&asking, &mut form, &mut headers)?;
    let pairs = form.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(headers.len() <= 1);
    Ok((pairs, headers.remove(AUTHORIZATION)))
}

fn names(pairs: &[(String, String)]) -> Vec<&str> {
    pairs.iter().map(|(name, _)| name.as_str()).collect()
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(SigningAlgorithm::Es256).unwrap())
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn keyed(header: Value, claims: Value) -> ClientAuthentication {
    ClientAuthentication::PrivateKeyJwt(Arc::new(PrivateKeyJwt::new(key(), object(header), object(claims)).unwrap()))
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

/// A workload as the directory knows it.
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

#[test]
fn each_way_sends_what_it_needs_and_nothing_else() {
    let secret = || Arc::new(Secret::from_text("s e+c:ret%".into()));
    let (form, header) = applied(&ClientAuthentication::Basic(secret()), None).unwrap();
    let header = header.unwrap();
    assert!(form.is_empty() && header.is_sensitive());
    assert_eq!(header.to_str().unwrap(), format!("Basic {}", STANDARD.encode("client%3A1:s+e%2Bc%3Aret%25")));

    let (form, header) = applied(&ClientAuthentication::Post(secret()), None).unwrap();
    assert_eq!(form, [("client_id", "client:1"), ("client_secret", "s e+c:ret%")].map(|(a, b)| (a.into(), b.into())));
    assert!(header.is_none());

    assert_eq!(names(&applied(&ClientAuthentication::None, None).unwrap().0), ["client_id"]);
    assert!(applied(&ClientAuthentication::Anonymous, None).unwrap().0.is_empty());
}

#[test]
fn a_client_assertion_is_about_us_for_one_server_and_a_minute() {
    let client = keyed(serde_json::json!({ "x5t": "abc" }), serde_json::json!({ "custom": 1 }));
    let (form, header) = applied(&client, None).unwrap();
    assert!(header.is_none());
    assert_eq!(names(&form), ["client_id", "client_assertion_type", "client_assertion"]);
    assert_eq!(form[1].1, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let (header, claims) = read(&form[2].1);
    assert_eq!((&header["alg"], &header["typ"], &header["x5t"]), (&"ES256".into(), &"JWT".into(), &"abc".into()));
    assert!(header["kid"].is_string());
    let jti = claims["jti"].as_str().unwrap().to_owned();
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": "client:1", "sub": "client:1", "aud": "https://as.example", "jti": jti, "custom": 1,
            "iat": 1_800_000_000_u64, "exp": 1_800_000_060_u64,
        })
    );
    let (again, _) = applied(&client, None).unwrap();
    assert_ne!(read(&again[2].1).1["jti"], jti.as_str());
}

#[test]
fn what_is_added_to_an_assertion_says_nothing_else_of_who_we_are() {
    let refused = |header: Value, claims: Value| {
        PrivateKeyJwt::new(key(), object(header), object(claims)).err().unwrap().to_string()
    };
    for name in ["alg", "typ", "jwk", "crit", "b64", "zip", "enc"] {
        let said = refused(serde_json::json!({ name: "x" }), serde_json::json!({}));
        assert_eq!(said, format!("the header member `{name}` is set by the host; remove it"));
    }
    for name in ["iss", "sub", "jti", "iat", "exp"] {
        let said = refused(serde_json::json!({}), serde_json::json!({ name: "x" }));
        assert_eq!(said, format!("the claim `{name}` is set by the host; remove it"));
    }
    assert!(refused(serde_json::json!({}), serde_json::json!({ "a b": 1 })).contains("the claim `a b` must be named"));
    let eleven = || Value::Object((0..11).map(|n| (format!("c{n}"), n.into())).collect());
    assert!(refused(eleven(), serde_json::json!({})).contains("10 more header members"));
    assert!(refused(serde_json::json!({}), eleven()).contains("10 more header members"));
    let named = keyed(serde_json::json!({ "kid": "mine" }), serde_json::json!({ "aud": "https://other.example" }));
    let (header, claims) = read(&applied(&named, None).unwrap().0[2].1);
    assert_eq!((&header["kid"], &claims["aud"]), (&"mine".into(), &"https://other.example".into()));
}

#[tokio::test]
async fn a_workload_is_vouched_for_and_nobody_stands_in_for_it() {
    let workload = workload().await;
    let own = WorkloadJwt { audience: None, algorithm: SigningAlgorithm::Rs256 };
    let (form, _) = applied(&ClientAuthentication::WorkloadJwt(own.clone()), Some(&workload)).unwrap();
    assert_eq!(names(&form), ["client_id", "client_assertion_type", "client_assertion"]);
    let (header, claims) = read(&form[2].1);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], "https://agents.example.com");
    assert_eq!(claims["sub"], "spiffe://example.com/agent/calendar");
    assert_eq!(claims["aud"], "https://as.example");
    assert_eq!(claims["exp"], 1_800_000_060_u64);

    let other = WorkloadJwt { audience: Some("api://exchange".into()), ..own };
    let (form, _) = applied(&ClientAuthentication::WorkloadJwt(other.clone()), Some(&workload)).unwrap();
    assert_eq!(read(&form[2].1).1["aud"], "api://exchange");

    let refused = applied(&ClientAuthentication::WorkloadJwt(other), None).err().unwrap();
    assert!(matches!(&refused, OAuthError::Configuration(why) if why.contains("no workload is asking")), "{refused}");
}
