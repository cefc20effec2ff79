//! What is refused before anything of it runs, and what is refused when it starts.

use crate::bed::{Bed, get};
use attache::runtime::{InvokeError, LoadError};
use std::time::Duration;

/// A component in text that handles requests with this core module.
fn component(imports: &str, core: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            {imports}
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

fn refused(bytes: &[u8]) -> String {
    match Bed::patient().engine.load(bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_run_is_refused_with_what_to_do() {
    let core = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let import = |name: &str| component(&format!("(import \"{name}\" (instance))"), "");
    let cases = [
        (core, "this is a core module, not a component; build it with `--target wasm32-wasip2`"),
        (
            b"#!/bin/sh\n".to_vec(),
            "this is no WebAssembly component: it does not start as WebAssembly does; build it with `--target wasm32-wasip2`",
        ),
        (
            b"(component)".to_vec(),
            "this is no WebAssembly component: it does not start as WebAssembly does; build it with `--target wasm32-wasip2`",
        ),
        (
            b"\0asm\x0e\0\x01\0".to_vec(),
            "this is no WebAssembly component: it has a version that this host does not read; build it with `--target wasm32-wasip2`",
        ),
        (empty, "the component does not export `wasi:http/incoming-handler@0.2`, by which an agent is invoked"),
        (
            import("wasi:sockets/tcp@0.2.12"),
            "the component imports `wasi:sockets/tcp@0.2.12`, which this host does not offer; agents reach the network through `wasi:http/outgoing-handler` and `attache:identity/credentials`",
        ),
        (
            import("wasi:clocks/monotonic-clock@0.3.0"),
            "the component imports `wasi:clocks/monotonic-clock@0.3.0`, which this host does not offer; build it for WASI 0.2",
        ),
        (
            import("acme:vault/secrets@1.0.0"),
            "the component imports `acme:vault/secrets@1.0.0`, which this host does not offer; remove what imports it",
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(refused(&bytes), message);
    }
}

#[test]
fn an_offered_interface_in_another_form_is_refused() {
    let bytes = component(r#"(import "wasi:random/random@0.2.0" (instance (export "get-secret" (func))))"#, "");
    let error = Bed::patient().engine.load(&bytes).map(drop).unwrap_err();
    assert!(matches!(error, LoadError::ImportMismatch(_)), "{error}");
}

#[test]
fn a_broken_or_oversized_component_is_refused() {
    let mut truncated = component("", "");
    truncated.truncate(truncated.len() - 3);
    let oversized = component("", "(memory 2000)");
    for bytes in [truncated, oversized] {
        let error = Bed::patient().engine.load(&bytes).map(drop).unwrap_err();
        assert!(matches!(error, LoadError::Compile(_)), "{error}");
    }
}

#[tokio::test]
async fn code_that_runs_at_the_start_is_bound_by_the_same_rules() {
    let spin = "(func $start (loop (br 0))) (start $start)";
    let cases = [
        (
            "(func $start unreachable) (start $start)",
            InvokeError::Trapped("wasm `unreachable` instruction executed".into()),
        ),
        (spin, InvokeError::Deadline(Duration::from_millis(400))),
        ("(memory 1 2000) (func $start (drop (memory.grow (i32.const 1500)))) (start $start)", {
            InvokeError::OutOfMemory("more than 67108864 bytes of memory".into())
        }),
        ("", InvokeError::NoResponse),
    ];
    for (core, expected) in cases {
        let bed = Bed::hasty();
        let loaded = bed.engine.load(&component("", core)).unwrap();
        let error = bed.invoke_loaded(&loaded, false, get("/")).await.map(drop).unwrap_err();
        assert_eq!(error, expected, "{core}");
    }
}

#[test]
fn a_loaded_component_tells_what_it_imports() {
    let loaded = Bed::patient().probe();
    assert!(loaded.imports().iter().any(|name| name == "attache:identity/credentials@0.1.0"));
    assert!(loaded.imports().iter().all(|name| !name.starts_with("wasi:sockets/")), "std asks for no sockets");
    assert_eq!(loaded.digest(), attache::ids::Digest::of(&crate::guests::guest("probe")));
}
