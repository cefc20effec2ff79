//! What a component wants, in words and in classes.

use crate::agents::{HANDLE, agent, errors, internal, of, plain, profile};
use attache::vet::{Verdict, vet};

const REVEAL: &str = r#"
    (import "attache:identity/credentials@0.1.0" (instance $credentials
        (export "credential" (type (sub resource)))
        (type $secret (variant (case "consent-required" (record (field "authorization-url" string) (field "session-uri" string) (field "expires-at" u64)))))))
"#;

#[test]
fn an_agent_that_wants_nothing_is_allowed_everywhere_but_for_its_silence() {
    let report = internal(&plain());
    assert_eq!(report.verdict, Verdict::Allowed, "{:?}", report.findings);
    let strict = vet("agent.wasm", &plain(), None, &profile("strict"));
    assert_eq!(errors(&strict), ["manifest-missing", "signature-missing"]);
}

#[test]
fn sockets_are_forbidden_and_strangers_are_unknown() {
    for (interface, rule) in [
        ("wasi:sockets/tcp@0.2.0", "forbidden-import"),
        ("wasi:http/types@0.3.0", "forbidden-import"),
        ("acme:tools/shell@1.0.0", "unknown-import"),
    ] {
        let report = internal(&agent(&format!("(import \"{interface}\" (instance))"), "", HANDLE, ""));
        assert_eq!(errors(&report), [rule], "{interface}");
        assert!(of(&report, rule)[0].message.contains(interface));
    }
    let bare = internal(&agent(r#"(import "run" (func))"#, "", HANDLE, ""));
    assert_eq!(errors(&bare), ["unknown-import"]);
    let module = internal(&agent(r#"(import "lib" (core module))"#, "", HANDLE, ""));
    assert_eq!(errors(&module), ["unknown-import"]);
}

#[test]
fn a_function_that_differs_is_shown_with_the_difference() {
    let report = internal(&agent(
        r#"(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u32)))))"#,
        "",
        HANDLE,
        "",
    ));
    assert_eq!(errors(&report), ["wrong-world"]);
    assert_eq!(
        report.summary,
        "import `wasi:random/random@0.2.0`: the function `get-random-u64` is `func() -> u32` there, and `func() -> u64` \
         in this host's world"
    );
    let report = internal(&agent(
        r#"(import "wasi:random/random@0.2.0" (instance (export "get-dice" (func (result u32)))))"#,
        "",
        HANDLE,
        "",
    ));
    assert!(
        report.summary.contains("wants the function `get-dice`, which the host does not have"),
        "{}",
        report.summary
    );
}

#[test]
fn a_component_of_another_world_is_told_which() {
    let exporting = |name: &str| {
        let text = format!(
            r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f"))) (instance $e (export "run" (func $f)))
                (export "{name}" (instance $e)))"#
        );
        internal(&wat::parse_str(text).unwrap()).summary
    };
    assert!(exporting("wasi:cli/run@0.2.0").contains("it is a command-line program, of the world `wasi:cli/command`"));
    assert!(exporting("wasi:http/handler@0.3.0").contains("is that of WASI 0.3: build it for WASI 0.2"));
    assert!(
        exporting("wasi:http/incoming-handler@0.1.0").contains("`wasi:http/incoming-handler@0.1.0` is another version")
    );
    assert!(
        exporting("acme:http/incoming-handler@1.0.0")
            .contains("the nearest that it has is `acme:http/incoming-handler@1.0.0`")
    );
    assert!(internal(&wat::parse_str("(component)").unwrap()).summary.contains("it exports nothing"));
}

#[test]
fn what_the_policy_does_not_name_is_not_granted() {
    let claim = agent(
        r#"(import "attache:identity/identity@0.1.0" (instance (export "claim" (func (param "name" string) (result (option string))))))"#,
        "",
        HANDLE,
        "",
    );
    assert_eq!(internal(&claim).verdict, Verdict::Allowed);
    let mut policy = profile("internal");
    policy.authority.grants.retain(|granted| granted != "attache:identity/identity.claim");
    assert_eq!(errors(&vet("x", &claim, None, &policy)), ["ungranted-import"]);
    policy.authority.forbid.push("attache:*".to_owned());
    assert_eq!(errors(&vet("x", &claim, None, &policy)), ["forbidden-import"]);
}

#[test]
fn types_without_functions_are_no_authority() {
    let report = internal(&agent(REVEAL, "", HANDLE, ""));
    assert_eq!(report.verdict, Verdict::Allowed, "{:?}", report.findings);
    assert_eq!(report.summary, "it wants nothing that needs a grant");
}
