//! The operators' API: JSON, on a Unix socket. Whatever changes something is written down before it is done.

use super::form;
use super::operator::{Operator, Operators};
use super::problem::Problem;
use crate::audit::{Decision, Entry, Filter};
use crate::clock::Timestamp;
use crate::directory::Tags;
use crate::ids::{AgentName, Digest, ProviderName};
use crate::operations::{AgentView, CreateWorkload, Deploy, ProviderView};
use crate::providers::CredentialProvider;
use crate::vault::{Grant, GrantFilter};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use url::form_urlencoded;

/// No component is larger.
const MOST_COMPONENT: usize = 64 << 20;
const COMPONENT_PATIENCE: Duration = Duration::from_secs(120);
/// Records that one answer may hold.
const MOST_RECORDS: usize = 10_000;

pub(super) type Answer = Result<Json<Value>, Problem>;

pub(super) async fn status(State(Operators(operations)): State<Operators>, _: Operator) -> Json<Value> {
    let host = operations.host();
    let settings = &host.settings;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "host": host.trail.host(),
        "public_url": settings.public_url.as_str().trim_end_matches('/'),
        "listen": settings.listen,
        "account": settings.account,
        "trust_domain": settings.trust_domain,
        "development": settings.development,
        "agents": host.directory.list().len(),
        "grants": host.vault.grants().len(),
        "free_instances": host.engine.free_instances(),
        "now": host.clock.now(),
    }))
}

/// Every agent: who made it, and what it can do.
pub(super) async fn agents(State(Operators(operations)): State<Operators>, operator: Operator) -> Answer {
    Ok(Json(operations.list_agents(operator.caller())?.iter().map(agent).collect()))
}

pub(super) fn agent(view: &AgentView) -> Value {
    let of = |provider: &ProviderView| {
        let at_run_time = view.identity.bound.iter().any(|other| other.provider == provider.bound.provider);
        json!({
            "name": provider.bound.provider,
            "scopes": provider.bound.scopes,
            "hosts": provider.hosts,
            "at_run_time": at_run_time,
        })
    };
    let mut value = json!(*view.identity);
    value["providers"] = view.providers.iter().map(of).collect();
    value["any_provider"] = json!(view.terms.any_provider);
    value["trusts_user_ids"] = json!(view.terms.trusts_user_ids);
    value["configured_return_urls"] = json!(view.terms.return_urls);
    value["claims"] = json!(view.terms.claims);
    value["egress"] = json!(view.terms.egress);
    value["reveal"] = json!(view.terms.reveal);
    value["users"] = json!(view.users);
    value
}

/// The component must compile, link and export what an agent exports before its name points to it.
pub(super) async fn deploy(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let (head, body) = request.into_parts();
    let Wishes { publisher, return_urls, source } = Wishes::parse(head.uri.query().unwrap_or_default())?;
    let bytes = form::small(body, MOST_COMPONENT, COMPONENT_PATIENCE).await?;
    let deploy = Deploy { name, bytes, publisher, return_urls, source };
    Ok(Json(agent(&operations.deploy_agent(operator.caller(), deploy).await?)))
}

/// What the query of a deployment says.
struct Wishes {
    publisher: String,
    return_urls: Vec<String>,
    source: Option<String>,
}

impl Wishes {
    fn parse(query: &str) -> Result<Self, Problem> {
        let (mut publisher, mut return_urls, mut source) = (None, Vec::new(), None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "publisher" if publisher.is_none() => publisher = Some(value.into_owned()),
                "source" if source.is_none() => source = Some(value.into_owned()),
                "return_url" => return_urls.push(value.into_owned()),
                _ => {
                    return Err(Problem::bad_request(
                        "send `publisher` once, `source` at most once, `return_url` as often as needed, and nothing else",
                    ));
                }
            }
        }
        let publisher = publisher.ok_or_else(|| Problem::bad_request("say who published it with `publisher`"))?;
        Ok(Self { publisher, return_urls, source })
    }
}

