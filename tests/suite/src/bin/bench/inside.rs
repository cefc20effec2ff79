//! Figures from inside one process: what a step costs without HTTP around it.

use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use attache::broker::{Acquire, Broker, Flow, Guest, Kind, Seat, UserFacts, Wishes, WorkloadFacts};
use attache::clock::Clock;
use attache::directory::{Deployment, Directory, Entries, Unavailable, WorkloadIdentity};
use attache::identity::{Authorizer, Bearer, Binding, Documents, IssuerRule, Live, Verifier, WatTable};
use attache::ids::{AgentName, Digest, HostId, Issuer, SessionId, TrustDomain};
use attache::runtime::{Engine, EngineConfig};
use aws_lc_rs::signature::{self, KeyPair as _, UnparsedPublicKey};
use futures_util::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, Empty};
use serde_json::json;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use suite::host::component;
use suite::issuer::TestIssuer;
use suite::world::World;

/// Seats without a desk, for running a component with nothing of ours around it.
#[derive(Clone)]
pub(crate) struct Anybody {
    wats: Arc<WatTable>,
    binding: Arc<Binding>,
}

impl Anybody {
    /// A guest's facts. Minting its token is the one step of ours that is left in: an instance cannot be without one.
    pub(crate) fn guest(&self) -> (Guest, Live) {
        let (wat, live) = self.wats.mint(self.binding.clone(), Duration::from_secs(60));
        let workload = WorkloadFacts { id: String::new(), name: String::new(), digest: String::new() };
        let user = Some(UserFacts { issuer: String::new(), subject: String::new() });
        (Guest { wat, workload, user, claims: Default::default(), reveal: false }, live)
    }
}

/// Entries that rest nowhere.
#[derive(Default)]
struct Nowhere(Mutex<Vec<WorkloadIdentity>>);
impl Entries for Nowhere {
    fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
        let all = self.0.lock().unwrap().clone();
        async move { Ok(all) }.boxed()
    }
    fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.0.lock().unwrap().push(entry);
        async { Ok(()) }.boxed()
    }
    fn remove(&self, name: AgentName) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.0.lock().unwrap().retain(|entry| entry.name != name);
        async { Ok(()) }.boxed()
    }
}

/// A binding made the one way there is, from a token signed by a test issuer.
pub(crate) async fn anybody() -> Result<Anybody> {
    let clock = Clock::system();
    let issuer = TestIssuer::new("https://idp.test");
    let name = AgentName::parse("bench")?;
    let directory = Directory::load(
        Arc::new(Nowhere::default()),
        TrustDomain::parse("bench.test")?,
        Default::default(),
        clock.clone(),
    )
    .await?;
    let deployment = Deployment {
        name: name.clone(),
        digest: Digest::of(b"bench"),
        publisher: "bench.example".into(),
        by: "bench".into(),
        allowed_return_urls: None,
        source: None,
        authority: attache::directory::Authority::none(),
    };
    directory.deploy(deployment).await?;
    let (verifier, authorizer) = verifier(&issuer, &clock)?;
    let user = verifier.verify(&bearer(&issuer.sign(claims(&clock)))?, &authorizer).await?;
    let host = HostId::parse("spiffe://bench.test/host/0")?;
    let binding = Binding::bind(directory.resolve(&name)?, Some(user.into()), SessionId::random(), &host);
    Ok(Anybody { wats: WatTable::new(clock), binding })
}

fn verifier(issuer: &TestIssuer, clock: &Clock) -> Result<(Arc<Verifier>, Authorizer)> {
    let mut rule = IssuerRule::new(Issuer::parse("https://idp.test")?);
    rule.audiences = vec!["https://attache.test/".into()];
    let documents: Arc<dyn Documents> = issuer.documents();
    Ok((Verifier::new(documents, clock.clone()), Authorizer::new("bench", vec![rule])?))
}

fn claims(clock: &Clock) -> serde_json::Value {
    let now = clock.now().secs();
    json!({ "iss": "https://idp.test", "sub": "alice", "aud": "https://attache.test/", "iat": now, "exp": now + 3000, "jti": SessionId::random().to_string() })
}

fn bearer(token: &str) -> Result<Bearer> {
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse()?);
    Ok(Bearer::from_header(&headers)?)
}

/// Nanoseconds per call: the best of several batches is noise, so each batch is a sample and the report takes the median.
fn sample(rounds: usize, calls: usize, mut call: impl FnMut()) -> Vec<f64> {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..calls {
                call();
            }
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect()
}

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let rounds = if report.quick { 3 } else { 11 };
    jwt(report, rounds).await?;
    instances(report, rounds).await?;
    credential(report, rounds).await
}

