//! The operators' API: JSON, on a Unix socket. Whatever changes something is written down before it is done.

use super::form;
use super::operator::{Operator, Operators};
use super::problem::Problem;
use crate::audit::{Action, Actor, AgentRef, Decision, Entry, Filter, Outcome, codes};
use crate::clock::Timestamp;
use crate::directory::{Deployment, NewWorkload, State as AgentState, Tags, WorkloadIdentity};
use crate::ids::{AgentName, Digest, GrantId, UserId};
use crate::providers::CredentialProvider;
use crate::vault::Grant;
use crate::wiring::Host;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;

/// No component is larger.
const MOST_COMPONENT: usize = 64 << 20;
const COMPONENT_PATIENCE: Duration = Duration::from_secs(120);
/// Records that one answer may hold.
const MOST_RECORDS: usize = 10_000;

pub(super) type Answer = Result<Json<Value>, Problem>;

pub(super) async fn status(State(Operators(host)): State<Operators>, _: Operator) -> Json<Value> {
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

/// How many agents there are, who made them, and what each can do.
pub(super) async fn agents(State(Operators(host)): State<Operators>, _: Operator) -> Json<Value> {
    let users = users_by_agent(&host);
    let of = |identity: &Arc<WorkloadIdentity>| agent(&host, identity, users.get(identity.name.as_str()));
    Json(host.directory.list().iter().map(of).collect())
}

fn users_by_agent(host: &Host) -> HashMap<String, HashSet<UserId>> {
    let mut users: HashMap<String, HashSet<UserId>> = HashMap::new();
    for grant in host.vault.grants() {
        users.entry(grant.agent).or_default().insert(grant.user);
    }
    users
}

fn agent(host: &Host, identity: &WorkloadIdentity, users: Option<&HashSet<UserId>>) -> Value {
    let terms = host.directory.terms(&identity.name);
    let providers: Vec<Value> = terms
        .providers
        .iter()
        .map(|bound| {
            let hosts: Vec<String> = match host.providers.find(&bound.provider) {
                Some(provider) => provider.destinations().iter().map(ToString::to_string).collect(),
                None => Vec::new(),
            };
            let at_run_time = identity.bound.iter().any(|other| other.provider == bound.provider);
            json!({ "name": bound.provider, "scopes": bound.scopes, "hosts": hosts, "at_run_time": at_run_time })
        })
        .collect();
    let mut value = json!(identity);
    value["providers"] = json!(providers);
    value["any_provider"] = json!(terms.any_provider);
    value["trusts_user_ids"] = json!(terms.trusts_user_ids);
    value["configured_return_urls"] = json!(terms.return_urls);
    value["claims"] = json!(terms.claims);
    value["egress"] = json!(terms.egress);
    value["reveal"] = json!(terms.reveal);
    value["users"] = json!(users.map_or(0, HashSet::len));
    value
}

pub(super) fn one_agent(host: &Host, identity: &WorkloadIdentity) -> Json<Value> {
    Json(agent(host, identity, users_by_agent(host).get(identity.name.as_str())))
}

/// The component must compile, link and export what an agent exports before its name points to it.
pub(super) async fn deploy(
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    request: Request,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let (head, body) = request.into_parts();
    let wishes = Wishes::parse(head.uri.query().unwrap_or_default())?;
    let bytes = form::small(body, MOST_COMPONENT, COMPONENT_PATIENCE).await?;
    let digest = Digest::of(&bytes);
    let mut actor = operator.actor();
    actor.agent = Some(AgentRef { name: name.to_string(), digest: Some(digest.to_string()) });
    let action = Action::new(codes::DEPLOY, name.as_str())
        .with(json!({ "digest": digest, "publisher": wishes.publisher, "bytes": bytes.len() }));
    let deployment = Deployment {
        allowed_return_urls: wishes.return_urls(&host, &name),
        name,
        digest,
        publisher: wishes.publisher,
        by: operator.name(),
    };
    let deed = async {
        let components = host.components.clone();
        let stored = tokio::task::spawn_blocking(move || components.put(&bytes)).await;
        match stored {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Problem::storage_of(&error)),
            Err(error) => return Err(Problem::storage_of(&error)),
        }
        // Compiles it, off this thread, and keeps it for the first invocation.
        host.loaded(digest).await.map_err(|error| Problem::component(&error))?;
        Ok(host.directory.deploy(deployment).await?)
    };
    let identity = written(&host, actor, action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// What the query of a deployment says.
struct Wishes {
    publisher: String,
    return_urls: Vec<String>,
}

impl Wishes {
    fn parse(query: &str) -> Result<Self, Problem> {
        let (mut publisher, mut return_urls) = (None, Vec::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "publisher" if publisher.is_none() => publisher = Some(value.into_owned()),
                "return_url" => return_urls.push(value.into_owned()),
                _ => {
                    return Err(Problem::bad_request(
                        "send `publisher` once, `return_url` as often as needed, and nothing else",
                    ));
                }
            }
        }
        let publisher = publisher.ok_or_else(|| Problem::bad_request("say who published it with `publisher`"))?;
        Ok(Self { publisher, return_urls })
    }

    /// Those that were sent and those of the configuration; none, which keeps what there is, where neither says any.
    fn return_urls(&self, host: &Host, name: &AgentName) -> Option<Vec<String>> {
        let mut urls = self.return_urls.clone();
        let configured = host.settings.agents.get(name).map_or(&[][..], |agent| &agent.allowed_return_urls);
        for url in configured {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        (!urls.is_empty()).then_some(urls)
    }
}

pub(super) async fn suspend(operators: State<Operators>, name: Path<String>, operator: Operator) -> Answer {
    set_state(operators, name, operator, codes::SUSPEND, AgentState::Suspended).await
}

pub(super) async fn resume(operators: State<Operators>, name: Path<String>, operator: Operator) -> Answer {
    set_state(operators, name, operator, codes::RESUME, AgentState::Active).await
}

async fn set_state(
    State(Operators(host)): State<Operators>,
    Path(name): Path<String>,
    operator: Operator,
    code: &str,
    state: AgentState,
) -> Answer {
    let name = AgentName::parse(&name)?;
    let mut actor = operator.actor();
    actor.agent = host.directory.entry(&name).and_then(|entry| about(&entry));
    let deed = async { Ok(host.directory.set_state(&name, state).await?) };
    let identity = written(&host, actor, Action::new(code, name.as_str()), deed).await?;
    Ok(one_agent(&host, &identity))
}

pub(super) fn about(entry: &WorkloadIdentity) -> Option<AgentRef> {
    let digest = entry.version.as_ref().map(|version| version.digest.to_string());
    Some(AgentRef { name: entry.name.to_string(), digest })
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
pub(super) async fn create(State(Operators(host)): State<Operators>, operator: Operator, request: Request) -> Answer {
    let body = form::small(request.into_body(), 64 << 10, Duration::from_secs(10)).await?;
    let wanted: Workload = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    let action =
        Action::new(codes::WORKLOAD_CREATE, wanted.name.as_str()).with(json!({ "publisher": wanted.publisher }));
    let new = NewWorkload {
        name: wanted.name,
        publisher: wanted.publisher,
        by: operator.name(),
        allowed_return_urls: wanted.allowed_return_urls,
        tags: wanted.tags,
    };
    let deed = async { Ok(host.directory.create(new).await?) };
    let identity = written(&host, operator.actor(), action, deed).await?;
    Ok(one_agent(&host, &identity))
}

/// Open, act, close: nothing changes that is not durably written down first.
pub(super) async fn written<T>(
    host: &Host,
    actor: Actor,
    action: Action,
    deed: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let record = host.trail.open_deed(actor, action)?;
    record.written().await?;
    let result = deed.await;
    record.close(match &result {
        Ok(_) => Outcome::allowed(),
        Err(problem) if problem.status.is_server_error() => Outcome::failed(problem.detail.clone()),
        Err(problem) => Outcome::refused(problem.detail.clone()),
    });
    result
}

/// The configured credential providers, without their secrets.
pub(super) async fn providers(State(Operators(host)): State<Operators>, _: Operator) -> Json<Value> {
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
    State(Operators(host)): State<Operators>,
    _: Operator,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<Grant>>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Problem::bad_request("filter by `user`, `agent` and `provider`"))?;
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let mut grants = host.vault.grants();
    grants.retain(|grant| {
        is(&wanted.user, grant.user.subject.as_str())
            && is(&wanted.agent, &grant.agent)
            && is(&wanted.provider, grant.provider.as_str())
    });
    grants.sort_by_key(|grant| (grant.created_at, grant.id));
    Ok(Json(grants))
}

/// The vault writes this down itself.
pub(super) async fn revoke(
    State(Operators(host)): State<Operators>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Json<Grant>, Problem> {
    let id: GrantId = id.parse()?;
    Ok(Json(host.vault.revoke(id, operator.actor(), None).await?))
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
    State(Operators(host)): State<Operators>,
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
    Ok(Json(host.trail.journal().query(filter).await?))
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
