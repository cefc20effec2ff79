//! The rules: stable ids that a pipeline can name, what each weighs where a policy does not say otherwise, and what to do.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The verdict is refused.
    Error,
    /// Somebody should look.
    Warning,
    /// To know.
    Note,
    /// Not said at all. Only a policy can say so.
    Off,
}

/// One rule.
pub struct Rule {
    /// Never changes its meaning.
    pub id: &'static str,
    /// Where a policy does not say otherwise.
    pub severity: Severity,
    /// The host would not run it, or the policy itself says no: no policy lowers it.
    pub fixed: bool,
    /// What it looks for.
    pub title: &'static str,
    /// What to do about a finding.
    pub advice: &'static str,
}

const fn rule(id: &'static str, severity: Severity, title: &'static str, advice: &'static str) -> Rule {
    Rule { id, severity, fixed: false, title, advice }
}

const fn fixed(id: &'static str, title: &'static str, advice: &'static str) -> Rule {
    Rule { id, severity: Severity::Error, fixed: true, title, advice }
}

/// All of them.
pub const RULES: &[Rule] = &[
    fixed(
        "outside-profile",
        "WebAssembly features that this host does not run",
        "build it without that feature: for `wasm32-wasip2`, without threads, garbage collection, exceptions, 64-bit memory, several memories in a module or WASI 0.3",
    ),
    fixed(
        "wrong-world",
        "made for another world than this host's",
        "build it against `wit/` of this host's version, for the world `attache:identity/agent`",
    ),
    fixed(
        "unknown-import",
        "imports what is not known here",
        "remove what imports it; the host gives only what `wit/world.wit` and WASI 0.2 name",
    ),
    fixed(
        "forbidden-import",
        "imports what is never given",
        "remove what imports it; from Python, `componentize-py --stub-wasi` does",
    ),
    fixed(
        "ungranted-import",
        "wants what the policy does not grant",
        "do without it, or ask whoever keeps the policy to name it under `authority.grants`",
    ),
    fixed("forbidden-provider", "declares a provider that the policy forbids", "do without that provider"),
    fixed("forbidden-scope", "declares a scope that the policy forbids", "ask for a narrower scope"),
    fixed(
        "signature-missing",
        "not signed by whom the policy wants",
        "have it signed (`attache sign`, `cosign sign`), and name the key in the trust file (`--trust`)",
    ),
    fixed(
        "provenance-missing",
        "nobody trusted says how it was built",
        "have its builder attest it: `attache attest --type slsa`, or any that writes SLSA provenance",
    ),
    fixed(
        "other-builder",
        "built by another than the policy names",
        "have it built there, or name the builder under `signatures.builders`",
    ),
    fixed(
        "too-large",
        "larger than the policy allows",
        "build it with `opt-level = \"s\"`, `lto = true` and without debug information",
    ),
    fixed(
        "widened",
        "wants more than the version before, and the policy asks for a review",
        "review what is new; then vet it again with `--against` this version, or without",
    ),
    rule(
        "reveal",
        Severity::Warning,
        "can hold secrets",
        "ask for handles instead: `credential.send` needs no secret; list it only if its author can be trusted with your users' accounts",
    ),
    rule(
        "toxic-secret-and-egress",
        Severity::Error,
        "can hold secrets and send them away",
        "do without `attache:identity/reveal`, or without `wasi:http/outgoing-handler`",
    ),
    rule(
        "toxic-data-and-egress",
        Severity::Warning,
        "untrusted input, private data and plain requests meet",
        "do without `wasi:http/outgoing-handler`, or grant it `egress` to few hosts, none of which others can read",
    ),
    rule(
        "unreachable-import",
        Severity::Note,
        "imports what no export can reach",
        "remove what imports it, so that it need not be granted",
    ),
    rule(
        "reach-incomplete",
        Severity::Error,
        "too intricate to follow",
        "make it of fewer components; until then, every import counts as used by every export",
    ),
    rule(
        "extra-export",
        Severity::Note,
        "exports more than how an agent is invoked",
        "nothing: the host calls none of it",
    ),
    rule(
        "manifest-missing",
        Severity::Warning,
        "says nothing about what it needs",
        "declare it with `attache_guest::manifest!`",
    ),
    rule(
        "manifest-unreadable",
        Severity::Error,
        "its manifest cannot be read",
        "write it with `attache_guest::manifest!`",
    ),
    rule("over-declared", Severity::Warning, "declares what it cannot use", "remove it from the manifest"),
    rule(
        "under-declared",
        Severity::Error,
        "can use what it does not declare",
        "add it to the manifest, or remove what imports it",
    ),
    rule(
        "undeclared-host",
        Severity::Note,
        "mentions a host that it does not declare",
        "declare it under `hosts`, or find out why the text is there",
    ),
    rule(
        "secret-in-data",
        Severity::Error,
        "carries something that looks like a secret",
        "revoke it, for it is in the hands of whoever has the file; ask the host for a credential instead",
    ),
    rule(
        "builder-path",
        Severity::Note,
        "tells where it was built",
        "build it with `--remap-path-prefix`, or with `trim-paths`",
    ),
    rule(
        "unsigned",
        Severity::Note,
        "nobody signed it",
        "sign it with `attache sign FILE --key KEY`, so that whoever lists it knows whose it is",
    ),
    rule(
        "signature-does-not-verify",
        Severity::Warning,
        "signed by somebody who is not trusted, or over other bytes",
        "find out whose signature it is before you list it; a file that was changed on its way looks like this",
    ),
    rule(
        "evidence-set-aside",
        Severity::Note,
        "something beside it does not count",
        "nothing, where what counts is enough",
    ),
    rule(
        "known-vulnerability",
        Severity::Error,
        "built of a package that an advisory warns of",
        "update the package and build it again",
    ),
    rule(
        "undeclared-host-called",
        Severity::Warning,
        "called a host that it does not declare, when it was run",
        "declare it under `hosts`, or do without it",
    ),
    rule(
        "undeclared-provider-asked",
        Severity::Warning,
        "asked for a provider that it does not declare, when it was run",
        "declare it under `providers`, or do without it",
    ),
    rule(
        "secret-passed-on",
        Severity::Error,
        "had a secret and passed it on, when it was run",
        "do not list it: it sends away what it is given to keep",
    ),
    rule(
        "secret-seen",
        Severity::Error,
        "an answer showed it a secret that this host should have covered, when it was run",
        "report it to the makers of this host, with the component",
    ),
    rule(
        "start-function",
        Severity::Note,
        "runs code when it is instantiated, before any request",
        "nothing: the host's limits hold there, too",
    ),
    rule(
        "many-parts",
        Severity::Error,
        "made of more modules and components than the policy allows",
        "link it together before it is published",
    ),
    rule(
        "much-memory",
        Severity::Error,
        "needs more memory at the start than the policy allows",
        "make its static data smaller, or ask whoever keeps the policy",
    ),
    rule(
        "large-tables",
        Severity::Error,
        "needs larger tables than the policy allows",
        "ask whoever keeps the policy: interpreters need them",
    ),
    rule(
        "dependencies-unread",
        Severity::Note,
        "its list of dependencies cannot be read",
        "build it with a current `cargo auditable`",
    ),
];
