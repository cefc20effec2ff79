//! The operators' API of access keys. A secret is in one answer, once: of the request that made the key.

use super::form;
use super::operator::{Operator, Operators};
use super::problem::Problem;
use crate::access::{AccessKey, KeyId, Operations, Workloads};
use axum::Json;
use axum::extract::{Path, Request, State};
use http::header::{CACHE_CONTROL, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Any is accepted; this one every client of AWS knows.
const REGION: &str = "us-east-1";

pub(super) async fn list(
    State(Operators(operations)): State<Operators>,
    operator: Operator,
) -> Result<Json<Vec<AccessKey>>, Problem> {
    Ok(Json(operations.list_keys(operator.caller())?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    operations: Vec<String>,
    workloads: Vec<String>,
}

/// The answer has the secret, and the variables that clients of AWS read.
pub(super) async fn create(
    State(Operators(operations)): State<Operators>,
    operator: Operator,
    request: Request,
) -> Result<([(HeaderName, &'static str); 1], Json<Value>), Problem> {
    let body = form::small(request.into_body(), 64 << 10, Duration::from_secs(10)).await?;
    let wanted: Wanted = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    let rights = Operations::parse(wanted.operations.iter().map(String::as_str))?;
    let workloads = Workloads::parse(wanted.workloads.iter().map(String::as_str))?;
    let made = operations.create_key(operator.caller(), wanted.name, rights, workloads).await?;
    let origin = operations.host().settings.public_url.as_str().trim_end_matches('/');
    let mut answer = json!(*made.key);
    answer["secret_access_key"] = made.shown().into();
    answer["environment"] = json!({
        "AWS_ACCESS_KEY_ID": made.key.id.as_str(),
        "AWS_SECRET_ACCESS_KEY": made.shown(),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": origin,
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL": origin,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)))
}

pub(super) async fn disable(
    State(Operators(operations)): State<Operators>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Json<AccessKey>, Problem> {
    let id: KeyId = id.parse()?;
    Ok(shown(operations.disable_key(operator.caller(), &id).await?))
}

pub(super) async fn remove(
    State(Operators(operations)): State<Operators>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Json<AccessKey>, Problem> {
    let id: KeyId = id.parse()?;
    Ok(shown(operations.delete_key(operator.caller(), &id).await?))
}

fn shown(key: Arc<AccessKey>) -> Json<AccessKey> {
    Json(AccessKey::clone(&key))
}
