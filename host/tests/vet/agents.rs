//! Agents in text.

use attache::vet::{Finding, Policy, Report, Severity, vet};

/// A component that is invoked as agents are. `imports` come first, `definitions` before the core module, `core` goes
/// into it, and it is instantiated with `with`.
pub(crate) fn agent(imports: &str, definitions: &str, core: &str, with: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            {imports}
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $out))
            {definitions}
            (core module $core {core})
            (core instance $running (instantiate $core {with}))
            (func $handle (param "request" (own $request)) (param "response-out" (own $out))
                (canon lift (core func $running "handle")))
            (instance $handler (export "handle" (func $handle)))
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).expect("the text is a component")
}

pub(crate) const HANDLE: &str = r#"(func (export "handle") (param i32 i32))"#;

/// One that does nothing.
pub(crate) fn plain() -> Vec<u8> {
    agent("", "", HANDLE, "")
}

/// An import of `identity.claim` and `random.get-random-u64`, of which `handle` calls what `body` says.
pub(crate) fn calling(globals: &str, body: &str) -> Vec<u8> {
    agent(
        r#"(import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
               (export "now" (func (result u64))) (export "resolution" (func (result u64)))))"#,
        r#"(alias export $random "get-random-u64" (func $random_u64))
           (alias export $clock "now" (func $now))
           (alias export $clock "resolution" (func $resolution))
           (core func $random_core (canon lower (func $random_u64)))
           (core func $now_core (canon lower (func $now)))
           (core func $resolution_core (canon lower (func $resolution)))
           (core instance $host
               (export "random" (func $random_core))
               (export "now" (func $now_core))
               (export "resolution" (func $resolution_core)))"#,
        &format!(
            r#"(type $u64 (func (result i64)))
               (import "host" "random" (func $random (type $u64)))
               (import "host" "now" (func $now (type $u64)))
               (import "host" "resolution" (func $resolution (type $u64)))
               {globals}
               (func (export "handle") (param i32 i32) {body})"#
        ),
        r#"(with "host" (instance $host))"#,
    )
}

pub(crate) fn profile(name: &str) -> Policy {
    Policy::profile(name).unwrap()
}

pub(crate) fn internal(bytes: &[u8]) -> Report {
    vet("agent.wasm", bytes, None, &profile("internal"))
}

/// The findings of one rule.
pub(crate) fn of<'a>(report: &'a Report, rule: &str) -> Vec<&'a Finding> {
    report.findings.iter().filter(|finding| finding.rule == rule).collect()
}

/// The rules by which it is refused.
pub(crate) fn errors(report: &Report) -> Vec<&'static str> {
    report.findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.rule).collect()
}

/// The same with a custom section at the end.
pub(crate) fn with_section(mut bytes: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let leb = |mut n: usize| {
        let mut out = Vec::new();
        loop {
            let byte = (n & 127) as u8;
            n >>= 7;
            if n == 0 {
                out.push(byte);
                return out;
            }
            out.push(byte | 128);
        }
    };
    let mut section = leb(name.len());
    section.extend(name.as_bytes());
    section.extend(data);
    bytes.push(0);
    bytes.extend(leb(section.len()));
    bytes.extend(section);
    bytes
}
