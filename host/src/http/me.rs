//! The user's page: what I granted, and undoing it.

use super::form;
use super::pages::{self, Failed};
use super::problem::Problem;
use super::site::Site;
use crate::ids::GrantId;
use crate::sign_in::Visit;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct Shown {
    /// Present after a revocation.
    #[serde(default)]
    revoked: Option<String>,
}

pub(super) async fn home() -> Redirect {
    Redirect::to("/me")
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Response {
    let mut grants = site.operations.grants_of_user(visit.user());
    grants.sort_by(|a, b| (&a.agent, &a.provider, a.created_at).cmp(&(&b.agent, &b.provider, b.created_at)));
    let granted: Vec<pages::Granted<'_>> = grants
        .iter()
        .map(|grant| {
            let provider = site.host.providers.find(&grant.provider);
            pages::Granted {
                grant,
                provider: provider.map_or_else(|| grant.provider.to_string(), |one| one.display_name().to_owned()),
                publisher: grant.agent.parse().ok().and_then(|name| site.host.directory.entry(&name)),
            }
        })
        .collect();
    let revoked = shown.is_ok_and(|Query(shown)| shown.revoked.is_some());
    pages::me(&visit, &granted, revoked)
}

pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    visit: Visit,
    request: Request,
) -> Result<Response, Failed> {
    let (head, body) = request.into_parts();
    form::read(&site, &visit, &head.headers, body).await?;
    let id: GrantId = id.parse().map_err(|_| Problem::not_found())?;
    site.operations.revoke_own_grant(visit.user(), id).await.map_err(Problem::from)?;
    Ok(Redirect::to("/me?revoked=1").into_response())
}
