use super::super::client::tests::{fixed, form, oauth, secret};
use super::super::{OAuthError, Proofs};
use super::*;
use crate::egress::testing::{Upstream, response};

/// AgentCore's enumeration.
const NAMES: [&str; 25] = [
    "GoogleOauth2",
    "GithubOauth2",
    "SlackOauth2",
    "SalesforceOauth2",
    "MicrosoftOauth2",
    "CustomOauth2",
    "AtlassianOauth2",
    "LinkedinOauth2",
    "XOauth2",
    "OktaOauth2",
    "OneLoginOauth2",
    "PingOneOauth2",
    "FacebookOauth2",
    "YandexOauth2",
    "RedditOauth2",
    "ZoomOauth2",
    "TwitchOauth2",
    "SpotifyOauth2",
    "DropboxOauth2",
    "NotionOauth2",
    "HubspotOauth2",
    "CyberArkOauth2",
    "FusionAuthOauth2",
    "Auth0Oauth2",
    "CognitoOauth2",
];

fn vendor(name: &str) -> Vendor {
    Vendor::parse(name).unwrap()
}

fn input(vendor: Vendor) -> VendorInput {
    VendorInput {
        name: "third".parse().unwrap(),
        client_id: "client".into(),
        client_authentication: vendor.with_secret(secret("shh")),
        tenant: None,
        endpoints: None,
        scopes: Scopes::default(),
        hosts: None,
    }
}

fn with_tenant(name: &str, tenant: &str) -> Result<Provider, VendorError> {
    let vendor = vendor(name);
    vendor.provider(VendorInput { tenant: Some(tenant.into()), ..input(vendor) })
}

fn fixed_endpoints(provider: &Provider) -> &Server {
    match &provider.endpoints {
        Endpoints::Static(server) => server,
        Endpoints::Discovery { .. } => panic!("its endpoints are discovered"),
    }
}

fn issuer(provider: &Provider) -> &str {
    match &provider.endpoints {
        Endpoints::Discovery { issuer } => issuer.as_str(),
        Endpoints::Static(_) => panic!("its endpoints are fixed"),
    }
}

#[test]
fn the_table_holds_agentcores_vendors_and_no_others() {
    let table = read().unwrap();
    assert_eq!(table.vendor.len(), 24);
    let mut known: Vec<_> = Vendor::all().map(Vendor::name).collect();
    let mut names = NAMES.to_vec();
    known.sort_unstable();
    names.sort_unstable();
    assert_eq!(known, names);
    for name in NAMES {
        assert_eq!(vendor(name).name(), name);
    }
    let error = Vendor::parse("googleoauth2").unwrap_err();
    assert!(error.0.contains("`GoogleOauth2`"), "{error}");
    // What a message shows must be a name of a provider's page, not a hole.
    assert!(table.vendor.iter().all(|entry| !entry.display.is_empty()));
}

#[test]
fn a_vendor_is_usable_or_says_what_it_needs() {
    for vendor in Vendor::all() {
        let name = vendor.name();
        match (vendor.provider(input(vendor)), vendor.tenant()) {
            (Ok(provider), _) => {
                assert!(!provider.destinations.is_empty(), "{name} has APIs of its own");
                assert_eq!(provider.vendor, vendor);
            }
            (Err(VendorError::Missing { what, .. }), Some(tenant)) => {
                assert_eq!(what, format!("a tenant: {tenant}"), "{name}")
            }
            (Err(error), _) => {
                assert!(["CustomOauth2", "CyberArkOauth2"].contains(&name), "{name}: {error}");
                assert!(error.to_string().contains("issuer"), "{error}");
            }
        }
        // Endpoints of one's own always do.
        let endpoints = Some(fixed("https://third.example"));
        vendor.provider(VendorInput { endpoints, ..input(vendor) }).unwrap();
    }
}

