//! `InvokeAgentRuntime` and `StopRuntimeSession`: the calls whose bodies are an agent's own.
//!
//! A program signs; a user's app sends the user's token, which the agent's own authorizer judges, as at
//! `/agents/{name}/invocations`.

use super::calls::Call;
use super::fault::Fault;
use super::input::{Input, Path, Values};
use super::{caller, said, whole};
use crate::access::Operation;
use crate::audit::Actor;
use crate::broker::Body;
use crate::http::headers;
use crate::http::site::Site;
use crate::http::token::For;
use crate::identity::VerifiedUser;
use crate::ids::{AgentName, SessionId};
use crate::operations::{Arn, Invocation, Invoked, OperationError, Overflow, RuntimeCall};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use std::sync::Arc;

const SESSION: HeaderName = HeaderName::from_static("x-amzn-bedrock-agentcore-runtime-session-id");

/// What of such a request an agent sees.
const PASSED: [HeaderName; 10] = [
    CONTENT_TYPE,
    ACCEPT,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("x-amzn-trace-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

pub(super) async fn handle(
    site: &Arc<Site>,
    call: &'static Call,
    head: &Parts,
    path: &Path,
    body: axum::body::Body,
) -> Result<Response, Fault> {
    let max = site.host.settings.max_body_bytes;
    if has_bearer(&head.headers) {
        let name = path.get("agentRuntimeArn").and_then(|text| Arn::runtime(text).ok());
        let user = site.user(head, For::Agent(name.as_ref())).await.map_err(|problem| {
            let (detail, challenge) = (problem.detail.clone(), problem.challenge().cloned());
            match problem.status {
                http::StatusCode::UNAUTHORIZED => Fault::unauthorized(detail).challenging(challenge),
                http::StatusCode::FORBIDDEN => OperationError::Denied(detail).into(),
                _ => OperationError::Unavailable(detail).into(),
            }
        })?;
        let body = whole(head, body, max).await?;
        let input = Input::read(call, head, path, &body)?;
        return for_user(site, call, head, &input.values(), &user, body).await;
    }
    let (caller, body) = caller(site, head, body, max).await?;
    caller.might(call.operation)?;
    let input = Input::read(call, head, path, &body)?;
    let asked = Asked::read(&input.values())?;
    if call.operation == Operation::StopRuntimeSession {
        let session = asked.session.ok_or_else(missing_session)?;
        site.operations.stop_session(&caller, &asked.agent, &session).await?;
        return Ok(stopped(&session));
    }
    let invoked = site
        .operations
        .invoke_runtime(
            &caller,
            RuntimeCall {
                agent: asked.agent,
                session: asked.session,
                user_id: input.values().may_text("runtimeUserId").map(str::to_owned),
                request: for_guest(&head.headers, body),
            },
        )
        .await?;
    Ok(answered(invoked))
}

async fn for_user(
    site: &Site,
    call: &'static Call,
    head: &Parts,
    input: &Values<'_>,
    user: &Arc<VerifiedUser>,
    body: Bytes,
) -> Result<Response, Fault> {
    let asked = Asked::read(input)?;
    if call.operation == Operation::StopRuntimeSession {
        let session = asked.session.ok_or_else(missing_session)?;
        site.operations.stop_own_session(user, &asked.agent, &session).await?;
        return Ok(stopped(&session));
    }
    if input.may_text("runtimeUserId").is_some() {
        let message = "is for callers who sign; a token says for whom it is";
        return Err(OperationError::field("runtimeUserId", message).into());
    }
    let agent = site.host.directory.resolve(&asked.agent).map_err(OperationError::from)?;
    let invoked = site
        .operations
        .invoke(Invocation {
            agent,
            user: Some(user.clone().into()),
            session: asked.session.unwrap_or_else(SessionId::random),
            return_url: None,
            request: for_guest(&head.headers, body),
            overflow: Overflow::default(),
            caller: Actor::default(),
        })
        .await?;
    Ok(answered(invoked))
}

/// Which agent, and which session.
struct Asked {
    agent: AgentName,
    session: Option<SessionId>,
}

impl Asked {
    fn read(input: &Values<'_>) -> Result<Self, OperationError> {
        match input.may_text("qualifier") {
            None | Some("DEFAULT") => {}
            Some(_) => {
                return Err(OperationError::field(
                    "qualifier",
                    "can only be `DEFAULT`: an agent has one endpoint here",
                ));
            }
        }
        Ok(Self {
            agent: Arn::runtime(input.text("agentRuntimeArn")?)?,
            session: input.may_parsed("runtimeSessionId")?,
        })
    }
}

fn missing_session() -> OperationError {
    OperationError::field("runtimeSessionId", "is required")
}

fn has_bearer(headers: &HeaderMap) -> bool {
    // Several are refused by whoever reads them.
    let first = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    first.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

/// `POST /`, whatever the address was.
fn for_guest(from: &HeaderMap, body: Bytes) -> http::Request<Body> {
    let length = body.len();
    let mut request = http::Request::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/");
    let passed: HeaderMap = PASSED
        .iter()
        .flat_map(|name| from.get_all(name).iter().map(move |value| (name.clone(), value.clone())))
        .collect();
    *request.headers_mut() = headers::inbound(&passed, &PASSED);
    request.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    request
}

fn answered(invoked: Invoked) -> Response {
    let Invoked { mut response, session, invocation } = invoked;
    let found = response.headers_mut();
    headers::outbound(found);
    if !found.contains_key(CONTENT_TYPE) {
        found.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    for (name, value) in [(SESSION, session.to_string()), (super::REQUEST_ID, invocation.to_string())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            found.insert(name, value);
        }
    }
    response.map(axum::body::Body::new)
}

fn stopped(session: &SessionId) -> Response {
    let mut response = said(200, &json!({}));
    if let Ok(value) = HeaderValue::from_str(session.as_str()) {
        response.headers_mut().insert(SESSION, value);
    }
    response
}
