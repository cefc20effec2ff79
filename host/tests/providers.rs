//! Credential providers that are made while the host runs: over the real store, real files, and real discovery on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::clock::{Clock, Timestamp};
use attache::directory::Tags;
use attache::egress::{Client, ClientConfig, Destinations, Placement};
use attache::ids::{Account, ProviderName};
use attache::oauth::{ClientAuthentication, Endpoints, OAuth};
use attache::providers::*;
use attache::seal::{KeyRing, Sealer};
use attache::secret::Secret;
use attache::store::Store;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Bench {
    folder: tempfile::TempDir,
    clock: Clock,
    ring: Arc<KeyRing>,
    providers: Arc<Providers>,
    changes: Arc<Mutex<Vec<Change>>>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        Self::over(folder).await
    }

    async fn over(folder: tempfile::TempDir) -> Self {
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let ring = Arc::new(KeyRing::open_or_create(&folder.path().join("keyring.toml")).unwrap());
        let client = Client::new(&ClientConfig::development()).ok().unwrap();
        let managed = Managed {
            rows: Store::open(&folder.path().join("a.db")).unwrap(),
            sealer: Arc::new(Sealer::new(Arc::clone(&ring))),
            account: Account::parse("default").unwrap(),
            builder: Builder {
                oauth: OAuth::new(client, support::workload_issuer(), clock.clone()),
                folder: Some(SecretFolder::new(folder.path().join("secrets"))),
            },
        };
        let fixed = ApiKeyProvider::new(
            name("weather"),
            SecretSource::Fixed(Arc::new(secret("k3y-of-the-file"))),
            Placement::Bearer,
            Destinations::parse(["https://weather.example"]).unwrap(),
        );
        let configured = [CredentialProvider::ApiKey(Arc::new(fixed))];
        let url = "https://attache.example/".parse().unwrap();
        let providers = Providers::load(configured, managed, url, clock.clone()).await.unwrap();
        let changes: Arc<Mutex<Vec<Change>>> = Arc::default();
        let seen = Arc::clone(&changes);
        providers.on_change(move |change| seen.lock().unwrap().push(change.clone()));
        Self { folder, clock, ring, providers, changes }
    }

    /// Ends the host and starts it anew over the same files.
    async fn restart(self) -> Self {
        let Self { folder, providers, .. } = self;
        drop(providers);
        Self::over(folder).await
    }

    fn file(&self, id: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join("secrets").join(id);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::set_permissions(path.with_extension("new"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        path
    }

    fn key(&self, provider: &str) -> Result<String, String> {
        let Ok(CredentialProvider::ApiKey(provider)) = self.providers.usable(&name(provider)) else {
            panic!("{provider} is no key")
        };
        let key = provider.key(self.clock.now()).map_err(|error| error.to_string())?;
        Ok(key.expose_text().unwrap().to_owned())
    }

    fn client_secret(&self, provider: &str) -> Result<String, String> {
        match self.providers.usable(&name(provider)).map_err(|error| error.to_string())? {
            CredentialProvider::Oauth2(provider) => match &provider.client_authentication {
                ClientAuthentication::Basic(secret) | ClientAuthentication::Post(secret) => {
                    Ok(secret.expose_text().unwrap().to_owned())
                }
                _ => Err("has no secret".into()),
            },
            CredentialProvider::ApiKey(_) => Err("is a key".into()),
        }
    }
}

fn name(text: &str) -> ProviderName {
    ProviderName::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from_text(text.into())
}

fn kept_here(text: &str) -> SecretInput {
    SecretInput::Managed(secret(text))
}

fn external(id: &str) -> SecretInput {
    SecretInput::External { secret_id: id.into(), json_key: None }
}

fn key(text: &str) -> ApiKeyInput {
    let place = Some(KeyPlace::Header { name: "X-Api-Key".into(), prefix: "Token ".into() });
    ApiKeyInput { settings: ApiKeySettings { place, hosts: vec!["api.example".into()] }, key: kept_here(text) }
}

fn settings(vendor: &str) -> Oauth2Settings {
    Oauth2Settings {
        vendor: vendor.into(),
        client_id: "our-client".into(),
        authentication: None,
        tenant: None,
        issuer: None,
        authorization_endpoint: None,
        token_endpoint: None,
        discovery: None,
        on_behalf_of: None,
        hosts: None,
    }
}

fn custom(token: &str) -> Oauth2Settings {
    Oauth2Settings {
        authorization_endpoint: Some("https://third.example/authorize".into()),
        token_endpoint: Some(token.into()),
        ..settings("CustomOauth2")
    }
}

fn with_secret(settings: Oauth2Settings) -> Oauth2Input {
    Oauth2Input { settings, secret: kept_here("s3cret-of-the-client") }
}

fn no_tags() -> Tags {
    Tags::default()
}

#[tokio::test]
async fn what_was_made_is_there_after_a_restart_and_its_facts_hold_no_secret() {
    let bench = Bench::new().await;
    let tags = Tags::parse([("team".to_owned(), "weather".to_owned())]).unwrap();
    let made = bench.providers.create_api_key("figma", key("k3y-canary-1"), tags).await.unwrap();
    let third =
        bench.providers.create_oauth2("third", with_secret(custom("https://third.example/token")), no_tags()).await;
    let third = third.unwrap();
    assert_eq!(third.callback_url.as_ref().unwrap().as_str(), "https://attache.example/oauth2/callback/third");
    let bench = bench.restart().await;
    assert_eq!(bench.providers.facts_of(Kind::ApiKey, "figma").unwrap(), made);
    assert_eq!(bench.providers.facts_of(Kind::Oauth2, "third").unwrap(), third);
    assert_eq!(bench.key("figma").unwrap(), "k3y-canary-1");
    assert_eq!(bench.client_secret("third").unwrap(), "s3cret-of-the-client");
    for facts in [format!("{made:?}"), format!("{third:?}")] {
        assert!(!facts.contains("canary") && !facts.contains("s3cret"), "{facts}");
    }
    let stored = ["a.db", "a.db-wal"].map(|file| std::fs::read(bench.folder.path().join(file)).unwrap_or_default());
    for bytes in stored {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("k3y-canary-1") && !text.contains("s3cret-of-the-client"));
    }
}

