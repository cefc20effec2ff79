//! An identity provider on loopback that signs with Ed25519, and answers a code with the tokens of whoever it was made
//! for. It is the third party as well.

use crate::clock::Timestamp;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub(super) struct IdentityProvider {
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    key: Ed25519KeyPair,
    /// By code: who, and the nonce.
    codes: Mutex<HashMap<String, (String, String)>>,
}

impl IdentityProvider {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Ed25519KeyPair::generate().unwrap();
        let shared = Arc::new(Shared { url: url.clone(), key, codes: Mutex::default() });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// A user's token for an audience, good for an hour.
    pub(super) fn token(&self, user: &str, audience: &str, now: Timestamp) -> String {
        self.shared.sign(user, audience, now.secs(), None)
    }

    /// What the user's agreement sends the browser back with.
    pub(super) fn code(&self, user: &str, nonce: &str) -> String {
        let code = format!("code-{user}-{}", crate::ids::InvocationId::random());
        self.shared.codes.lock().unwrap().insert(code.clone(), (user.to_owned(), nonce.to_owned()));
        code
    }
}

impl Shared {
    fn sign(&self, user: &str, audience: &str, now: u64, nonce: Option<&str>) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "1" });
        let claims = json!({
            "iss": self.url,
            "sub": user,
            "name": format!("{user} the user"),
            "aud": audience,
            "iat": now,
            "exp": now + 3600,
            "nonce": nonce,
        });
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let x = BASE64.encode(shared.key.public_key().as_ref());
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1", "x": x }] }))
}

async fn token(State(shared): State<Arc<Shared>>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    let code = form.get("code").cloned().unwrap_or_default();
    let verifier = form.get("code_verifier").map_or(0, String::len);
    let Some((user, nonce)) = shared.codes.lock().unwrap().remove(&code).filter(|_| verifier >= 43) else {
        return Json(json!({ "error": "invalid_grant" }));
    };
    let now = crate::clock::Clock::system().now().secs();
    Json(json!({
        "access_token": format!("token-of-{user}"),
        "refresh_token": format!("refresh-of-{user}"),
        "token_type": "Bearer",
        "expires_in": 3600,
        "id_token": shared.sign(&user, "host", now, Some(&nonce)),
    }))
}
