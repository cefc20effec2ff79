//! Shapes that several calls share.

use crate::http::agentcore::fault::Kind::{self as Fault, *};
use crate::http::agentcore::shape::{ANY, Shape};

/// What every call of the identity operations can answer.
pub(super) const USUAL: &[Fault] = &[Unauthorized, Validation, AccessDenied, NotFound, Throttling, Internal];

pub(super) const TEXT: Shape = Shape::text("String", 0, ANY);
pub(super) const FLAG: Shape = Shape::flag("Boolean");
pub(super) const TIME: Shape = Shape::time("Timestamp");

pub(super) const WORKLOAD_NAME: Shape = Shape::matching("WorkloadIdentityName", 3, 255, r"[A-Za-z0-9_.-]+");
pub(super) const WORKLOAD_ARN: Shape = Shape::text("WorkloadIdentityArn", 1, 1024);
pub(super) const PROVIDER_NAME: Shape = Shape::matching("CredentialProviderName", 1, 128, r"[a-zA-Z0-9\-_]+");
pub(super) const PROVIDER_ARN: Shape = Shape::text("CredentialProviderArn", 1, 1024);

pub(super) const RETURN_URL: Shape = Shape::matching("ResourceOauth2ReturnUrl", 1, 2048, r"\w+:(\/?\/?)[^\s]+");
pub(super) const RETURN_URLS: Shape = Shape::list("ResourceOauth2ReturnUrls", &RETURN_URL);

pub(super) const TAG_KEY: Shape = Shape::matching("TagKey", 1, 128, r"[a-zA-Z0-9\s._:/=+@-]*");
const TAG_VALUE: Shape = Shape::matching("TagValue", 0, 256, r"[a-zA-Z0-9\s._:/=+@-]*");
pub(super) const TAGS: Shape = Shape::map("Tags", 0, 50, &TAG_KEY, &TAG_VALUE);

pub(super) const NEXT_TOKEN: Shape = Shape::text("NextToken", 0, ANY);
pub(super) const MAX_20: Shape = Shape::whole("MaxResults20", 1, 20);
pub(super) const MAX_100: Shape = Shape::whole("MaxResults100", 1, 100);

pub(super) const SCOPE: Shape = Shape::text("Scope", 1, 128);
pub(super) const SCOPES: Shape = Shape::list("Scopes", &SCOPE);

pub(super) const WAT: Shape = Shape::text("WorkloadAccessToken", 1, 131_072).secret();
pub(super) const USER_TOKEN: Shape =
    Shape::matching("UserToken", 1, 131_072, r"[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+").secret();
pub(super) const USER_ID: Shape = Shape::text("UserId", 1, 128);
pub(super) const SESSION_URI: Shape =
    Shape::matching("SessionUri", 1, 1024, r"urn:ietf:params:oauth:request_uri:[a-zA-Z0-9-._~]+");
