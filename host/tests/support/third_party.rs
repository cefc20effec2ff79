//! A third party that speaks OAuth: codes with PKCE, refresh tokens that work once, revocation.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the user at the other device does.
pub enum Decision {
    Granted,
    Says(&'static str),
}

pub struct ThirdParty {
    pub url: String,
    pub state: Arc<Behaviour>,
}

pub struct Behaviour {
    /// Answers 503.
    pub down: AtomicBool,
    /// Token requests wait here for a permit while it is closed.
    pub gate: Semaphore,
    pub gated: AtomicBool,
    pub exchanges: AtomicUsize,
    pub refreshes: AtomicUsize,
    /// Tokens of the client's own, and those that others were exchanged for.
    pub mints: AtomicUsize,
    /// Every token request, pair by pair.
    pub asked: Mutex<Vec<Vec<(String, String)>>>,
    /// What a device is told next; `authorization_pending` when nothing is left.
    pub decisions: Mutex<VecDeque<Decision>>,
    pub device_polls: AtomicUsize,
    /// Refresh replies carry no refresh token.
    pub keep_refresh: AtomicBool,
    /// What token replies say of scopes and expiry.
    pub scope: Mutex<Option<String>>,
    pub expires_in: Mutex<Option<Value>>,
    pub revoked: Mutex<Vec<(String, String)>>,
    /// What the `authorization` header said at the API.
    pub calls: Mutex<Vec<String>>,
    /// What arrived outside the API, whole or not.
    pub elsewhere: Mutex<Vec<u8>>,
    /// The keys of the proofs that came with token requests and calls (RFC 9449), in their order.
    pub proofs: Mutex<Vec<String>>,
    /// What the `x-weather-key` header said there.
    pub keys: Mutex<Vec<String>>,
    live: Mutex<HashSet<String>>,
    codes: Mutex<HashMap<String, (String, String)>>,
}

impl ThirdParty {
    pub async fn start() -> Self {
        let state = Arc::new(Behaviour {
            down: AtomicBool::new(false),
            gate: Semaphore::new(0),
            gated: AtomicBool::new(false),
            exchanges: AtomicUsize::new(0),
            refreshes: AtomicUsize::new(0),
            mints: AtomicUsize::new(0),
            asked: Mutex::default(),
            decisions: Mutex::default(),
            device_polls: AtomicUsize::new(0),
            keep_refresh: AtomicBool::new(false),
            scope: Mutex::new(None),
            expires_in: Mutex::new(Some(json!(3600))),
            revoked: Mutex::default(),
            calls: Mutex::default(),
            elsewhere: Mutex::default(),
            keys: Mutex::default(),
            proofs: Mutex::default(),
            live: Mutex::default(),
            codes: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/device", post(device))
            .route("/api/{*rest}", get(api))
            .route("/api/echo", get(echo))
            .route("/elsewhere", post(elsewhere))
            .with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    /// The user agrees at the authorization URL; the code that the browser brings back.
    pub fn agree(&self, url: &url::Url) -> String {
        assert_eq!(super::query(url, "code_challenge_method"), "S256");
        let mut codes = self.state.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (super::query(url, "code_challenge"), super::query(url, "redirect_uri")));
        code
    }

    /// A refresh token that works once.
    pub fn issue(&self, refresh: &str) -> String {
        self.state.live.lock().unwrap().insert(refresh.to_owned());
        refresh.to_owned()
    }

    /// This refresh token works no longer.
    pub fn forget(&self, refresh: &str) {
        self.state.live.lock().unwrap().remove(refresh);
    }

    pub fn refreshes(&self) -> usize {
        self.state.refreshes.load(Ordering::SeqCst)
    }

    pub fn mints(&self) -> usize {
        self.state.mints.load(Ordering::SeqCst)
    }

    /// The values of one parameter of the last token request.
    pub fn asked(&self, name: &str) -> Vec<String> {
        let all = self.state.asked.lock().unwrap();
        let last = all.last().into_iter().flatten();
        last.filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    pub fn exchanges(&self) -> usize {
        self.state.exchanges.load(Ordering::SeqCst)
    }

    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// Holds token requests back until [`ThirdParty::open_gate`].
    pub fn close_gate(&self) {
        self.state.gated.store(true, Ordering::SeqCst);
    }

    pub fn open_gate(&self) {
        self.state.gated.store(false, Ordering::SeqCst);
        self.state.gate.add_permits(1000);
    }

    pub fn revoked(&self) -> Vec<(String, String)> {
        self.state.revoked.lock().unwrap().clone()
    }
}

async fn token(
    State(state): State<Arc<Behaviour>>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    state.asked.lock().unwrap().push(pairs.clone());
    let form: HashMap<String, String> = pairs.into_iter().collect();
    let serial = match form["grant_type"].as_str() {
        "authorization_code" => format!("x{}", state.exchanges.fetch_add(1, Ordering::SeqCst)),
        "refresh_token" => format!("r{}", state.refreshes.fetch_add(1, Ordering::SeqCst)),
        DEVICE_CODE => format!("d{}", state.device_polls.fetch_add(1, Ordering::SeqCst)),
        _ => format!("m{}", state.mints.fetch_add(1, Ordering::SeqCst)),
    };
    if state.down.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "temporarily_unavailable" })));
    }
    if state.gated.load(Ordering::SeqCst) {
        state.gate.acquire().await.unwrap().forget();
    }
    let good = match form["grant_type"].as_str() {
        "authorization_code" => {
            let digest = attache::ids::sha256(form["code_verifier"].as_bytes());
            let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
            state.codes.lock().unwrap().remove(&form["code"]) == Some((challenge, form["redirect_uri"].clone()))
        }
        "client_credentials" => true,
        TOKEN_EXCHANGE => form.contains_key("subject_token"),
        DEVICE_CODE => match state.decisions.lock().unwrap().pop_front() {
            Some(Decision::Granted) => form["device_code"] == "the-device-code",
            Some(Decision::Says(error)) => return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))),
            None => return (StatusCode::BAD_REQUEST, Json(json!({ "error": "authorization_pending" }))),
        },
        _ if state.keep_refresh.load(Ordering::SeqCst) => state.live.lock().unwrap().contains(&form["refresh_token"]),
        _ => state.live.lock().unwrap().remove(&form["refresh_token"]),
    };
    if !good {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    let mut reply = json!({ "access_token": format!("access-{serial}"), "token_type": "bearer" });
    if let Some(proof) = headers.get("dpop") {
        state.proofs.lock().unwrap().push(key_of(proof.to_str().unwrap()));
        reply["token_type"] = "DPoP".into();
    }
    let mints = [TOKEN_EXCHANGE, "client_credentials"].contains(&&*form["grant_type"]);
    if form["grant_type"] == TOKEN_EXCHANGE {
        reply["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token".into();
    }
    let kept = form["grant_type"] == "refresh_token" && state.keep_refresh.load(Ordering::SeqCst);
    if !mints && !kept {
        let refresh = format!("refresh-{serial}");
        state.live.lock().unwrap().insert(refresh.clone());
        reply["refresh_token"] = refresh.into();
    }
    if let Some(scope) = &*state.scope.lock().unwrap() {
        reply["scope"] = scope.clone().into();
    }
    if let Some(expires_in) = &*state.expires_in.lock().unwrap() {
        reply["expires_in"] = expires_in.clone();
    }
    (StatusCode::OK, Json(reply))
}

/// The public key in a proof's header.
pub fn key_of(proof: &str) -> String {
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(proof.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["jwk"].to_string()
}

/// RFC 8628 §3.2.
async fn device(State(state): State<Arc<Behaviour>>) -> (StatusCode, Json<Value>) {
    if state.down.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "temporarily_unavailable" })));
    }
    let reply = json!({
        "device_code": "the-device-code",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://saas.example/device",
        "verification_uri_complete": "https://saas.example/device?user_code=WDJB-MJHT",
        "expires_in": 300,
        "interval": 5,
    });
    (StatusCode::OK, Json(reply))
}

