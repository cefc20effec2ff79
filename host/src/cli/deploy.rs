//! `attache deploy`: judges a component under the operator's policy, shows what it asks for and what the configuration grants
//! it, asks, and deploys.

use super::admin::{Admin, patiently, printed, typed};
use super::agents::{Agent, path};
use super::table::printable;
use super::vet::{Found, Rules, find};
use super::vetting::judge;
use super::{Format, Global};
use crate::config::Glance;
use crate::directory::Terms;
use crate::ids::{AgentName, Digest};
use crate::oci::Reference;
use crate::vet::{Form, Verdict};
use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// What to deploy, and as whose.
#[derive(Args)]
#[command(
    after_help = "Deploying grants nothing: what an agent may do stands in the host's configuration. A component is judged first, \
                  as by `attache vet`, under `--policy`, or the policy under `[deploy]` in the configuration, or the profile \
                  internal; what that refuses is not deployed.\n\nExamples:\n  \
                        attache deploy calendar.wasm --publisher \"Example Ltd\"\n  \
                        attache deploy oci://registry.example/calendar:1.2 --policy marketplace --trust keys.toml\n  \
                        attache deploy target/wasm32-wasip2/release/my_agent.wasm --name my-agent --yes"
)]
pub(super) struct Deploy {
    /// The component, compiled for wasm32-wasip2: a file, or oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "FILE|oci://REF")]
    component: String,
    /// The name to deploy it under [default: the file's, or the repository's]
    #[arg(long)]
    name: Option<AgentName>,
    /// Who published it; shown to users who are asked for consent [default: who published the agent so far]
    #[arg(long, env = "ATTACHE_PUBLISHER")]
    publisher: Option<String>,
    /// Where a browser may be sent after a consent; may be repeated [default: as before]
    #[arg(long = "return-url", value_name = "URL")]
    return_urls: Vec<String>,
    /// Do not ask, where the policy allows it
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    rules: Rules,
}

/// What a report says, as far as it matters here.
#[derive(Deserialize)]
struct Report {
    summary: String,
    policy: String,
    findings: Vec<Finding>,
    #[serde(default)]
    imports: Vec<Import>,
    #[serde(default)]
    authority: BTreeSet<String>,
    provenance: Option<Provenance>,
}

#[derive(Deserialize)]
struct Finding {
    rule: String,
    severity: String,
    message: String,
    advice: String,
}

#[derive(Deserialize)]
struct Import {
    interface: String,
    class: String,
    meaning: String,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    class: String,
}

#[derive(Deserialize)]
struct Provenance {
    state: String,
    signers: Vec<Signer>,
}

#[derive(Deserialize)]
struct Signer {
    name: String,
}

