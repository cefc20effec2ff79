//! Every route with who may call it. The routers are made from these tables, so a route that is not here is not served,
//! and the test below calls each as nobody and as another user.

use super::operator::Operators;
use super::problem::Problem;
use super::site::Site;
use super::{admin, admin_keys, admin_workloads, consent, grants, invoke, me, metadata, pages, sign_in};
use crate::wiring::Host;
use axum::Router;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use std::sync::Arc;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody. The route decides by what it is sent (`state`, a form) or says only what all may know.
    Anybody,
    /// A user whose token the agent's authorizer accepts, or the default one; 401 for others.
    Token,
    /// A user who is signed in at the host's pages; others are sent to sign in.
    Visitor,
    /// An operator, at the socket. Not served in public at all.
    Operator,
}

/// One method of one path.
pub(super) struct Route<S> {
    /// `*` is any.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, and for the test that walks the table"))]
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, and for the test that walks the table"))]
    pub(super) who: Who,
    handler: fn() -> MethodRouter<S>,
}

const fn route<S>(method: &'static str, path: &'static str, who: Who, handler: fn() -> MethodRouter<S>) -> Route<S> {
    Route { method, path, who, handler }
}

/// For programs. Problems are JSON.
pub(super) const API: &[Route<Arc<Site>>] = &[
    route("GET", "/healthz", Who::Anybody, || get(healthy)),
    route("GET", "/.well-known/oauth-protected-resource", Who::Anybody, || get(metadata::of_host)),
    route("GET", "/.well-known/oauth-protected-resource/agents/{name}", Who::Anybody, || get(metadata::of_agent)),
    route("GET", "/.well-known/openid-configuration", Who::Anybody, || get(metadata::of_issuer)),
    route("GET", "/.well-known/jwks.json", Who::Anybody, || get(metadata::key_set)),
    route("*", "/agents/{name}/invocations", Who::Token, || any(invoke::invoke)),
    route("*", "/agents/{name}/invocations/", Who::Token, || any(invoke::invoke)),
    route("*", "/agents/{name}/invocations/{*rest}", Who::Token, || any(invoke::invoke)),
    route("POST", "/consent/complete", Who::Token, || post(consent::complete)),
    route("GET", "/grants", Who::Token, || get(grants::list)),
    route("DELETE", "/grants/{id}", Who::Token, || delete(grants::revoke)),
    route("GET", "/style.css", Who::Anybody, || get(pages::style)),
    route("GET", "/icon.svg", Who::Anybody, || get(pages::icon)),
];

/// For people. Problems are pages, and every answer has the headers of pages.
pub(super) const PAGES: &[Route<Arc<Site>>] = &[
    route("GET", "/", Who::Anybody, || get(me::home)),
    route("GET", "/sign-in", Who::Anybody, || get(sign_in::depart)),
    route("GET", "/sign-in/callback", Who::Anybody, || get(sign_in::arrive)),
    route("GET", "/signed-out", Who::Anybody, || get(sign_in::left)),
    route("POST", "/sign-out", Who::Visitor, || post(sign_in::leave)),
    route("GET", "/me", Who::Visitor, || get(me::page)),
    route("POST", "/me/grants/{id}/revoke", Who::Visitor, || post(me::revoke)),
    // Sends whoever is not signed in to sign in, except to an app's session, which goes on to the provider.
    route("GET", "/consent/{id}", Who::Anybody, || get(consent::page)),
    route("POST", "/consent/{id}", Who::Visitor, || post(consent::proceed)),
    // The browser brings a `state`; without the one that was sent to it, nothing happens.
    route("GET", "/oauth2/callback/{provider}", Who::Anybody, || get(consent::callback)),
];

/// For operators, on the socket.
pub(super) const ADMIN: &[Route<Operators>] = &[
    route("GET", "/v1/status", Who::Operator, || get(admin::status)),
    route("GET", "/v1/agents", Who::Operator, || get(admin::agents)),
    route("POST", "/v1/agents/{name}/deploy", Who::Operator, || post(admin::deploy)),
    route("POST", "/v1/agents/{name}/suspend", Who::Operator, || post(admin::suspend)),
    route("POST", "/v1/agents/{name}/resume", Who::Operator, || post(admin::resume)),
    route("PATCH", "/v1/agents/{name}", Who::Operator, || patch(admin_workloads::update)),
    route("PUT", "/v1/agents/{name}/tags", Who::Operator, || put(admin_workloads::tag)),
    route("DELETE", "/v1/agents/{name}/tags", Who::Operator, || delete(admin_workloads::untag)),
    route("PUT", "/v1/agents/{name}/providers/{provider}", Who::Operator, || put(admin_workloads::bind)),
    route("DELETE", "/v1/agents/{name}/providers/{provider}", Who::Operator, || delete(admin_workloads::unbind)),
    route("DELETE", "/v1/agents/{name}", Who::Operator, || delete(admin_workloads::delete)),
    route("POST", "/v1/workloads", Who::Operator, || post(admin::create)),
    route("GET", "/v1/providers", Who::Operator, || get(admin::providers)),
    route("GET", "/v1/grants", Who::Operator, || get(admin::grants)),
    route("DELETE", "/v1/grants/{id}", Who::Operator, || delete(admin::revoke)),
    route("GET", "/v1/audit", Who::Operator, || get(admin::audit)),
    route("GET", "/v1/keys", Who::Operator, || get(admin_keys::list)),
    route("POST", "/v1/keys", Who::Operator, || post(admin_keys::create)),
    route("POST", "/v1/keys/{id}/disable", Who::Operator, || post(admin_keys::disable)),
    route("DELETE", "/v1/keys/{id}", Who::Operator, || delete(admin_keys::remove)),
];

/// What callers and browsers reach.
pub fn public_router(host: Arc<Host>) -> Router {
    let site = Site::new(host);
    let dress = axum::middleware::map_response_with_state(site.clone(), dress);
    let pages = router(PAGES).layer(dress);
    router(API).merge(pages).fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(site)
}

/// What operators reach. Only [`super::serve`] can serve it, on a socket that tells who they are: a request without an
/// operator is answered as if there were nothing.
pub fn admin_router(host: Arc<Host>) -> Router {
    router(ADMIN).fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(Operators(host))
}

fn router<S: Clone + Send + Sync + 'static>(routes: &[Route<S>]) -> Router<S> {
    routes.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

async fn dress(
    axum::extract::State(site): axum::extract::State<Arc<Site>>,
    page: axum::response::Response,
) -> axum::response::Response {
    site.dress(page)
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn not_found() -> Problem {
    Problem::not_found()
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
