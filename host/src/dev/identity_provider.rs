//! The development identity provider: OpenID Connect with two users and no passwords.

use super::codes::{Ask, Client, Codes, random, user};
use super::keys::Signer;
use super::look;
use super::{AUDIENCE, USERS};
use crate::clock::Clock;
use axum::extract::{Form, Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::html;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The host's client, for its own sign-in. Public: PKCE alone.
pub(super) const CLIENT: &str = "attache-sign-in";
const TOKEN_SECS: u64 = 3600;

pub(super) struct IdentityProvider {
    issuer: String,
    signer: Signer,
    codes: Codes,
    clock: Clock,
}

impl IdentityProvider {
    pub(super) fn new(issuer: &str, redirect_uri: &str) -> Arc<Self> {
        let clock = Clock::system();
        let client = Client { id: CLIENT, redirect: redirect_uri.to_owned() };
        let codes = Codes::new(client, issuer, clock.clone());
        Arc::new(Self { issuer: issuer.to_owned(), signer: Signer::new(), codes, clock })
    }

    /// A token with which this user calls agents.
    pub(super) fn user_token(&self, user: &str) -> String {
        let mut claims = self.claims(user, AUDIENCE);
        claims["client_id"] = "attache-dev".into();
        claims["scope"] = "agent.invoke".into();
        claims["jti"] = random().into();
        self.signer.sign(&claims)
    }

    fn claims(&self, user: &str, audience: &str) -> Value {
        let now = self.clock.now().secs();
        json!({
            "iss": self.issuer, "sub": user, "aud": audience, "iat": now, "exp": now + TOKEN_SECS,
            "name": format!("{}{}", user[..1].to_uppercase(), &user[1..]), "email": format!("{user}@dev.test"),
        })
    }
}

pub(super) fn router(idp: Arc<IdentityProvider>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(async |State(idp): State<Arc<IdentityProvider>>| Json(idp.signer.key_set())))
        .route("/authorize", get(authorize))
        .route("/authorize/as", get(authorize_as))
        .route("/token", post(token))
        .route("/user-token", get(user_token))
        .with_state(idp)
}

/// OpenID Connect Discovery §3.
async fn metadata(State(idp): State<Arc<IdentityProvider>>) -> Json<Value> {
    let issuer = &idp.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn authorize(
    State(idp): State<Arc<IdentityProvider>>,
    RawQuery(query): RawQuery,
    Query(ask): Query<Ask>,
) -> Response {
    if let Err(why) = idp.codes.check(&ask) {
        return look::refusal(&why).into_response();
    }
    let query = query.unwrap_or_default();
    let body = html! {
        p { "The host asks who you are. Choose:" }
        @for user in USERS {
            a.choice href={ "/authorize/as?user=" (user) "&" (query) } { "Sign in as " (user) }
        }
    };
    look::page("Sign in", &body).into_response()
}

/// Refuses a query that names two users: the first stands before what the client sent.
async fn authorize_as(
    State(idp): State<Arc<IdentityProvider>>,
    RawQuery(query): RawQuery,
    Query(ask): Query<Ask>,
) -> Response {
    let query = query.unwrap_or_default();
    let name = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "user").map(|(_, value)| value);
    let Some(user) = name.as_deref().and_then(user) else {
        return look::refusal("there is no such user here").into_response();
    };
    match idp.codes.issue(ask, user) {
        Ok(back) => Redirect::to(&back).into_response(),
        Err(why) => look::refusal(&why).into_response(),
    }
}

/// OpenID Connect Core §3.1.3.
async fn token(State(idp): State<Arc<IdentityProvider>>, Form(form): Form<HashMap<String, String>>) -> Response {
    let promise = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => idp.codes.redeem(&form),
        _ => return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" }))).into_response(),
    };
    let Some(promise) = promise else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let mut claims = idp.claims(promise.user, CLIENT);
    if let Some(nonce) = promise.ask.nonce {
        claims["nonce"] = nonce.into();
    }
    Json(json!({
        "id_token": idp.signer.sign(&claims),
        "access_token": idp.user_token(promise.user),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECS,
        "scope": "openid",
    }))
    .into_response()
}

/// For `attache invoke` and whoever tries by hand. There are no passwords here to keep anybody from it.
async fn user_token(
    State(idp): State<Arc<IdentityProvider>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match query.get("user").and_then(|name| user(name)) {
        Some(user) => idp.user_token(user).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such user here\n").into_response(),
    }
}
