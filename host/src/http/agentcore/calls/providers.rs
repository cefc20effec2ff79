//! Credential providers of both kinds.

use super::Call;
use super::names::{MAX_20, MAX_100, NEXT_TOKEN, PROVIDER_ARN, PROVIDER_NAME, SCOPES, TAGS, TEXT, TIME, USUAL};
use super::token_vault::KEY_ARN;
use crate::access::Operation;
use crate::http::agentcore::fault::Kind::{self as Fault, *};
use crate::http::agentcore::shape::{ANY, Field, Shape, may, need};

const VENDOR: Shape = Shape::choice(
    "CredentialProviderVendor",
    &[
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
    ],
);

const CLIENT_ID: Shape = Shape::text("ClientId", 1, 256);
const CLIENT_ID_OR_NONE: Shape = Shape::text("ClientIdOrNone", 0, 256);
const CLIENT_SECRET: Shape = Shape::text("ClientSecret", 0, 2048).secret();
const JSON_KEY: Shape = Shape::text("SecretJsonKey", 1, 128);
const SECRET_REFERENCE: Shape = Shape::structure(
    "SecretReference",
    &[need("secretId", &Shape::text("SecretId", 1, 2048)), need("jsonKey", &JSON_KEY)],
);
const SOURCE: Shape = Shape::choice("SecretSource", &["MANAGED", "EXTERNAL"]);
const SECRET_ARN: Shape = Shape::structure("SecretArn", &[need("secretArn", &TEXT)]);

const AUTHORIZATION_SERVER: Shape = Shape::structure(
    "Oauth2AuthorizationServerMetadata",
    &[
        need("issuer", &TEXT),
        need("authorizationEndpoint", &TEXT),
        need("tokenEndpoint", &TEXT),
        may("responseTypes", &Shape::list("ResponseTypes", &TEXT)),
        may(
            "tokenEndpointAuthMethods",
            &Shape::list_of(
                "TokenEndpointAuthMethods",
                1,
                2,
                &Shape::matching("TokenEndpointAuthMethod", 0, ANY, r"(client_secret_post|client_secret_basic)"),
            ),
        ),
    ],
);
const DISCOVERY: Shape = Shape::union(
    "Oauth2Discovery",
    &[
        may(
            "discoveryUrl",
            &Shape::matching(
                "DiscoveryUrl",
                0,
                ANY,
                r"[^\s?#]+/\.well-known/(openid-configuration|oauth-authorization-server)(/[^\s?#]+)?",
            ),
        ),
        may("authorizationServerMetadata", &AUTHORIZATION_SERVER),
    ],
);

const ON_BEHALF_OF: Shape = Shape::structure(
    "OnBehalfOfTokenExchangeConfig",
    &[
        need("grantType", &Shape::choice("OnBehalfOfGrantType", &["TOKEN_EXCHANGE", "JWT_AUTHORIZATION_GRANT"])),
        may(
            "tokenExchangeGrantTypeConfig",
            &Shape::structure(
                "TokenExchangeGrantTypeConfig",
                &[
                    need(
                        "actorTokenContent",
                        &Shape::choice("ActorTokenContent", &["NONE", "M2M", "AWS_IAM_ID_TOKEN_JWT"]),
                    ),
                    may("actorTokenScopes", &SCOPES),
                ],
            ),
        ),
        may(
            "onBehalfOfAuthenticationConfig",
            &Shape::structure(
                "OnBehalfOfAuthenticationConfig",
                &[need("clientAuthenticationMethod", &Shape::choice("OnBehalfOfClientAuthentication", &["NO_CLIENT"]))],
            ),
        ),
    ],
);