pub(super) async fn versions(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    Ok(Json(json!(operations.list_versions(operator.caller(), &AgentName::parse(&name)?).await?)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBack {
    to: Option<Digest>,
}

pub(super) async fn roll_back(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    Json(RollBack { to }): Json<RollBack>,
) -> Answer {
    Ok(Json(agent(&operations.roll_back_agent(operator.caller(), &AgentName::parse(&name)?, to).await?)))
}

pub(super) async fn pin(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    Ok(Json(agent(&operations.pin_agent(operator.caller(), &AgentName::parse(&name)?, true).await?)))
}

pub(super) async fn unpin(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    Ok(Json(agent(&operations.pin_agent(operator.caller(), &AgentName::parse(&name)?, false).await?)))
}

pub(super) async fn killed(State(Operators(operations)): State<Operators>, operator: Operator) -> Answer {
    Ok(Json(json!(operations.list_killed(operator.caller())?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    reason: String,
}

pub(super) async fn kill(
    State(Operators(operations)): State<Operators>,
    Path(digest): Path<String>,
    operator: Operator,
    Json(Kill { reason }): Json<Kill>,
) -> Answer {
    let killed = operations.kill_component(operator.caller(), digest.parse()?, reason).await?;
    Ok(Json(json!(killed)))
}

pub(super) async fn revive(
    State(Operators(operations)): State<Operators>,
    Path(digest): Path<String>,
    operator: Operator,
) -> Answer {
    operations.revive_component(operator.caller(), digest.parse()?).await?;
    Ok(Json(json!({ "digest": digest })))
}

pub(super) async fn suspend(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    Ok(Json(agent(&operations.suspend_agent(operator.caller(), &AgentName::parse(&name)?).await?)))
}

pub(super) async fn resume(
    State(Operators(operations)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    Ok(Json(agent(&operations.resume_agent(operator.caller(), &AgentName::parse(&name)?).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workload {
    name: AgentName,
    publisher: String,
    #[serde(default)]
    allowed_return_urls: Vec<String>,
    #[serde(default)]
    tags: Tags,
}

/// A workload identity by hand.
pub(super) async fn create(
    State(Operators(operations)): State<Operators>,
    operator: Operator,
    request: Request,
) -> Answer {
    let body = form::small(request.into_body(), 64 << 10, Duration::from_secs(10)).await?;
    let wanted: Workload = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    let create = CreateWorkload {
        name: wanted.name,
        publisher: Some(wanted.publisher),
        return_urls: wanted.allowed_return_urls,
        tags: wanted.tags,
    };
    Ok(Json(agent(&operations.create_workload(operator.caller(), create).await?)))
}

/// The configured credential providers, without their secrets.
pub(super) async fn providers(State(Operators(operations)): State<Operators>, _: Operator) -> Json<Value> {
    let host = operations.host();
    let origin = host.settings.public_url.as_str().trim_end_matches('/');
    let of = |provider: &CredentialProvider| {
        let hosts: Vec<String> = provider.destinations().iter().map(ToString::to_string).collect();
        let mut value = json!({
            "name": provider.name(),
            "display_name": provider.display_name(),
            "hosts": hosts,
        });
        if let CredentialProvider::Oauth2(provider) = provider {
            value["scopes"] = json!(provider.scopes);
            value["client_id"] = json!(provider.client_id);
            value["redirect_uri"] = json!(format!("{origin}/oauth2/callback/{}", provider.name));
        }
        value
    };
    Json(host.providers.list().iter().map(of).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `sub`.
    user: Option<String>,
    agent: Option<String>,
    provider: Option<String>,
}

pub(super) async fn grants(
    State(Operators(operations)): State<Operators>,
    operator: Operator,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<Grant>>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Problem::bad_request("filter by `user`, `agent` and `provider`"))?;
    let filter = GrantFilter {
        user: None,
        agent: wanted.agent.as_deref().map(AgentName::parse).transpose()?,
        provider: wanted.provider.as_deref().map(ProviderName::parse).transpose()?,
    };
    let mut grants = operations.list_grants(operator.caller(), &filter, wanted.user.as_deref())?;
    grants.sort_by_key(|grant| (grant.created_at, grant.id));
    Ok(Json(grants))
}

pub(super) async fn revoke(
    State(Operators(operations)): State<Operators>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Json<Grant>, Problem> {
    Ok(Json(operations.revoke_grant(operator.caller(), id.parse()?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    agent: Option<String>,
    subject: Option<String>,
    action: Option<String>,
    decision: Option<Decision>,
    caller: Option<String>,
    /// Milliseconds since 1970.
    since: Option<u64>,
    limit: Option<usize>,
}

/// Newest first.
pub(super) async fn audit(
    State(Operators(operations)): State<Operators>,
    _: Operator,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let Query(asked) = asked.map_err(|error| {
        let allowed =
            "filter by `agent`, `subject`, `action`, `decision`, `caller`, `since` (milliseconds) and `limit`";
        Problem::bad_request(format!("{allowed}: {}", error.body_text()))
    })?;
    let filter = Filter {
        agent: asked.agent,
        subject: asked.subject,
        action: asked.action,
        decision: asked.decision,
        caller: asked.caller,
        since: asked.since.map(Timestamp::from_millis),
        limit: asked.limit.unwrap_or(0).min(MOST_RECORDS),
    };
    Ok(Json(operations.host().trail.journal().query(filter).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_says_who_published_it() {
        let wishes =
            Wishes::parse("publisher=Acme%20Ltd&return_url=https%3A%2F%2Fa.example&return_url=https://b.example")
                .unwrap_or_else(|problem| panic!("{problem:?}"));
        assert_eq!(wishes.publisher, "Acme Ltd");
        assert_eq!(wishes.return_urls, ["https://a.example", "https://b.example"]);
        for bad in ["", "return_url=https://a.example", "publisher=a&publisher=b", "publisher=a&by=root"] {
            assert_eq!(Wishes::parse(bad).err().map(|problem| problem.status.as_u16()), Some(400), "{bad}");
        }
    }
}