async fn api(State(state): State<Arc<Behaviour>>, headers: HeaderMap) -> StatusCode {
    let said = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(proof) = headers.get("dpop") {
        state.proofs.lock().unwrap().push(key_of(proof.to_str().unwrap()));
    }
    if let Some(key) = headers.get("x-weather-key") {
        state.keys.lock().unwrap().push(key.to_str().unwrap().to_owned());
    }
    state.calls.lock().unwrap().push(said.to_owned());
    StatusCode::OK
}

/// Repeats what it was sent: in a header at once, and in a body that comes in two pieces.
async fn echo(headers: HeaderMap) -> axum::response::Response {
    let said = headers["authorization"].to_str().unwrap().to_owned();
    let (first, second) = said.split_at(said.len() - 3);
    let pieces = [format!("you said {first}"), format!("{second}, and once more {said}")];
    let pieces = futures_util::stream::iter(pieces.map(Ok::<_, std::convert::Infallible>));
    let mut response = axum::response::Response::new(axum::body::Body::from_stream(pieces));
    response.headers_mut().insert("x-you-said", said.parse().unwrap());
    response
}

async fn elsewhere(State(state): State<Arc<Behaviour>>, mut body: axum::extract::Request) -> StatusCode {
    use http_body_util::BodyExt as _;
    while let Some(Ok(frame)) = body.body_mut().frame().await {
        if let Ok(data) = frame.into_data() {
            state.elsewhere.lock().unwrap().extend_from_slice(&data);
        }
    }
    StatusCode::OK
}

async fn revoke(State(state): State<Arc<Behaviour>>, Form(form): Form<HashMap<String, String>>) -> StatusCode {
    if state.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    state.live.lock().unwrap().remove(&form["token"]);
    state.revoked.lock().unwrap().push((form["token_type_hint"].clone(), form["token"].clone()));
    StatusCode::OK
}
