//! Whether a warm credential costs the same however many there are.
//!
//! The vaults here are the host's own over rows that rest in this process's memory, filled through [`Vault::keep`], and over
//! a journal that takes everything: what is measured is the vault, not the disk.

use crate::opened::{Opened, scopes, tokens};
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use attache::audit::{Action, Attempt, Entry, Filter, Journal, Outcome, Record, Ticket, Trail, Unwritable, Written};
use attache::clock::{Clock, Timestamp};
use attache::directory::{NewWorkload, RegisteredAgent};
use attache::identity::{AssertedUser, Binding};
use attache::ids::{AgentName, GrantId, SessionId};
use attache::oauth::Provider;
use attache::seal::Sealer;
use attache::vault::{GrantRow, PendingRevocation, Rows, RowsError, Vault, VaultParts, Wanted};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const FEW: usize = 1000;
/// Kept at once by one vault while rows are made; then that vault goes, so that only the rows stay.
const BATCH: usize = 25_000;
/// Of which one is asked for again and again.
const WARM: usize = 64;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let many = if report.quick { 100_000 } else { 1_000_000 };
    eprintln!("{many} rows");
    let opened = Opened::start(Clock::system()).await?;
    let maker = Maker::new(&opened).await?;
    maker.fill(BATCH.min(many)).await?;
    maker.shelf.take();

    let few = maker.loaded(FEW).await?.vault;
    let many_loaded = maker.loaded(many).await?;
    let named = |what: &str| format!("{what}, of {many}");
    report.add(&named("memory of a vault row"), "bytes", &mut [many_loaded.bytes_each], None);
    report.add(&named("making and sealing a row"), "µs", &mut [many_loaded.made_each], None);
    report.add(&named("loading a row at start, without the disk's part"), "µs", &mut [many_loaded.loaded_each], None);
    let many_vault = many_loaded.vault;

    // The same users for both: those who are in both, over and over.
    let (rounds, calls) = if report.quick { (5, 20_000) } else { (11, 20_000) };
    let asks = maker.asks((0..WARM).map(|n| n * (FEW / WARM)))?;
    let (mut with_few, mut with_many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let one = maker.time(&few, &asks, calls).await?;
        let other = maker.time(&many_vault, &asks, calls).await?;
        // The first round warms both.
        if round > 0 {
            with_few.push(one);
            with_many.push(other);
            ratios.push(other / one);
        }
    }
    report.add(&format!("a warm credential released, {FEW} rows"), "µs", &mut with_few, None);
    report.add(&format!("a warm credential released, {many} rows"), "µs", &mut with_many, None);
    report.add(&format!("a warm credential: {many} rows / {FEW} rows"), "×", &mut ratios, Some("≤ 1.2"));

    // Users all over the rows, each asked for once a round: what is far from the processor costs a way to memory.
    let spread = 10_000;
    let near = maker.asks((0..spread).map(|n| n % FEW))?;
    let far = maker.asks((0..spread).map(|n| (n * 7919) % many))?;
    let mut ratios = Vec::new();
    for _ in 0..rounds.min(5) {
        let one = maker.time(&few, &near, spread).await?;
        ratios.push(maker.time(&many_vault, &far, spread).await? / one);
    }
    let name = format!("a credential of any user: {many} rows / {FEW} rows, the latter in the processor's cache");
    report.add(&name, "×", &mut ratios, None);
    Ok(())
}

struct Maker<'a> {
    opened: &'a Opened,
    trail: Trail,
    shelf: Arc<Shelf>,
    workload: Arc<RegisteredAgent>,
    provider: Arc<Provider>,
    wanted: Wanted,
}

struct Loaded {
    vault: Arc<Vault>,
    bytes_each: f64,
    made_each: f64,
    loaded_each: f64,
}

impl<'a> Maker<'a> {
    async fn new(opened: &'a Opened) -> Result<Self> {
        let host = &opened.host;
        let name = AgentName::parse("open-rows")?;
        let new = NewWorkload {
            name: name.clone(),
            publisher: "bench.example".into(),
            by: "bench".into(),
            allowed_return_urls: Vec::new(),
            tags: Default::default(),
        };
        host.directory.create(new).await?;
        Ok(Self {
            opened,
            trail: Trail::new(Arc::new(Anything), host.trail.host().clone(), Clock::system()),
            shelf: Arc::default(),
            workload: host.directory.resolve_elsewhere(&name)?,
            provider: opened.provider()?,
            wanted: scopes()?.into(),
        })
    }

    /// A vault over these rows.
    async fn vault(&self, rows: Arc<dyn Rows>) -> Result<Arc<Vault>> {
        let host = &self.opened.host;
        let parts = VaultParts {
            rows,
            sealer: Arc::new(Sealer::new(host.ring.clone())),
            oauth: host.oauth.clone(),
            issuer: host.issuer.clone(),
            providers: host.providers.clone(),
            directory: host.directory.clone(),
            trail: self.trail.clone(),
            account: host.settings.account.clone(),
            clock: Clock::system(),
        };
        Ok(Vault::load(parts).await?)
    }

