//! The consent page, the way to the provider and back, and the app's completion call.

use super::form;
use super::pages::{self, Failed};
use super::problem::Problem;
use super::sign_in::{ReturnTo, Returned, unreadable_answer};
use super::site::Site;
use super::token::For;
use crate::consent::{Callback, ConsentError, Landing};
use crate::ids::{AgentName, ConsentId, ProviderName};
use crate::sign_in::Visit;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What the user is asked. An app that asks with a page of its own has no use for ours: its users go on to the provider
/// at once, and the app says afterwards who was there.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let id = parse(&id)?;
    let visit = site.visit(&headers);
    let consents = &site.host.consents;
    if consents.is_for_app(id).await.map_err(Problem::from)? {
        let user = visit.as_ref().map(Visit::user);
        let url = consents.proceed(id, user).await.map_err(|error| refused(error, id, visit.as_ref()))?;
        return Ok(Redirect::to(url.as_str()).into_response());
    }
    site.sign_ins()?;
    let Some(visit) = visit else {
        return Ok(Redirect::to(&ReturnTo::Consent(id).sign_in()).into_response());
    };
    let view = consents.view(id, visit.user()).await.map_err(|error| refused(error, id, Some(&visit)))?;
    // A workload that runs elsewhere is given the token as it is.
    let reads = view.digest.is_none()
        || AgentName::parse(&view.agent).is_ok_and(|name| site.host.directory.terms(&name).reveal);
    Ok(pages::consent(&view, &visit, reads, site.host.clock.now()))
}

/// The user goes on: to the provider, or to a code that they type there on another device.
pub(super) async fn proceed(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    visit: Visit,
    request: Request,
) -> Result<Response, Failed> {
    let id = parse(&id)?;
    let (head, body) = request.into_parts();
    form::read(&site, &visit, &head.headers, body).await?;
    let consents = &site.host.consents;
    match consents.begin_device(id, visit.user()).await {
        Err(ConsentError::NotByDevice(_)) => {}
        begun => {
            begun.map_err(|error| refused(error, id, Some(&visit)))?;
            // To the page, which shows the code and can be loaded again.
            return Ok(Redirect::to(&ReturnTo::Consent(id).path()).into_response());
        }
    }
    let going = consents.proceed(id, Some(visit.user())).await;
    let url = going.map_err(|error| refused(error, id, Some(&visit)))?;
    Ok(Redirect::to(url.as_str()).into_response())
}

/// The provider sent the browser back.
pub(super) async fn callback(
    State(site): State<Arc<Site>>,
    Path(provider): Path<String>,
    returned: Result<Query<Returned>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let provider = ProviderName::parse(&provider).map_err(|_| Problem::not_found())?;
    let Query(returned) = returned.map_err(|_| unreadable_answer())?;
    let callback = Callback {
        state: returned.state,
        code: returned.code,
        iss: returned.iss,
        error: returned.error,
        error_description: returned.error_description,
    };
    let visit = site.visit(&headers);
    let user = visit.as_ref().map(Visit::user);
    match site.host.consents.callback(&provider, callback, user).await {
        // To the page without a code in its address, which can be loaded again.
        Ok(Landing::Stored(view)) => Ok(Redirect::to(&ReturnTo::Consent(view.id).path()).into_response()),
        Ok(Landing::ReturnToApp { url }) => Ok(Redirect::to(url.as_str()).into_response()),
        Err(error) => Err(Problem::from(error).into()),
    }
}

/// The codes for an app or a command line of the user whom the session belongs to, with a token of theirs. Asked again, it
/// tells the same codes, or how it ended.
pub(super) async fn device(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (head, _) = request.into_parts();
    // Before anything is looked up: a caller without a token learns nothing of sessions.
    if !head.headers.contains_key(http::header::AUTHORIZATION) {
        site.user(&head, For::Host).await?;
    }
    let id = parse(&id)?;
    let consents = &site.host.consents;
    let agent = match consents.agent_of(id).await {
        Ok(agent) => Some(agent),
        Err(ConsentError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let user = site.user(&head, For::Agent(agent.as_ref())).await?;
    let codes = match consents.begin_device(id, &user).await {
        Ok(codes) => json!({ "stage": "at-provider", "codes": codes }),
        Err(ConsentError::Over) => json!({ "stage": consents.view(id, &user).await?.stage }),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(codes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Completion {
    session_uri: String,
}

/// The app says who was there, with a token of theirs.
pub(super) async fn complete(State(site): State<Arc<Site>>, request: Request) -> Result<Json<Value>, Problem> {
    let (head, body) = request.into_parts();
    // Before anything is looked up: a caller without a token learns nothing of sessions.
    if !head.headers.contains_key(http::header::AUTHORIZATION) {
        site.user(&head, For::Host).await?;
    }
    let body = form::small(body, 4 << 10, Duration::from_secs(10)).await?;
    let completion: Completion = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("send JSON with the member `session_uri` and no other"))?;
    let id = ConsentId::from_session_uri(&completion.session_uri)?;
    let consents = &site.host.consents;
    let agent = match consents.agent_of(id).await {
        Ok(agent) => Some(agent),
        Err(ConsentError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let user = site.user(&head, For::Agent(agent.as_ref())).await?;
    let view = consents.complete(id, &user.into()).await?;
    Ok(Json(json!({
        "agent": view.agent,
        "provider": view.provider,
        "scopes": view.scopes,
        "stage": view.stage,
    })))
}

fn parse(id: &str) -> Result<ConsentId, Problem> {
    id.parse().map_err(|_| Problem::from(ConsentError::NotFound))
}

/// Somebody else's link says nothing of the agent, and offers to sign in as somebody else.
fn refused(error: ConsentError, id: ConsentId, visit: Option<&Visit>) -> Failed {
    match (error, visit) {
        (error @ ConsentError::NotYours, Some(visit)) => {
            let problem = Problem::from(error);
            Failed::dressed(problem.clone(), pages::not_yours(&problem, ReturnTo::Consent(id), visit))
        }
        (error, _) => Problem::from(error).into(),
    }
}