impl Deploy {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let glance = global.glance()?;
        let rules = self.rules.clone().or(glance.as_ref());
        // The rules first: whoever mistyped one need not wait for a registry.
        let mut order = rules.order(Form::Json)?;
        let found = find(&self.component, &rules.login).await?;
        order.about(&found);
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(&self.component)?,
        };
        let judged = judge(&order, &found.bytes, None)?;
        let report: Report = serde_json::from_str(&judged.report).context("the report cannot be read")?;
        if judged.verdict != Verdict::Allowed {
            bail!("`{}` is not deployed\n{}", found.name, refusal(&report, judged.verdict));
        }
        let admin = Admin::of(global)?;
        let agents: Vec<Agent> = typed(&admin.read("/v1/agents", &[]).await?)?;
        let before = agents.iter().find(|agent| agent.name == name.as_str());
        let Some(publisher) = self.publisher.clone().or_else(|| before.map(|agent| agent.publisher.clone())) else {
            bail!("nobody has published `{name}` yet; say who does with `--publisher NAME`");
        };
        if global.format == Format::Text {
            show(&found, &name, &publisher, before, &report, glance.as_ref());
        }
        if !self.yes && !agreed("deploy", "deploy it?")? {
            println!("nothing was deployed");
            return Ok(ExitCode::FAILURE);
        }
        let mut query = vec![("publisher", publisher.as_str())];
        query.extend(self.return_urls.iter().map(|url| ("return_url", url.as_str())));
        if found.manifest.is_some() {
            query.push(("source", found.name.as_str()));
        }
        let path = path(name.as_str(), "deploy")?;
        let deployed = admin.send_component(&path, &query, found.bytes.into());
        let reply = patiently("the host checks and compiles it", deployed).await?;
        if !printed(global.format, &reply) {
            println!("`{name}` is deployed; call it with `attache invoke {name}`");
            let lacks = |glance: &Glance| {
                !glance.agents.contains_key(&name) && (!glance.default_authorizer || report.asks_for_grants())
            };
            if let Some(glance) = glance.filter(lacks) {
                println!("\n{}", stanza(&glance, &name, &report));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Report {
    /// Whether it asks for this interface, in whatever version.
    fn asks_for(&self, interface: &str) -> bool {
        self.imports.iter().any(|import| {
            import.interface.split('@').next() == Some(interface)
                && import.functions.iter().any(|function| function.class == "needs-grant")
        })
    }

    /// Whether it asks for anything that only the configuration can grant.
    fn asks_for_grants(&self) -> bool {
        self.imports.iter().any(|import| import.class == "needs-grant")
    }

    /// A line per power, and one for everything that gives none.
    fn asks(&self) -> Vec<String> {
        let (powers, usual): (Vec<&Import>, Vec<&Import>) =
            self.imports.iter().partition(|import| import.class == "needs-grant");
        let bare = |import: &Import| import.interface.split('@').next().unwrap_or_default().to_owned();
        let mut lines: Vec<String> =
            powers.into_iter().map(|import| format!("{:<30} {}", bare(import), import.meaning)).collect();
        if !usual.is_empty() {
            let count = format!("{} usual interfaces", usual.len());
            lines.push(format!("{count:<30} which give it nothing: streams, clocks, random numbers, log lines"));
        }
        lines
    }
}

fn show(
    found: &Found,
    name: &AgentName,
    publisher: &str,
    before: Option<&Agent>,
    report: &Report,
    glance: Option<&Glance>,
) {
    let digest = Digest::of(&found.bytes);
    let verb = match before {
        None => "the new agent",
        Some(before) if before.runs(&digest) => "once more the same version of",
        Some(_) => "a new version of",
    };
    let size = found.bytes.len().div_ceil(1024);
    println!("{verb} `{name}` by {}, {}, {size} KiB", printable(publisher), digest.short());
    if found.manifest.is_some() {
        println!("from {}", printable(&found.name));
    }
    if let Some(provenance) = &report.provenance {
        let names: Vec<&str> = provenance.signers.iter().map(|signer| signer.name.as_str()).collect();
        match provenance.state.as_str() {
            "verified" => println!("signed by {}", printable(&names.join(" and "))),
            "does-not-verify" => println!("SIGNED, AND THE SIGNATURE DOES NOT VERIFY"),
            _ => println!("unsigned"),
        }
    }
    if let Some(before) = before.filter(|before| before.publisher != publisher) {
        println!("it was published by {} so far", printable(&before.publisher));
    }
    println!("\nit asks for");
    report.asks().iter().for_each(|line| println!("  {}", printable(line)));
    if let Some(version) = before.and_then(|before| before.version.as_ref()) {
        let new: Vec<&String> = report.authority.difference(&version.authority).collect();
        if !new.is_empty() {
            println!("\nof that, more than the version before; who granted it something is asked again");
            new.iter().for_each(|what| println!("  {}", printable(what)));
        }
    }
    let told: Vec<&Finding> = report.findings.iter().filter(|finding| finding.severity == "warning").collect();
    if !told.is_empty() {
        println!("\nto think about");
        told.iter().for_each(|finding| println!("  {} [{}]", printable(&finding.message), finding.rule));
    }
    println!("\nthe configuration grants it");
    granted(glance, name).iter().for_each(|line| println!("  {line}"));
    println!();
}

/// Why it is not deployed, each reason with what to do, and at the end what the policy would have to say.
fn refusal(report: &Report, verdict: Verdict) -> String {
    if verdict == Verdict::Unreadable {
        return format!("it could not be read: {}", report.summary);
    }
    let errors: Vec<&Finding> = report.findings.iter().filter(|finding| finding.severity == "error").collect();
    let mut text = format!("the policy `{}` refuses it:\n", report.policy);
    for finding in &errors {
        text.push_str(&format!("  {} [{}]\n      do: {}\n", finding.message, finding.rule, finding.advice));
    }
    let wanted: Vec<String> = report
        .imports
        .iter()
        .flat_map(|import| {
            let bare = import.interface.split('@').next().unwrap_or_default();
            let of = import.functions.iter().filter(|function| function.class == "needs-grant");
            of.map(move |function| format!("{bare}.{}", function.name))
        })
        .filter(|name| errors.iter().any(|f| f.rule == "ungranted-import" && f.message.contains(&format!("`{name}`"))))
        .collect();
    let weaker: BTreeSet<&str> = errors
        .iter()
        .map(|finding| finding.rule.as_str())
        .filter(|rule| crate::vet::RULES.iter().any(|known| known.id == *rule && !known.fixed))
        .collect();
    if !wanted.is_empty() || !weaker.is_empty() {
        text.push_str("if that is as it should be, add this to a policy of your own, and name it with `--policy`:\n");
    }
    if !wanted.is_empty() {
        text.push_str(&format!("\n[authority]\ngrants = {wanted:?}   # besides those that it has\n"));
    }
    if !weaker.is_empty() {
        text.push_str("\n[severity]\n");
        weaker.iter().for_each(|rule| text.push_str(&format!("{rule} = \"warning\"\n")));
    }
    text.trim_end().to_owned()
}

/// `target/…/my_agent.wasm` is `my_agent`, and so is `oci://registry.example/team/my_agent:1.2`.
fn name_of(component: &str) -> anyhow::Result<AgentName> {
    let stem = match component.strip_prefix("oci://") {
        Some(reference) => {
            let Reference { repository, .. } = reference.parse()?;
            repository.rsplit('/').next().unwrap_or_default().to_owned()
        }
        None => Path::new(component).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned(),
    };
    AgentName::parse(&stem).context("that is no agent name; say one with `--name`")
}

/// Asks whether to do it.
pub(super) fn agreed(deed: &str, question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask at; pass `--yes` to {deed} without asking");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn granted(glance: Option<&Glance>, name: &AgentName) -> Vec<String> {
    let Some(glance) = glance else {
        return vec!["not known here: name the host's configuration with `--config` to see it".into()];
    };
    match glance.agents.get(name) {
        None => vec![format!("nothing: there is no `[agents.{name}]` in it")],
        Some(terms) => of_terms(terms),
    }
}

fn of_terms(terms: &Terms) -> Vec<String> {
    let mut lines: Vec<String> = terms
        .providers
        .iter()
        .map(|bound| format!("credentials of `{}` with at most `{}`", bound.provider, bound.scopes.joined()))
        .collect();
    lines.extend(terms.egress.iter().map(|origin| format!("requests without a credential to {origin}")));
    if !terms.claims.is_empty() {
        lines.push(format!("the user's claims {}", terms.claims.join(", ")));
    }
    if terms.reveal {
        lines.push("turning credentials into bytes (`reveal = true`)".into());
    }
    if lines.is_empty() {
        lines.push("nothing".into());
    }
    lines
}

/// What to add to the configuration so that the agent can do what it asks for.
fn stanza(glance: &Glance, name: &AgentName, report: &Report) -> String {
    let mut text =
        format!("to let it do more, add this to the configuration and start the host again:\n\n[agents.{name}]\n");
    if !glance.default_authorizer {
        text.push_str("authorizer = \"NAME\"   # one of your [authorizers.NAME]: who may call it\n");
    }
    if report.asks_for("attache:identity/credentials") {
        text.push_str("providers = [\n");
        for (provider, scopes) in &glance.providers {
            text.push_str(&format!("  {{ name = \"{provider}\", scopes = {scopes:?} }},   # keep what it needs\n"));
        }
        if glance.providers.is_empty() {
            text.push_str("  # { name = \"…\", scopes = [\"…\"] }, once there is a [providers.NAME]\n");
        }
        text.push_str("]\n");
    }
    if report.asks_for("wasi:http/outgoing-handler") {
        text.push_str("# egress = [\"https://api.example.com\"]   # what it may reach without a credential\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::BoundProvider;
    use crate::ids::Scopes;

    #[test]
    fn what_is_granted_is_told_in_full() {
        let terms = Terms {
            providers: vec![BoundProvider {
                provider: "google".parse().unwrap(),
                scopes: Scopes::parse(["calendar"]).unwrap(),
            }],
            claims: vec!["email".into()],
            egress: vec!["https://api.example.com".into()],
            reveal: true,
            ..Terms::default()
        };
        assert_eq!(
            of_terms(&terms),
            [
                "credentials of `google` with at most `calendar`",
                "requests without a credential to https://api.example.com",
                "the user's claims email",
                "turning credentials into bytes (`reveal = true`)",
            ]
        );
        assert_eq!(of_terms(&Terms::default()), ["nothing"]);
    }

    #[test]
    fn a_file_name_that_is_no_agent_name_is_asked_for() {
        assert_eq!(name_of("/x/my_agent.wasm").unwrap().as_str(), "my_agent");
        assert!(format!("{:#}", name_of("My Agent.wasm").unwrap_err()).contains("`--name`"));
    }
}
