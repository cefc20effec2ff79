//! A dry run: a component is called a few times in a process of its own, with a credential that is worth nothing and an
//! upstream that is nobody, and what it does is written down. Nothing of it leaves this machine.
//!
//! The guest runs behind the second wall, as a stranger's does on a host. Its requests go through [`carry()`], as they would
//! there, with their addresses exchanged for that of an upstream in this process, which says back all that it was sent, or
//! leads elsewhere.

use crate::broker::{
    Acquire, Acquired, Body, Broker, Flow, Guest, Kind, Outbound, Refusal, Revealed, UserFacts, WorkloadFacts,
};
use crate::clock::Clock;
use crate::directory::{Authority, Configured, Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use crate::egress::{Attach, Client, ClientConfig, Destinations, Passage, Placement, ScrubHits, carry};
use crate::identity::{Binding, WatTable, WorkloadAccessToken};
use crate::ids::{AgentName, CredentialId, Digest, SessionId, TrustDomain};
use crate::runtime::{CompileLimits, Compiler, Engine, EngineConfig};
use crate::secret::{Secret, SharedSecret};
use crate::workers::{WORKER, WorkerLimits, Workers};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// For one call, as long as a patient caller waits.
const DEADLINE: Duration = Duration::from_secs(10);
/// Of an answer, and of a request to the upstream.
const MOST_BYTES: usize = 1 << 20;
/// Of what is written down.
const MOST_RECORDED: usize = 200;
/// What it is called with: method, and body as JSON.
const CALLS: [(&str, &str); 3] = [("GET", ""), ("POST", "{}"), ("POST", "{\"prompt\":\"What is on today?\"}")];

/// What a component did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rehearsal {
    /// Call by call.
    pub calls: Vec<Call>,
    /// Hosts that it sent requests to.
    pub hosts: Vec<Contact>,
    /// Credentials that it asked for.
    pub credentials: BTreeSet<String>,
    /// The providers among them.
    pub providers: BTreeSet<String>,
    /// How often it took the bytes of one.
    pub revealed: u32,
    /// What became of the credential.
    pub canary: Canary,
    /// Bytes of memory of the process that ran it, at the most; none where the system does not tell.
    pub peak_memory: Option<u64>,
    /// For all calls together, without compiling.
    pub milliseconds: u64,
}

/// One call, and what came of it.
#[derive(Debug, Serialize)]
pub struct Call {
    /// Method and body; `redirected` where the upstream leads elsewhere.
    pub call: String,
    /// HTTP status, or why there is none.
    pub outcome: String,
    /// Until the answer was whole.
    pub milliseconds: u64,
}

/// A host that was called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contact {
    /// Scheme, host and port as the guest wrote them.
    pub host: String,
    /// How often.
    pub requests: u32,
    /// How often with a credential.
    pub with_credential: u32,
}

/// What became of a credential that is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Canary {
    /// Requests that reached the upstream with it.
    pub attached: u32,
    /// Times that the upstream said it back and the host covered it.
    pub covered: u64,
    /// Answers of the upstream in which the guest could see it.
    pub seen: u32,
    /// Requests in which the guest itself sent it on.
    pub sent_on: u32,
    /// Answers of the guest that had it.
    pub answered: u32,
}

/// Why there was no dry run.
#[derive(Debug, thiserror::Error)]
#[error("it could not be run: {0}")]
pub struct NotRehearsed(String);

fn not_run(error: impl std::fmt::Display) -> NotRehearsed {
    NotRehearsed(error.to_string())
}

