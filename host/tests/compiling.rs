//! Components are compiled by a child process, which costs so much and no more, whatever the component is.

use attache::runtime::{CompileLimits, Compiler, Engine, EngineConfig, LoadError};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A component whose core module has these functions besides.
fn component(core: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $out))
            (core module $core {core} (func (export "handle") (param i32 i32)))
            (core instance $running (instantiate $core))
            (func $handle (param "request" (own $request)) (param "response-out" (own $out))
                (canon lift (core func $running "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).expect("the text is a component")
}

fn engine() -> Arc<Engine> {
    Engine::new(&EngineConfig { max_instances: 2, ..EngineConfig::default() }).expect("an engine")
}

fn apart(engine: &Arc<Engine>, limits: CompileLimits) -> Compiler {
    Compiler::apart(engine.clone(), env!("CARGO_BIN_EXE_attache").into(), limits)
}

#[tokio::test]
async fn what_a_child_compiled_is_what_would_have_been_compiled_here() {
    let engine = engine();
    let bytes = component("");
    let there = apart(&engine, CompileLimits::default()).compile(bytes.clone()).await.unwrap();
    let here = engine.compile(&bytes).unwrap();
    assert_eq!((there.digest(), there.imports()), (here.digest(), here.imports()));
    assert_eq!(engine.adopt(&there).unwrap().digest(), here.digest());
}

#[tokio::test]
async fn a_child_refuses_what_this_process_would_refuse() {
    let engine = engine();
    let unknown = wat::parse_str(r#"(component (import "evil:all/powers@1.0.0" (instance)))"#).unwrap();
    let mut broken = component("");
    let middle = broken.len() / 2;
    broken.truncate(middle);
    for bytes in [unknown, broken, b"\0asm\x01\0\0\0".to_vec(), b"#!/bin/sh".to_vec(), Vec::new()] {
        let there = apart(&engine, CompileLimits::default()).compile(bytes.clone()).await.err();
        assert!(there.is_some());
        assert_eq!(there, engine.compile(&bytes).err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_compiles_for_long_is_given_up_while_others_are_served() {
    let engine = engine();
    // Ten thousand functions, each with a table of branches into each other.
    let mut functions = String::new();
    let labels: String = (0..200).map(|depth| format!(" {depth}")).collect();
    for _ in 0..10_000 {
        let _ = write!(
            functions,
            "(func (param i32) {} (br_table{labels} (local.get 0)) {})",
            "(block ".repeat(201),
            ")".repeat(201)
        );
    }
    let limits = CompileLimits { time: Duration::from_secs(1), ..CompileLimits::default() };
    let bomb = component(&functions);
    let compiler = Arc::new(apart(&engine, limits));
    let started = Instant::now();
    let bombing = tokio::spawn({
        let compiler = compiler.clone();
        async move { compiler.compile(bomb).await }
    });
    // The engine goes on meanwhile.
    assert!(engine.load(&component("")).is_ok());
    assert!(matches!(bombing.await.unwrap(), Err(LoadError::TooLong(_))));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // And the place of the child is free.
    assert!(apart(&engine, CompileLimits::default()).compile(component("")).await.is_ok());
}

#[tokio::test]
async fn a_component_that_needs_gigabytes_to_compile_is_given_up() {
    let engine = engine();
    // One function of half a million steps that all stay alive.
    let mut body = String::from("(func (param i64) (result i64) (local.get 0)");
    for number in 0..300_000 {
        let _ = write!(body, "(i64.mul (i64.add (local.get 0) (i64.const {number})))");
    }
    body.push(')');
    let limits = CompileLimits { memory_bytes: 64 << 20, time: Duration::from_secs(60) };
    let compiler = apart(&engine, limits);
    assert!(compiler.compile(component("")).await.is_ok(), "so much is enough for one that needs little");
    let outcome = compiler.compile(component(&body)).await;
    assert_eq!(outcome.err(), Some(LoadError::TooMuchMemory(64 << 20)));
}

#[tokio::test]
async fn a_child_that_is_no_child_of_ours_is_noticed() {
    let engine = engine();
    for program in ["/bin/true", "/bin/cat", "/nowhere/attache"] {
        let compiler = Compiler::apart(engine.clone(), program.into(), CompileLimits::default());
        assert!(matches!(compiler.compile(component("")).await, Err(LoadError::Host(_))), "{program}");
    }
}
