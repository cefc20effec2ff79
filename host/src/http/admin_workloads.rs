//! What operators change about an agent or a workload that is there: where browsers go, tags, providers; and deleting it.

use super::admin::{Answer, about, one_agent, written};
use super::form;
use super::operator::{Operator, Operators};
use super::problem::Problem;
use crate::audit::{Action, Actor, codes};
use crate::directory::{BoundProvider, Tags};
use crate::ids::{AgentName, ProviderName, Scopes};
use crate::providers::CredentialProvider;
use crate::wiring::Host;
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
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let Update { allowed_return_urls } = read(request.into_body()).await?;
    let action =
        Action::new(codes::WORKLOAD_UPDATE, name.as_str()).with(json!({ "allowed_return_urls": allowed_return_urls }));
    let deed = async { Ok(host.directory.update(&name, allowed_return_urls).await?) };
    let identity = written(&host, concerning(&host, &operator, &name), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// Adds tags, or gives them new values.
pub(super) async fn tag(
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let tags: Tags = read(request.into_body()).await?;
    let action = Action::new(codes::WORKLOAD_TAG, name.as_str()).with(json!(tags));
    let deed = async { Ok(host.directory.tag(&name, tags).await?) };
    let identity = written(&host, concerning(&host, &operator, &name), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// Takes away the tags whose keys stand in the query, each as `key`.
pub(super) async fn untag(
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let keys = query.map(|(name, value)| (name == "key").then(|| value.into_owned())).collect::<Option<Vec<_>>>();
    let keys = keys.filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| Problem::bad_request("say which tags with `key`, as often as needed"))?;
    let action = Action::new(codes::WORKLOAD_UNTAG, name.as_str()).with(json!(keys));
    let deed = async { Ok(host.directory.untag(&name, keys).await?) };
    let identity = written(&host, concerning(&host, &operator, &name), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    #[serde(default)]
    scopes: Vec<String>,
}

/// Binds a provider with these scopes at the most, from the next call on.
pub(super) async fn bind(
    State(Operators(host)): State<Operators>,
    Path((name, provider)): Path<(String, String)>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let provider = ProviderName::parse(&provider)?;
    let Binding { scopes } = read(request.into_body()).await?;
    let scopes = Scopes::parse(scopes.iter().map(String::as_str))?;
    let action = Action::new(codes::WORKLOAD_BIND, name.as_str())
        .with(json!({ "provider": provider, "scopes": scopes.to_vec() }));
    let deed = async {
        offered(&host, &provider, &scopes)?;
        Ok(host.directory.bind(&name, BoundProvider { provider, scopes }).await?)
    };
    let identity = written(&host, concerning(&host, &operator, &name), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// A mistake is told now and not at the agent's first call.
fn offered(host: &Host, name: &ProviderName, scopes: &Scopes) -> Result<(), Problem> {
    match host.providers.find(name) {
        None => Err(Problem::bad_request(format!(
            "there is no credential provider `{name}`; `attache providers` lists those that are"
        ))),
        Some(CredentialProvider::ApiKey(_)) if !scopes.is_empty() => {
            Err(Problem::bad_request(format!("provider `{name}` has an API key, which has no scopes; bind it without")))
        }
        Some(CredentialProvider::Oauth2(provider))
            if !provider.scopes.is_empty() && !provider.scopes.covers(scopes) =>
        {
            let missing = provider.scopes.missing(scopes).joined();
            Err(Problem::bad_request(format!("provider `{name}` does not offer `{missing}`; bind what it offers")))
        }
        Some(_) => Ok(()),
    }
}

/// Unbinds a provider, from the next call on. What users granted stays theirs to revoke.
pub(super) async fn unbind(
    State(Operators(host)): State<Operators>,
    Path((name, provider)): Path<(String, String)>,
    operator: Operator,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let provider = ProviderName::parse(&provider)?;
    let action = Action::new(codes::WORKLOAD_UNBIND, name.as_str()).with(json!({ "provider": provider }));
    let deed = async { Ok(host.directory.unbind(&name, &provider).await?) };
    let identity = written(&host, concerning(&host, &operator, &name), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// Deletes agent or workload with everything of its. What is retired does nothing any more, whatever fails after that; the
/// name is free when all is gone, and asking again goes on where it stopped.
pub(super) async fn delete(
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let actor = concerning(&host, &operator, &name);
    let deed = async {
        let retired = host.directory.retire(&name).await?;
        let tokens = host.issued.revoke_workload(&name);
        let mut grants = 0_u64;
        for grant in host.vault.grants().into_iter().filter(|grant| grant.agent == name.as_str()) {
            host.vault.revoke(grant.id, operator.actor(), None).await?;
            grants += 1;
        }
        host.directory.remove(retired).await?;
        Ok(Json(json!({ "name": name, "revoked_grants": grants, "revoked_tokens": tokens })))
    };
    written(&host, actor, Action::new(codes::WORKLOAD_DELETE, name.as_str()), deed).await
}

/// The operator, with the agent that is concerned.
fn concerning(host: &Host, operator: &Operator, name: &AgentName) -> Actor {
    let mut actor = operator.actor();
    actor.agent = host.directory.entry(name).and_then(|entry| about(&entry));
    actor
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let body = form::small(body, 128 << 10, Duration::from_secs(10)).await?;
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
}
