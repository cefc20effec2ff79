use super::super::{ConfigError, glance, load};
use crate::ids::ProviderName;
use crate::jose::{SigningAlgorithm, SigningKey};
use crate::oauth::ClientAuthentication;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A folder with a configuration whose provider has these lines, and with the keys that they name.
fn folder(lines: &str, sign_in: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8], mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap().to_pem().unwrap();
    write("client.pem", key.expose(), 0o600);
    write("shown.pem", key.expose(), 0o644);
    write("junk.pem", b"do-not-repeat-me\nsecond line\n", 0o600);
    write("secret", b"do-not-repeat-me\n", 0o600);
    let text = format!(
        r#"
[host]
public_url = "https://agents.example.com"
[proxy]
trusted = true
[providers.third]
issuer = "https://third.example"
client_id = "id"
hosts = ["api.third.example"]
{lines}
{sign_in}
"#
    );
    write("attache.toml", text.as_bytes(), 0o600);
    folder
}

fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("attache.toml")
}

fn read(lines: &str) -> ClientAuthentication {
    let folder = folder(lines, "");
    let settings = load(&file(&folder)).unwrap_or_else(|error| panic!("{lines}: {error}"));
    let provider = &settings.providers[&ProviderName::parse("third").unwrap()];
    let crate::providers::CredentialProvider::Oauth2(provider) = provider else { panic!() };
    provider.client_authentication.clone()
}

fn said(path: &Path) -> String {
    match load(path) {
        Err(ConfigError::Refused { problems, .. }) => {
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            said.join("\n").replace(&format!("{}/", path.parent().unwrap().display()), "")
        }
        Err(error) => panic!("{error}"),
        Ok(_) => "(accepted)".into(),
    }
}

/// Line 10 is the first of the provider's own.
fn refused(lines: &str, expect: &str) {
    let found = said(&file(&folder(lines, "")));
    assert_eq!(found, expect, "{lines}");
}

#[test]
fn a_key_by_reference_signs_for_the_client() {
    let ClientAuthentication::PrivateKeyJwt(client) = read("client_key = { file = \"client.pem\" }") else { panic!() };
    assert_eq!((client.key().alg(), client.key().kid()), (SigningAlgorithm::Es256, &*client.key().thumbprint()));
    let named = "client_authentication = \"private_key_jwt\"\n\
                 client_key = { file = \"client.pem\", algorithm = \"ES256\", key_id = \"mine\" }\n\
                 client_assertion = { audience = \"https://a.example\", header = { x5t = \"t\" }, claims = { n = [1, { a = true }] } }";
    let ClientAuthentication::PrivateKeyJwt(client) = read(named) else { panic!() };
    assert_eq!(client.key().kid(), "mine");
}

#[test]
fn a_workloads_token_needs_no_key() {
    let ClientAuthentication::WorkloadJwt(client) = read("client_authentication = \"workload_jwt\"") else { panic!() };
    assert_eq!((client.audience, client.algorithm), (None, SigningAlgorithm::Rs256));
    let more = "client_authentication = \"workload_jwt\"\n\
                client_assertion = { audience = \"api://exchange\", algorithm = \"ES256\" }";
    let ClientAuthentication::WorkloadJwt(client) = read(more) else { panic!() };
    assert_eq!((client.audience.as_deref(), client.algorithm), (Some("api://exchange"), SigningAlgorithm::Es256));
}

#[test]
fn each_method_takes_its_own_and_refuses_what_is_anothers() {
    assert!(matches!(read("client_secret = { file = \"secret\" }"), ClientAuthentication::Basic(_)));
    assert!(matches!(read(""), ClientAuthentication::None));
    refused(
        "client_authentication = \"private_key_jwt\"",
        "line 10: `client_authentication = \"private_key_jwt\"` needs a `client_key`",
    );
    for (method, key) in [
        ("none", "client_secret = { file = \"secret\" }"),
        ("none", "client_key = { file = \"client.pem\" }"),
        ("none", "client_assertion = {}"),
        ("workload_jwt", "client_key = { file = \"client.pem\" }"),
        ("workload_jwt", "client_secret = { file = \"secret\" }"),
    ] {
        let name = key.split(' ').next().unwrap();
        refused(
            &format!("client_authentication = \"{method}\"\n{key}"),
            &format!("line 10: `client_authentication = \"{method}\"` and a `{name}` exclude each other; remove one"),
        );
    }
    refused(
        "client_secret = { file = \"secret\" }\nclient_key = { file = \"client.pem\" }",
        "line 11: `client_authentication = \"basic\"` and a `client_key` exclude each other; remove one",
    );
}