/// Runs a component, with the usual questions and with `asks`, which are JSON. `program` is this one, for the processes that
/// compile and run it.
///
/// # Errors
/// [`NotRehearsed`] where it cannot be run at all; that it fails at what it is asked stands in the calls.
pub async fn rehearse(program: PathBuf, bytes: Vec<u8>, asks: &[String]) -> Result<Rehearsal, NotRehearsed> {
    crate::sandbox::available().map_err(not_run)?;
    let engine = Engine::new(&EngineConfig { deadline: DEADLINE, max_instances: 2, ..EngineConfig::default() });
    let engine = engine.map_err(not_run)?;
    let compiler = Compiler::apart(engine.clone(), program.clone(), CompileLimits::default());
    let digest = Digest::of(&bytes);
    let compiled = compiler.compile(bytes).await.map_err(not_run)?;
    let stage = Arc::new(Stage::new().await?);
    let limits = WorkerLimits { workers: 1, instances: 1, idle: Duration::from_secs(60) };
    let workers = Workers::new(program, engine, limits, stage.clone());
    let cast = Cast::new(digest).await?;
    let began = Instant::now();
    for redirected in [false, true] {
        stage.lock().redirects = redirected;
        for (method, body) in CALLS.into_iter().chain(asks.iter().map(|ask| ("POST", ask.as_str()))) {
            let call = format!("{method} {body}{}", if redirected { " redirected" } else { "" });
            let began = Instant::now();
            let outcome = match workers.invoke(&compiled, cast.guest(), request(method, body)).await {
                Ok(response) => stage.answered(response).await,
                Err(error) => error.to_string(),
            };
            let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            stage.lock().done.calls.push(Call { call: call.trim().to_owned(), outcome, milliseconds });
        }
    }
    let mut stage = stage.lock();
    stage.done.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    stage.done.peak_memory = peak_memory();
    Ok(std::mem::take(&mut stage.done))
}

fn request(method: &str, body: &str) -> Request<Body> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().unwrap_or_default();
    *request.uri_mut() = Uri::from_static("https://agents.example/");
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    request
}

/// What the worker used at the most, by the kernel's count.
fn peak_memory() -> Option<u64> {
    let own = std::process::id().to_string();
    let children = std::fs::read_dir("/proc").ok()?.flatten().filter(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned));
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        parent.as_deref() == Some(&own) && line.split(|byte| *byte == 0).any(|word| word == WORKER.as_bytes())
    });
    let peak = |entry: std::fs::DirEntry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    children.filter_map(peak).max()
}

/// Who calls, and as whom the guest runs: an agent that no directory keeps, and a user of no provider.
struct Cast {
    wats: Arc<WatTable>,
    binding: Arc<Binding>,
    lives: Mutex<Vec<crate::identity::Live>>,
    digest: Digest,
}

/// Keeps nothing.
struct Nowhere;

impl Entries for Nowhere {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn put(&self, _: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        async { Ok(()) }.boxed()
    }
    fn remove(&self, _: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        async { Ok(()) }.boxed()
    }
}

impl Cast {
    async fn new(digest: Digest) -> Result<Self, NotRehearsed> {
        let clock = Clock::system();
        let name = AgentName::parse("rehearsed").map_err(not_run)?;
        let domain = TrustDomain::parse("rehearsal.invalid").map_err(not_run)?;
        let directory = Directory::load(Arc::new(Nowhere), domain.clone(), Configured::default(), clock.clone());
        let directory = directory.await.map_err(not_run)?;
        let deployment = Deployment {
            name: name.clone(),
            digest,
            publisher: "a rehearsal".into(),
            by: "a rehearsal".into(),
            allowed_return_urls: None,
            source: None,
            authority: Authority::none(),
        };
        directory.deploy(deployment).await.map_err(not_run)?;
        let agent = directory.resolve(&name).map_err(not_run)?;
        let binding = Binding::bind(agent, None, SessionId::random(), &domain.host("rehearsal"));
        Ok(Self { wats: WatTable::new(clock), binding, lives: Mutex::default(), digest })
    }