#[tokio::test]
async fn names_are_one_set_over_kinds_and_origins() {
    let bench = Bench::new().await;
    bench.providers.create_api_key("figma", key("k3y-canary-1"), no_tags()).await.unwrap();
    let third = || with_secret(custom("https://third.example/token"));
    for taken in ["figma", "weather"] {
        let again = bench.providers.create_api_key(taken, key("k3y-canary-2"), no_tags()).await;
        assert_eq!(again.unwrap_err(), ManageError::Taken(name(taken)));
        let other = bench.providers.create_oauth2(taken, third(), no_tags()).await;
        assert_eq!(other.unwrap_err(), ManageError::Taken(name(taken)));
    }
    // At the same time only one is made.
    let all = (0..8).map(|n| {
        let key = key(&format!("k3y-canary-{n}"));
        bench.providers.create_api_key("race", key, no_tags())
    });
    let made = futures_util::future::join_all(all).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(bench.providers.facts_of(Kind::Oauth2, "figma").unwrap_err(), ManageError::Unknown("figma".into()));
}

#[tokio::test]
async fn what_is_configured_is_not_changed_here() {
    let bench = Bench::new().await;
    let configured = ManageError::Configured(name("weather"));
    assert_eq!(bench.providers.update_api_key("weather", key("k3y-canary-1")).await.unwrap_err(), configured);
    assert_eq!(bench.providers.delete(Kind::ApiKey, "weather").await.unwrap_err(), configured);
    assert_eq!(bench.providers.tag(Kind::ApiKey, "weather", no_tags()).await.unwrap_err(), configured);
    assert!(configured.to_string().contains("change it there"));
    assert_eq!(bench.key("weather").unwrap(), "k3y-of-the-file");
    assert!(!bench.providers.facts_of(Kind::ApiKey, "weather").unwrap().managed);
}

