//! Guests of chance, in bulk: modules of wasm-smith over our world, and sequences of calls that were woven and torn here
//! and there. No order of calls gives one invocation what is another's, and the engine takes all of them.

use crate::bed::{Bed, DEADLINE};
use crate::scripted::Scripted;
use crate::woven::SEQUENCES;
use arbitrary::Unstructured;
use attache::broker::{Acquire, Broker as _, Kind};
use attache::runtime::{EngineConfig, InvokeError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// The same numbers for the same seed, everywhere (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }
}

/// Our world, as a core module sees it.
struct World {
    resolve: Resolve,
    world: WorldId,
    imports: Vec<u8>,
    exports: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
        let world = resolve.select_world(&[package], Some("agent")).unwrap();
        let imports = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        let exports = r#"(module
            (memory (export "memory") 2)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "wasi:http/incoming-handler@0.2.12#handle") (param i32 i32)))"#;
        Self { resolve, world, imports, exports: wat::parse_str(exports).unwrap() }
    }

    fn component(&self, mut module: Vec<u8>) -> Option<Vec<u8>> {
        embed_component_metadata(&mut module, &self.resolve, self.world, StringEncoding::UTF8).ok()?;
        ComponentEncoder::default().validate(false).module(&module).ok()?.encode().ok()
    }

    /// Random instructions over the imports and exports of our world.
    fn smithed(&self, chance: &mut Chance) -> Option<Vec<u8>> {
        let bytes: Vec<u8> = (0..256 + chance.below(256)).flat_map(|_| chance.next().to_le_bytes()).collect();
        let config = wasm_smith::Config {
            available_imports: Some(self.imports.clone()),
            exports: Some(self.exports.clone()),
            exceptions_enabled: false,
            gc_enabled: false,
            threads_enabled: false,
            tail_call_enabled: false,
            relaxed_simd_enabled: false,
            reference_types_enabled: false,
            memory64_enabled: false,
            max_imports: 20,
            max_funcs: 8,
            max_instructions: 200,
            // A start function faults more often than not, and then nothing else is seen.
            allow_start_export: chance.below(8) == 0,
            disallow_traps: chance.below(2) == 0,
            ..wasm_smith::Config::default()
        };
        let module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
        self.component(module.to_bytes())
    }

    fn woven(&self, chance: &mut Chance) -> Option<Vec<u8>> {
        let text = crate::woven::module(chance);
        self.component(wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}")))
    }
}

/// What came of all of them.
#[derive(Default, Debug)]
struct Tally {
    made: AtomicUsize,
    loaded: AtomicUsize,
    ended: AtomicUsize,
    faulted: AtomicUsize,
    stopped: AtomicUsize,
    panicked: AtomicUsize,
}

fn count(which: &AtomicUsize) -> usize {
    which.load(Ordering::SeqCst)
}

/// So many have to run for the test to say anything, however slow the machine.
const FEWEST: usize = 600;

/// How many, and for how long when those are enough: `ATTACHE_RANDOM_GUESTS` says it for longer runs.
fn bounds() -> (usize, Duration) {
    match std::env::var("ATTACHE_RANDOM_GUESTS").ok().and_then(|text| text.parse().ok()) {
        Some(many) => (many, Duration::MAX),
        None => (1500, Duration::from_secs(20)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_calls_gives_a_guest_what_is_anothers() {
    let config = EngineConfig { max_instances: 8, deadline: DEADLINE, ..EngineConfig::default() };
    let bed = Arc::new(Bed::new(config).await);
    let world = Arc::new(World::new());
    let tally = Arc::new(Tally::default());
    let (many, time) = bounds();
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    // Several at a time, so that what is another's is there to be had.
    let lanes: Vec<_> = (0..4)
        .map(|_| {
            let (bed, world, tally, next) = (bed.clone(), world.clone(), tally.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let enough = began.elapsed() > time && count(&tally.loaded) >= FEWEST;
                    if seed >= many || enough {
                        return;
                    }
                    one(&bed, &world, &tally, seed as u64).await;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let calls = bed.shared.calls.load(Ordering::SeqCst);
    println!("{tally:?}, {calls} calls of the broker, in {:?}", began.elapsed());
    assert_eq!(bed.shared.crimes(), Vec::<String>::new());
    assert_eq!(count(&tally.panicked), 0, "a guest made a host call panic");
    assert_eq!(bed.left_behind().await, None);
    assert!(bed.next_caller_is_served().await);
    // Enough of them came to the doors to say that these hold.
    assert!(count(&tally.loaded) >= FEWEST, "{tally:?}");
    assert!(calls >= count(&tally.loaded), "{calls} calls: {tally:?}");
}

/// The broker that looks out for crimes would see one.
#[tokio::test]
async fn what_would_be_a_crime_is_seen() {
    let bed = Bed::hasty().await;
    let (own, others) = (bed.binding(), bed.binding());
    let broker = Scripted::new(&bed.wats, own.invocation(), bed.shared.clone());
    let (own, _live) = bed.wats.mint(own, Duration::from_secs(60));
    let (others, _live_too) = bed.wats.mint(others, Duration::from_secs(60));
    let ask = || Acquire { provider: "any".into(), kind: Kind::ApiKey };
    let given = broker.acquire(&own, ask()).await.unwrap();
    broker.release(&own, given.id);
    assert_eq!(bed.shared.crimes(), Vec::<String>::new());
    broker.release(&own, given.id);
    let _given = broker.acquire(&others, ask()).await;
    assert_eq!(bed.shared.crimes(), ["release with a credential of somebody else", "acquire with another token"]);
}

async fn one(bed: &Arc<Bed>, world: &Arc<World>, tally: &Tally, seed: u64) {
    let smithed = seed.is_multiple_of(3);
    let (engine, world) = (bed.engine.clone(), world.clone());
    let make = move || {
        let mut chance = Chance(seed);
        let component = if smithed { world.smithed(&mut chance) } else { world.woven(&mut chance) };
        component.map(|component| engine.load(&component))
    };
    let Some(loaded) = tokio::task::spawn_blocking(make).await.unwrap() else { return };
    let sequences = if smithed { 1 } else { SEQUENCES };
    tally.made.fetch_add(sequences, Ordering::SeqCst);
    let Ok(loaded) = loaded else { return };
    tally.loaded.fetch_add(sequences, Ordering::SeqCst);
    for sequence in b'a'..b'a' + sequences as u8 {
        let ended = bed.invoke(&loaded, &format!("/{}", char::from(sequence))).await;
        match ended {
            Err(InvokeError::Host) => &tally.panicked,
            Err(InvokeError::Trapped(_)) => &tally.faulted,
            Err(InvokeError::Deadline(_)) => &tally.stopped,
            _ => &tally.ended,
        }
        .fetch_add(1, Ordering::SeqCst);
    }
}
