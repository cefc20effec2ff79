//! An engine with a short deadline, and what tells whether anything was left behind.

use crate::guests::guest;
use crate::scripted::{Scripted, Shared};
use attache::broker::{Body, Guest, UserFacts, WorkloadFacts};
use attache::clock::{Clock, Timestamp};
use attache::directory::{Configured, Deployment, Directory, Entries, RegisteredAgent, Unavailable, WorkloadIdentity};
use attache::identity::{Binding, WatTable};
use attache::ids::{AgentName, Digest, HostId, SessionId, TrustDomain};
use attache::runtime::{Engine, EngineConfig, InvokeError, LoadError, Loaded};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Worth waiting for, and long enough for what ends by itself on a machine that does other things besides.
pub(crate) const DEADLINE: Duration = Duration::from_millis(300);

/// One engine, the attacks on it, and whatever of the host an invocation takes a part of.
pub(crate) struct Bed {
    pub(crate) engine: Arc<Engine>,
    pub(crate) wats: Arc<WatTable>,
    pub(crate) shared: Arc<Shared>,
    instances: usize,
    hostile: OnceLock<Arc<Loaded>>,
    texts: Mutex<HashMap<String, Result<Arc<Loaded>, LoadError>>>,
    agent: Arc<RegisteredAgent>,
    host: HostId,
}

impl Bed {
    pub(crate) async fn new(config: EngineConfig) -> Self {
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let domain = TrustDomain::parse("example.org").unwrap();
        let directory =
            Directory::load(Arc::new(Nowhere), domain.clone(), Configured::default(), clock.clone()).await.unwrap();
        let name = AgentName::parse("hostile").unwrap();
        let deployment = Deployment {
            name: name.clone(),
            digest: Digest::of(b"hostile"),
            publisher: "tests".into(),
            by: "tests".into(),
            allowed_return_urls: None,
            source: None,
            authority: attache::directory::Authority::none(),
        };
        directory.deploy(deployment).await.unwrap();
        Self {
            engine: Engine::new(&config).expect("an engine"),
            wats: WatTable::new(clock),
            shared: Arc::default(),
            instances: config.max_instances as usize,
            hostile: OnceLock::new(),
            texts: Mutex::default(),
            agent: directory.resolve(&name).unwrap(),
            host: domain.host("0123"),
        }
    }

    pub(crate) async fn hasty() -> Self {
        Self::new(EngineConfig { max_instances: 8, deadline: DEADLINE, ..EngineConfig::default() }).await
    }

    /// With the time that an invocation has unless an operator says otherwise.
    pub(crate) async fn patient() -> Self {
        Self::new(EngineConfig { max_instances: 8, ..EngineConfig::default() }).await
    }

    /// The component whose attacks are written in Rust.
    pub(crate) fn hostile(&self) -> &Arc<Loaded> {
        self.hostile.get_or_init(|| self.engine.load(&guest("hostile")).expect("it loads"))
    }

    /// An attack that is written as text.
    pub(crate) fn text(&self, name: &str) -> Result<Arc<Loaded>, LoadError> {
        let mut texts = self.texts.lock().unwrap();
        let load = || {
            let path = folder().join("wat").join(format!("{name}.wat"));
            let bytes = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
            self.engine.load(&bytes)
        };
        texts.entry(name.to_owned()).or_insert_with(load).clone()
    }

    /// Of an invocation that serves nobody in particular.
    pub(crate) fn binding(&self) -> Arc<Binding> {
        Binding::bind(self.agent.clone(), None, SessionId::random(), &self.host)
    }

    /// One invocation, with a token and a broker of its own.
    pub(crate) async fn invoke(&self, loaded: &Loaded, target: &str) -> Result<Response<Body>, InvokeError> {
        let binding = self.binding();
        let broker = Scripted::new(&self.wats, binding.invocation(), self.shared.clone());
        let (wat, _live) = self.wats.mint(binding, Duration::from_secs(60));
        let guest = Guest {
            wat,
            workload: WorkloadFacts {
                id: "spiffe://example.org/agent/hostile".into(),
                name: "hostile".into(),
                digest: Digest::of(b"hostile").to_string(),
            },
            user: Some(UserFacts { issuer: "https://idp.example".into(), subject: "alice".into() }),
            claims: BTreeMap::from([("locale".to_owned(), "\"de\"".to_owned())]),
            reveal: true,
        };
        let request = Request::get(format!("https://agents.example{target}")).body(empty()).unwrap();
        let response = self.engine.invoke(loaded, guest, broker, request).await?;
        // As the seat does: the token lives until the body is at its end.
        Ok(response.map(|body| {
            body.map_err(move |error| {
                let _live = &_live;
                error
            })
            .boxed_unsync()
        }))
    }

    /// Says hello, as anybody else would be served.
    pub(crate) async fn next_caller_is_served(&self) -> bool {
        match self.invoke(self.hostile(), "/be_polite").await {
            Ok(response) => response.into_body().collect().await.is_ok_and(|body| body.to_bytes() == "hello"),
            Err(_) => false,
        }
    }

    /// Waits until nothing is held any more of what invocations take; says what is.
    pub(crate) async fn left_behind(&self) -> Option<String> {
        let mut found = None;
        for _ in 0..1000 {
            let (free, tokens) = (self.engine.free_instances(), self.wats.len());
            let sending = self.shared.sending();
            let nothing = free == self.instances && tokens == 0 && sending == 0;
            found =
                (!nothing).then(|| format!("{} instances, {tokens} tokens, {sending} requests", self.instances - free));
            if found.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        found
    }
}

/// `tests/guests/hostile`.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/hostile")
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
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
