//! Vetting and the engine agree: what is allowed is accepted, and what is said to be given is linked.

use crate::agents::{HANDLE, agent, errors, internal, of};
use attache::runtime::{Engine, EngineConfig, LoadError};
use attache::vet::{Class, Verdict};
use std::sync::{Arc, LazyLock};

pub(crate) static ENGINE: LazyLock<Arc<Engine>> =
    LazyLock::new(|| Engine::new(&EngineConfig { max_instances: 2, ..EngineConfig::default() }).unwrap());

#[test]
fn what_is_said_to_be_given_is_what_the_engine_links() {
    let interfaces = [
        "attache:identity/credentials@0.1.0",
        "attache:identity/identity@0.1.0",
        "attache:identity/reveal@0.1.0",
        "attache:identity/credentials@0.2.0",
        "wasi:cli/environment@0.2.0",
        "wasi:cli/exit@0.2.0",
        "wasi:cli/run@0.2.0",
        "wasi:cli/stderr@0.2.0",
        "wasi:cli/stdin@0.2.0",
        "wasi:cli/stdout@0.2.0",
        "wasi:cli/terminal-input@0.2.0",
        "wasi:cli/terminal-output@0.2.0",
        "wasi:cli/terminal-stderr@0.2.0",
        "wasi:cli/terminal-stdin@0.2.0",
        "wasi:cli/terminal-stdout@0.2.0",
        "wasi:clocks/monotonic-clock@0.2.0",
        "wasi:clocks/timezone@0.2.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:filesystem/types@0.2.0",
        "wasi:http/incoming-handler@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:http/outgoing-handler@0.3.0",
        "wasi:io/error@0.2.0",
        "wasi:io/poll@0.2.0",
        "wasi:io/streams@0.2.0",
        "wasi:keyvalue/store@0.2.0",
        "wasi:random/insecure-seed@0.2.0",
        "wasi:random/insecure@0.2.0",
        "wasi:random/random@0.2.0",
        "wasi:sockets/network@0.2.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:sockets/udp@0.2.0",
        "evil:corp/everything@0.2.0",
    ];
    for interface in interfaces {
        let bytes = agent(&format!("(import \"{interface}\" (instance))"), "", HANDLE, "");
        let linked = !matches!(ENGINE.load(&bytes), Err(LoadError::UnknownImport { .. }));
        let report = internal(&bytes);
        let facts = report.facts.as_ref().unwrap();
        let import = facts.imports.iter().find(|import| import.interface == interface).unwrap();
        let given = !matches!(import.class, Class::Forbidden | Class::Unknown);
        assert_eq!(given, linked, "{interface}: {:?}", import.class);
        assert_eq!(report.verdict == Verdict::Allowed, linked, "{interface}: {:?}", errors(&report));
    }
}

/// Each in a module that does nothing else, with whether the engine takes it.
const FEATURES: &[(&str, &str)] = &[
    ("nothing special", ""),
    ("simd", "(func (result v128) (v128.const i64x2 0 0))"),
    ("relaxed simd", "(func (param v128 v128) (result v128) local.get 0 local.get 1 i8x16.relaxed_swizzle)"),
    ("tail calls", "(func $f (return_call $f))"),
    ("several memories", "(memory 1) (memory 1)"),
    ("bulk memory", "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))"),
    ("reference types", "(table 1 externref) (func (result externref) (ref.null extern))"),
    ("multi-value", "(func (result i32 i32) i32.const 0 i32.const 0)"),
    ("extended constants", "(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
    ("threads", "(memory 1 1 shared)"),
    ("atomics", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
    ("64-bit memory", "(memory i64 1)"),
    ("garbage collection", "(type $s (struct (field i32)))"),
    ("typed references", "(type $f (func)) (func (param (ref null $f)) local.get 0 call_ref $f)"),
    ("exceptions", "(tag) (func (throw 0))"),
    ("small pages", "(memory 1 (pagesize 1))"),
    (
        "wide arithmetic",
        "(func (param i64 i64 i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
    ),
];

#[test]
fn features_outside_the_profile_are_those_that_the_engine_refuses() {
    let mut refused = Vec::new();
    for (feature, core) in FEATURES {
        let bytes = agent("", "", &format!("{core} {HANDLE}"), "");
        let accepted = match ENGINE.load(&bytes) {
            Ok(_) => true,
            Err(LoadError::Compile(_)) => false,
            Err(other) => panic!("{feature}: {other}"),
        };
        let report = internal(&bytes);
        assert_eq!(of(&report, "outside-profile").is_empty(), accepted, "{feature}: {}", report.summary);
        assert_eq!(report.verdict == Verdict::Allowed, accepted, "{feature}");
        if !accepted {
            refused.push(*feature);
        }
    }
    assert!(refused.contains(&"threads") && refused.contains(&"64-bit memory"), "{refused:?}");
}
