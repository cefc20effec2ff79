//! The routes of a whole host, in front of an identity provider that signs real tokens. Guests run in few of them: the
//! suite invokes those.

mod api;
mod crossed;
#[path = "../../../tests/runtime/guests.rs"]
mod guests;
mod invoking;
mod issuer;
mod issuing;
mod keys;
mod pages;
mod providers;
mod redirects;
mod table;
mod workloads;

use super::access::{admin_router, public_router};
use super::operator::Operator;
use crate::audit::{Action, Actor, Entry, Filter, Outcome};
use crate::clock::{Clock, Timestamp};
use crate::consent::Started;
use crate::directory::{Deployment, RegisteredAgent};
use crate::identity::{Bearer, Binding};
use crate::ids::{AgentName, Digest, ProviderName, Scopes, SessionId};
use crate::operations::Operations;
use crate::wiring::Host;
use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use http::{Method, Request, StatusCode};
use issuer::IdentityProvider;
use std::collections::BTreeMap;
use std::sync::Arc;
use tower::ServiceExt as _;
use url::Url;

const PUBLIC: &str = "https://agents.example.com";
const RETURN_URL: &str = "https://app.example.com/consented";

/// A host with the agent `calendar`, deployed by `acme.example`, and the provider `google`.
struct World {
    host: Arc<Host>,
    public: Router,
    admin: Router,
    issuer: IdentityProvider,
    clock: Clock,
    _data: tempfile::TempDir,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |location| location.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A parameter of where it sends the browser.
    fn asked(&self, name: &str) -> String {
        let url = Url::parse(self.location()).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body));
        url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    fn form_token(&self) -> &str {
        let rest =
            self.body.split("name=\"form_token\" value=\"").nth(1).unwrap_or_else(|| panic!("no form: {}", self.body));
        rest.split('"').next().unwrap()
    }
}

impl World {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more lines for the agent's table.
    async fn start_with(more: &str) -> Self {
        Self::start_at(PUBLIC, more).await
    }

    /// With another public URL.
    async fn start_at(public_url: &str, more: &str) -> Self {
        let issuer = IdentityProvider::start().await;
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("attache.toml");
        let idp = &issuer.url;
        std::fs::write(
            &file,
            format!(
                r#"
[host]
public_url = "{public_url}"
data_dir = "data"
trust_domain = "attache.test"
max_body_bytes = 1000
[proxy]
trusted = true
[development]
allow_loopback = true
[engine]
max_instances = 2
[issuers.idp]
issuer = "{idp}"
[sign_in]
issuer = "{idp}"
client_id = "host"
client_authentication = "none"
[authorizers.default]
[[authorizers.default.rules]]
issuer = "idp"
audiences = ["attache"]
[providers.google]
display_name = "Google Calendar"
issuer = "{idp}"
client_id = "host"
client_authentication = "none"
scopes = ["calendar.read", "calendar.write"]
hosts = ["https://www.googleapis.com/calendar/"]
[agents.calendar]
providers = [{{ name = "google", scopes = ["calendar.read"] }}]
allowed_return_urls = ["{RETURN_URL}"]
{more}
"#
            ),
        )
        .unwrap();
        let settings = crate::config::load(&file).unwrap_or_else(|error| panic!("{error}"));
        let clock = Clock::held(Timestamp::from_millis(Clock::system().now().millis()));
        let host = Host::start(settings, clock.clone()).await.unwrap();
        host.directory
            .deploy(Deployment {
                name: agent(),
                digest: Digest::of(b"not run here"),
                publisher: "acme.example".into(),
                by: "uid:0".into(),
                allowed_return_urls: Some(vec![RETURN_URL.into()]),
                source: None,
                authority: crate::directory::Authority::none(),
            })
            .await
            .unwrap();
        let operations = Operations::new(host.clone());
        let (public, admin) = (public_router(operations.clone()), admin_router(operations));
        Self { host, public, admin, issuer, clock, _data: data }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        reply(self.public.clone(), request).await
    }

    /// With a token of this user's.
    async fn as_user(&self, user: &str, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let token = self.issuer.token(user, "attache", self.clock.now());
        self.with_token(&token, method, path, body).await
    }

