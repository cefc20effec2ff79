//! Workload identities.

use super::Call;
use super::names::{MAX_20, NEXT_TOKEN, RETURN_URLS, TAGS, TIME, USUAL, WORKLOAD_ARN, WORKLOAD_NAME};
use crate::access::Operation;
use crate::http::agentcore::fault::Kind::*;
use crate::http::agentcore::shape::{Field, Shape, may, need};

const WHOLE: &[Field] = &[
    need("name", &WORKLOAD_NAME),
    need("workloadIdentityArn", &WORKLOAD_ARN),
    may("allowedResourceOauth2ReturnUrls", &RETURN_URLS),
    need("createdTime", &TIME),
    need("lastUpdatedTime", &TIME),
];

const SHORT: Shape =
    Shape::structure("WorkloadIdentity", &[need("name", &WORKLOAD_NAME), need("workloadIdentityArn", &WORKLOAD_ARN)]);

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::CreateWorkloadIdentity,
        summary: "Makes the identity of a workload that runs outside this host",
        status: 201,
        input: &[
            need("name", &WORKLOAD_NAME),
            may("allowedResourceOauth2ReturnUrls", &RETURN_URLS),
            may("tags", &TAGS),
        ],
        output: &[
            need("name", &WORKLOAD_NAME),
            need("workloadIdentityArn", &WORKLOAD_ARN),
            may("allowedResourceOauth2ReturnUrls", &RETURN_URLS),
        ],
        faults: &[Unauthorized, Validation, AccessDenied, Conflict, NotFound, Throttling, Internal],
    },
    Call {
        operation: Operation::GetWorkloadIdentity,
        summary: "Tells one workload identity",
        status: 200,
        input: &[need("name", &WORKLOAD_NAME)],
        output: WHOLE,
        faults: USUAL,
    },
    Call {
        operation: Operation::UpdateWorkloadIdentity,
        summary: "Replaces the return URLs of a workload identity",
        status: 200,
        input: &[need("name", &WORKLOAD_NAME), may("allowedResourceOauth2ReturnUrls", &RETURN_URLS)],
        output: WHOLE,
        faults: &[Unauthorized, Validation, Conflict, AccessDenied, NotFound, Throttling, Internal],
    },
    Call {
        operation: Operation::DeleteWorkloadIdentity,
        summary: "Deletes the identity of a workload that runs outside this host, its grants and its tokens",
        status: 204,
        input: &[need("name", &WORKLOAD_NAME)],
        output: &[],
        faults: USUAL,
    },
    Call {
        operation: Operation::ListWorkloadIdentities,
        summary: "Lists workload identities, in the order of their names",
        status: 200,
        input: &[may("nextToken", &NEXT_TOKEN), may("maxResults", &MAX_20)],
        output: &[
            need("workloadIdentities", &Shape::list("WorkloadIdentities", &SHORT)),
            may("nextToken", &NEXT_TOKEN),
        ],
        faults: USUAL,
    },
];
