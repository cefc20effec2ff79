//! Workload access tokens, and the credentials that they are exchanged for.

use super::Call;
use super::names::{
    FLAG, PROVIDER_NAME, RETURN_URL, SCOPES, SESSION_URI, TEXT, TIME, USER_ID, USER_TOKEN, USUAL, WAT, WORKLOAD_NAME,
};
use crate::access::Operation;
use crate::http::agentcore::shape::{ANY, Field, Shape, may, need};

const FLOW: Shape = Shape::choice("Oauth2Flow", &["USER_FEDERATION", "M2M", "ON_BEHALF_OF_TOKEN_EXCHANGE"]);
const STATE: Shape = Shape::text("CustomState", 1, 4096).secret();
const PARAMETER: Shape = Shape::matching("CustomParameterName", 1, 256, r"[a-zA-Z0-9\-_\.]+");
const PARAMETERS: Shape =
    Shape::map("CustomParameters", 0, ANY, &PARAMETER, &Shape::text("CustomParameterValue", 1, 2048).secret());
const RESOURCES: Shape = Shape::list("Resources", &Shape::text("Resource", 1, 2048));
const AUDIENCES: Shape = Shape::list("Audiences", &Shape::text("Audience", 1, 2048));
const STATUS: Shape = Shape::choice("SessionStatus", &["IN_PROGRESS", "FAILED"]);

const MINTED: &[Field] = &[need("workloadAccessToken", &WAT), may("expiresAt", &TIME).ours()];

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::GetWorkloadAccessToken,
        summary: "Mints a token for a workload that acts for itself",
        status: 200,
        input: &[need("workloadName", &WORKLOAD_NAME)],
        output: MINTED,
        faults: USUAL,
    },
    Call {
        operation: Operation::GetWorkloadAccessTokenForJWT,
        summary: "Mints a token for a workload and the user whom a JWT proves",
        status: 200,
        input: &[need("workloadName", &WORKLOAD_NAME), need("userToken", &USER_TOKEN)],
        output: MINTED,
        faults: USUAL,
    },
    Call {
        operation: Operation::GetWorkloadAccessTokenForUserId,
        summary: "Mints a token for a workload and a user whom nobody proves, where an operator trusts the workload for it",
        status: 200,
        input: &[need("workloadName", &WORKLOAD_NAME), need("userId", &USER_ID)],
        output: MINTED,
        faults: USUAL,
    },
    Call {
        operation: Operation::GetResourceOauth2Token,
        summary: "Gives an access token of a third party, or the address at which the user agrees first",
        status: 200,
        input: &[
            need("workloadIdentityToken", &WAT),
            need("resourceCredentialProviderName", &PROVIDER_NAME),
            need("scopes", &SCOPES),
            need("oauth2Flow", &FLOW),
            may("sessionUri", &SESSION_URI),
            may("resourceOauth2ReturnUrl", &RETURN_URL),
            may("forceAuthentication", &FLAG),
            may("customParameters", &PARAMETERS),
            may("customState", &STATE),
            may("resources", &RESOURCES),
            may("audiences", &AUDIENCES),
        ],
        output: &[
            may("authorizationUrl", &Shape::text("AuthorizationUrl", 1, ANY).secret()),
            may("accessToken", &Shape::text("AccessToken", 1, 131_072).secret()),
            may("sessionUri", &SESSION_URI),
            may("sessionStatus", &STATUS),
            may("expiresAt", &TIME).ours(),
            may("scopes", &SCOPES).ours(),
            may("tokenType", &TEXT).ours(),
        ],
        faults: USUAL,
    },
    Call {
        operation: Operation::CompleteResourceTokenAuth,
        summary: "Says who was in front of the browser that came back from the third party",
        status: 200,
        input: &[
            need(
                "userIdentifier",
                &Shape::union("UserIdentifier", &[may("userToken", &USER_TOKEN), may("userId", &USER_ID)]),
            ),
            need("sessionUri", &SESSION_URI),
        ],
        output: &[],
        faults: USUAL,
    },
    Call {
        operation: Operation::GetResourceApiKey,
        summary: "Gives an API key",
        status: 200,
        input: &[need("workloadIdentityToken", &WAT), need("resourceCredentialProviderName", &PROVIDER_NAME)],
        output: &[need("apiKey", &Shape::text("ApiKey", 1, 65_536).secret())],
        faults: USUAL,
    },
];