    fn guest(&self) -> Guest {
        let (wat, live) = self.wats.mint(self.binding.clone(), 2 * DEADLINE);
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).push(live);
        Guest {
            wat,
            workload: WorkloadFacts {
                id: self.binding.agent().identity().id.to_string(),
                name: self.binding.agent().name().to_string(),
                digest: self.digest.to_string(),
            },
            user: Some(UserFacts { issuer: "https://idp.example".into(), subject: "somebody".into() }),
            claims: BTreeMap::from([("email".to_owned(), "\"somebody@example.com\"".to_owned())]),
            reveal: true,
        }
    }
}

/// The broker of a dry run, and the upstream behind it.
struct Stage {
    client: Arc<Client>,
    upstream: Uri,
    destinations: Destinations,
    canary: SharedSecret,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    redirects: bool,
    done: Rehearsal,
}

impl Stage {
    async fn new() -> Result<Self, NotRehearsed> {
        let canary = Arc::new(Secret::random());
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(not_run)?;
        let address = listener.local_addr().map_err(not_run)?;
        let told = Arc::new(Mutex::new(Told::default()));
        tokio::spawn(upstream(listener, canary.clone(), told.clone()));
        let upstream: Uri = format!("http://{address}/").parse().map_err(not_run)?;
        let destinations = Destinations::parse([format!("http://{address}").as_str()]).map_err(not_run)?;
        let client = Client::new(&ClientConfig::development()).map_err(not_run)?;
        Ok(Self { client, upstream, destinations, canary, told })
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the guest answers, and looks for the credential in it.
    async fn answered(&self, response: Response<Body>) -> String {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(error) => return format!("{}, and it broke off: {error}", head.status.as_u16()),
        };
        if has(&self.canary, &body) || in_headers(&self.canary, &head.headers) {
            self.lock().done.canary.answered += 1;
        }
        head.status.as_u16().to_string()
    }
}

fn has(canary: &Secret, bytes: &[u8]) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary.expose())
}

fn in_headers(canary: &Secret, headers: &HeaderMap) -> bool {
    headers.iter().any(|(_, value)| has(canary, value.as_bytes()))
}

impl Broker for Stage {
    fn acquire<'a>(&'a self, _: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>> {
        let (what, scopes) = match ask.kind {
            Kind::ApiKey => ("API key".to_owned(), Vec::new()),
            Kind::Oauth2 { scopes, flow, .. } => {
                let flow = match flow {
                    Flow::UserFederation => "user-federation",
                    Flow::MachineToMachine => "machine-to-machine",
                    Flow::OnBehalfOf => "on-behalf-of",
                };
                (format!("{flow} with `{}`", scopes.join(" ")), scopes)
            }
        };
        let short = |text: &str| text.chars().take(300).collect::<String>();
        let mut told = self.lock();
        if told.done.credentials.len() < MOST_RECORDED {
            told.done.credentials.insert(short(&format!("{}: {what}", ask.provider)));
            told.done.providers.insert(short(&ask.provider));
        }
        drop(told);
        let acquired = Acquired { id: CredentialId::random(), provider: ask.provider, scopes, expires_at: None };
        async move { Ok(acquired) }.boxed()
    }