    async fn with_token(&self, token: &str, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(body.into()).unwrap()).await
    }

    /// At the socket: whoever runs the tests.
    async fn as_operator(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        request.extensions_mut().insert(operator());
        reply(self.admin.clone(), request).await
    }

    /// What the broker does when this user's invocation asks for a credential.
    async fn consent(&self, user: &str, return_url: Option<&str>) -> Started {
        self.consent_to(self.host.directory.resolve(&agent()).unwrap(), user, return_url).await
    }

    /// The agent, serving this user.
    async fn binding(&self, user: &str) -> Arc<Binding> {
        self.bind(self.host.directory.resolve(&agent()).unwrap(), user).await
    }

    async fn bind(&self, workload: Arc<RegisteredAgent>, user: &str) -> Arc<Binding> {
        let token = self.issuer.token(user, "attache", self.clock.now());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let authorizer = self.host.settings.default_authorizer.as_ref().unwrap();
        let user = self.host.verifier.verify(&Bearer::from_header(&headers).unwrap(), authorizer).await.unwrap();
        Binding::bind(workload, Some(user.into()), SessionId::random(), self.host.trail.host())
    }

    async fn consent_to(&self, workload: Arc<RegisteredAgent>, user: &str, return_url: Option<&str>) -> Started {
        let binding = self.bind(workload, user).await;
        let provider = &self.host.providers.oauth2(&ProviderName::parse("google").unwrap()).unwrap();
        let scopes = Scopes::parse(["calendar.read"]).unwrap();
        let wanted = scopes.into();
        let question = crate::consent::Question { wanted: &wanted, return_url, custom_state: None, force: false };
        self.host.consents.start(&binding, provider, &question).await.unwrap()
    }

    /// What is written down, all that was asked for before included.
    async fn trail(&self, action: &str) -> Vec<Entry> {
        let last = self.host.trail.note(Actor::default(), Action::new("test.mark", ""), Outcome::allowed()).unwrap();
        self.host.trail.journal().durable(last).await.unwrap();
        let filter = Filter { action: Some(action.into()), ..Filter::default() };
        self.host.trail.journal().query(filter).await.unwrap()
    }
}

fn agent() -> AgentName {
    AgentName::parse("calendar").unwrap()
}

async fn reply(router: Router, request: Request<Body>) -> Reply {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Reply { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// Where a link of the host leads, without its origin.
fn path(url: &str) -> &str {
    url.strip_prefix(PUBLIC).unwrap_or(url)
}

/// One person's browser: cookies, and nothing else.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One whose user has signed in.
    async fn of(world: &World, user: &str) -> Self {
        let mut browser = Self::default();
        let back = browser.signs_in(world, user, "/sign-in").await;
        assert_eq!((back.status, back.location()), (StatusCode::SEE_OTHER, "/me"), "{}", back.body);
        browser
    }

    /// Follows a link to sign in, signs in, and comes back.
    async fn signs_in(&mut self, world: &World, user: &str, link: &str) -> Reply {
        let away = self.get(world, link).await;
        let code = world.issuer.code(user, &away.asked("nonce"));
        let back = self.callback(world, "/sign-in/callback", &away.asked("state"), &code);
        self.get(world, &back).await
    }

    fn callback(&self, world: &World, path: &str, state: &str, code: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        format!(
            "{path}?{}",
            query.append_pair("state", state).append_pair("code", code).append_pair("iss", &world.issuer.url).finish()
        )
    }

    async fn get(&mut self, world: &World, path: &str) -> Reply {
        self.send(world, Request::builder().method(Method::GET).uri(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, world: &World, path: &str, fields: &[(&str, &str)]) -> Reply {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header("origin", "null");
        self.send(world, request.body(form.into()).unwrap()).await
    }

    async fn send(&mut self, world: &World, mut request: Request<Body>) -> Reply {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !jar.is_empty() {
            request.headers_mut().insert(COOKIE, jar.join("; ").parse().unwrap());
        }
        let reply = world.send(request).await;
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        reply
    }
}

/// Whoever runs the tests, as the kernel says it.
fn operator() -> Operator {
    let (one, _two) = tokio::net::UnixStream::pair().unwrap();
    Operator::at(&one).unwrap()
}
