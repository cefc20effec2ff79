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
    let engine = &settings.engine;
    assert_eq!((engine.deadline.as_secs(), engine.tick.as_millis(), engine.clock_resolution.as_millis()), (10, 20, 5));
    assert_eq!((engine.max_stack_bytes, engine.max_component_bytes), (256 << 10, 8 << 20));
    assert_eq!((engine.max_handles, engine.max_requests), (500, 7));
    assert_eq!((engine.body_chunk_bytes, engine.body_chunks, engine.random_bytes), (32 << 10, 2, 1024));
    assert_eq!(settings.send_timeout.as_secs(), 20);
    assert_eq!(settings.network.connect_timeout.as_millis(), 500);
    let people = settings.operators.as_ref().unwrap();
    assert_eq!(people.operations.to_vec(), ["Get*", "List*", "runtime", "CreateWorkloadIdentity"]);
    assert_eq!(people.workloads.to_vec(), ["team-*", "calendar"]);
    let sign_in = settings.sign_in.as_ref().unwrap();
    assert_eq!(
        (sign_in.party.issuer.as_str(), sign_in.provider.scopes.joined()),
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
    assert!(!calendar.terms.reveal && calendar.terms.trusts_user_ids);
    assert!(settings.default_authorizer.is_some());
    assert_eq!(settings.workloads.token_lifetime.as_secs(), 1800);
    let of = |workload: &str| settings.workloads.patterns.find(&workload.parse().unwrap()).unwrap();
    let batch = of("batch-1");
    assert_eq!(batch.terms.providers[0].scopes.joined(), "calendar");
    assert_eq!(batch.terms.return_urls, ["https://batch.example.com/done", "com.example.batch:/done"]);
    assert!(!batch.terms.any_provider && !batch.terms.trusts_user_ids);
    let own = of("own-backend");
    assert!(own.terms.any_provider && own.terms.trusts_user_ids && own.authorizer.is_none());
}

#[test]
fn users_are_taken_only_from_whom_the_operator_named_for_a_workload() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/accepted/everything/attache.toml");
    let settings = load(&path).unwrap();
    let authorizer =
        |workload: &str| settings.authorizer_of(&workload.parse().unwrap()).map(|found| found.id().to_owned());
    assert_eq!(authorizer("batch-1").unwrap(), "partners");
    assert_eq!(authorizer("calendar").unwrap(), "default", "what its own table says");
    for unsaid in ["own-backend", "another"] {
        assert_eq!(
            authorizer(unsaid).unwrap_err().to_string(),
            format!(
                "no issuer and audience are named whose tokens workload `{unsaid}` may bring; \
                 add `authorizer = \"NAME\"` under `[workloads.\"{unsaid}\"]`"
            ),
            "the default authorizer does not stand in"
        );
    }
}

#[test]
fn what_a_vendor_is_known_for_need_not_be_written() {
    use attache::oauth::{ActorToken, ClientAuthentication, ConsentBy, Delegation, Endpoints, Provider, When};
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/accepted/vendors/attache.toml");
    let settings = load(&path).unwrap();
    let made = |name: &str| match &settings.providers[&name.parse().unwrap()] {
        CredentialProvider::Oauth2(provider) => provider.clone(),
        CredentialProvider::ApiKey(_) => panic!("{name} is of OAuth 2"),
    };
    let token = |provider: &Provider| match &provider.endpoints {
        Endpoints::Static(server) => server.token.to_string(),
        Endpoints::Discovery { issuer } => issuer.to_string(),
    };
    let github = made("github");
    assert_eq!(token(&github), "https://github.com/login/oauth/access_token");
    assert_eq!((github.vendor.name(), github.display_name.as_str()), ("GithubOauth2", "GitHub"));
    assert_eq!(github.consent, ConsentBy::Device);
    assert!(matches!(github.client_authentication, ClientAuthentication::Post(_)), "the vendor's usual way");
    assert_eq!(github.destinations.iter().next().unwrap().to_string(), "https://api.github.com/");
    let entra = made("entra");
    assert_eq!(token(&entra), "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
    assert_eq!(entra.display_name, "Contoso");
    assert!(matches!(entra.on_behalf_of.as_ref().unwrap().grant, Delegation::JwtBearer));
    let okta = made("okta");
    assert_eq!(token(&okta), "https://acme.okta.com");
    assert_eq!((okta.dpop, okta.pushed_authorization), (When::Offered, When::Always));
    let chat = made("chat");
    let behalf = chat.on_behalf_of.as_ref().unwrap();
    let Delegation::IdJag { identity_provider, audience } = &behalf.grant else { panic!("it is another grant") };
    assert_eq!(identity_provider.name.as_str(), "okta");
    assert_eq!(audience.as_deref(), Some("https://chat.example.com"));
    assert_eq!(behalf.subject_token_type, "urn:ietf:params:oauth:token-type:id_token");
    let exchange = made("exchange");
    assert_eq!((exchange.consent, exchange.dpop), (ConsentBy::None, When::Always));
    let behalf = exchange.on_behalf_of.as_ref().unwrap();
    assert_eq!(
        behalf.actor,
        ActorToken::MachineToMachine { scopes: "act".parse().map(|s| [s].into_iter().collect()).unwrap() }
    );
    assert!(matches!(behalf.client_authentication, Some(ClientAuthentication::Anonymous)));
    assert_eq!(behalf.subject_token_type, "urn:ietf:params:oauth:token-type:access_token");
    let television = made("television");
    assert_eq!(television.consent, ConsentBy::Device);
    let audience = Some("https://tv.example.com".to_owned());
    assert_eq!(television.on_behalf_of.as_ref().unwrap().actor, ActorToken::WorkloadJwt { audience });
}

#[test]
fn an_agent_holds_nothing_that_its_stanza_does_not_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/accepted/everything/attache.toml");
    let settings = load(&path).unwrap();
    let hello = &settings.agents[&"hello".parse().unwrap()];
    assert_eq!(settings.workloads.patterns.find(&"hello".parse().unwrap()).map(|_| ()), None);
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
