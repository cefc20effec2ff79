//! The development third party: OAuth 2 with consent, refresh with rotation and revocation, and a calendar behind it.

use super::USERS;
use super::calendar::Calendars;
use super::codes::{Ask, Client, Codes, random, user};
use super::look;
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;
use axum::extract::{Form, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use maud::html;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The host's client here.
pub(super) const CLIENT: &str = "attache";
/// What may be asked for.
pub(super) const SCOPES: [&str; 2] = ["calendar", "calendar.readonly"];
/// Short, so that an author sees a refresh within a coffee.
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

pub(super) struct ThirdParty {
    issuer: String,
    secret: Arc<Secret>,
    codes: Codes,
    clock: Clock,
    state: Mutex<Held>,
}

/// Everything that is remembered.
struct Held {
    access: HashMap<String, Access>,
    refresh: HashMap<String, Consent>,
    calendars: Calendars,
}

/// What a user agreed to.
#[derive(Clone)]
struct Consent {
    user: &'static str,
    scope: String,
}

struct Access {
    consent: Consent,
    expires_at: Timestamp,
}

impl ThirdParty {
    pub(super) fn new(issuer: &str, host_url: &str, secret: Arc<Secret>) -> Arc<Self> {
        let clock = Clock::system();
        let client = Client { id: CLIENT, redirect: format!("{host_url}/oauth2/callback/") };
        let codes = Codes::new(client, issuer, clock.clone());
        let calendars = Calendars::new(jiff::Timestamp::now());
        let state = Mutex::new(Held { access: HashMap::new(), refresh: HashMap::new(), calendars });
        Arc::new(Self { issuer: issuer.to_owned(), secret, codes, clock, state })
    }

    fn state(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By `client_secret_basic` (RFC 6749 §2.3.1), where both halves are form-encoded.
    fn is_client(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoded = value.strip_prefix("Basic ").unwrap_or_default();
        let Ok(pair) = base64::engine::general_purpose::STANDARD.decode(encoded) else { return false };
        let mut halves = pair.splitn(2, |byte| *byte == b':').map(|half| {
            // `=` separates nothing here: the half is one value.
            url::form_urlencoded::parse(&[b"v=", half].concat())
                .map(|(_, value)| value.into_owned())
                .next()
                .unwrap_or_default()
        });
        let (Some(id), Some(secret)) = (halves.next(), halves.next()) else { return false };
        id == CLIENT && self.secret.matches(&Secret::from_text(secret))
    }

    fn issue(&self, consent: Consent) -> Json<Value> {
        let [access, refresh] = [random(), random()];
        let now = self.clock.now();
        let mut state = self.state();
        state.access.retain(|_, access| access.expires_at > now);
        state.access.insert(access.clone(), Access { consent: consent.clone(), expires_at: now.plus(TOKEN_LIFETIME) });
        state.refresh.insert(refresh.clone(), consent.clone());
        Json(json!({
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME.as_secs(), "scope": consent.scope,
        }))
    }

    /// The user whose token this is, and the scopes.
    fn bearer(&self, headers: &HeaderMap) -> Option<Consent> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let state = self.state();
        let access = state.access.get(value.strip_prefix("Bearer ")?)?;
        (access.expires_at > self.clock.now()).then(|| access.consent.clone())
    }
}

pub(super) fn router(third_party: Arc<ThirdParty>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/authorize", get(authorize))
        .route("/authorize/as", get(authorize_as))
        .route("/token", post(token))
        .route("/revoke", post(revoke))
        .route("/calendar/v3/calendars/primary/events", get(events).post(add_event))
        .with_state(third_party)
}

/// RFC 8414 §2.
async fn metadata(State(third_party): State<Arc<ThirdParty>>) -> Json<Value> {
    let issuer = &third_party.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": SCOPES,
    }))
}

async fn authorize(
    State(third_party): State<Arc<ThirdParty>>,
    RawQuery(query): RawQuery,
    Query(ask): Query<Ask>,
) -> Response {
    if let Err(why) = third_party.codes.check(&ask) {
        return look::refusal(&why).into_response();
    }
    let query = query.unwrap_or_default();
    let body = html! {
        p { "The host asks for " code { (ask.scope) } " in your calendar. Whose calendar shall it be?" }
        @for user in USERS {
            a.choice href={ "/authorize/as?user=" (user) "&" (query) } { "Allow as " (user) }
        }
        a.choice href={ "/authorize/as?user=&" (query) } { "Deny" }
    };
    look::page("Development calendar", &body).into_response()
}

/// The first `user` counts: it stands before what the client sent. An empty one is a no.
async fn authorize_as(
    State(third_party): State<Arc<ThirdParty>>,
    RawQuery(query): RawQuery,
    Query(mut ask): Query<Ask>,
) -> Response {
    let query = query.unwrap_or_default();
    let name = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "user").map(|(_, value)| value);
    let known: Vec<&str> = ask.scope.split(' ').filter(|scope| SCOPES.contains(scope)).collect();
    ask.scope = known.join(" ");
    let back = match name.as_deref() {
        Some("") => third_party.codes.deny(ask),
        Some(name) => match user(name) {
            Some(user) => third_party.codes.issue(ask, user),
            None => Err("there is no such user here".to_owned()),
        },
        None => Err("there is no such user here".to_owned()),
    };
    match back {
        Ok(back) => Redirect::to(&back).into_response(),
        Err(why) => look::refusal(&why).into_response(),
    }
}

/// RFC 6749 §4.1.3 and §6; a refresh token is good once (RFC 9700 §4.14.2).
async fn token(
    State(third_party): State<Arc<ThirdParty>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if !third_party.is_client(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    let consent = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => {
            third_party.codes.redeem(&form).map(|promise| Consent { user: promise.user, scope: promise.ask.scope })
        }
        Some("refresh_token") => form.get("refresh_token").and_then(|token| third_party.state().refresh.remove(token)),
        _ => return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" }))).into_response(),
    };
    match consent {
        Some(consent) => third_party.issue(consent).into_response(),
        None => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response(),
    }
}

/// RFC 7009: a refresh token takes the user's access tokens with it; what is not known is gone already.
async fn revoke(
    State(third_party): State<Arc<ThirdParty>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> StatusCode {
    if !third_party.is_client(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let token = form.get("token").map(String::as_str).unwrap_or_default();
    let mut state = third_party.state();
    state.access.remove(token);
    if let Some(consent) = state.refresh.remove(token) {
        state.access.retain(|_, access| access.consent.user != consent.user);
        tracing::info!(user = consent.user, "the third party was told of a revocation");
    }
    StatusCode::OK
}

async fn events(
    State(third_party): State<Arc<ThirdParty>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(consent) = third_party.bearer(&headers) else { return unauthorized() };
    let bound = |name: &str| query.get(name).map(String::as_str);
    Json(third_party.state().calendars.list(consent.user, bound("timeMin"), bound("timeMax"))).into_response()
}

async fn add_event(
    State(third_party): State<Arc<ThirdParty>>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> Response {
    let Some(consent) = third_party.bearer(&headers) else { return unauthorized() };
    if !consent.scope.split(' ').any(|scope| scope == "calendar") {
        return (StatusCode::FORBIDDEN, Json(json!({ "error": "insufficient_scope" }))).into_response();
    }
    match third_party.state().calendars.add(consent.user, event) {
        Ok(event) => Json(event).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response(),
    }
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], Json(json!({ "error": "invalid_token" })))
        .into_response()
}
