//! The report for a review: what goes into the comment of a pipeline.

use super::report::{Report, Verdict};
use super::text::{direction, word};
use std::fmt::Write as _;

/// A document whose cells hold nothing that Markdown or HTML would obey.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let verdict = match report.verdict {
        Verdict::Allowed => "Allowed",
        Verdict::Refused => "Refused",
        Verdict::Unreadable => "Could not be read",
    };
    let _ = writeln!(out, "# {verdict}: {}\n", plain(&report.summary));
    let _ = writeln!(out, "{}, {} bytes, under the policy {}", plain(&report.file), report.size, plain(&report.policy));
    if let Some(digest) = &report.digest {
        let _ = writeln!(out, "({digest})");
    }
    if !report.findings.is_empty() {
        out.push_str("\n| severity | rule | what | where | what to do |\n|---|---|---|---|---|\n");
        for f in &report.findings {
            let place = f.offset.map_or_else(|| f.part.clone(), |offset| format!("{}, byte {offset}", f.part));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                word(f.severity),
                f.rule,
                plain(&f.message),
                plain(&place),
                plain(&f.advice)
            );
        }
    }
    let Some(facts) = &report.facts else { return out };
    out.push_str("\n## What it wants\n\n| interface | class | meaning |\n|---|---|---|\n");
    for import in &facts.imports {
        let _ =
            writeln!(out, "| {} | {} | {} |", plain(&import.interface), import.class.words(), plain(&import.meaning));
    }
    if let Some(provenance) = &facts.provenance {
        let _ = writeln!(out, "\n## Who made it\n\n{}", plain(&provenance.words()));
        for one in &provenance.attestations {
            let builder = one.builder.as_deref().map(|builder| format!(", built by {builder}")).unwrap_or_default();
            let _ = writeln!(out, "\n{}", plain(&format!("{} attests {}{builder}", one.by.name, one.predicate_type)));
        }
    }
    if let Some(difference) = &facts.difference {
        let _ = writeln!(out, "\n## Since the version before: {}\n", direction(difference.direction));
        let _ = writeln!(out, "| | |\n|---|---|");
        difference.added.iter().for_each(|what| {
            let _ = writeln!(out, "| new | {} |", plain(what));
        });
        difference.removed.iter().for_each(|what| {
            let _ = writeln!(out, "| gone | {} |", plain(what));
        });
    }
    out
}

/// Text in which nothing is markup: a component chooses its names.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // Pairs of these are kept apart from the others by being made of another letter.
            '`' => out.push('\''),
            // A line of its own would end the table.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    // No link by itself either.
    out.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_markup() {
        assert_eq!(
            plain("a|b\n<img src=x> [x](javascript:1) `c` https://evil.example"),
            "a\\|b\u{fffd}&lt;img src=x&gt; \\[x\\]\\(javascript:1\\) 'c' https:&#47;&#47;evil.example"
        );
    }
}
