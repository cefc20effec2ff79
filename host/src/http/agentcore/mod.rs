//! The API that the clients of Amazon Bedrock AgentCore speak, path for path: REST-JSON, signed with AWS Signature Version 4.
//!
//! `head → credential → body → caller → what was asked, checked → operation → answer`. Who calls is known before the body is
//! looked at, and what a stranger sends is not parsed.

mod answers;
mod answers_providers;
mod answers_vault;
mod calls;
mod check;
mod elsewhere;
mod fault;
mod input;
mod json;
mod openapi;
mod runtimes;
mod shape;

#[cfg(test)]
mod botocore_tests;

pub(super) use elsewhere::elsewhere;
pub(super) use fault::Fault;
pub(super) use openapi::document;

use super::site::Site;
use crate::access::{Caller, Operation};
use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fault::REQUEST_ID;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body::Body as _;
use std::sync::Arc;
use std::time::Duration;

/// No JSON of the API is larger.
const MOST: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// One call of the API.
pub(super) async fn serve(site: Arc<Site>, operation: Operation, request: Request) -> Response {
    finished(handle(&site, operation, request).await)
}

/// A call that Amazon's API has and this host has not. Who calls is asked all the same.
pub(super) async fn refuse(site: Arc<Site>, name: &'static str, request: Request) -> Response {
    let refused = async {
        let (head, body) = request.into_parts();
        caller(&site, &head, body, MOST).await?;
        Err(Fault::not_offered(name))
    };
    finished(refused.await)
}

async fn handle(site: &Arc<Site>, operation: Operation, mut request: Request) -> Result<Response, Fault> {
    let Some(call) = calls::of(operation) else { return Err(Fault::not_offered(operation.name())) };
    let path = request.extract_parts::<Path<input::Path>>().await;
    let Path(path) = path.map_err(|_| Fault::unreadable("the path is no UTF-8"))?;
    let (head, body) = request.into_parts();
    if matches!(operation, Operation::InvokeAgentRuntime | Operation::StopRuntimeSession) {
        return runtimes::handle(site, call, &head, &path, body).await;
    }
    let (caller, body) = caller(site, &head, body, MOST).await?;
    caller.might(operation)?;
    let input = input::Input::read(call, &head, &path, &body)?;
    let answer = answers::answer(&site.operations, &caller, operation, &input.values()).await?;
    Ok(said(call.status, &answer))
}

/// Reads the whole body and lets the caller in.
async fn caller(site: &Site, head: &Parts, body: Body, max: u64) -> Result<(Arc<Caller>, Bytes), Fault> {
    let door = &site.host.door;
    let presented = match door.present(head) {
        Ok(presented) => presented,
        Err(refused) => return Err(not_let_in(site, head, refused)),
    };
    let body = whole(head, body, max).await?;
    match door.admit(presented, &body).await {
        Ok(caller) => Ok((caller, body)),
        Err(refused) => Err(not_let_in(site, head, refused)),
    }
}

fn not_let_in(site: &Site, head: &Parts, refused: crate::access::Refused) -> Fault {
    site.note_caller(head, &refused);
    refused.into()
}

/// A whole body, if it is small enough and comes soon.
async fn whole(head: &Parts, body: Body, max: u64) -> Result<Bytes, Fault> {
    if body.size_hint().lower() > max {
        // One that waits for a `100 Continue` has not begun to write.
        if !head.headers.contains_key(http::header::EXPECT) {
            super::body::forget(body).await;
        }
        return Err(Fault::too_large(max));
    }
    let read = axum::body::to_bytes(body, usize::try_from(max).unwrap_or(usize::MAX));
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Fault::too_large(max)),
        Err(_) => Err(Fault::unreadable("the body did not arrive in time; send it again")),
    }
}

fn said(status: u16, answer: &serde_json::Value) -> Response {
    let mut response = Response::new(match answer {
        serde_json::Value::Null => Body::empty(),
        answer => Body::from(answer.to_string()),
    });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if !answer.is_null() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// With what every answer has.
fn finished(result: Result<Response, Fault>) -> Response {
    let mut response = result.unwrap_or_else(|fault| fault.into_response());
    let headers = response.headers_mut();
    if !headers.contains_key(REQUEST_ID) {
        let id = crate::ids::InvocationId::random().to_string();
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID, id);
        }
    }
    headers.insert(super::headers::NOSNIFF.0, super::headers::NOSNIFF.1);
    response
}
