//! An engine, loaded guests, and a broker in memory that does what a provider's name or a host's name says.

use crate::guests::guest;
use attache::broker::{
    Acquire, Acquired, Body, Broker, Guest, Kind, Outbound, Refusal, Revealed, UserFacts, WorkloadFacts,
};
use attache::clock::{Clock, Timestamp};
use attache::directory::{Configured, Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use attache::identity::{Binding, Live, WatTable, WorkloadAccessToken};
use attache::ids::{AgentName, CredentialId, Digest, SessionId, TrustDomain};
use attache::runtime::{Engine, EngineConfig, InvokeError, Loaded};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// One engine and the guests on it.
pub(crate) struct Bed {
    pub(crate) engine: Arc<Engine>,
    probe: OnceLock<Arc<Loaded>>,
    pub(crate) broker: Arc<Named>,
}

impl Bed {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let engine = Engine::new(&config).expect("an engine");
        Self { engine, probe: OnceLock::new(), broker: Arc::default() }
    }

    /// With enough time for everything that ends by itself.
    pub(crate) fn patient() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(|| Self::new(EngineConfig { max_instances: 20, ..EngineConfig::default() }))
    }

    /// With a deadline that is worth waiting for.
    pub(crate) fn hasty() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        let deadline = Duration::from_millis(400);
        BED.get_or_init(|| Self::new(EngineConfig { max_instances: 20, deadline, ..EngineConfig::default() }))
    }

    pub(crate) fn probe(&self) -> &Arc<Loaded> {
        self.probe.get_or_init(|| self.engine.load(&guest("probe")).expect("the probe loads"))
    }

    pub(crate) async fn invoke(&self, request: Request<Body>) -> Result<Response<Body>, InvokeError> {
        self.invoke_loaded(self.probe(), false, request).await
    }

    pub(crate) async fn invoke_loaded(
        &self,
        loaded: &Loaded,
        reveal: bool,
        request: Request<Body>,
    ) -> Result<Response<Body>, InvokeError> {
        let (wat, _live) = token().await;
        self.engine.invoke(loaded, facts(wat, reveal), self.broker.clone(), request).await
    }

    /// The whole text of a response to a GET.
    pub(crate) async fn text(&self, target: &str) -> String {
        text(self.invoke(get(target)).await.unwrap_or_else(|error| panic!("`{target}`: {error}"))).await
    }

    /// What went wrong with a GET.
    pub(crate) async fn error(&self, target: &str) -> InvokeError {
        match self.invoke(get(target)).await {
            Ok(response) => panic!("`{target}` was answered with {}", response.status()),
            Err(error) => error,
        }
    }

    /// Waits until every instance is gone; panics when one stays.
    pub(crate) async fn settled(&self, instances: usize) {
        for _ in 0..2000 {
            if self.engine.free_instances() == instances {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} of {instances} instances are free", self.engine.free_instances());
    }
}

pub(crate) fn get(target: &str) -> Request<Body> {
    Request::get(target).body(empty()).unwrap()
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn facts(wat: WorkloadAccessToken, reveal: bool) -> Guest {
    Guest {
        wat,
        workload: WorkloadFacts {
            id: "spiffe://example.org/agent/probe".into(),
            name: "probe".into(),
            digest: Digest::of(b"probe").to_string(),
        },
        user: Some(UserFacts { issuer: "https://idp.example".into(), subject: "alice".into() }),
        claims: BTreeMap::from([("locale".to_owned(), "\"de\"".to_owned())]),
        reveal,
    }
}

/// A token of a binding that was made the one way there is.
async fn token() -> (WorkloadAccessToken, Live) {
    let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
    let domain = TrustDomain::parse("example.org").unwrap();
    let directory =
        Directory::load(Arc::new(Nowhere), domain.clone(), Configured::default(), clock.clone()).await.unwrap();
    let name = AgentName::parse("probe").unwrap();
    let deployment = Deployment {
        name: name.clone(),
        digest: Digest::of(b"probe"),
        publisher: "tests".into(),
        by: "tests".into(),
        allowed_return_urls: None,
        source: None,
        authority: attache::directory::Authority::none(),
    };
    directory.deploy(deployment).await.unwrap();
    let agent = directory.resolve(&name).unwrap();
    let binding = Binding::bind(agent, None, SessionId::random(), &domain.host("0123"));
    WatTable::new(clock).mint(binding, Duration::from_secs(60))
}

struct Nowhere;

impl Entries for Nowhere {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn put(&self, _entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        async { Ok(()) }.boxed()
    }

    fn remove(&self, _name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        async { Ok(()) }.boxed()
    }
}

/// A broker whose answer to a provider or a host stands in its name. It remembers what it was asked.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) heard: Mutex<Vec<String>>,
}