#[tokio::test]
async fn a_change_acts_at_once_and_whoever_listens_is_told_before_the_answer() {
    let bench = Bench::new().await;
    bench
        .providers
        .create_oauth2("third", with_secret(custom("https://third.example/token")), no_tags())
        .await
        .unwrap();
    let edition = bench.providers.edition(&name("third")).unwrap();
    let same = Oauth2Input { settings: custom("https://third.example/token"), secret: kept_here("rotated-secret") };
    bench.providers.update_oauth2("third", same).await.unwrap();
    assert_eq!(bench.client_secret("third").unwrap(), "rotated-secret");
    let moved = Oauth2Input { settings: custom("https://other.example/token"), secret: kept_here("another-secret") };
    bench.providers.update_oauth2("third", moved).await.unwrap();
    assert_eq!(bench.client_secret("third").unwrap(), "another-secret");
    assert!(bench.providers.edition(&name("third")).unwrap() > edition);
    bench.providers.delete(Kind::Oauth2, "third").await.unwrap();
    assert!(bench.providers.find(&name("third")).is_none());
    let third = name("third");
    let expected = [
        Change::Created(third.clone()),
        Change::Updated { name: third.clone(), elsewhere: false },
        Change::Updated { name: third.clone(), elsewhere: true },
        Change::Deleted(third.clone()),
    ];
    assert_eq!(*bench.changes.lock().unwrap(), expected);
    let bench = bench.restart().await;
    assert!(bench.providers.edition(&third).is_none());
}

/// Who may change a provider does not know its secret, and does not get it by naming an address of their own.
#[tokio::test]
async fn a_secret_that_is_not_sent_again_goes_nowhere_new() {
    let bench = Bench::new().await;
    bench.file("kept", "s3cret-of-the-operator");
    let at = |token: &str| custom(&format!("https://{token}/token"));
    let third = with_secret(at("third.example"));
    bench.providers.create_oauth2("third", third, no_tags()).await.unwrap();
    let fourth = Oauth2Input { settings: at("third.example"), secret: external("kept") };
    bench.providers.create_oauth2("fourth", fourth, no_tags()).await.unwrap();
    let other_client = Oauth2Settings { client_id: "another".into(), ..at("third.example") };
    for provider in ["third", "fourth"] {
        let before = bench.client_secret(provider).unwrap();
        for settings in [at("evil.example"), other_client.clone()] {
            let input = Oauth2Input { settings, secret: SecretInput::Unchanged };
            match bench.providers.update_oauth2(provider, input).await.unwrap_err() {
                ManageError::Input { field: "client_secret", reason } => assert!(reason.contains("send it anew")),
                other => panic!("{other}"),
            }
        }
        let facts = bench.providers.facts_of(Kind::Oauth2, provider).unwrap();
        assert!(matches!(facts.endpoints, Some(Endpoints::Static(server)) if server.token.as_str().contains("third")));
        // Where nothing moves it stays: its hosts are for tokens.
        let settings = Oauth2Settings { hosts: Some(vec!["api.third.example".into()]), ..at("third.example") };
        let same = Oauth2Input { settings, secret: SecretInput::Unchanged };
        bench.providers.update_oauth2(provider, same).await.unwrap();
        assert_eq!(bench.client_secret(provider).unwrap(), before);
    }

    bench.providers.create_api_key("figma", key("k3y-canary-1"), no_tags()).await.unwrap();
    let to = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        ApiKeyInput { settings: ApiKeySettings { place: None, hosts }, key: SecretInput::Unchanged }
    };
    for hosts in [&["evil.example"][..], &["api.example", "evil.example"]] {
        let refused = bench.providers.update_api_key("figma", to(hosts)).await.unwrap_err();
        assert!(matches!(refused, ManageError::Input { field: "key", .. }), "{refused}");
    }
    bench.providers.update_api_key("figma", to(&["api.example"])).await.unwrap();
    assert_eq!(bench.key("figma").unwrap(), "k3y-canary-1");
}