    fn send(&self, _: &WorkloadAccessToken, outbound: Outbound) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        let Outbound { credential, mut request, connect_timeout, first_byte_timeout, between_bytes_timeout } = outbound;
        let host: String = match (request.uri().scheme_str(), request.uri().authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}").chars().take(300).collect(),
            _ => "nowhere".to_owned(),
        };
        let mut told = self.lock();
        let known = told.done.hosts.iter().position(|contact| contact.host == host);
        let at = known.or_else(|| {
            let room = told.done.hosts.len() < MOST_RECORDED;
            room.then(|| told.done.hosts.push(Contact { host: host.clone(), requests: 0, with_credential: 0 }));
            room.then(|| told.done.hosts.len() - 1)
        });
        if let Some(contact) = at.and_then(|at| told.done.hosts.get_mut(at)) {
            contact.requests += 1;
            contact.with_credential += u32::from(credential.is_some());
        }
        drop(told);
        // The address is exchanged below, so what would be refused of it is refused here.
        if request.uri().authority().is_some_and(|authority| authority.as_str().contains('@')) {
            let refused = Refusal::InvalidRequest("its URL holds a user name or password".into());
            return async move { Err(refused) }.boxed();
        }
        let mut parts = self.upstream.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        let to = Uri::from_parts(parts);
        let (client, destinations, canary, told) =
            (self.client.clone(), self.destinations.clone(), self.canary.clone(), self.told.clone());
        async move {
            *request.uri_mut() = to.map_err(|error| Refusal::InvalidRequest(error.to_string()))?;
            let attach = credential.map(|_| Attach::Placed(Placement::Bearer, canary.clone()));
            let passage = Passage {
                destinations: &destinations,
                attach,
                connect_timeout,
                first_byte_timeout,
                between_bytes_timeout,
            };
            let carried = carry(&client, passage, request).await;
            let response = carried.map_err(|error| Refusal::InvalidRequest(error.to_string()))?;
            let hits = response.extensions().get::<ScrubHits>().cloned();
            let (head, body) = response.into_parts();
            // Whole at once: what the guest gets is looked at before it does.
            let body = Limited::new(body, 4 * MOST_BYTES).collect().await;
            let body = body.map_err(|error| Refusal::Unavailable(error.to_string()))?.to_bytes();
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.done.canary.covered += hits.map_or(0, |hits| hits.count());
            told.done.canary.seen += u32::from(has(&canary, &body) || in_headers(&canary, &head.headers));
            drop(told);
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            Ok(Response::from_parts(head, body))
        }
        .boxed()
    }

    fn release(&self, _: &WorkloadAccessToken, _: CredentialId) {}

    fn reveal<'a>(&'a self, _: &'a WorkloadAccessToken, _: CredentialId) -> BoxFuture<'a, Result<Revealed, Refusal>> {
        self.lock().done.revealed += 1;
        // Worth nothing: that is what it was made for.
        let bytes = self.canary.expose().to_vec();
        async move { Ok(Revealed(bytes)) }.boxed()
    }
}

/// Says back all that it was sent, in several spellings; or leads elsewhere.
async fn upstream(listener: TcpListener, canary: SharedSecret, told: Arc<Mutex<Told>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (canary, told) = (canary.clone(), told.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (canary, told) = (canary.clone(), told.clone());
            async move { Ok::<_, Infallible>(said_back(request, &canary, &told).await) }
        });
        tokio::spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A connection that breaks is the guest's own doing.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn said_back(request: Request<Incoming>, canary: &Secret, told: &Mutex<Told>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let attached = head.headers.get("authorization").is_some_and(|value| has(canary, value.as_bytes()));
    let mut others = head.headers.clone();
    others.remove("authorization");
    let sent_on = has(canary, &body) || in_headers(canary, &others) || has(canary, head.uri.to_string().as_bytes());
    let redirects = {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.done.canary.attached += u32::from(attached);
        told.done.canary.sent_on += u32::from(sent_on);
        told.redirects
    };
    if redirects {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = StatusCode::FOUND;
        let to = HeaderValue::from_static("https://redirected.invalid/elsewhere");
        response.headers_mut().insert("location", to);
        return response;
    }
    let lines: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let hex: String = canary.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let spelled = if attached { hex } else { String::new() };
    let said = serde_json::json!({
        "method": head.method.as_str(),
        "path": head.uri.to_string(),
        "headers": lines,
        "spelled": spelled,
        "body": String::from_utf8_lossy(&body),
        "items": [],
    });
    let mut response = Response::new(Full::new(Bytes::from(said.to_string())));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(authorization) = head.headers.get("authorization") {
        response.headers_mut().insert("x-you-said", authorization.clone());
    }
    response
}
