//! Every target in a bounded run: its seeds, what was ever found, and some thousands of mutations of both. The same each
//! time; `ATTACHE_FUZZ_CASES` makes it longer. `cargo xtask fuzz` looks further, guided by coverage.

use attache::fuzzing::TARGETS;
use fuzz::{files, folder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// One change to what was there.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Word(Index, Index),
    Cut(Index, Index),
    Twice(Index, Index),
    Swap(Index, Index),
    End(Index),
}

/// What parsers trip over.
const WORDS: &[&str] = &[
    "\0",
    "\n",
    "\r\n",
    "\u{202e}",
    "\u{feff}",
    "%00",
    "%2f",
    "..",
    "//",
    "@",
    "#",
    "?",
    "&",
    ";",
    "=",
    "[[",
    "]]",
    "{{",
    "\"",
    "'",
    "\\",
    "null",
    "true",
    "1e400",
    "-0",
    "18446744073709551616",
    "253402300800",
    "\"crit\":[\"exp\"],",
    "\"alg\":\"none\"",
    "\"iss\":",
    "\"sub\":[]",
    "\"keys\":[",
    "https://",
    "http://127.0.0.1",
    "[::1]",
    "state=",
    "code=",
    "iss=",
    "/../",
    "x-amz-date",
    "Bearer ",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, word)| Mutation::Word(at, word)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Twice(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        any::<Index>().prop_map(Mutation::End),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len();
    // An index past the end only ever inserts.
    let at = |index: &Index| index.index(len + 1);
    let between = |one: &Index, other: &Index| (at(one).min(at(other)), at(one).max(at(other)));
    match mutation {
        Mutation::Flip(index, mask) => {
            if let Some(byte) = bytes.get_mut(at(index)) {
                *byte ^= mask;
            }
        }
        Mutation::Put(index, new) => {
            if let Some(byte) = bytes.get_mut(at(index)) {
                *byte = *new;
            }
        }
        Mutation::Insert(index, more) => drop(bytes.splice(at(index)..at(index), more.iter().copied())),
        Mutation::Word(index, word) => {
            let word = word.get(WORDS).bytes();
            drop(bytes.splice(at(index)..at(index), word));
        }
        Mutation::Cut(one, other) => {
            let (from, to) = between(one, other);
            bytes.drain(from..to);
        }
        Mutation::Twice(one, other) => {
            let (from, to) = between(one, other);
            let part = bytes[from..to].to_vec();
            bytes.splice(to..to, part);
        }
        Mutation::Swap(one, other) => {
            let (from, to) = between(one, other);
            if to < len {
                bytes.swap(from, to);
            }
        }
        Mutation::End(index) => bytes.truncate(at(index)),
    }
}

fn cases(target: &str) -> u32 {
    let asked = std::env::var("ATTACHE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    // Compiling takes a hundred times as long as parsing.
    asked.unwrap_or(if target == "component" { 300 } else { 4_000 })
}

fn run(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    let mut corpus = files(&folder("seeds", name));
    assert!(!corpus.is_empty(), "`{name}` has no seeds, so its run would prove nothing");
    corpus.extend(files(&folder("findings", name)));
    for (path, bytes) in &corpus {
        eprintln!("{}", path.display());
        target(bytes);
    }
    let mut runner = TestRunner::new(Config {
        cases: cases(name),
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x00a7_7ac4_e000),
        ..Config::default()
    });
    let input = (any::<Index>(), vec(mutation(), 0..12)).prop_map(move |(seed, mutations)| {
        let mut bytes = seed.get(&corpus).1.clone();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        bytes
    });
    let outcome = runner.run(&input, |bytes| {
        target(&bytes);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("`{name}` broke a promise; keep the bytes as a file in `tests/fuzz/findings/{name}`: {failure}");
    }
}

/// The runner itself: a target that refuses one byte is caught doing it.
#[test]
fn a_seed_that_breaks_a_promise_would_be_seen() {
    fn biased(bytes: &[u8]) {
        assert!(!bytes.contains(&b'#'), "a promise");
    }
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    let input = vec(mutation(), 0..12).prop_map(|mutations| {
        let mut bytes = b"a seed".to_vec();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        bytes
    });
    let outcome = runner.run(&input, |bytes| {
        biased(&bytes);
        Ok(())
    });
    assert!(outcome.is_err(), "four thousand mutations never put a `#` anywhere");
}

#[test]
fn every_target_has_a_run() {
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, RUNS);
}

macro_rules! targets {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { run($name); })*

        const RUNS: &[&str] = &[$($name),*];
    };
}

targets! {
    a_token: "token",
    claims: "claims",
    a_key_set: "jwks",
    a_discovery_document: "discovery",
    an_answer_of_a_token_endpoint: "token-answer",
    a_callback: "callback",
    a_signed_request: "signed-request",
    a_configuration: "config",
    a_component: "component",
    an_audit_record: "audit-record",
    a_message_of_a_worker: "worker-message",
    a_destination: "destination",
    evidence_beside_a_component: "evidence",
    a_trust_file: "trust-file",
    what_a_registry_says: "registry",
}
