//! The report as SARIF 2.1.0, for pages that show the findings of scanners.

use super::report::{Report, Verdict};
use super::rule::{RULES, Severity};
use serde_json::{Value, json};

/// One run of one tool. Findings of the whole file point at its first byte.
pub fn sarif(report: &Report) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.id,
                "shortDescription": { "text": rule.title },
                "fullDescription": { "text": format!("It is {}. To do: {}.", rule.title, rule.advice) },
                "help": { "text": rule.advice },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let location = |offset: usize, part: &str| {
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&report.file), "index": 0 },
                "region": { "byteOffset": offset, "byteLength": 1 },
            },
            "logicalLocations": [{ "fullyQualifiedName": part, "kind": "module" }],
        })
    };
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.rule,
                "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule).unwrap_or(0),
                "level": level(finding.severity),
                "message": { "text": format!("{}. To do: {}.", finding.message, finding.advice) },
                "locations": [location(finding.offset.unwrap_or(0), &finding.part)],
                "partialFingerprints": { "attacheFinding/v1": format!("{}|{}|{}", finding.rule, finding.part, finding.message) },
            })
        })
        .collect();
    let read = report.verdict != Verdict::Unreadable;
    let failures: Vec<Value> = match read {
        true => Vec::new(),
        false => vec![json!({ "level": "error", "message": { "text": report.summary } })],
    };
    let artifact = match &report.digest {
        Some(digest) => json!({
            "location": { "uri": uri(&report.file) },
            "length": report.size,
            "hashes": { "sha-256": digest.trim_start_matches("sha256:") },
        }),
        None => json!({ "location": { "uri": uri(&report.file) }, "length": report.size }),
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "attache vet",
                "informationUri": "https://github.com/attache/attache",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{ "executionSuccessful": read, "toolExecutionNotifications": failures }],
            "artifacts": [artifact],
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
        Severity::Off => "none",
    }
}

/// A path as a relative reference: what is no letter of a URI is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