impl Named {
    fn hear(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }

    pub(crate) fn heard(&self, what: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|line| line == what)
    }
}

impl Broker for Named {
    fn acquire<'a>(&'a self, _: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        let kind = match &ask.kind {
            Kind::Oauth2 { scopes, flow, wishes } => {
                let mut heard = format!("{flow:?} {}", scopes.join(","));
                if !wishes.resources.is_empty() {
                    let state = wishes.custom_state.as_deref().unwrap_or_default();
                    heard += &format!(
                        " at {} for {} with {:?} forced {} state {state}",
                        wishes.resources.join(","),
                        wishes.audiences.join(","),
                        wishes.custom_parameters,
                        wishes.force_authentication,
                    );
                }
                heard
            }
            Kind::ApiKey => "api key".into(),
        };
        self.hear(format!("acquire {} {kind}", ask.provider));
        async move {
            let why = ask.provider.clone();
            Err(match ask.provider.as_str() {
                "consent" => Refusal::ConsentRequired {
                    authorization_url: "https://host.example/consent/1".into(),
                    session_uri: "urn:ietf:params:oauth:request_uri:1".into(),
                    expires_at: 7,
                },
                "denied" => Refusal::Denied(why),
                "insufficient" => Refusal::InsufficientScopes(vec![why]),
                "not-configured" => Refusal::NotConfigured(why),
                "provider-refused" => Refusal::ProviderRefused(why),
                "sign-in" => Refusal::SignInRequired(why),
                "unavailable" => Refusal::Unavailable(why),
                "invalid-request" => Refusal::InvalidRequest(why),
                "not-bound" => Refusal::NotBound,
                "panic" => panic!("as the test wants"),
                "never" => std::future::pending().await,
                _ => {
                    let id = CredentialId::from_bytes([7; 16]);
                    return Ok(Acquired {
                        id,
                        provider: why,
                        scopes: vec!["a".into(), "b".into()],
                        expires_at: Some(9),
                    });
                }
            })
        }
        .boxed()
    }

    fn send(&self, _: &WorkloadAccessToken, outbound: Outbound) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        let Outbound { credential, request, .. } = outbound;
        let with = if credential.is_some() { "with" } else { "without" };
        self.hear(format!("send {} {} {with} credential", request.method(), request.uri()));
        let headers: Vec<String> = request.headers().keys().map(ToString::to_string).collect();
        self.hear(format!("headers of {}: {}", request.uri(), headers.join(",")));
        let host = request.uri().host().unwrap_or_default().to_owned();
        async move {
            if host.starts_with("late.") {
                tokio::task::yield_now().await;
            }
            if host.ends_with("denied.example") {
                return Err(Refusal::Denied(format!("`{host}` is not bound to this agent")));
            }
            if host == "never.example" {
                std::future::pending::<()>().await;
            }
            if host == "broken.example" {
                let pieces =
                    [Ok(http_body::Frame::data("some".into())), Err(attache::broker::BodyError("gone".into()))];
                let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
                return Ok(Response::new(body.boxed_unsync()));
            }
            let body = match request.into_body().collect().await {
                Ok(body) => format!("got {}", String::from_utf8_lossy(&body.to_bytes())),
                Err(error) => format!("broke off: {error}"),
            };
            let response = Response::builder().status(201).header("x-kept", "1").header("set-cookie", "a=b");
            Ok(response.header("www-authenticate", "Bearer").header("authorization", "echo").body(full(body)).unwrap())
        }
        .boxed()
    }

    fn release(&self, _: &WorkloadAccessToken, credential: CredentialId) {
        self.hear(format!("release {credential}"));
    }

    fn reveal<'a>(&'a self, _: &'a WorkloadAccessToken, _: CredentialId) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        async { Ok(Revealed(b"the-token".to_vec())) }.boxed()
    }
}
