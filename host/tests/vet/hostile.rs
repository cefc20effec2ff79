//! Files that are made to hurt whoever reads them: bounded time, no panic, and never allowed when the engine refuses.

use crate::agents::{HANDLE, agent, calling, internal, of, plain, with_section};
use crate::engine::ENGINE;
use attache::vet::{Unreadable, Verdict};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Allowed only if the engine accepts it.
fn judged(bytes: &[u8]) -> Verdict {
    let report = internal(bytes);
    if report.verdict == Verdict::Allowed
        && let Err(error) = ENGINE.load(bytes)
    {
        panic!("allowed, and the engine says: {error}");
    }
    report.verdict
}

#[test]
fn what_is_cut_off_anywhere_is_not_allowed() {
    let whole = calling("(table 4 funcref) (elem (i32.const 1) $now)", "(drop (call $random))");
    assert_eq!(judged(&whole), Verdict::Allowed);
    let allowed = (0..whole.len()).filter(|length| judged(&whole[..*length]) == Verdict::Allowed).count();
    // Names come last, and it is whole without them. Other cuts between sections leave it without its export.
    assert_eq!(allowed, 1);
}

#[test]
fn no_changed_byte_makes_it_panic_or_allow_what_the_engine_refuses() {
    let whole = calling(
        "(memory 1) (table 4 funcref) (elem (i32.const 1) $now) (data (i32.const 8) \"text\")",
        "(drop (call $random))",
    );
    let mut verdicts = [0; 3];
    for at in 0..whole.len() {
        for change in [1u8, 0xc1] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            verdicts[judged(&bytes) as usize] += 1;
        }
    }
    assert!(verdicts.iter().all(|count| *count > 0), "{verdicts:?}: the changes were of one kind only");
}

#[test]
fn what_is_no_component_is_told_what_to_do() {
    for (bytes, says) in [
        (&b""[..], "the file is no WebAssembly; build a component"),
        (b"\0asm", "the file is no WebAssembly; build a component"),
        (b"\0asm\x01\0\0\0", "a core module, not a component; build it with `--target wasm32-wasip2`, or wrap it"),
        (b"\0asm\x0e\0\x01\0", "a version of WebAssembly that is not read here"),
        (b"\0asm\x0d\0\x01\0\xff", "damaged or was never valid"),
    ] {
        let report = internal(bytes);
        assert_eq!(report.verdict, Verdict::Unreadable);
        assert!(report.summary.contains(says) && !report.summary.contains('\n'), "{}", report.summary);
    }
}

fn quickly(what: &str, bytes: &[u8]) -> attache::vet::Report {
    let started = Instant::now();
    let report = internal(bytes);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(60), "{what}: {took:?}");
    report
}

#[test]
fn components_in_components_are_read_to_a_depth() {
    let mut text = String::new();
    (0..40).for_each(|_| text.push_str("(component "));
    (0..40).for_each(|_| text.push(')'));
    let report = quickly("nesting", &wat::parse_str(text).unwrap());
    assert_eq!(report.verdict, Verdict::Unreadable);
    let expected = Unreadable::TooMuch { what: "components nested too deeply", most: 16 };
    assert_eq!(report.summary, expected.to_string());
    // The validator counts per component, this room over all of them.
    let mut many = String::from("(component ");
    (0..3).for_each(|_| many.push_str(&format!("(component {})", "(core module)".repeat(900))));
    many.push(')');
    let report = quickly("many modules", &wat::parse_str(many).unwrap());
    assert!(report.summary.contains("too many modules and components"), "{}", report.summary);
}

/// Twelve components, each of which instantiates the one before it twelve times: a small file and a tree of a trillion.
#[test]
fn instances_that_multiply_are_given_up_and_everything_counts_as_reached() {
    let mut definitions = String::from("(component $c0 (core module $m) (core instance (instantiate $m)))");
    for level in 1..12 {
        let _ = write!(definitions, "(component $c{level} (alias outer 1 $c{} (component $inner))", level - 1);
        (0..12).for_each(|_| definitions.push_str("(instance (instantiate $inner))"));
        definitions.push(')');
    }
    definitions.push_str("(instance (instantiate $c11))");
    let claim = r#"(import "attache:identity/identity@0.1.0" (instance (export "claim" (func (param "name" string) (result (option string))))))"#;
    let report = quickly("multiplying instances", &agent(claim, &definitions, HANDLE, ""));
    assert_eq!(of(&report, "reach-incomplete").len(), 1);
    assert!(of(&report, "unreachable-import").is_empty(), "nothing may be said to be unreachable now");
    let facts = report.facts.unwrap();
    assert!(!facts.reach_complete);
    assert_eq!(facts.exports[0].reaches, ["attache:identity/identity@0.1.0.claim"]);
}

/// A type that contains the one before it twice, so that its text doubles with each.
#[test]
fn a_type_whose_text_would_not_end_is_cut() {
    let mut definitions = String::from("(type $t0 (tuple string string))");
    for level in 1..16 {
        let _ = write!(definitions, "(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    let text = format!(
        r#"(component (import "acme:x/y@1.0.0" (instance {definitions} (export "f" (func (param "x" $t15))))))"#
    );
    let report = quickly("a wide type", &wat::parse_str(text).unwrap());
    assert_ne!(report.verdict, Verdict::Allowed);
}

#[test]
fn many_functions_tables_and_sections_take_time_in_proportion() {
    let mut core = String::from(HANDLE);
    core.push_str("(type $t (func)) (table 30000 funcref) (elem (i32.const 0) ");
    (0..20_000).for_each(|n| {
        let _ = write!(core, "$f{n} ");
    });
    core.push(')');
    // Each calls any of them.
    (0..20_000).for_each(|n| {
        let _ = write!(core, "(func $f{n} (type $t) (call_indirect (type $t) (i32.load8_u (i32.const 0))))");
    });
    core.push_str("(memory 1)");
    let report = quickly("calls of everything by everything", &agent("", "", &core, ""));
    assert!(report.facts.unwrap().reach_complete);

    let mut bytes = plain();
    for _ in 0..9_000 {
        bytes = with_section(bytes, "x", b"");
    }
    assert_eq!(quickly("many sections", &bytes).verdict, Verdict::Allowed);
    for _ in 0..1_500 {
        bytes = with_section(bytes, "x", b"");
    }
    assert!(quickly("more sections", &bytes).summary.contains("too many custom sections"));
}

#[test]
fn a_report_stays_small_whatever_is_in_the_file() {
    let mut data = String::new();
    for n in 0..5_000 {
        let _ = write!(data, "https://h{n}.example.com/ /home/user{n}/x ghp_x7Kq9Zt2Lm4Rw8Vb3Nc6Yd1Hf5Js0Pg7T{n:04} ");
    }
    let bytes = agent("", "", &format!("(memory 20) (data (i32.const 0) \"{data}\") {HANDLE}"), "");
    let report = quickly("many hosts", &bytes);
    assert_eq!(report.verdict, Verdict::Refused);
    assert!(serde_json::to_string(&report).unwrap().len() < 200_000);
}

/// Names are the component's own, and end up in terminals, pages and pipelines.
#[test]
fn names_cannot_break_out_of_a_report() {
    let bytes = with_section(plain(), "notes\u{1b}[2J\n# Allowed\n|x|", b"");
    let report = internal(&bytes);
    let markdown = attache::vet::markdown(&report);
    assert!(!markdown.contains("\n# Allowed\n"));
}
