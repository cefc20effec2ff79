//! What is said of a provider that is made while the host runs: all but its secrets, so it may be stored and shown.

use serde::{Deserialize, Serialize};

/// How an OAuth 2 provider was described. Endpoints that the vendor's own table has are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth2Settings {
    /// AgentCore's name, such as `GithubOauth2`; `CustomOauth2` for everybody else.
    pub vendor: String,
    /// Our name there.
    pub client_id: String,
    /// How we prove it. None: as the vendor's table says, or with a secret by `Basic`.
    #[serde(default)]
    pub authentication: Option<Authentication>,
    /// The tenant or domain, where the vendor's endpoints have a hole for it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Whose discovery document names the endpoints, or what callbacks name as `iss` beside the two endpoints.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Where browsers go.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes and refresh tokens go.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Of a custom provider: where it describes itself, or its description.
    #[serde(default)]
    pub discovery: Option<Discovery>,
    /// How it takes a user's own token. None: it does not.
    #[serde(default)]
    pub on_behalf_of: Option<OnBehalf>,
    /// Where its tokens may go from guests. None: to the vendor's API hosts, which a custom one has none of.
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
}

/// Where a custom provider's endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Discovery {
    /// The place of a discovery document: of OpenID Connect, or of RFC 8414 in either form of its path.
    Url(String),
    /// What such a document would say.
    Metadata(Metadata),
}

/// A description of an authorization server (RFC 8414 §2), as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// What its callbacks name as `iss`.
    pub issuer: String,
    /// Where browsers go.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens go.
    pub token_endpoint: String,
    /// `code` has to be among them, if any are named.
    #[serde(default)]
    pub response_types: Vec<String>,
    /// How clients may authenticate; the first that we can is used where nothing else is said.
    #[serde(default)]
    pub token_endpoint_auth_methods: Vec<String>,
}

/// How we prove to a provider who we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Authentication {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// A public client.
    None,
    /// A JWT signed with a key of the operator's secrets folder (RFC 7523).
    PrivateKeyJwt {
        /// The file, in PEM.
        key: String,
        /// The algorithm, where the key leaves a choice.
        algorithm: Option<String>,
        /// Added to the header.
        header: serde_json::Map<String, serde_json::Value>,
        /// Added to the claims.
        claims: serde_json::Map<String, serde_json::Value>,
    },
    /// A JWT about the workload that the host signs.
    WorkloadJwt {
        /// None: the provider's issuer.
        audience: Option<String>,
    },
}

/// How a provider takes a user's own token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnBehalf {
    /// Which grant.
    pub grant: OnBehalfGrant,
    /// Who is said to act.
    pub actor: Actor,
    /// Whether the client is left unnamed for these requests.
    #[serde(default)]
    pub without_client: bool,
}

/// The grant by which a user's token becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBehalfGrant {
    /// RFC 8693.
    TokenExchange,
    /// RFC 7523 §2.1.
    JwtBearer,
}

/// Who is named as acting for the user (RFC 8693 §1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Actor {
    /// Nobody.
    None,
    /// The workload, by its own token of the same provider.
    MachineToMachine {
        /// May be empty.
        scopes: Vec<String>,
    },
    /// The workload, by a JWT that the host signs.
    WorkloadJwt,
}

/// What is said of a provider of an API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySettings {
    /// Where in a guest's request it goes. None: `Authorization: Bearer`.
    #[serde(default)]
    pub place: Option<KeyPlace>,
    /// Where it may go from guests. Empty: nowhere; a workload that runs elsewhere may still fetch it.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Where a key goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum KeyPlace {
    /// A header, after a prefix that may be empty.
    Header {
        /// Its name.
        name: String,
        /// What stands before the key.
        prefix: String,
    },
    /// A parameter of the query.
    Query(String),
}

/// Who keeps a provider's secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum SecretKept {
    /// This host, sealed.
    Managed,
    /// The operator, in the secrets folder.
    External {
        /// The file.
        secret_id: String,
        /// The member, when it holds a JSON object.
        json_key: Option<String>,
    },
    /// There is none.
    None,
}
