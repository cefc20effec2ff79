//! What AgentCore does not have: looking at a workload access token, ending one before its time, and the users' grants.

use super::Call;
use super::names::{FLAG, MAX_100, NEXT_TOKEN, PROVIDER_NAME, SCOPES, TEXT, TIME, USUAL, WAT, WORKLOAD_NAME};
use crate::access::Operation;
use crate::http::agentcore::shape::{Field, Shape, may, need};

const GRANT_ID: Shape = Shape::matching("GrantId", 32, 32, r"[0-9a-f]+");
const GRANT_FIELDS: &[Field] = &[
    need("grantId", &GRANT_ID).ours(),
    need("workloadName", &TEXT).ours(),
    need("userIssuer", &TEXT).ours(),
    need("userSubject", &TEXT).ours(),
    need("resourceCredentialProviderName", &PROVIDER_NAME).ours(),
    need("scopes", &SCOPES).ours(),
    need("createdTime", &TIME).ours(),
    need("lastUpdatedTime", &TIME).ours(),
    may("expiresAt", &TIME).ours(),
];
const GRANT: Shape = Shape::structure("Grant", GRANT_FIELDS);

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::IntrospectWorkloadAccessToken,
        summary: "Tells whom a workload access token stands for, and until when",
        status: 200,
        input: &[need("workloadIdentityToken", &WAT).ours()],
        output: &[
            need("active", &FLAG).ours(),
            may("tokenId", &TEXT).ours(),
            may("workloadName", &WORKLOAD_NAME).ours(),
            may("userIssuer", &TEXT).ours(),
            may("userSubject", &TEXT).ours(),
            may("expiresAt", &TIME).ours(),
        ],
        faults: USUAL,
    },
    Call {
        operation: Operation::RevokeWorkloadAccessToken,
        summary: "Ends a workload access token before its time; one that is not live is the same",
        status: 204,
        input: &[need("workloadIdentityToken", &WAT).ours()],
        output: &[],
        faults: USUAL,
    },
    Call {
        operation: Operation::ListGrants,
        summary: "Lists what users granted, newest first",
        status: 200,
        input: &[
            may("workloadName", &WORKLOAD_NAME).ours(),
            may("userIssuer", &TEXT).ours(),
            may("userSubject", &TEXT).ours(),
            may("resourceCredentialProviderName", &PROVIDER_NAME).ours(),
            may("nextToken", &NEXT_TOKEN).ours(),
            may("maxResults", &MAX_100).ours(),
        ],
        output: &[need("grants", &Shape::list("Grants", &GRANT)).ours(), may("nextToken", &NEXT_TOKEN).ours()],
        faults: USUAL,
    },
    Call {
        operation: Operation::RevokeGrant,
        summary: "Undoes a grant: the next call with it is refused, and the third party is told",
        status: 200,
        input: &[need("grantId", &GRANT_ID).ours()],
        output: GRANT_FIELDS,
        faults: USUAL,
    },
];
