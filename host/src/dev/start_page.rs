//! The page that an author leaves open: who to be, and a box to invoke the agent with.

use super::USERS;
use super::codes::user;
use super::identity_provider::IdentityProvider;
use super::look;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use maud::html;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct StartPage {
    pub(super) agent: String,
    pub(super) host: SocketAddr,
    pub(super) host_url: String,
    pub(super) third_party: String,
    pub(super) identity_provider: Arc<IdentityProvider>,
}

#[derive(Deserialize)]
struct Choice {
    user: Option<String>,
}

#[derive(Deserialize)]
struct Ask {
    user: String,
    body: String,
}

/// What the agent answered.
struct Reply {
    status: StatusCode,
    body: String,
    /// Where to consent, if that is what is missing.
    consent: Option<String>,
}

const MAX_REPLY: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn router(page: StartPage) -> Router {
    Router::new().route("/", get(show)).route("/invoke", post(invoke)).with_state(Arc::new(page))
}

async fn show(State(page): State<Arc<StartPage>>, Query(choice): Query<Choice>) -> Html<String> {
    let user = choice.user.as_deref().and_then(user).unwrap_or(USERS[0]);
    page.markup(user, &page.example(), None)
}

/// A form of another origin would invoke with a user's token, so only our own is taken.
async fn invoke(State(page): State<Arc<StartPage>>, headers: HeaderMap, Form(ask): Form<Ask>) -> Response {
    let named = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let own = named(header::HOST).map(|host| format!("http://{host}"));
    if named(header::ORIGIN).is_some_and(|origin| Some(origin) != own.as_deref()) {
        return look::refusal("this form is not ours").into_response();
    }
    let Some(user) = user(&ask.user) else { return look::refusal("there is no such user here").into_response() };
    let reply = match tokio::time::timeout(PATIENCE, page.call(user, ask.body.clone())).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            Reply { status: StatusCode::BAD_GATEWAY, body: format!("the host does not answer: {error}"), consent: None }
        }
        Err(_) => Reply { status: StatusCode::GATEWAY_TIMEOUT, body: "the agent takes too long".into(), consent: None },
    };
    page.markup(user, &ask.body, Some(&reply)).into_response()
}

impl StartPage {
    /// Fits the example agents; every agent that does not know a member may leave it unread.
    fn example(&self) -> String {
        let today = jiff::Timestamp::now().to_string();
        let today = today.get(..10).unwrap_or_default();
        let body = serde_json::json!({
            "title": "Review", "start": format!("{today}T09:00:00Z"), "end": format!("{today}T09:30:00Z"), "api": self.third_party,
        });
        format!("{body:#}")
    }

    async fn call(&self, user: &str, body: String) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let stream = tokio::net::TcpStream::connect(self.host).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::post(format!("/agents/{}/invocations", self.agent))
            .header(header::HOST, self.host.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.identity_provider.user_token(user)))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_REPLY).collect().await?.to_bytes();
        let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let address = json.as_ref().and_then(|json| json["authorization_url"].as_str());
        // A guest writes this reply too: only the host's own page is offered as a link.
        let consent = address.filter(|url| url.starts_with(&format!("{}/consent/", self.host_url))).map(str::to_owned);
        let body = json.map_or_else(|| String::from_utf8_lossy(&bytes).into_owned(), |json| format!("{json:#}"));
        Ok(Reply { status, body, consent })
    }

    fn markup(&self, chosen: &str, body: &str, reply: Option<&Reply>) -> Html<String> {
        let content = html! {
            p {
                @for user in USERS {
                    a.choice.chosen[user == chosen] href={ "/?user=" (user) } { "Be " (user) }
                }
            }
            form method="post" action="/invoke" {
                input type="hidden" name="user" value=(chosen);
                label for="body" { "What " (chosen) " asks " strong { (self.agent) } }
                textarea id="body" name="body" rows="8" spellcheck="false" { (body) }
                p { button type="submit" { "Invoke as " (chosen) } }
            }
            @if let Some(reply) = reply {
                h2 { "The agent answered " (reply.status.as_u16()) }
                @if let Some(url) = &reply.consent {
                    p { (chosen) " has not granted this yet. Open the consent page, sign in as " (chosen) " and agree; then invoke again here." }
                    p { a.choice.next href=(url) target="_blank" rel="noopener" { "Open the consent page as " (chosen) } }
                }
                pre { (reply.body) }
            }
            dl {
                dt { "What users granted" } dd { a href={ (self.host_url) "/me" } { (self.host_url) "/me" } }
                dt { "The calendar's address, for " code { "api" } } dd { code { (self.third_party) } }
                dt { "Invoke" } dd { code { (self.host_url) "/agents/" (self.agent) "/invocations" } }
            }
        };
        look::page(&self.agent, &content)
    }
}