#[tokio::test]
async fn half_a_description_is_refused_and_the_field_is_named() {
    let bench = Bench::new().await;
    let full = || custom("https://third.example/token");
    let metadata = |methods: &[&str], types: &[&str]| Metadata {
        issuer: "https://third.example".into(),
        authorization_endpoint: "https://third.example/authorize".into(),
        token_endpoint: "https://third.example/token".into(),
        response_types: types.iter().map(|one| (*one).to_owned()).collect(),
        token_endpoint_auth_methods: methods.iter().map(|one| (*one).to_owned()).collect(),
    };
    let described =
        |metadata| Oauth2Settings { discovery: Some(Discovery::Metadata(metadata)), ..settings("CustomOauth2") };
    let cases = [
        ("vendor", settings("NobodyOauth2")),
        ("client_id", Oauth2Settings { client_id: String::new(), ..full() }),
        ("endpoints", settings("CustomOauth2")),
        ("token_endpoint", Oauth2Settings { token_endpoint: None, ..full() }),
        ("authorization_endpoint", Oauth2Settings { authorization_endpoint: None, ..full() }),
        ("token_endpoint", custom("http://third.example/token")),
        ("token_endpoint", custom("nonsense")),
        ("hosts", Oauth2Settings { hosts: Some(vec!["*.example".into()]), ..full() }),
        ("discovery", Oauth2Settings { discovery: described(metadata(&[], &[])).discovery, ..full() }),
        ("discovery", Oauth2Settings { vendor: "GithubOauth2".into(), ..described(metadata(&[], &[])) }),
        ("response_types", described(metadata(&[], &["token"]))),
        ("token_endpoint_auth_methods", described(metadata(&["private_key_jwt"], &[]))),
        ("client_secret", Oauth2Settings { authentication: Some(Authentication::None), ..full() }),
        (
            "discovery_url",
            Oauth2Settings {
                discovery: Some(Discovery::Url("https://a.example/x".into())),
                ..settings("CustomOauth2")
            },
        ),
        ("tenant", settings("OktaOauth2")),
    ];
    for (field, settings) in cases {
        let said = format!("{settings:?}");
        match bench.providers.create_oauth2("third", with_secret(settings), no_tags()).await {
            Err(ManageError::Input { field: named, reason }) if named == field => assert!(!reason.is_empty()),
            Err(other) => panic!("{field}: {other} for {said}"),
            Ok(_) => panic!("{field}: {said}"),
        }
    }
    let none = Oauth2Input { settings: full(), secret: SecretInput::None };
    let error = bench.providers.create_oauth2("third", none, no_tags()).await.unwrap_err();
    assert!(matches!(error, ManageError::Input { field: "client_secret", .. }), "{error}");
    for (field, key) in [
        ("key", key("short")),
        ("key", key("")),
        ("key", key("two words 123")),
        (
            "hosts",
            ApiKeyInput { settings: ApiKeySettings { place: None, hosts: vec!["a b".into()] }, ..key("k3y-canary-1") },
        ),
    ] {
        let error = bench.providers.create_api_key("figma", key, no_tags()).await.unwrap_err();
        assert!(matches!(error, ManageError::Input { field: named, .. } if named == field), "{error}");
    }
    assert!(bench.providers.page(Kind::Oauth2, None, None).unwrap().items.is_empty());
}

#[tokio::test]
async fn a_vendor_brings_its_own_endpoints_and_hosts() {
    let bench = Bench::new().await;
    let made = bench.providers.create_oauth2("hub", with_secret(settings("GithubOauth2")), no_tags()).await.unwrap();
    assert!(made.destinations.allows(&"https://api.github.com/user".parse().unwrap()));
    assert!(!made.destinations.allows(&"https://evil.example/".parse().unwrap()));
    assert!(matches!(made.endpoints, Some(Endpoints::Static(_))));
    // A custom one whose hosts are not said goes nowhere from guests.
    let third = with_secret(custom("https://third.example/token"));
    let third = bench.providers.create_oauth2("third", third, no_tags()).await.unwrap();
    assert!(third.destinations.is_empty());
}

/// Answers every request with this text, with its own address put in for `HERE`.
async fn describing(text: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let text = text.replace("HERE", &here);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let _ = socket.write_all(format!("{head}content-length: {}\r\n\r\n{text}", text.len()).as_bytes()).await;
        }
    });
    here
}

