//! What the host keeps beside a guest: one per store, made before the store's first instruction, never changed hands.

use super::clocks::Coarse;
use super::ending::Ending;
use super::limits::Limits;
use super::log::{GuestLog, Printer, Source};
use super::outgoing::Sender;
use super::{EngineConfig, calls};
use crate::broker::{Broker, Guest, UserFacts, WorkloadFacts};
use crate::identity::WorkloadAccessToken;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of one store.
pub(super) struct Instance {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) table: ResourceTable,
    pub(super) limits: Limits,
    /// Most bytes of each part of a request's first line.
    pub(super) head_bytes: usize,
    pub(super) facts: Facts,
    pub(super) door: Arc<Door>,
    /// Sends requests that carry no credential. Those of `wasi:http/outgoing-handler` never carry one.
    plain: Sender,
}

/// What the guest may know about itself.
pub(super) struct Facts {
    pub(super) workload: WorkloadFacts,
    pub(super) user: Option<UserFacts>,
    pub(super) claims: BTreeMap<String, String>,
}

/// The way to the broker, with the token that opens it. It is not in the table: no handle leads here.
pub(super) struct Door {
    pub(super) wat: WorkloadAccessToken,
    pub(super) broker: Arc<dyn Broker>,
}

impl Instance {
    /// A store for this guest and for nobody else.
    pub(super) fn store(
        engine: &wasmtime::Engine,
        config: &EngineConfig,
        guest: Guest,
        broker: Arc<dyn Broker>,
        ending: Arc<Ending>,
    ) -> Store<Self> {
        let log = GuestLog::new(&guest.workload.name, config.log_bytes);
        // No environment, no arguments, no directories, an empty standard input: the builder's defaults.
        let wasi = WasiCtx::builder()
            .stdout(Printer(log.clone(), Source::Out))
            .stderr(Printer(log, Source::Err))
            .max_random_size(config.random_bytes)
            .monotonic_clock(Coarse::starting_now(config.clock_resolution))
            .wall_clock(Coarse::starting_now(config.clock_resolution))
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(config.header_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(config.max_handles);
        let door = Arc::new(Door { wat: guest.wat, broker });
        let plain = Sender::new(door.clone(), ending, config);
        let facts = Facts { workload: guest.workload, user: guest.user, claims: guest.claims };
        let limits = Limits::new(config);
        let head_bytes = config.header_bytes;

        let mut store = Store::new(engine, Self { wasi, http, table, limits, head_bytes, facts, door, plain });
        store.limiter(|instance| &mut instance.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(config.hostcall_bytes);
        // A little above the table's, whose error says what happened; this one also counts resources of the guest's own.
        store.set_max_component_handles(config.max_handles + 24);
        store
    }

    /// A view of `wasi:http` whose requests carry this credential, for the length of one host call.
    pub(super) fn sending<'a>(&'a mut self, sender: &'a mut Sender) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: sender }
    }

    /// A sender for one credential.
    pub(super) fn sender(&self, credential: &calls::Credential) -> Sender {
        self.plain.with(credential.id)
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.plain }
    }
}
