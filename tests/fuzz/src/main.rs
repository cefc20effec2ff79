//! libFuzzer over one target, which `ATTACHE_FUZZ` names. One program for all of them: it is built once.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<attache::fuzzing::Target> = LazyLock::new(|| {
    let name = std::env::var("ATTACHE_FUZZ").unwrap_or_default();
    attache::fuzzing::target(&name).unwrap_or_else(|| {
        let known: Vec<_> = attache::fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("error: set `ATTACHE_FUZZ` to one of {}", known.join(", "));
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