#[tokio::test]
async fn discovery_is_tried_when_a_provider_is_made() {
    let bench = Bench::new().await;
    let at =
        |url: String| with_secret(Oauth2Settings { discovery: Some(Discovery::Url(url)), ..settings("CustomOauth2") });
    let honest = r#"{"issuer":"HERE","authorization_endpoint":"HERE/a","token_endpoint":"HERE/t"}"#;
    let here = describing(honest).await;
    let url = format!("{here}/.well-known/openid-configuration");
    let made = bench.providers.create_oauth2("honest", at(url), no_tags()).await.unwrap();
    assert!(matches!(&made.endpoints, Some(Endpoints::Discovery { issuer }) if issuer.as_str() == here));
    for lie in [
        honest.replace("\"issuer\":\"HERE\"", "\"issuer\":\"https://accounts.google.com\""),
        honest.replace(r#","token_endpoint":"HERE/t""#, ""),
        honest.replace(r#""authorization_endpoint":"HERE/a","#, ""),
        honest.replace("HERE/t", "http://third.example/t"),
        "nonsense".into(),
    ] {
        let url = format!("{}/.well-known/openid-configuration", describing(&lie).await);
        let error = bench.providers.create_oauth2("liar", at(url), no_tags()).await.unwrap_err();
        assert!(matches!(error, ManageError::Input { field: "discovery_url", .. }), "{error} for {lie}");
    }
    let gone = at("http://127.0.0.1:9/.well-known/oauth-authorization-server".into());
    assert!(bench.providers.create_oauth2("gone", gone, no_tags()).await.is_err());
}

#[tokio::test]
async fn a_secret_that_the_operator_keeps_is_rotated_without_a_restart() {
    let bench = Bench::new().await;
    let (path, _) = (bench.file("figma", "first-key-1"), bench.file("third", "first-secret"));
    let figma = ApiKeyInput { key: external("figma"), ..key("") };
    bench.providers.create_api_key("figma", figma, no_tags()).await.unwrap();
    let third = Oauth2Input { settings: custom("https://third.example/token"), secret: external("third") };
    bench.providers.create_oauth2("third", third, no_tags()).await.unwrap();
    let bench = bench.restart().await;
    assert_eq!(
        (bench.key("figma").unwrap(), bench.client_secret("third").unwrap()),
        ("first-key-1".into(), "first-secret".into())
    );
    let edition = bench.providers.edition(&name("third"));
    bench.file("figma", "second-key");
    bench.file("third", "second-secret");
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(
        (bench.key("figma").unwrap(), bench.client_secret("third").unwrap()),
        ("second-key".into(), "second-secret".into())
    );
    assert_eq!(bench.providers.edition(&name("third")), edition, "tokens of the same client stay good");
    // A bad file: neither the old one nor nothing is used.
    bench.file("figma", "short");
    bench.file("third", "");
    bench.clock.advance(Duration::from_secs(2));
    assert!(bench.key("figma").unwrap_err().contains("shorter"));
    assert!(bench.client_secret("third").unwrap_err().contains("empty"));
    let facts = bench.providers.facts_of(Kind::Oauth2, "third").unwrap();
    assert!(matches!(facts.status, Status::Failed(_)) && facts.vendor.as_deref() == Some("CustomOauth2"));
    std::fs::remove_file(&path).unwrap();
    bench.clock.advance(Duration::from_secs(2));
    assert!(bench.key("figma").unwrap_err().contains("cannot be read"));
    bench.file("figma", "third-key-3");
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.key("figma").unwrap(), "third-key-3");
    let outside = ApiKeyInput { key: external("../keyring.toml"), ..key("") };
    assert!(bench.providers.create_api_key("outside", outside, no_tags()).await.is_err());
}

#[tokio::test]
async fn a_row_that_was_changed_or_moved_in_the_store_gives_no_secret() {
    for change in [
        "UPDATE credential_provider SET settings = replace(settings, 'third.example/token', 'evil.example/token')",
        "UPDATE credential_provider SET name = 'second' WHERE name = 'third'",
        "UPDATE credential_provider SET generation = 7",
        "UPDATE credential_provider SET kind = 'api-key'",
        "UPDATE credential_provider SET sealed = x'00'",
    ] {
        let bench = Bench::new().await;
        let third = with_secret(custom("https://third.example/token"));
        bench.providers.create_oauth2("third", third, no_tags()).await.unwrap();
        let Bench { folder, providers, .. } = bench;
        drop(providers);
        let changed = rusqlite::Connection::open(folder.path().join("a.db")).unwrap().execute(change, []).unwrap();
        assert_eq!(changed, 1, "{change}");
        let bench = Bench::over(folder).await;
        let listed =
            [Kind::Oauth2, Kind::ApiKey].map(|kind| bench.providers.page(kind, None, None).unwrap().items).concat();
        let broken = listed.iter().find(|facts| facts.managed).unwrap();
        assert!(matches!(broken.status, Status::Failed(_)), "{change}");
        assert!(bench.providers.find(&broken.name).is_none(), "{change}");
        // It can be removed, and its name is free again.
        bench.providers.delete(broken.kind, broken.name.as_str()).await.unwrap();
        bench.providers.create_api_key(broken.name.as_str(), key("k3y-canary-1"), no_tags()).await.unwrap();
    }
}

#[tokio::test]
async fn pages_walk_over_everything_once() {
    let bench = Bench::new().await;
    for n in 0..45 {
        let third = with_secret(custom("https://third.example/token"));
        bench.providers.create_oauth2(&format!("p{n}"), third, no_tags()).await.unwrap();
    }
    let (mut seen, mut next, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let page = bench.providers.page(Kind::Oauth2, next.as_deref(), None).unwrap();
        sizes.push(page.items.len());
        seen.extend(page.items.into_iter().map(|facts| facts.name));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [20, 20, 5]);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (45, 45));
    for most in [0, 21] {
        assert!(bench.providers.page(Kind::Oauth2, None, Some(most)).is_err());
    }
    assert!(bench.providers.page(Kind::ApiKey, None, Some(100)).is_ok());
    let token = bench.providers.page(Kind::Oauth2, None, Some(1)).unwrap().next.unwrap();
    for (kind, token) in [(Kind::ApiKey, token.as_str()), (Kind::Oauth2, "nonsense"), (Kind::Oauth2, "")] {
        let error = bench.providers.page(kind, Some(token), None).unwrap_err();
        assert!(matches!(error, ManageError::Input { field: "next_token", .. }));
    }
}

