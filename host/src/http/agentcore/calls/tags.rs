//! Tags of workload identities and credential providers.

use super::Call;
use super::names::{TAG_KEY, TAGS};
use crate::access::Operation;
use crate::http::agentcore::fault::Kind::*;
use crate::http::agentcore::shape::{Shape, may, need};

const ARN: Shape = Shape::matching(
    "TaggableResourceArn",
    20,
    1011,
    // The model has `[a-z-]+` here, which its own `oauth2credentialprovider` does not match.
    r"arn:(?:[^:]+)?:bedrock-agentcore:[a-z0-9-]+:[0-9]{12}:([a-z0-9-]+/[^/]+)(?:/[a-z0-9-]+/[^/]+)*",
);

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::TagResource,
        summary: "Adds tags",
        status: 204,
        input: &[need("resourceArn", &ARN).path(), need("tags", &TAGS)],
        output: &[],
        faults: &[ServiceQuotaExceeded, Validation, AccessDenied, Throttling, NotFound, Internal],
    },
    Call {
        operation: Operation::UntagResource,
        summary: "Removes tags",
        status: 204,
        input: &[
            need("resourceArn", &ARN).path(),
            need("tagKeys", &Shape::list_of("TagKeys", 0, 200, &TAG_KEY)).query("tagKeys"),
        ],
        output: &[],
        faults: &[Validation, AccessDenied, Throttling, NotFound, Internal],
    },
    Call {
        operation: Operation::ListTagsForResource,
        summary: "Lists tags",
        status: 200,
        input: &[need("resourceArn", &ARN).path()],
        output: &[may("tags", &TAGS)],
        faults: &[Validation, AccessDenied, NotFound, Throttling, Internal],
    },
];