#[test]
fn a_key_that_cannot_be_used_is_told_at_the_start_and_not_repeated() {
    let file = |file: &str, expect: &str| refused(&format!("client_key = {file}"), &format!("line 10: {expect}"));
    file("{ file = \"shown.pem\" }", "the secret file `shown.pem` is readable by others; run `chmod 600 shown.pem`");
    file(
        "{ file = \"junk.pem\" }",
        "the file `junk.pem` cannot be used: it holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted); \
         `openssl pkcs8 -topk8 -nodes` makes one",
    );
    file(
        "{ file = \"client.pem\", algorithm = \"RS256\" }",
        "the file `client.pem` cannot be used: its key does not sign with `RS256`; it signs with `ES256`",
    );
    file(
        "{ file = \"client.pem\", algorithm = \"HS256\" }",
        "`HS256` is nothing that this host signs with; use one of RS256, PS256, ES256, ES384, EdDSA",
    );
    file("{ file = \"client.pem\", key_id = \"\" }", "`key_id` must have 1 to 256 bytes");
    file(
        "{ module = \"nowhere.so\", token = \"t\", key = \"k\", pin = { file = \"nowhere\" } }",
        "the secret file `nowhere` cannot be read: No such file or directory (os error 2)",
    );
    for inline in [
        "\"do-not-repeat-me\"",
        "{ module = \"m.so\", pin = \"do-not-repeat-me\" }",
        "{ pem = \"do-not-repeat-me\" }",
        "{ file = \"a\", env = \"b\" }",
        "{}",
    ] {
        let found = said(&super::tests::file(&folder(&format!("client_key = {inline}"), "")));
        assert!(found.contains("do not stand in this file; write `{ file = \"path\" }`"), "{found}");
        assert!(!found.contains("do-not-repeat-me"));
    }
}

#[test]
fn an_assertion_says_nothing_that_is_the_hosts() {
    let with = |assertion: &str, expect: &str| {
        let lines = format!("client_key = {{ file = \"client.pem\" }}\nclient_assertion = {assertion}");
        refused(&lines, &format!("line 11: {expect}"));
    };
    with("{ claims = { iss = \"x\" } }", "the claim `iss` is set by the host; remove it");
    with("{ header = { alg = \"none\" } }", "the header member `alg` is set by the host; remove it");
    with("{ algorithm = \"ES256\" }", "an `algorithm` stands beside `client_key`, whose it is; write it there");
    with(
        "{ claims = { at = 2026-01-01 } }",
        "a member of a client assertion is a date or no finite number; write text or a number",
    );
    refused(
        "client_authentication = \"workload_jwt\"\nclient_assertion = { claims = { a = 1 } }",
        "line 11: a workload's token has the host's claims alone; remove `header` and `claims`",
    );
    refused(
        "client_authentication = \"workload_jwt\"\nclient_assertion = { algorithm = \"PS256\" }",
        "line 11: the host has no key for `PS256`; use `ES256` or `RS256`",
    );
}

#[test]
fn a_sign_in_is_the_hosts_own_and_takes_a_key() {
    let sign_in = |more: &str| {
        let issuers = "[issuers.idp]\nissuer = \"https://login.example.com\"";
        let text =
            format!("{issuers}\n[sign_in]\nissuer = \"https://login.example.com\"\nclient_id = \"host\"\n{more}");
        said(&file(&folder("", &text)))
    };
    assert_eq!(sign_in("client_key = { file = \"client.pem\" }"), "(accepted)");
    assert_eq!(
        sign_in("client_authentication = \"workload_jwt\""),
        "line 16: `workload_jwt` is for what workloads ask, and a sign-in is the host's own; use a secret or a key"
    );
}

/// Commands that run beside the host cannot read its keys, and are told of mistakes all the same.
#[test]
fn whoever_only_looks_needs_no_key() {
    let lines = |extra: &str| format!("client_key = {{ file = \"nowhere.pem\" }}\nclient_assertion = {{ {extra} }}");
    assert!(glance(&file(&folder(&lines(""), ""))).is_ok());
    let error = glance(&file(&folder(&lines("claims = { sub = 1 }"), ""))).err().unwrap().to_string();
    assert!(error.contains("the claim `sub` is set by the host"), "{error}");
}