#[tokio::test]
async fn secrets_move_to_a_new_key_and_open_when_the_old_one_is_gone() {
    let bench = Bench::new().await;
    bench.providers.create_api_key("figma", key("k3y-canary-1"), no_tags()).await.unwrap();
    let third = with_secret(custom("https://third.example/token"));
    bench.providers.create_oauth2("third", third, no_tags()).await.unwrap();
    let old = bench.ring.active_id();
    bench.ring.rotate().unwrap();
    let edition = bench.providers.edition(&name("third"));
    assert_eq!(bench.providers.reseal().await.unwrap(), 2);
    assert_eq!(bench.providers.reseal().await.unwrap(), 0);
    assert_eq!(bench.providers.edition(&name("third")), edition);
    assert_eq!(bench.changes.lock().unwrap().len(), 2, "nothing that anybody could notice has changed");
    bench.ring.retire(&old).unwrap();
    let bench = bench.restart().await;
    assert_eq!(bench.key("figma").unwrap(), "k3y-canary-1");
    assert_eq!(bench.client_secret("third").unwrap(), "s3cret-of-the-client");
}

#[tokio::test]
async fn tags_change_nothing_else() {
    let bench = Bench::new().await;
    bench.providers.create_api_key("figma", key("k3y-canary-1"), no_tags()).await.unwrap();
    let edition = bench.providers.edition(&name("figma"));
    let tags = Tags::parse([("team".to_owned(), "a".to_owned()), ("cost".to_owned(), "b".to_owned())]).unwrap();
    bench.providers.tag(Kind::ApiKey, "figma", tags).await.unwrap();
    bench.providers.untag(Kind::ApiKey, "figma", vec!["cost".into(), "absent".into()]).await.unwrap();
    let bench = Bench { changes: Arc::default(), ..bench };
    let facts = bench.providers.facts_of(Kind::ApiKey, "figma").unwrap();
    assert_eq!(facts.tags.iter().collect::<Vec<_>>(), [("team", "a")]);
    assert_eq!(bench.providers.edition(&name("figma")), edition);
    let bench = bench.restart().await;
    assert_eq!(bench.providers.facts_of(Kind::ApiKey, "figma").unwrap().tags, facts.tags);
    assert_eq!(bench.key("figma").unwrap(), "k3y-canary-1");
}