    /// An attempt for the `n`th user.
    fn attempt(&self, n: usize) -> Result<Attempt> {
        let user = AssertedUser::on_the_word_of(&self.workload, &format!("user-{n:07}@bench.example"))?;
        let host = self.opened.host.trail.host();
        let binding = Binding::bind(self.workload.clone(), Some(user.into()), SessionId::random(), host);
        Ok(self.trail.open(&binding, Action::new("credential.send", "bench"))?)
    }

    fn asks(&self, users: impl Iterator<Item = usize>) -> Result<Vec<Attempt>> {
        users.map(|n| self.attempt(n)).collect()
    }

    /// Puts a grant of each of so many users on the shelf.
    async fn fill(&self, count: usize) -> Result<()> {
        for from in (0..count).step_by(BATCH) {
            let vault = self.vault(self.shelf.clone()).await?;
            let users = futures_util::stream::iter(from..count.min(from + BATCH));
            users.map(|n| self.keep(&vault, n)).buffer_unordered(64).try_for_each(|()| ready(Ok(()))).await?;
        }
        Ok(())
    }

    async fn keep(&self, vault: &Vault, n: usize) -> Result<()> {
        let attempt = self.attempt(n)?;
        vault.keep(&attempt.written().await?, &self.provider, &self.wanted, tokens(), None).await?;
        attempt.close(Outcome::allowed());
        Ok(())
    }

    async fn loaded(&self, count: usize) -> Result<Loaded> {
        let before = crate::inside::resident()?;
        let start = Instant::now();
        self.fill(count).await?;
        let made_each = start.elapsed().as_secs_f64() * 1e6 / count as f64;
        let rows = Arc::new(Shelf { rows: Mutex::new(self.shelf.take()), gives: true });
        let start = Instant::now();
        let vault = self.vault(rows).await?;
        let loaded_each = start.elapsed().as_secs_f64() * 1e6 / count as f64;
        let bytes_each = (crate::inside::resident()? - before) * 1024.0 / count as f64;
        Ok(Loaded { vault, bytes_each, made_each, loaded_each })
    }

    /// Microseconds for one release, over so many calls that take these attempts in turn.
    async fn time(&self, vault: &Vault, asks: &[Attempt], calls: usize) -> Result<f64> {
        let written: Vec<Written<'_>> = futures_util::future::try_join_all(asks.iter().map(Attempt::written)).await?;
        let start = Instant::now();
        for n in 0..calls {
            let released = vault.token(&written[n % written.len()], &self.provider, &self.wanted).now_or_never();
            ensure!(black_box(released).context("it is warm")?.is_ok(), "every user has a grant");
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / calls as f64)
    }
}

/// Takes every record, and keeps none.
struct Anything;
impl Journal for Anything {
    fn append(&self, record: Record) -> Result<Ticket, Unwritable> {
        drop(record);
        Ok(Ticket(0))
    }
    fn durable(&self, _: Ticket) -> BoxFuture<'_, Result<(), Unwritable>> {
        ready(Ok(())).boxed()
    }
    fn query(&self, _: Filter) -> BoxFuture<'_, Result<Vec<Entry>, Unwritable>> {
        ready(Ok(Vec::new())).boxed()
    }
}

/// Rows in memory. What is put is kept here; a vault that is loaded over it takes them all with it, or none.
#[derive(Default)]
struct Shelf {
    rows: Mutex<Vec<GrantRow>>,
    gives: bool,
}

impl Shelf {
    fn take(&self) -> Vec<GrantRow> {
        std::mem::take(&mut *self.rows.lock().unwrap())
    }
}

/// What never happens to these rows.
fn not_here<T: Send + 'static>() -> BoxFuture<'static, Result<T, RowsError>> {
    ready(Err(RowsError("nothing of the kind happens here".into()))).boxed()
}

impl Rows for Shelf {
    fn all(&self) -> BoxFuture<'_, Result<Vec<GrantRow>, RowsError>> {
        ready(Ok(if self.gives { self.take() } else { Vec::new() })).boxed()
    }
    fn put(&self, row: GrantRow) -> BoxFuture<'_, Result<(), RowsError>> {
        self.rows.lock().unwrap().push(row);
        ready(Ok(())).boxed()
    }
    fn replace(&self, _: u64, _: GrantRow) -> BoxFuture<'_, Result<bool, RowsError>> {
        not_here()
    }
    fn renewing(&self, _: GrantId, _: u64, _: Option<Timestamp>) -> BoxFuture<'_, Result<bool, RowsError>> {
        not_here()
    }
    fn remove(&self, _: GrantId) -> BoxFuture<'_, Result<bool, RowsError>> {
        not_here()
    }
    fn revoke(&self, _: GrantId, _: PendingRevocation) -> BoxFuture<'_, Result<bool, RowsError>> {
        not_here()
    }
    fn due(&self, _: Timestamp) -> BoxFuture<'_, Result<Vec<PendingRevocation>, RowsError>> {
        not_here()
    }
    fn reschedule(&self, _: GrantId, _: u32, _: Option<Timestamp>) -> BoxFuture<'_, Result<(), RowsError>> {
        not_here()
    }
}
