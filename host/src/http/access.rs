//! Every route with who may call it. The routers are made from these tables, so a route that is not here is not served,
//! and the test below calls each as nobody and as another user.

use super::operator::Operators;
use super::problem::Problem;
use super::site::Site;
use super::{admin, admin_keys, admin_workloads, agentcore, consent, grants, invoke, me, metadata, pages, sign_in};
use crate::access::Operation;
use crate::operations::Operations;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, MethodRouter, any, delete, get, on, patch, post, put};
use axum::{Json, Router};
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
    route("GET", "/openapi.json", Who::Anybody, || get(openapi)),
    route("GET", "/.well-known/oauth-protected-resource", Who::Anybody, || get(metadata::of_host)),
    route("GET", "/.well-known/oauth-protected-resource/agents/{name}", Who::Anybody, || get(metadata::of_agent)),
    route("GET", "/.well-known/openid-configuration", Who::Anybody, || get(metadata::of_issuer)),
    route("GET", "/.well-known/jwks.json", Who::Anybody, || get(metadata::key_set)),
    route("*", "/agents/{name}/invocations", Who::Token, || any(invoke::invoke)),
    route("*", "/agents/{name}/invocations/", Who::Token, || any(invoke::invoke)),
    route("*", "/agents/{name}/invocations/{*rest}", Who::Token, || any(invoke::invoke)),
    route("POST", "/consent/complete", Who::Token, || post(consent::complete)),
    route("POST", "/consent/{id}/device", Who::Token, || post(consent::device)),
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
    route("GET", "/v1/agents/{name}/versions", Who::Operator, || get(admin::versions)),
    route("POST", "/v1/agents/{name}/roll-back", Who::Operator, || post(admin::roll_back)),
    route("POST", "/v1/agents/{name}/pin", Who::Operator, || post(admin::pin)),
    route("POST", "/v1/agents/{name}/unpin", Who::Operator, || post(admin::unpin)),
    route("GET", "/v1/killed", Who::Operator, || get(admin::killed)),
    route("PUT", "/v1/killed/{digest}", Who::Operator, || put(admin::kill)),
    route("DELETE", "/v1/killed/{digest}", Who::Operator, || delete(admin::revive)),
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

