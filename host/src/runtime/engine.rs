//! The engine: compiler, memory pool and the clock that interrupts guests. One per process.

use super::instance::Instance;
use super::{calls, load};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Stack that a host call has below its guest's.
const HOST_STACK: usize = 3 << 19;

/// What one host lets all guests and each guest use. The defaults suit agents of a few hundred kilobytes to a few
/// megabytes; a field says what it protects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineConfig {
    /// Instances alive at once, which is invocations in flight. More wait for [`Self::admission_wait`]. Address space is
    /// reserved for all of them at start; memory only as they use it. Default 200.
    pub max_instances: u32,
    /// How long an invocation waits for a free instance before it is turned away. Short, so that a full host says so
    /// instead of queueing work that its callers have given up. Default 1 s.
    pub admission_wait: Duration,
    /// Wall-clock time for a whole invocation, from its start to the last byte of its response. Default 30 s.
    pub deadline: Duration,
    /// How often a running guest is interrupted to let others run, and at the latest notices its deadline. Default
    /// 10 ms.
    pub tick: Duration,
    /// Steps in which a guest sees time pass, and as it is told. Two guests that share a processor measure each other by
    /// its caches, and the finer the clock the better; a guest that counts in a loop has a worse one all the same.
    /// Default 1 ms.
    pub clock_resolution: Duration,
    /// Bytes of linear memory of one instance, all its memories together. Rounded up to 64 KiB. Default 64 MiB.
    pub max_memory_bytes: usize,
    /// Linear memories of one instance. Components made from Rust have one; adapters add another. Default 4.
    pub max_memories: u32,
    /// Table elements of one instance, all its tables together: roughly its functions that are called indirectly.
    /// Interpreters compiled to WebAssembly have some thousands. Default 20,000.
    pub max_table_elements: usize,
    /// Tables of one instance. Default 32.
    pub max_tables: u32,
    /// Core instances of one instance. Rust components have four or five; those that link libraries dynamically, as
    /// Python's do, have some dozens. Default 64.
    pub max_core_instances: u32,
    /// Bytes of stack of one instance; the host's own calls have 1.5 MiB besides. Default 512 KiB.
    pub max_stack_bytes: usize,
    /// Bytes of a component. Default 64 MiB.
    pub max_component_bytes: usize,
    /// Bytes that one host call may copy out of a guest. Bodies pass in pieces of at most 64 KiB. Default 1 MiB.
    pub hostcall_bytes: usize,
    /// Handles to resources that one instance may hold. What stands behind one is on the host's side, so that this times
    /// the larger of [`Self::header_bytes`] and a third of [`Self::body_chunk_bytes`] is what a guest can make the host
    /// keep for it, beside its own memory. Default 1,000.
    pub max_handles: usize,
    /// Requests of one instance that may be under way at once, until their responses are read or dropped: each is a
    /// connection of the host's. Default 64.
    pub max_requests: usize,
    /// Bytes of one header map, names and values and what it takes to keep them; and of method, authority and path of a
    /// request, each. Default 32 KiB.
    pub header_bytes: usize,
    /// Bytes that a guest writes to a body at once, and that the host keeps until somebody reads them. Default 64 KiB.
    pub body_chunk_bytes: usize,
    /// Such pieces that the host keeps of one body before its guest has to wait. Default 1.
    pub body_chunks: usize,
    /// Bytes of randomness that one call may ask for. Default 64 KiB.
    pub random_bytes: u64,
    /// Bytes of standard output and error of one invocation that reach the log, in at most a sixty-fourth as many lines;
    /// the rest is counted. Default 64 KiB.
    pub log_bytes: usize,
    /// Bytes of a finished instance's memory that are wiped by writing instead of being returned to the system. Faster
    /// under load, at that much resident memory per free instance. Default 0.
    pub keep_resident_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_instances: 200,
            admission_wait: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
            tick: Duration::from_millis(10),
            clock_resolution: Duration::from_millis(1),
            max_memory_bytes: 64 << 20,
            max_memories: 4,
            max_table_elements: 20_000,
            max_tables: 32,
            max_core_instances: 64,
            max_stack_bytes: 512 << 10,
            max_component_bytes: 64 << 20,
            hostcall_bytes: 1 << 20,
            max_handles: 1_000,
            max_requests: 64,
            header_bytes: 32 << 10,
            body_chunk_bytes: 64 << 10,
            body_chunks: 1,
            random_bytes: 64 << 10,
            log_bytes: 64 << 10,
            keep_resident_bytes: 0,
        }
    }
}

/// Why there is no engine. The host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The limits contradict each other, or this machine cannot give what they ask for.
    #[error("the engine cannot start with these limits: {0}; lower `max_instances` or `max_memory_bytes`")]
    Limits(String),
    /// A part of the engine could not be put together.
    #[error("the engine cannot be set up: {0}")]
    Setup(String),
}

/// Compiles components and runs them. Cheap to share with [`Arc`].
pub struct Engine {
    pub(super) wasm: wasmtime::Engine,
    pub(super) config: EngineConfig,
    pub(super) linkers: Linkers,
    pub(super) ground: Ground,
    slots: Arc<Semaphore>,
}

/// How memories lie in the address space. Compiled code depends on it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Ground {
    pub(super) reservation: u64,
    pub(super) guard: u64,
}

/// What is linked. `reveal` is in the second only, and only components that import it are linked against that one.
pub(super) struct Linkers {
    pub(super) plain: Linker<Instance>,
    pub(super) revealing: Linker<Instance>,
}

