//! `attache deploy`: shows what a component asks for and what the configuration grants it, asks, and deploys.

use super::admin::{Admin, patiently, printed, typed};
use super::agents::{Agent, path};
use super::component::Imports;
use super::table::printable;
use super::{Format, Global};
use crate::config::Glance;
use crate::directory::Terms;
use crate::ids::{AgentName, Digest};
use anyhow::{Context as _, bail};
use clap::Args;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to deploy, and as whose.
#[derive(Args)]
#[command(
    after_help = "Deploying grants nothing: what an agent may do stands in the host's configuration.\n\nExamples:\n  \
                        attache deploy calendar.wasm --publisher \"Example Ltd\"\n  \
                        attache deploy target/wasm32-wasip2/release/my_agent.wasm --name my-agent --yes"
)]
pub(super) struct Deploy {
    /// The component, compiled for wasm32-wasip2
    file: PathBuf,
    /// The name to deploy it under [default: the file's]
    #[arg(long)]
    name: Option<AgentName>,
    /// Who published it; shown to users who are asked for consent [default: who published the agent so far]
    #[arg(long, env = "ATTACHE_PUBLISHER")]
    publisher: Option<String>,
    /// Where a browser may be sent after a consent; may be repeated [default: as before]
    #[arg(long = "return-url", value_name = "URL")]
    return_urls: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Deploy {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let bytes = std::fs::read(&self.file).with_context(|| format!("`{}` cannot be read", self.file.display()))?;
        let imports = Imports::read(&bytes).with_context(|| format!("`{}` cannot be deployed", self.file.display()))?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(&self.file)?,
        };
        let admin = Admin::of(global)?;
        let agents: Vec<Agent> = typed(&admin.read("/v1/agents", &[]).await?)?;
        let before = agents.iter().find(|agent| agent.name == name.as_str());
        let Some(publisher) = self.publisher.clone().or_else(|| before.map(|agent| agent.publisher.clone())) else {
            bail!("nobody has published `{name}` yet; say who does with `--publisher NAME`");
        };
        let glance = global.glance()?;
        if global.format == Format::Text {
            let digest = Digest::of(&bytes);
            let verb = match before {
                None => "the new agent",
                Some(before) if before.runs(&digest) => "once more the same version of",
                Some(_) => "a new version of",
            };
            println!(
                "{verb} `{name}` by {}, {}, {} KiB",
                printable(&publisher),
                digest.short(),
                bytes.len().div_ceil(1024)
            );
            if let Some(before) = before.filter(|before| before.publisher != publisher) {
                println!("it was published by {} so far", printable(&before.publisher));
            }
            println!("\nit asks for");
            imports.lines().iter().for_each(|line| println!("  {}", printable(line)));
            println!("\nthe configuration grants it");
            granted(glance.as_ref(), &name).iter().for_each(|line| println!("  {line}"));
            println!();
        }
        if !self.yes && !agreed("deploy", "deploy it?")? {
            println!("nothing was deployed");
            return Ok(ExitCode::FAILURE);
        }
        let mut query = vec![("publisher", publisher.as_str())];
        query.extend(self.return_urls.iter().map(|url| ("return_url", url.as_str())));
        let path = path(name.as_str(), "deploy")?;
        let deployed = admin.send_component(&path, &query, bytes.into());
        let reply = patiently("the host checks and compiles it", deployed).await?;
        if !printed(global.format, &reply) {
            println!("`{name}` is deployed; call it with `attache invoke {name}`");
            let lacks = |glance: &Glance| {
                !glance.agents.contains_key(&name) && (!glance.default_authorizer || imports.asks_for_grants())
            };
            if let Some(glance) = glance.filter(lacks) {
                println!("\n{}", stanza(&glance, &name, &imports));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `target/…/my_agent.wasm` is `my_agent`.
fn name_of(file: &std::path::Path) -> anyhow::Result<AgentName> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    AgentName::parse(stem).context("the file's name is no agent name; say one with `--name`")
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
fn stanza(glance: &Glance, name: &AgentName, imports: &Imports) -> String {
    let mut text =
        format!("to let it do more, add this to the configuration and start the host again:\n\n[agents.{name}]\n");
    if !glance.default_authorizer {
        text.push_str("authorizer = \"NAME\"   # one of your [authorizers.NAME]: who may call it\n");
    }
    if imports.asks_for("attache:identity/credentials") {
        text.push_str("providers = [\n");
        for (provider, scopes) in &glance.providers {
            text.push_str(&format!("  {{ name = \"{provider}\", scopes = {scopes:?} }},   # keep what it needs\n"));
        }
        if glance.providers.is_empty() {
            text.push_str("  # { name = \"…\", scopes = [\"…\"] }, once there is a [providers.NAME]\n");
        }
        text.push_str("]\n");
    }
    if imports.asks_for("wasi:http/outgoing-handler") {
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
        assert_eq!(name_of(std::path::Path::new("/x/my_agent.wasm")).unwrap().as_str(), "my_agent");
        assert!(format!("{:#}", name_of(std::path::Path::new("My Agent.wasm")).unwrap_err()).contains("`--name`"));
    }
}