#[test]
fn a_tenant_fills_its_hole_and_nothing_else() {
    let microsoft = with_tenant("MicrosoftOauth2", "contoso.onmicrosoft.com").unwrap();
    let server = fixed_endpoints(&microsoft);
    assert_eq!(server.token.as_str(), "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
    let salesforce = with_tenant("SalesforceOauth2", "acme.my.salesforce.com").unwrap();
    assert_eq!(salesforce.destinations.iter().next().unwrap().to_string(), "https://acme.my.salesforce.com/");
    for (name, tenant, expect) in [
        ("OktaOauth2", "acme.okta.com", "https://acme.okta.com/oauth2/default"),
        ("OneLoginOauth2", "acme", "https://acme.onelogin.com/oidc/2"),
        ("PingOneOauth2", "abfba8f6", "https://auth.pingone.com/abfba8f6/as"),
        ("Auth0Oauth2", "acme.eu.auth0.com", "https://acme.eu.auth0.com/"),
        ("CognitoOauth2", "eu-west-1_AbCdEfGhI", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"),
    ] {
        assert_eq!(issuer(&with_tenant(name, tenant).unwrap()), expect);
    }
    for tenant in
        ["", "a/b", "a@b", "a:80", "a?b", "a#b", "..", "a..b", ".a", "a.", "a b", "a%2fb", "{tenant}", "a\\b", "é"]
    {
        for name in ["MicrosoftOauth2", "OktaOauth2", "OneLoginOauth2", "SalesforceOauth2"] {
            let error = with_tenant(name, tenant).err().unwrap();
            assert!(error.to_string().contains("it must be the"), "{tenant}: {error}");
        }
    }
    assert!(with_tenant("CognitoOauth2", "noregion").is_err());
    for name in ["GithubOauth2", "GoogleOauth2", "CyberArkOauth2", "CustomOauth2"] {
        assert!(with_tenant(name, "acme").is_err(), "{name} has none");
    }
    let endpoints = Some(fixed("https://third.example"));
    let okta = vendor("OktaOauth2");
    let both = okta.provider(VendorInput { endpoints, tenant: Some("acme.okta.com".into()), ..input(okta) });
    assert!(matches!(both, Err(VendorError::Unfit { why, .. }) if why.contains("not both")));
}

/// The vendors' own documents, as they were fetched.
fn document(name: &str) -> serde_json::Value {
    let path = format!("{}/../tests/vectors/discovery/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["metadata"].clone()
}

#[test]
fn the_table_agrees_with_the_vendors_own_documents() {
    let google = vendor("GoogleOauth2");
    let google = google.provider(input(google)).unwrap();
    let said = document("google");
    assert_eq!(issuer(&google), said["issuer"]);
    let server =
        super::super::discovery::parse(&Issuer::parse(issuer(&google)).unwrap(), &serde_json::to_vec(&said).unwrap())
            .unwrap();
    assert!(server.authorization.is_some() && server.revocation.is_some() && server.device_authorization.is_some());

    let microsoft = vendor("MicrosoftOauth2");
    let microsoft = microsoft.provider(input(microsoft)).unwrap();
    let (server, said) = (fixed_endpoints(&microsoft), document("entra-common"));
    assert_eq!(server.token.as_str(), said["token_endpoint"]);
    assert_eq!(server.authorization.as_ref().unwrap().as_str(), said["authorization_endpoint"]);
    assert_eq!(server.device_authorization.as_ref().unwrap().as_str(), said["device_authorization_endpoint"]);

    // How clients with a secret may be authenticated, where the document says it.
    for (name, document_name) in
        [("GoogleOauth2", "google"), ("MicrosoftOauth2", "entra-common"), ("SlackOauth2", "slack")]
    {
        let method = match vendor(name).with_secret(secret("s")) {
            ClientAuthentication::Post(_) => "client_secret_post",
            _ => "client_secret_basic",
        };
        let said = document(document_name);
        let known = said["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(known.iter().any(|one| one == method), "{name}: {method}");
    }
}

#[test]
fn refresh_tokens_are_asked_for_the_vendors_way() {
    let made = |name: &str| vendor(name).provider(input(vendor(name))).unwrap();
    let parameters = |name: &str| made(name).authorize_parameters;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(parameters("GoogleOauth2"), [pair("access_type", "offline")]);
    assert_eq!(parameters("AtlassianOauth2"), [pair("audience", "api.atlassian.com"), pair("prompt", "consent")]);
    assert_eq!(parameters("DropboxOauth2"), [pair("token_access_type", "offline")]);
    assert_eq!(parameters("RedditOauth2"), [pair("duration", "permanent")]);
    for (name, scope) in [
        ("MicrosoftOauth2", "offline_access"),
        ("AtlassianOauth2", "offline_access"),
        ("SalesforceOauth2", "refresh_token"),
        ("XOauth2", "offline.access"),
    ] {
        assert_eq!(made(name).offline_scope.unwrap().as_str(), scope);
    }
    assert!(made("GithubOauth2").offline_scope.is_none());
}

/// A provider of this vendor at another address.
fn at(name: &str, base: &str) -> Provider {
    let vendor = vendor(name);
    vendor.provider(VendorInput { endpoints: Some(fixed(base)), ..input(vendor) }).unwrap()
}

#[tokio::test]
async fn notion_is_asked_in_json_and_with_a_version() {
    let upstream = Upstream::answering(|_| {
        response("200 OK", "", r#"{"access_token":"at","token_type":"bearer","refresh_token":"rt","bot_id":"b"}"#)
    })
    .await;
    let (oauth, _) = oauth();
    let notion = at("NotionOauth2", &upstream.url(""));
    let proofs = Proofs::default();
    oauth.exchange(&notion, proofs, &secret("co\"de\n"), &secret("v"), "https://h.example/cb").await.unwrap();
    let request = &upstream.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/json\r\n") && !head.contains("urlencoded"), "{head}");
    assert!(head.contains("notion-version: ") && head.contains("authorization: basic "), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expect = serde_json::json!({
        "grant_type": "authorization_code", "code": "co\"de\n", "code_verifier": "v",
        "redirect_uri": "https://h.example/cb",
    });
    assert_eq!(body, expect);
}

#[tokio::test]
async fn slack_is_asked_for_the_users_own_token() {
    let (oauth, _) = oauth();
    let slack = vendor("SlackOauth2");
    let slack = slack.provider(input(slack)).unwrap();
    let asked = super::super::client::tests::request(&["search:read", "chat:write"], None);
    let url = oauth.authorization_url(&slack, Proofs::default(), &asked).await.unwrap();
    let said: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(said["user_scope"], "chat:write,search:read");
    assert!(!said.contains_key("scope"));
}

#[tokio::test]
async fn a_refusal_with_status_200_is_one() {
    let upstream = Upstream::answering(|request| match form(request)["refresh_token"][0].as_str() {
        "github" => response("200 OK", "", "error=bad_refresh_token"),
        "slack" => response("200 OK", "", r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        _ => response("200 OK", "", r#"{"ok":false,"error":"ratelimited"}"#),
    })
    .await;
    let (oauth, _) = oauth();
    for (name, token, gone) in
        [("GithubOauth2", "github", true), ("SlackOauth2", "slack", true), ("SlackOauth2", "other", false)]
    {
        let provider = at(name, &upstream.url(""));
        let error = oauth.refresh(&provider, Proofs::default(), &secret(token)).await.err().unwrap();
        assert_eq!(error == OAuthError::GrantGone, gone, "{name}: {error}");
    }
}
