//! Calls of agents that are deployed here.

use super::Call;
use super::names::TEXT;
use crate::access::Operation;
use crate::http::agentcore::fault::Kind::*;
use crate::http::agentcore::shape::{ANY, Shape, may, need};

const MIME: Shape = Shape::text("MimeType", 1, 256);
const WORD: Shape = Shape::text("HeaderText", 1, 1024);
const SESSION: Shape = Shape::text("RuntimeSessionId", 33, 256);
const ACCOUNT: Shape = Shape::matching("AccountId", 0, ANY, r"[0-9]{12}");
const CLIENT_TOKEN: Shape = Shape::matching("ClientToken", 33, 256, r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,256}");
const PAYLOAD: Shape = Shape::bytes("Payload").secret();

pub(super) const SESSION_HEADER: &str = "x-amzn-bedrock-agentcore-runtime-session-id";
const USER_HEADER: &str = "x-amzn-bedrock-agentcore-runtime-user-id";

pub(super) const CALLS: &[Call] = &[
    Call {
        operation: Operation::InvokeAgentRuntime,
        summary: "Calls an agent that is deployed here",
        status: 200,
        input: &[
            may("contentType", &MIME).header("content-type"),
            may("accept", &MIME).header("accept"),
            may("mcpSessionId", &WORD).header("mcp-session-id"),
            may("runtimeSessionId", &SESSION).header(SESSION_HEADER),
            may("mcpProtocolVersion", &WORD).header("mcp-protocol-version"),
            may("mcpMethod", &WORD).header("mcp-method"),
            may("mcpName", &WORD).header("mcp-name"),
            may("runtimeUserId", &WORD).header(USER_HEADER),
            may("traceId", &Shape::text("TraceId", 0, 128)).header("x-amzn-trace-id"),
            may("traceParent", &Shape::text("TraceParent", 0, 128)).header("traceparent"),
            may("traceState", &Shape::text("TraceState", 0, 512)).header("tracestate"),
            may("baggage", &Shape::text("Baggage", 0, 8192)).header("baggage"),
            need("agentRuntimeArn", &TEXT).path(),
            may("qualifier", &TEXT).query("qualifier"),
            may("accountId", &ACCOUNT).query("accountId"),
            need("payload", &PAYLOAD).payload(),
        ],
        output: &[
            may("runtimeSessionId", &TEXT).header(SESSION_HEADER),
            may("mcpSessionId", &TEXT).header("mcp-session-id"),
            may("mcpProtocolVersion", &TEXT).header("mcp-protocol-version"),
            may("traceId", &TEXT).header("x-amzn-trace-id"),
            may("traceParent", &TEXT).header("traceparent"),
            may("traceState", &TEXT).header("tracestate"),
            may("baggage", &TEXT).header("baggage"),
            need("contentType", &TEXT).header("content-type"),
            may("response", &PAYLOAD).payload(),
        ],
        faults: &[
            ServiceQuotaExceeded,
            RetryableConflict,
            Validation,
            AccessDenied,
            RuntimeClient,
            Throttling,
            NotFound,
            Internal,
        ],
    },
    Call {
        operation: Operation::StopRuntimeSession,
        summary: "Ends a session: what runs in it is stopped",
        status: 200,
        input: &[
            need("runtimeSessionId", &SESSION).header(SESSION_HEADER),
            need("agentRuntimeArn", &TEXT).path(),
            may("qualifier", &TEXT).query("qualifier"),
            may("clientToken", &CLIENT_TOKEN),
        ],
        output: &[may("runtimeSessionId", &TEXT).header(SESSION_HEADER)],
        faults: &[
            ServiceQuotaExceeded,
            Unauthorized,
            RetryableConflict,
            Validation,
            AccessDenied,
            Conflict,
            RuntimeClient,
            Throttling,
            NotFound,
            Internal,
        ],
    },
];
