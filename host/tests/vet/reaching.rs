//! Which export can reach which import: too much is allowed, too little is not.

use crate::agents::{agent, calling, internal};
use std::collections::BTreeSet;

/// Of the three functions that [`calling`] imports, those that can be reached.
fn reached(bytes: &[u8]) -> BTreeSet<String> {
    let report = internal(bytes);
    let facts = report.facts.expect("it can be read");
    assert!(facts.reach_complete);
    facts
        .imports
        .iter()
        .flat_map(|import| &import.functions)
        .filter(|function| !function.reached_from.is_empty())
        .map(|function| function.name.clone())
        .collect()
}

fn check(globals: &str, body: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(reached(&calling(globals, body)), expected, "{globals} {body}");
}

#[test]
fn what_is_called_is_reached_and_what_is_only_imported_is_not() {
    check("", "", &[]);
    check("", "(drop (call $now))", &["now"]);
    check("(func $inner (drop (call $random)))", "(call $inner)", &["get-random-u64"]);
    check("(func $unused (drop (call $random)))", "", &[]);
    check("(func $a (call $b)) (func $b (call $a) (drop (call $now)))", "(call $a)", &["now"]);
}

#[test]
fn a_call_through_a_table_reaches_what_is_there() {
    let table = "(table 4 funcref) (elem (i32.const 1) $now $random)";
    // The place is known.
    check(table, "(drop (call_indirect (type $u64) (i32.const 1)))", &["now"]);
    // Nothing is at this one.
    check(table, "(drop (call_indirect (type $u64) (i32.const 3)))", &[]);
    // The place is not known: whatever has that type.
    check(table, "(drop (call_indirect (type $u64) (local.get 0)))", &["now", "get-random-u64"]);
    // Another type.
    check(table, "(call_indirect (param i32) (local.get 0) (local.get 0))", &[]);
    check(table, "(return_call_indirect (param i32 i32) (local.get 0) (local.get 1) (i32.const 1))", &[]);
}

#[test]
fn a_place_that_code_can_change_is_not_taken_for_known() {
    let changes = |how: &str| {
        format!("(table $t 4 funcref) (elem (i32.const 1) $now) (elem declare func $random) (func $change {how})")
    };
    let body = "(drop (call_indirect (type $u64) (i32.const 1)))";
    check(&changes(""), body, &["now"]);
    for how in [
        "(table.set $t (i32.const 1) (ref.func $random))",
        "(table.fill $t (i32.const 0) (ref.func $random) (i32.const 4))",
        "(drop (table.grow $t (ref.func $random) (i32.const 1)))",
    ] {
        check(&changes(how), body, &["now", "get-random-u64"]);
    }
    let passive = "(table $t 4 funcref) (elem (i32.const 1) $now) (elem $e func $random) \
         (func $change (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1)))";
    check(passive, body, &["now", "get-random-u64"]);
    let other = "(table $t 4 funcref) (table $u 4 funcref) (elem (table $t) (i32.const 1) func $now) \
         (elem (table $u) (i32.const 0) func $random) \
         (func $change (table.copy $t $u (i32.const 1) (i32.const 0) (i32.const 1)))";
    check(other, body, &["now", "get-random-u64"]);
}

#[test]
fn a_segment_at_a_place_that_is_not_a_number_makes_no_place_known() {
    let globals = "(global $g i32 (i32.const 1)) (table 4 funcref) (elem (offset (i32.add (i32.const 0) (i32.const 1))) func $random)";
    check(globals, "(drop (call_indirect (type $u64) (i32.const 1)))", &["get-random-u64"]);
}

#[test]
fn references_without_a_table_are_followed() {
    let globals = "(elem declare func $random) (global $f (ref null $u64) (ref.func $random))";
    check(globals, "(drop (call_ref $u64 (global.get $f)))", &["get-random-u64"]);
}

#[test]
fn what_runs_at_the_start_is_always_reached() {
    let report = internal(&calling("(func $start (drop (call $random))) (start $start)", ""));
    let facts = report.facts.unwrap();
    let from = |name: &str| {
        let all = facts.imports.iter().flat_map(|import| &import.functions);
        all.clone().find(|function| function.name == name).unwrap().reached_from.clone()
    };
    assert_eq!(from("get-random-u64"), ["(always)"]);
    assert!(from("now").is_empty());
    assert!(report.findings.iter().any(|finding| finding.rule == "start-function" && finding.offset.is_some()));
}

#[test]
fn calls_are_followed_through_other_modules_and_components() {
    // The agent's core calls `go`, which another component lifts, whose core calls the random numbers that it is handed.
    let bytes = agent(
        r#"(import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))"#,
        r#"(component $library
               (import "number" (func $number (result u64)))
               (import "time" (func $time (result u64)))
               (core func $number_core (canon lower (func $number)))
               (core func $time_core (canon lower (func $time)))
               (core module $m
                   (import "e" "number" (func $number (result i64)))
                   (import "e" "time" (func $time (result i64)))
                   (func (export "go") (drop (call $number))))
               (core instance $e (export "number" (func $number_core)) (export "time" (func $time_core)))
               (core instance $i (instantiate $m (with "e" (instance $e))))
               (func (export "go") (canon lift (core func $i "go"))))
           (alias export $random "get-random-u64" (func $number))
           (alias export $clock "now" (func $time))
           (instance $made (instantiate $library (with "number" (func $number)) (with "time" (func $time))))
           (alias export $made "go" (func $go))
           (core func $go_core (canon lower (func $go)))
           (core instance $e (export "go" (func $go_core)))"#,
        r#"(import "e" "go" (func $go)) (func (export "handle") (param i32 i32) (call $go))"#,
        r#"(with "e" (instance $e))"#,
    );
    assert_eq!(reached(&bytes), BTreeSet::from(["get-random-u64".to_owned()]));
}

#[test]
fn what_ends_a_resource_is_always_reached() {
    let bytes = agent(
        r#"(import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))"#,
        r#"(alias export $random "get-random-u64" (func $number))
           (core func $number_core (canon lower (func $number)))
           (core instance $e (export "number" (func $number_core)))
           (core module $ends
               (import "e" "number" (func $number (result i64)))
               (func (export "end") (param i32) (drop (call $number))))
           (core instance $ending (instantiate $ends (with "e" (instance $e))))
           (type $resource (resource (rep i32) (dtor (core func $ending "end"))))"#,
        r#"(func (export "handle") (param i32 i32))"#,
        "",
    );
    assert_eq!(reached(&bytes), BTreeSet::from(["get-random-u64".to_owned()]));
}