impl Engine {
    /// Reserves the pool and starts the thread that interrupts guests; it ends when the last [`Arc`] is gone.
    ///
    /// # Errors
    /// [`EngineError`] when the machine cannot give what `config` asks for.
    pub fn new(config: &EngineConfig) -> Result<Arc<Self>, EngineError> {
        // The whole 32-bit address space of each memory, plus a guard, makes every bounds check free and is what the
        // engine's own tests and fuzzing run on. A container with a limit on address space gets the exact size and
        // explicit checks instead.
        let wide = Ground { reservation: 4 << 30, guard: 32 << 20 };
        let (wasm, ground) = match wasmtime::Engine::new(&settings(config, wide)) {
            Ok(wasm) => (wasm, wide),
            Err(reason) => {
                let size = config.max_memory_bytes.next_multiple_of(64 << 10) as u64;
                let exact = Ground { reservation: size, guard: 64 << 10 };
                tracing::info!(%reason, "address space is scarce; guests run with explicit bounds checks");
                let wasm = wasmtime::Engine::new(&settings(config, exact));
                (wasm.map_err(|error| EngineError::Limits(format!("{error:#}")))?, exact)
            }
        };
        interrupt_guests(&wasm, config.tick)?;
        Self::linked(wasm, config, ground)
    }

    /// On ground that another engine chose.
    pub(super) fn on(config: &EngineConfig, ground: Ground) -> Result<Arc<Self>, EngineError> {
        let wasm = wasmtime::Engine::new(&settings(config, ground));
        let wasm = wasm.map_err(|error| EngineError::Limits(format!("{error:#}")))?;
        interrupt_guests(&wasm, config.tick)?;
        Self::linked(wasm, config, ground)
    }

    /// One that compiles for engines of this configuration and ground, and has room to run nothing.
    pub(super) fn for_compiling(config: &EngineConfig, ground: Ground) -> Result<Arc<Self>, EngineError> {
        let one = EngineConfig { max_instances: 1, ..config.clone() };
        let wasm = wasmtime::Engine::new(&settings(&one, ground));
        Self::linked(wasm.map_err(|error| EngineError::Limits(format!("{error:#}")))?, config, ground)
    }

    fn linked(wasm: wasmtime::Engine, config: &EngineConfig, ground: Ground) -> Result<Arc<Self>, EngineError> {
        let link = |reveal| calls::link(&wasm, reveal).map_err(|error| EngineError::Setup(format!("{error:#}")));
        let linkers = Linkers { plain: link(false)?, revealing: link(true)? };
        let slots = Arc::new(Semaphore::new(config.max_instances as usize));
        Ok(Arc::new(Self { linkers, config: config.clone(), ground, slots, wasm }))
    }

    /// Compiles, links and checks a component. Blocks for tens of milliseconds to seconds, so call it where blocking is
    /// fine. No instruction of the component runs.
    ///
    /// # Errors
    /// [`load::LoadError`], naming what is wrong with the component.
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<load::Loaded>, load::LoadError> {
        load::load(self, bytes)
    }

    /// Instances that could start now without waiting.
    pub fn free_instances(&self) -> usize {
        self.slots.available_permits()
    }

    /// The right to be one of [`EngineConfig::max_instances`]; none when the wait was in vain.
    pub(super) async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        tokio::time::timeout(self.config.admission_wait, self.slots.clone().acquire_owned()).await.ok()?.ok()
    }
}

fn settings(config: &EngineConfig, Ground { reservation, guard }: Ground) -> Config {
    let instances = config.max_instances;
    let memory = config.max_memory_bytes.next_multiple_of(64 << 10);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(config.max_core_instances))
        .max_core_instances_per_component(config.max_core_instances)
        // One memory each, and room for a few instances with more; when those crowd, the answer is `Busy`.
        .total_memories(instances.saturating_add(instances / 4).saturating_add(config.max_memories))
        .max_memories_per_component(config.max_memories)
        .max_memory_size(memory)
        .total_tables(instances.saturating_mul(4).saturating_add(config.max_tables))
        .max_tables_per_component(config.max_tables)
        .table_elements(config.max_table_elements)
        .linear_memory_keep_resident(config.keep_resident_bytes)
        .table_keep_resident(config.keep_resident_bytes);
    // `pagemap_scan` stays off: in this release it misses dirty pages that were swapped out, and the next instance
    // would read what the last one wrote.

    let mut settings = Config::new();
    settings
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_reservation(reservation)
        .memory_guard_size(guard)
        .epoch_interruption(true)
        // Components of WASI 0.2 do not need it, and every call is faster without.
        .concurrency_support(false)
        .max_wasm_stack(config.max_stack_bytes)
        .async_stack_size(config.max_stack_bytes.saturating_add(HOST_STACK))
        .wasm_memory64(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20));
    settings
}

fn interrupt_guests(wasm: &wasmtime::Engine, tick: Duration) -> Result<(), EngineError> {
    let weak = wasm.weak();
    let ticking = move || {
        while let Some(wasm) = weak.upgrade() {
            wasm.increment_epoch();
            drop(wasm);
            std::thread::sleep(tick);
        }
    };
    let thread = std::thread::Builder::new().name("guest-interrupt".into()).spawn(ticking);
    thread.map(drop).map_err(|error| EngineError::Setup(format!("no thread to interrupt guests: {error}")))
}
