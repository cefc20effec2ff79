//! Which worker runs an invocation: one that serves the same agent's same component for the same user, and no other.

use super::process::{NotRun, Recipe, Work, Worker};
use crate::broker::{Body, Broker, Guest};
use crate::runtime::{Compiled, Engine, InvokeError};
use http::{Request, Response};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How many workers there are, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Processes at once. One that serves nobody makes room for another; when all are at work, the answer is that the host
    /// is busy. Default 32.
    pub workers: u32,
    /// Invocations at once in one of them. Default 8.
    pub instances: u32,
    /// How long a worker waits for work before it ends. Default 60 s.
    pub idle: Duration,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self { workers: 32, instances: 8, idle: Duration::from_secs(60) }
    }
}

/// What a worker needs besides what its guests use: the compiled component, streams, stacks.
const OVERHEAD: u64 = 512 << 20;

/// All workers of a host.
pub struct Workers {
    program: PathBuf,
    engine: Arc<Engine>,
    limits: WorkerLimits,
    broker: Arc<dyn Broker>,
    places: Mutex<Places>,
    /// Told when an invocation or a worker ends.
    freed: Notify,
}

#[derive(Default)]
struct Places {
    /// Workers that run or are being started, several where one pair has more to do than one takes.
    of: HashMap<Pair, Vec<Place>>,
    count: u32,
    next: u64,
}

/// One worker's place.
struct Place {
    number: u64,
    /// None while it starts.
    worker: Option<Arc<Worker>>,
    idle_since: Instant,
}

/// Whom a worker serves: an agent's component, for a user or for nobody. It never changes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Pair {
    workload: String,
    digest: String,
    user: Option<(String, String)>,
}

impl Pair {
    fn of(guest: &Guest) -> Self {
        Self {
            workload: guest.workload.id.clone(),
            digest: guest.workload.digest.clone(),
            user: guest.user.as_ref().map(|user| (user.issuer.clone(), user.subject.clone())),
        }
    }
}

/// What the places of the pool have for an invocation.
enum Found {
    Worker(Lease),
    /// A place to start one in.
    Room(u64),
    Full,
}

/// One invocation's part of a worker.
struct Lease {
    worker: Arc<Worker>,
    pool: Weak<Workers>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.worker.running.fetch_sub(1, Ordering::AcqRel);
        if let Some(pool) = self.pool.upgrade() {
            pool.touch(&self.worker);
            pool.freed.notify_waiters();
        }
    }
}

impl Workers {
    /// None runs yet. `program` is this one, which is a worker when it is called with [`super::WORKER`].
    pub fn new(program: PathBuf, engine: Arc<Engine>, limits: WorkerLimits, broker: Arc<dyn Broker>) -> Arc<Self> {
        let (places, freed) = (Mutex::default(), Notify::new());
        let this = Arc::new(Self { program, engine, limits, broker, places, freed });
        tokio::spawn(Self::keep_swept(Arc::downgrade(&this), limits.idle));
        this
    }

    /// Processes that run or are being started.
    pub fn count(&self) -> u32 {
        self.places().count
    }

    /// Runs a guest on a request in a worker of its own agent and user. As [`Engine::invoke`].
    ///
    /// # Errors
    /// [`InvokeError`], when there is no response to begin with; [`InvokeError::Stopped`] where the worker ended.
    pub async fn invoke(
        self: &Arc<Self>,
        compiled: &Compiled,
        guest: Guest,
        request: Request<Body>,
    ) -> Result<Response<Body>, InvokeError> {
        if compiled.wants_reveal() && !guest.reveal {
            return Err(InvokeError::RevealNotGranted);
        }
        let (pair, agent) = (Pair::of(&guest), guest.workload.name.clone());
        let mut work = Work::new(guest, request)?;
        // A worker may end while work is on its way to it; what nothing was sent of goes to another.
        for _ in 0..3 {
            let lease = self.lease(compiled, &agent, &pair).await?;
            match lease.worker.clone().invoke(work, lease).await {
                Ok(response) => return Ok(response),
                Err(NotRun::Failed(error)) => return Err(error),
                Err(NotRun::Untouched(again)) => work = *again,
            }
        }
        Err(InvokeError::Stopped)
    }