const CLIENT_AUTHENTICATION: Shape = Shape::choice(
    "ClientAuthenticationMethod",
    &["CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "AWS_IAM_ID_TOKEN_JWT", "PRIVATE_KEY_JWT"],
);
const MORE_CLAIMS: Shape = Shape::map(
    "AdditionalClaims",
    1,
    10,
    &Shape::matching("AdditionalClaimName", 1, 255, r"[A-Za-z0-9_.:#-]+"),
    &Shape::text("AdditionalClaimValue", 1, 2048).secret(),
);
const PRIVATE_KEY_JWT: Shape = Shape::structure(
    "PrivateKeyJwtConfig",
    &[
        may(
            "privateKeySource",
            &Shape::union(
                "PrivateKeySource",
                &[may("kmsKeySource", &Shape::structure("KmsKeySource", &[need("kmsKeyArn", &KEY_ARN)]))],
            ),
        ),
        may("signingAlgorithm", &Shape::choice("SigningAlgorithm", &["RS256", "PS256", "ES256"])),
        may("additionalHeaderClaims", &MORE_CLAIMS),
        may("additionalPayloadClaims", &MORE_CLAIMS),
    ],
);

const PRIVATE_ENDPOINT: Shape = Shape::not_offered(
    "PrivateEndpoint",
    "it reaches what its own network reaches; private addresses need no endpoint, and are refused unless its operator allows them",
);
const CERTIFICATES: Shape = Shape::not_offered(
    "CertificateConfigurations",
    "the certificate authorities that it trusts stand in its configuration, under `[network]` as `extra_roots`",
);

/// Members of every vendor's client.
macro_rules! client {
    ($name:literal $(, $more:expr)*) => {
        Shape::structure(
            $name,
            &[
                need("clientId", &CLIENT_ID),
                may("clientSecret", &CLIENT_SECRET),
                may("clientSecretConfig", &SECRET_REFERENCE),
                may("clientSecretSource", &SOURCE),
                $($more),*
            ],
        )
    };
}

const CLIENT: Shape = client!("VendorClientInput");
const MICROSOFT: Shape = client!("MicrosoftClientInput", may("tenantId", &Shape::text("TenantId", 1, 2048)));
const INCLUDED: Shape = client!(
    "IncludedClientInput",
    may("issuer", &TEXT),
    may("authorizationEndpoint", &TEXT),
    may("tokenEndpoint", &TEXT)
);
const CUSTOM: Shape = Shape::structure(
    "CustomClientInput",
    &[
        need("oauthDiscovery", &DISCOVERY),
        may("clientId", &CLIENT_ID_OR_NONE),
        may("clientSecret", &CLIENT_SECRET),
        may("clientSecretConfig", &SECRET_REFERENCE),
        may("clientSecretSource", &SOURCE),
        may("onBehalfOfTokenExchangeConfig", &ON_BEHALF_OF),
        may("clientAuthenticationMethod", &CLIENT_AUTHENTICATION),
        may("privateKeyJwtConfig", &PRIVATE_KEY_JWT),
        may("privateEndpoint", &PRIVATE_ENDPOINT),
        may("privateEndpointOverrides", &PRIVATE_ENDPOINT),
        may("certificateConfigurations", &CERTIFICATES),
    ],
);

/// The member of the union that each vendor's client stands in; all other vendors share the last.
pub(in crate::http::agentcore) const UNION: &[(&str, &str)] = &[
    ("CustomOauth2", "customOauth2ProviderConfig"),
    ("GoogleOauth2", "googleOauth2ProviderConfig"),
    ("GithubOauth2", "githubOauth2ProviderConfig"),
    ("SlackOauth2", "slackOauth2ProviderConfig"),
    ("SalesforceOauth2", "salesforceOauth2ProviderConfig"),
    ("MicrosoftOauth2", "microsoftOauth2ProviderConfig"),
    ("AtlassianOauth2", "atlassianOauth2ProviderConfig"),
    ("LinkedinOauth2", "linkedinOauth2ProviderConfig"),
    ("", "includedOauth2ProviderConfig"),
];

const CONFIG_INPUT: Shape = Shape::union(
    "Oauth2ProviderConfigInput",
    &[
        may("customOauth2ProviderConfig", &CUSTOM),
        may("googleOauth2ProviderConfig", &CLIENT),
        may("githubOauth2ProviderConfig", &CLIENT),
        may("slackOauth2ProviderConfig", &CLIENT),
        may("salesforceOauth2ProviderConfig", &CLIENT),
        may("microsoftOauth2ProviderConfig", &MICROSOFT),
        may("atlassianOauth2ProviderConfig", &CLIENT),
        may("linkedinOauth2ProviderConfig", &CLIENT),
        may("includedOauth2ProviderConfig", &INCLUDED),
    ],
);

const CLIENT_OUTPUT: Shape =
    Shape::structure("VendorClientOutput", &[need("oauthDiscovery", &DISCOVERY), may("clientId", &CLIENT_ID)]);
const CUSTOM_OUTPUT: Shape = Shape::structure(
    "CustomClientOutput",
    &[
        need("oauthDiscovery", &DISCOVERY),
        may("clientId", &CLIENT_ID),
        may("onBehalfOfTokenExchangeConfig", &ON_BEHALF_OF),
        may("clientAuthenticationMethod", &CLIENT_AUTHENTICATION),
        may("privateKeyJwtConfig", &PRIVATE_KEY_JWT),
    ],
);
const CONFIG_OUTPUT: Shape = Shape::union(
    "Oauth2ProviderConfigOutput",
    &[
        may("customOauth2ProviderConfig", &CUSTOM_OUTPUT),
        may("googleOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("githubOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("slackOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("salesforceOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("microsoftOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("atlassianOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("linkedinOauth2ProviderConfig", &CLIENT_OUTPUT),
        may("includedOauth2ProviderConfig", &CLIENT_OUTPUT),
    ],
);

/// Where the credential may be sent by agents that run here; a vendor's API when left out, and nowhere for a custom provider.
const HOSTS: Shape = Shape::list_of("AllowedHosts", 0, 64, &Shape::text("AllowedHost", 1, 2048));

const STATUS: Shape = Shape::choice(
    "CredentialProviderStatus",
    &["CREATING", "CREATE_FAILED", "UPDATING", "UPDATE_FAILED", "READY", "DELETING", "DELETE_FAILED"],
);

const CHANGES: &[Fault] = &[
    ServiceQuotaExceeded,
    Unauthorized,
    Validation,
    AccessDenied,
    Conflict,
    DecryptionFailure,
    NotFound,
    Throttling,
    Internal,
    EncryptionFailure,
];
const MAKES: &[Fault] = &[
    ServiceQuotaExceeded,
    Unauthorized,
    ResourceLimitExceeded,
    Validation,
    Conflict,
    AccessDenied,
    DecryptionFailure,
    NotFound,
    Throttling,
    Internal,
    EncryptionFailure,
];
const READS: &[Fault] = &[Unauthorized, Validation, AccessDenied, DecryptionFailure, NotFound, Throttling, Internal];

const WHOLE: &[Field] = &[
    need("clientSecretArn", &SECRET_ARN),
    may("clientSecretJsonKey", &JSON_KEY),
    may("clientSecretSource", &SOURCE),
    need("name", &PROVIDER_NAME),
    need("credentialProviderArn", &PROVIDER_ARN),
    need("credentialProviderVendor", &VENDOR),
    may("callbackUrl", &TEXT),
    need("oauth2ProviderConfigOutput", &CONFIG_OUTPUT),
    need("createdTime", &TIME),
    need("lastUpdatedTime", &TIME),
    may("status", &STATUS),
    may("allowedHosts", &HOSTS).ours(),
];

const API_KEY: Shape = Shape::text("ApiKeyInput", 0, 65_536).secret();
/// How the host puts the key into a request of an agent that runs here.
const PLACEMENT: Shape = Shape::union(
    "ApiKeyPlacement",
    &[
        may(
            "header",
            &Shape::structure(
                "ApiKeyHeader",
                &[need("name", &Shape::text("HeaderName", 1, 64)), may("prefix", &Shape::text("HeaderPrefix", 0, 64))],
            ),
        ),
        may(
            "queryParameter",
            &Shape::structure("ApiKeyQuery", &[need("name", &Shape::text("QueryParameterName", 1, 64))]),
        ),
    ],
);
const KEY_WHOLE: &[Field] = &[
    need("apiKeySecretArn", &SECRET_ARN),
    may("apiKeySecretJsonKey", &JSON_KEY),
    may("apiKeySecretSource", &SOURCE),
    need("name", &PROVIDER_NAME),
    need("credentialProviderArn", &PROVIDER_ARN),
    need("createdTime", &TIME),
    need("lastUpdatedTime", &TIME),
    may("apiKeyPlacement", &PLACEMENT).ours(),
    may("allowedHosts", &HOSTS).ours(),
];

const OAUTH2_ITEM: Shape = Shape::structure(
    "Oauth2CredentialProvider",
    &[
        need("name", &PROVIDER_NAME),
        need("credentialProviderVendor", &VENDOR),
        need("credentialProviderArn", &PROVIDER_ARN),
        need("createdTime", &TIME),
        need("lastUpdatedTime", &TIME),
    ],
);
const API_KEY_ITEM: Shape = Shape::structure(
    "ApiKeyCredentialProvider",
    &[
        need("name", &PROVIDER_NAME),
        need("credentialProviderArn", &PROVIDER_ARN),
        need("createdTime", &TIME),
        need("lastUpdatedTime", &TIME),
    ],
);

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::CreateOauth2CredentialProvider,
        summary: "Makes a provider of OAuth 2 tokens",
        status: 201,
        input: &[
            need("name", &PROVIDER_NAME),
            need("credentialProviderVendor", &VENDOR),
            need("oauth2ProviderConfigInput", &CONFIG_INPUT),
            may("tags", &TAGS),
            may("allowedHosts", &HOSTS).ours(),
        ],
        output: &[
            need("clientSecretArn", &SECRET_ARN),
            may("clientSecretJsonKey", &JSON_KEY),
            may("clientSecretSource", &SOURCE),
            need("name", &PROVIDER_NAME),
            need("credentialProviderArn", &PROVIDER_ARN),
            may("callbackUrl", &TEXT),
            may("oauth2ProviderConfigOutput", &CONFIG_OUTPUT),
            may("status", &STATUS),
            may("allowedHosts", &HOSTS).ours(),
        ],
        faults: MAKES,
    },
    Call {
        operation: Operation::GetOauth2CredentialProvider,
        summary: "Tells a provider of OAuth 2 tokens, without its secret",
        status: 200,
        input: &[need("name", &PROVIDER_NAME)],
        output: WHOLE,
        faults: READS,
    },
    Call {
        operation: Operation::UpdateOauth2CredentialProvider,
        summary: "Replaces a provider of OAuth 2 tokens",
        status: 200,
        input: &[
            need("name", &PROVIDER_NAME),
            need("credentialProviderVendor", &VENDOR),
            need("oauth2ProviderConfigInput", &CONFIG_INPUT),
            may("allowedHosts", &HOSTS).ours(),
        ],
        output: WHOLE,
        faults: CHANGES,
    },
    Call {
        operation: Operation::DeleteOauth2CredentialProvider,
        summary: "Deletes a provider of OAuth 2 tokens",
        status: 204,
        input: &[need("name", &PROVIDER_NAME)],
        output: &[],
        faults: &[Unauthorized, Validation, AccessDenied, Conflict, NotFound, Throttling, Internal],
    },
    Call {
        operation: Operation::ListOauth2CredentialProviders,
        summary: "Lists providers of OAuth 2 tokens, in the order of their names",
        status: 200,
        input: &[may("nextToken", &NEXT_TOKEN), may("maxResults", &MAX_20)],
        output: &[
            need("credentialProviders", &Shape::list("Oauth2CredentialProviders", &OAUTH2_ITEM)),
            may("nextToken", &NEXT_TOKEN),
        ],
        faults: USUAL,
    },
    Call {
        operation: Operation::CreateApiKeyCredentialProvider,
        summary: "Makes a provider of an API key",
        status: 201,
        input: &[
            need("name", &PROVIDER_NAME),
            may("apiKey", &API_KEY),
            may("apiKeySecretConfig", &SECRET_REFERENCE),
            may("apiKeySecretSource", &SOURCE),
            may("tags", &TAGS),
            may("apiKeyPlacement", &PLACEMENT).ours(),
            may("allowedHosts", &HOSTS).ours(),
        ],
        output: &[
            need("apiKeySecretArn", &SECRET_ARN),
            may("apiKeySecretJsonKey", &JSON_KEY),
            may("apiKeySecretSource", &SOURCE),
            need("name", &PROVIDER_NAME),
            need("credentialProviderArn", &PROVIDER_ARN),
            may("apiKeyPlacement", &PLACEMENT).ours(),
            may("allowedHosts", &HOSTS).ours(),
        ],
        faults: MAKES,
    },
    Call {
        operation: Operation::GetApiKeyCredentialProvider,
        summary: "Tells a provider of an API key, without the key",
        status: 200,
        input: &[need("name", &PROVIDER_NAME)],
        output: KEY_WHOLE,
        faults: READS,
    },
    Call {
        operation: Operation::UpdateApiKeyCredentialProvider,
        summary: "Replaces the key of a provider",
        status: 200,
        input: &[
            need("name", &PROVIDER_NAME),
            may("apiKey", &API_KEY),
            may("apiKeySecretConfig", &SECRET_REFERENCE),
            may("apiKeySecretSource", &SOURCE),
            may("apiKeyPlacement", &PLACEMENT).ours(),
            may("allowedHosts", &HOSTS).ours(),
        ],
        output: KEY_WHOLE,
        faults: CHANGES,
    },
    Call {
        operation: Operation::DeleteApiKeyCredentialProvider,
        summary: "Deletes a provider of an API key",
        status: 204,
        input: &[need("name", &PROVIDER_NAME)],
        output: &[],
        faults: USUAL,
    },
    Call {
        operation: Operation::ListApiKeyCredentialProviders,
        summary: "Lists providers of API keys, in the order of their names",
        status: 200,
        input: &[may("nextToken", &NEXT_TOKEN), may("maxResults", &MAX_100)],
        output: &[
            need("credentialProviders", &Shape::list("ApiKeyCredentialProviders", &API_KEY_ITEM)),
            may("nextToken", &NEXT_TOKEN),
        ],
        faults: USUAL,
    },
];