/// The API that AgentCore's clients speak, and what it has besides: method, path, and the operation that the caller must have
/// the right to: who signs with an access key, or a person with a token of the operators' issuer. Others get 403, or 401 for
/// a token. An agent is also called by users whose token its own authorizer accepts.
const CALLS: &[(&str, &str, Operation)] = {
    use Operation as O;
    &[
        ("POST", "/identities/CreateWorkloadIdentity", O::CreateWorkloadIdentity),
        ("POST", "/identities/GetWorkloadIdentity", O::GetWorkloadIdentity),
        ("POST", "/identities/UpdateWorkloadIdentity", O::UpdateWorkloadIdentity),
        ("POST", "/identities/DeleteWorkloadIdentity", O::DeleteWorkloadIdentity),
        ("POST", "/identities/ListWorkloadIdentities", O::ListWorkloadIdentities),
        ("POST", "/identities/GetWorkloadAccessToken", O::GetWorkloadAccessToken),
        ("POST", "/identities/GetWorkloadAccessTokenForJWT", O::GetWorkloadAccessTokenForJWT),
        ("POST", "/identities/GetWorkloadAccessTokenForUserId", O::GetWorkloadAccessTokenForUserId),
        ("POST", "/identities/oauth2/token", O::GetResourceOauth2Token),
        ("POST", "/identities/api-key", O::GetResourceApiKey),
        ("POST", "/identities/CompleteResourceTokenAuth", O::CompleteResourceTokenAuth),
        ("POST", "/identities/CreateOauth2CredentialProvider", O::CreateOauth2CredentialProvider),
        ("POST", "/identities/GetOauth2CredentialProvider", O::GetOauth2CredentialProvider),
        ("POST", "/identities/UpdateOauth2CredentialProvider", O::UpdateOauth2CredentialProvider),
        ("POST", "/identities/DeleteOauth2CredentialProvider", O::DeleteOauth2CredentialProvider),
        ("POST", "/identities/ListOauth2CredentialProviders", O::ListOauth2CredentialProviders),
        ("POST", "/identities/CreateApiKeyCredentialProvider", O::CreateApiKeyCredentialProvider),
        ("POST", "/identities/GetApiKeyCredentialProvider", O::GetApiKeyCredentialProvider),
        ("POST", "/identities/UpdateApiKeyCredentialProvider", O::UpdateApiKeyCredentialProvider),
        ("POST", "/identities/DeleteApiKeyCredentialProvider", O::DeleteApiKeyCredentialProvider),
        ("POST", "/identities/ListApiKeyCredentialProviders", O::ListApiKeyCredentialProviders),
        ("POST", "/identities/get-token-vault", O::GetTokenVault),
        ("POST", "/identities/set-token-vault-cmk", O::SetTokenVaultCMK),
        ("POST", "/identities/reset-token-vault-key-material", O::ResetTokenVaultKeyMaterial),
        ("POST", "/tags/{resourceArn}", O::TagResource),
        ("DELETE", "/tags/{resourceArn}", O::UntagResource),
        ("GET", "/tags/{resourceArn}", O::ListTagsForResource),
        ("POST", "/runtimes/{agentRuntimeArn}/invocations", O::InvokeAgentRuntime),
        ("POST", "/runtimes/{agentRuntimeArn}/stopruntimesession", O::StopRuntimeSession),
        // Not Amazon's.
        ("POST", "/identities/IntrospectWorkloadAccessToken", O::IntrospectWorkloadAccessToken),
        ("POST", "/identities/RevokeWorkloadAccessToken", O::RevokeWorkloadAccessToken),
        ("POST", "/identities/ListGrants", O::ListGrants),
        ("POST", "/identities/RevokeGrant", O::RevokeGrant),
    ]
};

/// Method, path and operation of every call of the API.
pub(super) fn calls() -> impl Iterator<Item = (&'static str, &'static str, Operation)> {
    CALLS.iter().copied()
}

/// The API in front of a site: each call, and what Amazon has and this host has not, which is refused by name.
fn api(router: Router<Arc<Site>>) -> Router<Arc<Site>> {
    let router = calls().fold(router, |router, (method, path, operation)| {
        let handler = move |State(site): State<Arc<Site>>, request: Request| agentcore::serve(site, operation, request);
        router.route(path, on(filter(method), handler))
    });
    agentcore::elsewhere().fold(router, |router, of| {
        let handler = move |State(site): State<Arc<Site>>, request: Request| agentcore::refuse(site, of.name, request);
        router.route(of.path, on(filter(of.method), handler))
    })
}

fn filter(method: &str) -> MethodFilter {
    match method {
        "GET" => MethodFilter::GET,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::POST,
    }
}

/// What callers and browsers reach.
pub fn public_router(operations: Arc<Operations>) -> Router {
    let site = Site::new(operations);
    let dress = axum::middleware::map_response_with_state(site.clone(), dress);
    let pages = router(PAGES).layer(dress);
    api(router(API)).merge(pages).fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(site)
}

/// What operators reach. Only [`super::serve`] can serve it, on a socket that tells who they are: a request without an
/// operator is answered as if there were nothing.
pub fn admin_router(operations: Arc<Operations>) -> Router {
    router(ADMIN).fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(Operators(operations))
}

fn router<S: Clone + Send + Sync + 'static>(routes: &[Route<S>]) -> Router<S> {
    routes.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

async fn dress(State(site): State<Arc<Site>>, page: axum::response::Response) -> axum::response::Response {
    site.dress(page)
}

async fn healthy() -> &'static str {
    "ok\n"
}

/// What programs can call, for programs.
async fn openapi(State(site): State<Arc<Site>>) -> Json<serde_json::Value> {
    Json(agentcore::document(&site.origin))
}

async fn not_found() -> Problem {
    Problem::not_found()
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
