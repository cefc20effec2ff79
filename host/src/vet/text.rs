//! The report for a person at a terminal: the verdict, the reasons, and what the component can do.

use super::report::{Direction, Facts, Finding, Report, Verdict};
use super::rule::Severity;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lines of text. Names in it are the component's own: whoever prints it replaces what a terminal would obey.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let verdict = match report.verdict {
        Verdict::Allowed => "ALLOWED",
        Verdict::Refused => "REFUSED",
        Verdict::Unreadable => "COULD NOT BE READ",
    };
    let _ = writeln!(out, "{verdict}: {}", report.summary);
    let _ = writeln!(out, "{}, {} bytes, under the policy `{}`", report.file, report.size, report.policy);
    if let Some(digest) = &report.digest {
        let _ = writeln!(out, "{digest}");
    }
    for finding in &report.findings {
        let _ = write!(out, "\n{}", one(finding));
    }
    if let Some(facts) = &report.facts {
        authority(&mut out, facts);
        difference(&mut out, facts);
        made_of(&mut out, facts);
    }
    out
}

/// How much a finding weighs, in a word.
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
        Severity::Off => "off",
    }
}

fn one(finding: &Finding) -> String {
    let Finding { rule, severity, message, advice, part, offset } = finding;
    let place = match offset {
        Some(offset) => format!("{part}, byte {offset}"),
        None => part.clone(),
    };
    format!("{} [{rule}] {message}\n    in: {place}\n    do: {advice}\n", word(*severity))
}

fn authority(out: &mut String, facts: &Facts) {
    out.push_str("\nwhat it wants\n");
    if facts.imports.is_empty() {
        out.push_str("  nothing\n");
    }
    for import in &facts.imports {
        let _ = writeln!(out, "  {:<42} {:<24} {}", import.interface, import.class.words(), import.meaning);
    }
    out.push_str("\nwhat it gives, and what each can reach of that (at most: calls through tables are taken as any of their type)\n");
    if facts.exports.is_empty() {
        out.push_str("  nothing\n");
    }
    for export in &facts.exports {
        let _ = writeln!(out, "  {}", super::reach::dotted(&export.interface, &export.function));
        by_interface(&export.reaches).iter().for_each(|line| {
            let _ = writeln!(out, "      {line}");
        });
    }
    if !facts.always_reached.is_empty() {
        let lines = by_interface(&facts.always_reached);
        let _ = writeln!(out, "  at its start, or when a resource ends: {}", lines.join(", "));
    }
    match &facts.manifest {
        None => {}
        Some(manifest) => {
            out.push_str("\nwhat its author declares\n");
            for provider in &manifest.providers {
                let _ = writeln!(out, "  provider {} {:?} {}", provider.name, provider.flow, provider.scopes.join(" "));
            }
            let mut list = |what: &str, names: &[String]| {
                if !names.is_empty() {
                    let _ = writeln!(out, "  {what} {}", names.join(" "));
                }
            };
            list("hosts", &manifest.hosts);
            list("claims", &manifest.claims);
            if manifest.reveal {
                out.push_str("  the secrets themselves\n");
            }
        }
    }
}

/// Functions by name where an interface has a few of them; else how many.
fn by_interface(names: &[String]) -> Vec<String> {
    let mut interfaces: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for name in names {
        // The version has dots of its own: the function comes after the third.
        let interface = name.find('@').map_or("", |at| {
            let end = name[at..].match_indices('.').nth(2).map_or(name.len(), |(dot, _)| at + dot);
            &name[..end]
        });
        interfaces.entry(interface).or_default().push(name);
    }
    let lines = |(interface, names): (&str, Vec<&String>)| match names.len() {
        0..=6 => names.into_iter().cloned().collect(),
        many => vec![format!("{interface}: {many} functions")],
    };
    interfaces.into_iter().flat_map(lines).collect()
}

fn difference(out: &mut String, facts: &Facts) {
    let Some(difference) = &facts.difference else { return };
    let _ = writeln!(out, "\ncompared with {}: {}", difference.against, direction(difference.direction));
    for added in &difference.added {
        let _ = writeln!(out, "  + {added}");
    }
    for removed in &difference.removed {
        let _ = writeln!(out, "  - {removed}");
    }
}

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Widened => "it wants more",
        Direction::Narrowed => "it wants less",
        Direction::Same => "it wants the same",
    }
}

fn made_of(out: &mut String, facts: &Facts) {
    out.push_str("\nwhat it is made of\n");
    for part in facts.parts.iter().take(40) {
        let name = part.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
        let _ = writeln!(out, "  {}{name}, {} bytes at {}", part.path, part.size, part.offset);
    }
    if facts.parts.len() > 40 {
        let _ = writeln!(out, "  and {} more", facts.parts.len() - 40);
    }
    let tools: Vec<String> =
        facts.producers.iter().map(|p| format!("{} {}", p.name, p.version).trim_end().to_owned()).collect();
    if !tools.is_empty() {
        let _ = writeln!(out, "  made with {}", tools.join(", "));
    }
    if facts.dependencies_listed {
        let _ = writeln!(out, "  from {} packages", facts.dependencies.len());
    }
    if !facts.hosts.is_empty() {
        let hosts: Vec<&str> = facts.hosts.iter().map(|host| host.host.as_str()).collect();
        let _ = writeln!(out, "  mentions {}", hosts.join(", "));
    }
    let needs = &facts.needs;
    let _ = writeln!(
        out,
        "  starts with {} KiB of memory and {} table elements",
        needs.memory.div_ceil(1024),
        needs.table_elements
    );
    if let Some(provenance) = &facts.provenance {
        let _ = writeln!(out, "  who made it: {}", provenance.words());
        for signer in &provenance.signers {
            let publisher = signer.publisher.as_deref().map(|name| format!(", of {name}")).unwrap_or_default();
            let _ = writeln!(out, "      {}{publisher}, {}", signer.name, signer.by);
        }
        for one in &provenance.attestations {
            let builder = one.builder.as_deref().map(|builder| format!(", built by {builder}")).unwrap_or_default();
            let source = one.source.as_deref().map(|source| format!(", from {source}")).unwrap_or_default();
            let _ = writeln!(out, "      `{}` attests {}{builder}{source}", one.by.name, one.predicate_type);
        }
    }
}