    async fn lease(self: &Arc<Self>, compiled: &Compiled, agent: &str, pair: &Pair) -> Result<Lease, InvokeError> {
        let until = Instant::now() + self.engine.config().admission_wait;
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before looking, so that nothing freed in between is missed.
            freed.as_mut().enable();
            match self.find(pair) {
                Found::Worker(lease) => return Ok(lease),
                Found::Room(number) => return self.start(compiled, agent, pair, number).await,
                Found::Full => timeout_at(until, freed).await.map_err(|_| InvokeError::Busy)?,
            }
        }
    }

    fn find(self: &Arc<Self>, pair: &Pair) -> Found {
        let mut places = self.places();
        places.sweep(|place| place.worker.as_ref().is_some_and(|worker| !worker.is_alive()));
        if let Some(mine) = places.of.get(pair) {
            for worker in mine.iter().filter_map(|place| place.worker.as_ref()) {
                // Under the lock, so that the count is never above what is allowed.
                if worker.running.load(Ordering::Acquire) < self.limits.instances {
                    worker.running.fetch_add(1, Ordering::AcqRel);
                    return Found::Worker(Lease { worker: worker.clone(), pool: Arc::downgrade(self) });
                }
            }
        }
        if places.count >= self.limits.workers && !places.make_room() {
            return Found::Full;
        }
        places.count += 1;
        places.next += 1;
        let number = places.next;
        let place = Place { number, worker: None, idle_since: Instant::now() };
        places.of.entry(pair.clone()).or_default().push(place);
        Found::Room(number)
    }

    async fn start(
        self: &Arc<Self>,
        compiled: &Compiled,
        agent: &str,
        pair: &Pair,
        number: u64,
    ) -> Result<Lease, InvokeError> {
        // Whatever becomes of this, its place is not left behind.
        let starting = Starting { pool: self, number: Some(number) };
        let config = self.engine.config();
        let memory = (config.max_memory_bytes as u64).saturating_mul(u64::from(self.limits.instances));
        let order = self.engine.order_for(self.limits.instances);
        let recipe = Recipe {
            program: &self.program,
            memory: memory.saturating_add(OVERHEAD),
            order: &order,
            deadline: config.deadline,
        };
        let name: Arc<str> = Arc::from(agent);
        let worker = Worker::start(&recipe, compiled, self.broker.clone(), name).await;
        let worker = worker.map(Arc::new).map_err(|error| {
            tracing::error!(agent, %error, "a worker does not start");
            InvokeError::Host
        })?;
        worker.running.fetch_add(1, Ordering::AcqRel);
        let lease = Lease { worker: worker.clone(), pool: Arc::downgrade(self) };
        if let Some(place) =
            self.places().of.get_mut(pair).and_then(|mine| mine.iter_mut().find(|p| p.number == number))
        {
            place.worker = Some(worker);
        }
        starting.done();
        Ok(lease)
    }

    fn touch(&self, worker: &Arc<Worker>) {
        let mut places = self.places();
        let mine = places
            .of
            .values_mut()
            .flatten()
            .find(|place| place.worker.as_ref().is_some_and(|w| Arc::ptr_eq(w, worker)));
        if let Some(place) = mine {
            place.idle_since = Instant::now();
        }
    }

    async fn keep_swept(pool: Weak<Self>, idle: Duration) {
        let mut tick = tokio::time::interval((idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(15)));
        loop {
            tick.tick().await;
            let Some(pool) = pool.upgrade() else { return };
            pool.places().sweep(|place| {
                let Some(worker) = &place.worker else { return false };
                !worker.is_alive() || worker.running.load(Ordering::Acquire) == 0 && place.idle_since.elapsed() >= idle
            });
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Whole after every change.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.places().sweep(|_| true);
    }
}

/// A place whose worker is not there yet.
struct Starting<'a> {
    pool: &'a Workers,
    number: Option<u64>,
}

impl Starting<'_> {
    fn done(mut self) {
        self.number = None;
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.pool.places().sweep(|place| place.number == number);
            self.pool.freed.notify_waiters();
        }
    }
}

impl Places {
    /// Ends those that `gone` says.
    fn sweep(&mut self, gone: impl Fn(&Place) -> bool) {
        let mut ended = 0;
        self.of.retain(|_, mine| {
            mine.retain(|place| {
                let goes = gone(place);
                if goes {
                    ended += 1;
                    if let Some(worker) = &place.worker {
                        worker.end();
                    }
                }
                !goes
            });
            !mine.is_empty()
        });
        self.count -= ended;
    }

    /// Ends the worker that has had nothing to do for the longest.
    fn make_room(&mut self) -> bool {
        let idle =
            self.of.values().flatten().filter(|place| {
                place.worker.as_ref().is_some_and(|worker| worker.running.load(Ordering::Acquire) == 0)
            });
        let Some(number) = idle.min_by_key(|place| place.idle_since).map(|place| place.number) else { return false };
        self.sweep(|place| place.number == number);
        true
    }
}
