//! What the author declares against what the component imports.

use crate::agents::{HANDLE, agent, errors, internal, of, plain, profile, with_section};
use attache::vet::{Verdict, vet};

const CLAIM: &str = r#"(import "attache:identity/identity@0.1.0" (instance (export "claim" (func (param "name" string) (result (option string))))))"#;

fn declaring(bytes: Vec<u8>, manifest: &str) -> Vec<u8> {
    with_section(bytes, "attache:manifest", manifest.as_bytes())
}

#[test]
fn a_manifest_is_shown_wherever_a_linker_left_it() {
    let text = r#"{"providers":[],"hosts":[],"claims":["email"]}"#;
    let outside = declaring(agent(CLAIM, "", HANDLE, ""), text);
    let escaped = text.replace('"', "\\\"");
    let inside = agent(CLAIM, "", &format!("{HANDLE} (@custom \"attache:manifest\" \"{escaped}\")"), "");
    for bytes in [outside, inside] {
        let report = vet("x", &bytes, None, &profile("internal"));
        assert!(of(&report, "manifest-missing").is_empty());
        assert!(of(&report, "under-declared").is_empty() && of(&report, "over-declared").is_empty());
        assert_eq!(report.facts.unwrap().manifest.unwrap().claims, ["email"]);
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_no_manifest() {
    for (text, says) in [
        ("", "EOF"),
        ("{\"provider\":[]}", "unknown field `provider`"),
        ("{\"providers\":[{\"name\":\"x\",\"flow\":\"magic\"}]}", "unknown variant `magic`"),
        ("[[[[[[[[", "expected"),
    ] {
        let report = internal(&declaring(plain(), text));
        assert_eq!(errors(&report), ["manifest-unreadable"], "{text}");
        assert!(report.summary.contains(says) || text == "[[[[[[[[", "{}", report.summary);
        assert!(report.findings[0].offset.is_some());
    }
    let twice = declaring(declaring(plain(), "{}"), "{}");
    assert!(internal(&twice).summary.contains("more than one"));
    let deep = declaring(plain(), &"[".repeat(60_000));
    assert_eq!(errors(&internal(&deep)), ["manifest-unreadable"]);
}

#[test]
fn what_is_declared_and_not_imported_is_over_declared() {
    let text = r#"{"providers":[{"name":"google","scopes":["calendar.read"],"flow":"user-federation"},{"name":"maps","flow":"api-key"}],
        "hosts":["api.example.com"],"claims":["email"],"reveal":true}"#;
    let report = vet("x", &declaring(plain(), text), None, &profile("marketplace"));
    let messages: Vec<&str> = of(&report, "over-declared").iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "declares the provider `google`, and does not import `attache:identity/credentials.oauth2`",
            "declares the provider `maps`, and does not import `attache:identity/credentials.api-key`",
            "declares hosts, and does not import `wasi:http/outgoing-handler`",
            "declares claims, and does not import `attache:identity/identity.claim`",
            "declares `reveal`, and does not import `attache:identity/reveal`",
        ]
    );
    assert_eq!(report.verdict, Verdict::Refused);
}

#[test]
fn what_is_imported_and_not_declared_is_under_declared() {
    let report = vet("x", &declaring(agent(CLAIM, "", HANDLE, ""), "{}"), None, &profile("marketplace"));
    assert_eq!(errors(&report), ["under-declared"]);
    assert_eq!(report.summary, "imports `attache:identity/identity.claim`, and declares no claims");
}

#[test]
fn a_policy_forbids_providers_and_scopes_that_are_declared() {
    let text = r#"{"providers":[{"name":"bank-transfers","scopes":["payments.write","accounts.read"],"flow":"user-federation"}]}"#;
    let mut policy = profile("internal");
    policy.manifest.forbid_providers.push("bank-*".to_owned());
    policy.manifest.forbid_scopes.push("payments.write".to_owned());
    let report = vet("x", &declaring(plain(), text), None, &policy);
    assert_eq!(errors(&report), ["forbidden-provider", "forbidden-scope"]);
}

#[test]
fn what_is_imported_and_never_reachable_is_said() {
    let report = internal(&agent(CLAIM, "", HANDLE, ""));
    assert_eq!(of(&report, "unreachable-import").len(), 1);
    assert_eq!(errors(&vet("x", &agent(CLAIM, "", HANDLE, ""), None, &profile("strict"))).len(), 4);
}