async fn jwt(report: &mut Report, rounds: usize) -> Result<()> {
    eprintln!("JWT verification");
    let clock = Clock::system();
    let issuer = TestIssuer::new("https://idp.test");
    let (verifier, authorizer) = verifier(&issuer, &clock)?;
    let tokens: Vec<Bearer> =
        (0..400).map(|_| bearer(&issuer.sign_as("RS256", claims(&clock)))).collect::<Result<_>>()?;
    verifier.verify(&tokens[0], &authorizer).await?;
    let mut first = Vec::new();
    for chunk in tokens[1..].chunks(399 / rounds) {
        let start = Instant::now();
        for token in chunk {
            black_box(verifier.verify(token, &authorizer).await?);
        }
        first.push(start.elapsed().as_nanos() as f64 / chunk.len() as f64 / 1000.0);
    }
    let verify = report.add("JWT (RS256) verified, first time", "µs", &mut first, None);
    let mut again = sample(rounds, 2000, || {
        black_box(verifier.verify(&tokens[0], &authorizer).now_or_never());
    });
    again.iter_mut().for_each(|ns| *ns /= 1000.0);
    let again = report.add("JWT verified, seen before", "µs", &mut again, None);

    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).ok().context("a key")?;
    let message = vec![b'x'; 600];
    let mut signed = vec![0; key.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    key.sign(&signature::RSA_PKCS1_SHA256, &random, &message, &mut signed).ok().context("signing")?;
    let public = key.public_key().as_ref().to_vec();
    let mut raw = sample(rounds, 200, || {
        let key = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &public);
        black_box(key.verify(&message, &signed)).ok();
    });
    raw.iter_mut().for_each(|ns| *ns /= 1000.0);
    let raw = report.add("RS256 signature alone", "µs", &mut raw, None);
    report.add("JWT first time / signature alone", "×", &mut [verify / raw], None);
    report.add("JWT seen before / first time", "×", &mut [again / verify], Some("≤ 0.05"));
    Ok(())
}

async fn instances(report: &mut Report, rounds: usize) -> Result<()> {
    eprintln!("instances");
    let live = if report.quick { 200 } else { 1000 };
    let engine = Engine::new(&EngineConfig { max_instances: live, ..EngineConfig::default() })?;
    let loaded = engine.load(&std::fs::read(component("probe")?)?)?;
    let broker: Arc<dyn Broker> = Arc::new(crate::bare::YesBroker);
    let seats = anybody().await?;
    let invoke = async |path: &str| {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(format!("http://agent.invalid{path}")).body(body)?;
        let (guest, seat) = seats.guest();
        let response = engine.invoke(&loaded, guest, broker.clone(), request).await?;
        anyhow::Ok((response, seat))
    };
    let mut micros = Vec::new();
    for _ in 0..rounds {
        let calls = 300;
        let start = Instant::now();
        for _ in 0..calls {
            let (response, _seat) = invoke("/").await?;
            ensure!(response.into_body().collect().await?.to_bytes() == "hello");
        }
        micros.push(start.elapsed().as_nanos() as f64 / f64::from(calls) / 1000.0);
    }
    report.add("fresh instance, one request, dropped", "µs", &mut micros, None);

    let before = resident()?;
    let mut held = Vec::new();
    for _ in 0..live {
        // The response's head is out and its body waits: the instance lives.
        held.push(invoke("/stream?chunks=2&ms=20000").await?);
    }
    let each = (resident()? - before) / f64::from(live);
    drop(held);
    report.add("memory of a live instance (resident)", "KiB", &mut [each], Some("< 40"));
    Ok(())
}

/// Resident memory of this process and its page tables, in KiB.
pub(crate) fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> Result<f64> {
        let line = status.lines().find(|l| l.starts_with(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
    };
    Ok(field("VmRSS:")? + field("VmPTE:")?)
}

/// On a whole host in this process, with a grant made by real clicks.
async fn credential(report: &mut Report, rounds: usize) -> Result<()> {
    eprintln!("credential calls");
    let mut world = World::start_with(|spec| spec.extra.push_str(crate::NO_RATE)).await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    world.host.deploy("probe", &component("probe")?, "bench.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let token = world.token_with(json!({ "user": "alice", "expires_in": 3600 })).await?;
    // The same data folder, opened in here.
    world.host.kill();
    let mut settings = attache::config::load(&world.host.dir().join("attache.toml"))?;
    settings.data_dir = world.host.data();
    let host = attache::wiring::Host::start(settings, Clock::system()).await?;
    let name = AgentName::parse("probe")?;
    let authorizer = &host.settings.agents[&name].authorizer;
    let user = host.verifier.verify(&bearer(&token)?, authorizer).await?;
    let binding =
        Binding::bind(host.directory.resolve(&name)?, Some(user.into()), SessionId::random(), host.trail.host());
    let (guest, _seat): (Guest, Seat) = host.desk.seat(&binding, None);
    let ask = || Acquire {
        provider: "google-calendar".into(),
        kind: Kind::Oauth2 {
            scopes: vec!["calendar.read".into()],
            flow: Flow::UserFederation,
            wishes: Wishes::default(),
        },
    };
    ensure!(host.desk.acquire(&guest.wat, ask()).await.is_ok(), "the grant is there");
    let mut acquire = sample(rounds, 2000, || {
        if let Some(Ok(acquired)) = host.desk.acquire(&guest.wat, ask()).now_or_never() {
            Broker::release(&host.desk, &guest.wat, acquired.id);
        }
    });
    acquire.iter_mut().for_each(|ns| *ns /= 1000.0);
    report.add("acquire a credential, warm, with its audit record", "µs", &mut acquire, Some("< 3"));

    let attempt = host.trail.open(&binding, attache::audit::Action::new("credential.send", "bench"))?;
    let written = attempt.written().await?;
    let provider = host.providers.oauth2(&"google-calendar".parse()?).ok_or_else(|| anyhow::anyhow!("no provider"))?;
    let wanted = attache::ids::Scopes::parse(["calendar.read"])?.into();
    ensure!(host.vault.token(&written, &provider, &wanted).await.is_ok(), "the token is there");
    let mut open = sample(rounds, 2000, || {
        black_box(host.vault.token(&written, &provider, &wanted).now_or_never());
    });
    open.iter_mut().for_each(|ns| *ns /= 1000.0);
    report.add("open a sealed token for sending, warm", "µs", &mut open, Some("< 3"));
    attempt.close(attache::audit::Outcome::allowed());
    Ok(())
}
