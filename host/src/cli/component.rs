//! What a component asks for, read from its bytes without running or compiling it.

use anyhow::{Context as _, anyhow, bail};
use std::collections::BTreeSet;
use wasmparser::{Encoding, Parser, Payload};

/// The interfaces that a component imports, by their full names.
pub(super) struct Imports(BTreeSet<String>);

/// What each interface means to somebody who decides. The longest prefix that fits counts.
const MEANINGS: [(&str, &str); 7] = [
    ("attache:identity/identity", "who it is and whom it serves"),
    ("attache:identity/credentials", "credentials of its user, as handles that the host attaches to requests"),
    ("attache:identity/reveal", "THE BYTES of credentials: it could send them anywhere it can reach"),
    ("wasi:http/outgoing-handler", "requests without a credential, to the hosts under `egress`"),
    ("wasi:sockets", "sockets, which this host does not offer"),
    ("wasi:filesystem", "files; it finds none"),
    ("wasi:cli/environment", "environment variables; it finds none"),
];

impl Imports {
    /// Of these bytes.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut found = BTreeSet::new();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            // The parser's message may show bytes over several lines; the first says it.
            let payload = payload.map_err(|error| match error.message().lines().next() {
                Some(line) if !line.contains("expected=[") => {
                    anyhow!("the file is no component, or is damaged: {line}")
                }
                _ => anyhow!("the file is no component; build one with `cargo build --target wasm32-wasip2`"),
            });
            match payload? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => bail!(
                    "the file is a core module, not a component; build it with `cargo build --target wasm32-wasip2`"
                ),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        found.insert(import.context("the file is damaged")?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(Self(found))
    }

    /// Whether it asks for this interface, in whatever version.
    pub(super) fn asks_for(&self, interface: &str) -> bool {
        self.0.iter().any(|name| name.split('@').next() == Some(interface))
    }

    /// Whether it asks for anything that only the configuration can grant.
    pub(super) fn asks_for_grants(&self) -> bool {
        ["attache:identity/credentials", "attache:identity/reveal", "wasi:http/outgoing-handler"]
            .iter()
            .any(|interface| self.asks_for(interface))
    }

    /// A line per power, and one for everything that gives none.
    pub(super) fn lines(&self) -> Vec<String> {
        let meaning = |name: &str| MEANINGS.iter().find(|(prefix, _)| name.starts_with(prefix));
        let mut lines: Vec<String> = MEANINGS
            .iter()
            .filter(|(prefix, _)| self.0.iter().any(|name| name.starts_with(prefix)))
            .map(|(prefix, text)| format!("{prefix:<30} {text}"))
            .collect();
        let usual = |name: &str| {
            ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:http/"].iter().any(|p| name.starts_with(p))
        };
        let rest = self.0.iter().filter(|name| meaning(name).is_none());
        let (usual, strange): (Vec<&String>, Vec<&String>) = rest.partition(|name| usual(name));
        if !usual.is_empty() {
            lines.push(format!(
                "{:<30} streams, clocks, random numbers, log lines",
                format!("{} usual interfaces", usual.len())
            ));
        }
        lines.extend(strange.into_iter().map(|name| format!("{name:<30} not known here; the host will refuse it")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `\0asm` and the version and layer of a component, with one import section.
    fn component(import: &str) -> Vec<u8> {
        let name = import.as_bytes();
        let mut section = vec![1, 0, u8::try_from(name.len()).unwrap()];
        section.extend(name);
        // An instance of type 0.
        section.extend([5, 0]);
        // The type section before it: one empty instance type.
        let mut bytes =
            vec![0, b'a', b's', b'm', 0x0d, 0, 1, 0, 7, 3, 1, 0x42, 0, 10, u8::try_from(section.len()).unwrap()];
        bytes.extend(section);
        bytes
    }

    #[test]
    fn imports_are_told_in_words() {
        let imports = Imports::read(&component("attache:identity/reveal@0.1.0")).unwrap();
        assert!(imports.asks_for("attache:identity/reveal"));
        assert!(!imports.asks_for("attache:identity/credentials"));
        assert!(imports.lines()[0].contains("THE BYTES"));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let lines = Imports::read(&component("evil:corp/everything@1.0.0")).unwrap().lines();
        assert!(lines[0].starts_with("evil:corp/everything@1.0.0") && lines[0].ends_with("the host will refuse it"));
    }

    #[test]
    fn a_core_module_is_refused_with_what_to_do() {
        let error = Imports::read(b"\0asm\x01\0\0\0").err().unwrap();
        assert!(error.to_string().contains("a core module, not a component; build it with"), "{error}");
        let error = Imports::read(b"hello there").err().unwrap().to_string();
        assert!(error.starts_with("the file is no component; build one with") && !error.contains('\n'), "{error}");
    }
}
