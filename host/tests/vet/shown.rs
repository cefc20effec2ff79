//! What a component carries, how large it is, and what changed.

use crate::agents::{HANDLE, agent, errors, internal, of, plain, profile, with_section};
use attache::vet::{Direction, Verdict, vet};

const CLAIM: &str = r#"(import "attache:identity/identity@0.1.0" (instance (export "claim" (func (param "name" string) (result (option string))))))"#;

#[test]
fn a_secret_in_a_data_segment_is_found_where_it_is_and_not_repeated() {
    let secret = format!("ghp_{}", "x7Kq9Zt2Lm4Rw8Vb3Nc6Yd1Hf5Js0Pg7TuQe");
    let bytes = agent("", "", &format!("(memory 1) (data (i32.const 0) \"key={secret}\") {HANDLE}"), "");
    let report = internal(&bytes);
    assert_eq!(errors(&report), ["secret-in-data"]);
    let finding = &report.findings[0];
    assert_eq!(finding.part, "component/module 0");
    let at = finding.offset.unwrap();
    assert_eq!(&bytes[at..at + 4], b"ghp_");
    assert!(!serde_json::to_string(&report).unwrap().contains(&secret));
    // In a section of somebody's own, too.
    let section = with_section(plain(), "notes", secret.as_bytes());
    assert_eq!(errors(&internal(&section)), ["secret-in-data"]);
}

#[test]
fn a_host_that_is_not_declared_is_said_once_there_is_a_declaration() {
    let data = "(memory 1) (data (i32.const 0) \"https://api.example.com/v1 https://tracker.example.net/ /home/mallory/src/\")";
    let bytes = agent("", "", &format!("{data} {HANDLE}"), "");
    let report = internal(&bytes);
    assert!(of(&report, "undeclared-host").is_empty());
    assert_eq!(of(&report, "builder-path")[0].message, "tells of the folder `/home/mallory`");
    let declaring = with_section(bytes, "attache:manifest", br#"{"hosts":["api.example.com"]}"#);
    let report = internal(&declaring);
    let messages: Vec<&str> = of(&report, "undeclared-host").iter().map(|f| f.message.as_str()).collect();
    assert_eq!(messages, ["mentions `tracker.example.net`, which its manifest does not"]);
}

#[test]
fn sizes_are_held_against_the_policy() {
    let bytes = agent("", "", &format!("(memory 20) (table 30 funcref) {HANDLE}"), "");
    let mut policy = profile("internal");
    (policy.limits.bytes, policy.limits.memory, policy.limits.table_elements, policy.limits.parts) =
        (10, 65_536, 29, 1);
    assert_eq!(errors(&vet("x", &bytes, None, &policy)), ["too-large", "many-parts", "much-memory", "large-tables"]);
    // The sum of what cannot be had at all does not wrap around.
    let greedy = agent("", "", &format!("(memory 65536) (memory 65536) {HANDLE}"), "");
    assert_eq!(errors(&internal(&greedy)), ["outside-profile", "much-memory"]);
}

#[test]
fn a_version_that_wants_more_is_reviewed_where_the_policy_says_so() {
    let (less, more) = (plain(), agent(CLAIM, "", HANDLE, ""));
    let direction = |new: &[u8], old: &[u8]| {
        let report = vet("x", new, Some(old), &profile("internal"));
        assert_eq!(report.verdict, Verdict::Allowed);
        report.facts.unwrap().difference.unwrap()
    };
    let widened = direction(&more, &less);
    assert_eq!(widened.direction, Direction::Widened);
    assert_eq!(widened.added, ["import attache:identity/identity.claim"]);
    assert_eq!(direction(&less, &more).direction, Direction::Narrowed);
    assert_eq!(direction(&more, &more).direction, Direction::Same);
    // Harmless imports and other bytes are no more authority.
    let random = agent(r#"(import "wasi:random/random@0.2.0" (instance))"#, "", HANDLE, "");
    assert_eq!(direction(&random, &less).direction, Direction::Same);

    let mut policy = profile("internal");
    policy.require_review_when_widened = true;
    assert_eq!(errors(&vet("x", &more, Some(&less), &policy)), ["widened"]);
    assert!(errors(&vet("x", &less, Some(&more), &policy)).is_empty());
}

#[test]
fn a_scope_or_host_that_is_new_is_more() {
    let manifest = |text: &str| with_section(plain(), "attache:manifest", text.as_bytes());
    let old = manifest(r#"{"providers":[{"name":"g","scopes":["read"],"flow":"user-federation"}]}"#);
    let new = manifest(
        r#"{"providers":[{"name":"g","scopes":["read","write"],"flow":"user-federation"}],"hosts":["x.example"]}"#,
    );
    let report = vet("x", &new, Some(&old), &profile("internal"));
    assert_eq!(report.facts.unwrap().difference.unwrap().added, ["host x.example", "scope write at g"]);
}

#[test]
fn a_version_before_that_cannot_be_read_leaves_no_verdict() {
    let report = vet("x", &plain(), Some(b"old"), &profile("internal"));
    assert_eq!(report.verdict, Verdict::Unreadable);
    assert!(report.summary.starts_with("the version before cannot be read: the file is no WebAssembly"));
}

#[test]
fn dependencies_are_listed_where_they_were_written_down() {
    // Python: zlib.compress(b'{"packages":[{"name":"serde","version":"1.0.0","source":"crates.io"}]}')
    let list = DEPENDENCIES;
    let data: Vec<u8> = (0..list.len() / 2).map(|i| u8::from_str_radix(&list[2 * i..2 * i + 2], 16).unwrap()).collect();
    let report = internal(&with_section(plain(), ".dep-v0", &data));
    let facts = report.facts.unwrap();
    assert!(facts.dependencies_listed);
    assert_eq!((facts.dependencies[0].name.as_str(), facts.dependencies[0].version.as_str()), ("serde", "1.0.0"));
    let report = internal(&with_section(plain(), ".dep-v0", &data[..20]));
    assert_eq!(of(&report, "dependencies-unread").len(), 1);
}

const DEPENDENCIES: &str = "789cab562a484cce4e4c4f2d56b28aae56ca4bcc4d55b2522a4e2d4a4955d2512a4b2d2acecccf038a18ea19e81900458af34b8b92414a928b124b528bf532f3956a636b012c0d16c4";
