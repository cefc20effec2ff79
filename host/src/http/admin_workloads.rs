//! What operators change about an agent or a workload that is there: where browsers go, tags, providers; and deleting it.

use super::admin::{Answer, agent};
use super::form;
use super::operator::{Operator, Operators};
use super::problem::Problem;
use crate::directory::{BoundProvider, Tags};
use crate::ids::{AgentName, ProviderName, Scopes};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use url::form_urlencoded;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    allowed_return_urls: Vec<String>,
}

/// Replaces where browsers may be sent after a consent.
pub(super) async fn update(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let Update { allowed_return_urls } = read(request.into_body()).await?;
    let changed = operations.update_workload(operator.caller(), &name, Some(allowed_return_urls)).await?;
    Ok(Json(agent(&changed)))
}

/// Adds tags, or gives them new values.
pub(super) async fn tag(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let tags: Tags = read(request.into_body()).await?;
    Ok(Json(agent(&operations.tag_workload(operator.caller(), &name, tags).await?)))
}

/// Takes away the tags whose keys stand in the query, each as `key`.
pub(super) async fn untag(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let keys = query.map(|(name, value)| (name == "key").then(|| value.into_owned())).collect::<Option<Vec<_>>>();
    let keys = keys.filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| Problem::bad_request("say which tags with `key`, as often as needed"))?;
    Ok(Json(agent(&operations.untag_workload(operator.caller(), &name, keys).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    #[serde(default)]
    scopes: Vec<String>,
}

/// Binds a provider with these scopes at the most, from the next call on.
pub(super) async fn bind(
    State(Operators(operations)): State<Operators>,
    Path((name, provider)): Path<(String, String)>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let provider = ProviderName::parse(&provider)?;
    let Binding { scopes } = read(request.into_body()).await?;
    let scopes = Scopes::parse(scopes.iter().map(String::as_str))?;
    let bound = BoundProvider { provider, scopes };
    Ok(Json(agent(&operations.bind_provider(operator.caller(), &name, bound).await?)))
}

/// Unbinds a provider, from the next call on. What users granted stays theirs to revoke.
pub(super) async fn unbind(
    State(Operators(operations)): State<Operators>,
    Path((name, provider)): Path<(String, String)>,
    operator: Operator,
) -> Answer {
    let (name, provider) = (AgentName::parse(&name)?, ProviderName::parse(&provider)?);
    Ok(Json(agent(&operations.unbind_provider(operator.caller(), &name, &provider).await?)))
}

/// Deletes agent or workload with everything of its.
pub(super) async fn delete(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let deleted = operations.delete_agent(operator.caller(), &name).await?;
    Ok(Json(json!({ "name": name, "revoked_grants": deleted.grants, "revoked_tokens": deleted.tokens })))
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let body = form::small(body, 128 << 10, Duration::from_secs(10)).await?;
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
}
