//! Configurations are folders: `refused/<case>` holds one and the message that its author reads, `accepted/<case>` holds one
//! that is read without a word.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use attache::clock::Timestamp;
use attache::config::{ConfigError, glance, load};
use attache::egress::Placement;
use attache::providers::{CredentialProvider, SecretFolder};
use std::path::{Path, PathBuf};

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// The message below its first line, which names the file.
fn refusal(path: &Path) -> Option<String> {
    match load(path).err()? {
        ConfigError::Refused { problems, .. } => Some(problems.iter().map(|problem| format!("{problem}\n")).collect()),
        error => Some(format!("{error}\n")),
    }
}

#[test]
fn every_refusal_names_the_place_and_what_to_do() {
    let mut wrong = String::new();
    for case in cases("refused") {
        let expected = std::fs::read_to_string(case.join("message.txt")).unwrap();
        let folder = format!("{}/", case.display());
        let found = refusal(&case.join("attache.toml")).unwrap_or("(accepted)\n".into()).replace(&folder, "");
        if found != expected || expected.is_empty() {
            wrong += &format!("== {}\n{found}", case.file_name().unwrap().display());
        }
        assert!(!found.contains("do-not-repeat-me"), "a secret is repeated");
    }
    assert!(wrong.is_empty(), "these are told otherwise than their `message.txt` says:\n{wrong}");
}

#[test]
fn what_is_right_is_accepted() {
    for case in cases("accepted") {
        assert_eq!(refusal(&case.join("attache.toml")), None, "{}", case.display());
    }
}

/// The one that operators begin with. Its secrets lie elsewhere, so it is read without them.
#[test]
fn the_example_is_right() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/attache.toml");
    let seen = glance(&example).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(seen.public_url.as_str(), "https://agents.example.com/");
    assert!(seen.default_authorizer);
    let calendar = &seen.agents[&"calendar".parse().unwrap()];
    let (bound, offered) = (&calendar.providers[0], &seen.providers[0]);
    assert_eq!((bound.provider.as_str(), bound.scopes.to_vec()), (offered.0.as_str(), offered.1.clone()));

    // And so is what it leaves out, put in; a proxy then stands where the files of TLS do.
    let source = std::fs::read_to_string(&example).unwrap();
    let said = |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines = source.lines().map(|line| line.strip_prefix("# ").filter(|rest| said(rest)).unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let (before, after) = text.split_once("[tls]").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let everything = folder.path().join("attache.toml");
    std::fs::write(&everything, format!("{before}{}", &after[after.find("[proxy]").unwrap()..])).unwrap();
    assert!(text.contains("\n[engine]\n") && text.contains("\n[network]\n"));
    glance(&everything).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_key_arrives_in_the_settings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/accepted/everything");
    let settings = load(&folder.join("attache.toml")).unwrap();
    assert_eq!(settings.listen.to_string(), "[::]:8443");
    assert_eq!(settings.public_url.as_str(), "https://agents.example.com/");
    assert_eq!(settings.data_dir, folder.join("../data"), "relative to the file");
    assert_eq!(settings.max_body_bytes, 2 << 20);
    assert_eq!(settings.tls.as_ref().unwrap().certificate, folder.join("tls/cert.pem"));
    assert!(settings.proxy.is_none() && !settings.development && !settings.network.allow_loopback);
    assert_eq!(settings.engine.max_memory_bytes, 32 << 20);
    assert_eq!(settings.engine.deadline.as_secs(), 10);
    assert_eq!(settings.network.connect_timeout.as_millis(), 500);
    let sign_in = settings.sign_in.as_ref().unwrap();
    assert_eq!(
        (sign_in.issuer.as_str(), sign_in.provider.scopes.joined()),
        ("https://id.example.com", "openid profile".into())
    );
    let oauth2 = |name: &str| match &settings.providers[&name.parse().unwrap()] {
        CredentialProvider::Oauth2(provider) => provider.clone(),
        CredentialProvider::ApiKey(_) => panic!("{name} is of OAuth 2"),
    };
    let google = oauth2("google");
    assert_eq!(google.display_name, "Google Calendar");
    assert_eq!(google.scopes.joined(), "calendar calendar.events");
    assert_eq!(oauth2("tracker").scope_separator, ',');
    let api_key = |name: &str| match &settings.providers[&name.parse().unwrap()] {
        CredentialProvider::ApiKey(provider) => provider.clone(),
        CredentialProvider::Oauth2(_) => panic!("{name} is a key"),
    };
    let weather = api_key("weather");
    assert_eq!(weather.display_name, "Weather");
    assert_eq!(weather.placement, Placement::header("x-api-key", "Token ").unwrap());
    assert_eq!(weather.key(Timestamp::from_millis(1)).unwrap().expose_text(), Some(env!("CARGO_MANIFEST_DIR")));
    let maps = api_key("maps");
    assert_eq!(maps.placement, Placement::query("key").unwrap());
    assert!(maps.destinations.allows(&"https://maps.example.com/v1/x".parse().unwrap()));
    assert!(!maps.destinations.allows(&"https://maps.example.com/v2".parse().unwrap()));
    assert_eq!(settings.secrets_folder, Some(SecretFolder::new(folder.join("../secrets"))));
    let calendar = &settings.agents[&"calendar".parse().unwrap()];
    assert_eq!(calendar.terms.providers[0].scopes.joined(), "calendar");
    assert_eq!(calendar.terms.claims, ["email"]);
    assert_eq!(calendar.inbound_headers, ["x-request-id"]);
    assert!(!calendar.terms.reveal);
    assert!(settings.default_authorizer.is_some());
}

#[test]
fn an_agent_holds_nothing_that_its_stanza_does_not_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/accepted/everything/attache.toml");
    let settings = load(&path).unwrap();
    let hello = &settings.agents[&"hello".parse().unwrap()];
    assert_eq!(hello.terms, attache::directory::Terms::default());
    assert!(hello.inbound_headers.is_empty() && hello.allowed_return_urls.is_empty());
}

#[test]
fn a_glance_reads_no_secret() {
    let refused =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/refused/secret-not-in-environment/attache.toml");
    assert!(load(&refused).is_err());
    assert_eq!(glance(&refused).unwrap().providers[0].0.as_str(), "google");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load(Path::new("/nowhere/attache.toml")).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the configuration `/nowhere/attache.toml` cannot be read; name another with `--config`"
    );
}
