//! The user's own grants for apps: list and revoke, with a token that the default authorizer accepts.

use super::problem::Problem;
use super::site::Site;
use super::token::For;
use crate::ids::GrantId;
use crate::vault::Grant;
use axum::Json;
use axum::extract::{Path, Request, State};
use std::sync::Arc;

pub(super) async fn list(State(site): State<Arc<Site>>, request: Request) -> Result<Json<Vec<Grant>>, Problem> {
    let (head, _) = request.into_parts();
    let user = site.user(&head, For::Host).await?;
    Ok(Json(site.operations.grants_of_user(&user)))
}

pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Grant>, Problem> {
    let (head, _) = request.into_parts();
    let user = site.user(&head, For::Host).await?;
    let id: GrantId = id.parse()?;
    Ok(Json(site.operations.revoke_own_grant(&user, id).await?))
}
