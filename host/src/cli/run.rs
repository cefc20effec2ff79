//! `attache vet --run`: what a component did when it was run, and what that says of it.

use super::vetting::{Judged, judge};
use crate::rehearsal::{Rehearsal, rehearse};
use crate::vet::{Form, Order, RULES, Severity, Verdict, policy_of};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One reason more, that only running it gives.
struct Reason {
    rule: &'static str,
    message: String,
}

/// Runs the component, and adds to its report what it did.
pub(super) async fn with_rehearsal(
    order: &Order,
    component: Vec<u8>,
    judged: Judged,
    before: Option<&[u8]>,
    asks: &[String],
) -> anyhow::Result<Judged> {
    // What its author declares stands in the report for programs.
    let report = match order.form {
        Form::Json => judged.report.clone(),
        _ => judge(&Order { form: Form::Json, ..order.clone() }, &component, before)?.report,
    };
    let mut report: Value = serde_json::from_str(&report).context("the report cannot be read")?;
    let program = std::env::current_exe().context("this program cannot be found again")?;
    let done = rehearse(program, component, asks).await?;
    let policy = policy_of(&order.policy)?;
    let reasons: Vec<(Reason, Severity)> = reasons(&report, &done)
        .into_iter()
        .map(|reason| {
            let severity = policy.severity(reason.rule);
            (reason, severity)
        })
        .filter(|(_, severity)| *severity != Severity::Off)
        .collect();
    let refused = judged.verdict == Verdict::Refused || reasons.iter().any(|(_, s)| *s == Severity::Error);
    let verdict = if refused { Verdict::Refused } else { judged.verdict };
    let text = match order.form {
        Form::Json => {
            let found: Vec<Value> = reasons.iter().map(|(reason, severity)| finding(reason, *severity)).collect();
            if let Some(all) = report["findings"].as_array_mut() {
                all.extend(found);
            }
            if refused && judged.verdict == Verdict::Allowed {
                report["verdict"] = json!("refused");
                report["summary"] = json!(reasons.first().map(|(reason, _)| reason.message.clone()));
            }
            report["rehearsal"] = json!(done);
            report.to_string()
        }
        _ => {
            let mut text = judged.report;
            if refused && judged.verdict == Verdict::Allowed {
                text = format!("REFUSED, for what it did when it was run; by its bytes alone:\n{text}");
            }
            text + &told(&done, &reasons)
        }
    };
    Ok(Judged { verdict, report: text })
}

fn finding(reason: &Reason, severity: Severity) -> Value {
    let advice = RULES.iter().find(|rule| rule.id == reason.rule).map_or("", |rule| rule.advice);
    json!({
        "rule": reason.rule, "severity": severity, "message": reason.message, "advice": advice, "part": "component",
        "offset": null,
    })
}

/// What it did against what its author declares, and against what nothing may do.
fn reasons(report: &Value, done: &Rehearsal) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let manifest = &report["manifest"];
    let declared = |of: &str, name: &str| {
        let all = manifest[of].as_array().into_iter().flatten();
        all.filter_map(|one| one.as_str().or_else(|| one["name"].as_str())).any(|known| known == name)
    };
    for contact in done.hosts.iter().filter(|contact| contact.with_credential < contact.requests) {
        let host = contact.host.split("://").nth(1).unwrap_or_default();
        let bare = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if !declared("hosts", host) && !declared("hosts", bare) {
            let message = format!("called `{}` without a credential, and does not declare it", contact.host);
            reasons.push(Reason { rule: "undeclared-host-called", message });
        }
    }
    for provider in done.providers.iter().filter(|provider| !declared("providers", provider)) {
        let message = format!("asked for a credential of `{provider}`, which it does not declare");
        reasons.push(Reason { rule: "undeclared-provider-asked", message });
    }
    let canary = &done.canary;
    if canary.sent_on > 0 || canary.answered > 0 {
        let message =
            format!("sent a secret on in {} requests, and answered with it {} times", canary.sent_on, canary.answered);
        reasons.push(Reason { rule: "secret-passed-on", message });
    }
    if canary.seen > 0 {
        let message = format!("{} answers showed it a secret that was to be covered", canary.seen);
        reasons.push(Reason { rule: "secret-seen", message });
    }
    reasons
}

fn told(done: &Rehearsal, reasons: &[(Reason, Severity)]) -> String {
    let mut text = String::from("\nwhat it did when it was run, with a credential that is worth nothing\n");
    for call in &done.calls {
        let _ = writeln!(text, "  {:<50} {} ({} ms)", call.call, call.outcome, call.milliseconds);
    }
    let list = |text: &mut String, what: &str, all: Vec<String>| {
        let shown = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let _ = writeln!(text, "  {what}: {shown}");
    };
    let contact = |c: &crate::rehearsal::Contact| {
        format!("{} ({} times, {} with a credential)", c.host, c.requests, c.with_credential)
    };
    list(&mut text, "hosts", done.hosts.iter().map(contact).collect());
    list(&mut text, "credentials", done.credentials.iter().cloned().collect());
    let canary = &done.canary;
    let _ = writeln!(
        text,
        "  the credential: attached to {} requests, covered {} times in answers, seen by it in {}; bytes taken {} times, \
         sent on in {} requests, in {} of its answers",
        canary.attached, canary.covered, canary.seen, done.revealed, canary.sent_on, canary.answered
    );
    let memory = done.peak_memory.map_or("not known".to_owned(), |bytes| format!("{} MiB", bytes.div_ceil(1 << 20)));
    let _ =
        writeln!(text, "  {} ms in all; memory of the process that ran it, at the most: {memory}", done.milliseconds);
    for (reason, severity) in reasons {
        let advice = RULES.iter().find(|rule| rule.id == reason.rule).map_or("", |rule| rule.advice);
        let _ =
            writeln!(text, "\n{} [{}] {}\n    do: {advice}", crate::vet::word(*severity), reason.rule, reason.message);
    }
    text
}
