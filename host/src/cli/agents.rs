//! `attache agents`: the directory.

use super::Global;
use super::admin::{Admin, printed, typed};
use super::table::{Table, list, printable, time};
use crate::clock::Timestamp;
use crate::ids::Digest;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use std::process::ExitCode;

/// Lists them unless told otherwise.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  attache agents\n  attache agents show calendar\n  attache agents suspend rogue\n  \
                        attache agents create reporting --publisher \"Example Ltd\""
)]
pub(super) struct Agents {
    #[command(subcommand)]
    deed: Option<Deed>,
}

#[derive(Subcommand)]
enum Deed {
    /// All of them
    List,
    /// One of them, in full
    Show {
        /// Its name
        name: String,
    },
    /// Refuse every invocation until it is resumed
    Suspend {
        /// Its name
        name: String,
    },
    /// Let it be invoked again
    Resume {
        /// Its name
        name: String,
    },
    /// Make a workload identity by hand, without deploying a component
    Create {
        /// Its name
        name: String,
        /// Who stands behind it; shown to users who are asked for consent
        #[arg(long)]
        publisher: String,
        /// Where a browser may be sent after a consent; may be repeated
        #[arg(long = "return-url", value_name = "URL")]
        return_urls: Vec<String>,
    },
}

/// An agent as the host tells of it.
#[derive(Deserialize)]
pub(super) struct Agent {
    pub(super) name: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    pub(super) publisher: String,
    #[serde(default)]
    created_by: String,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    #[serde(default)]
    state: String,
    version: Option<Version>,
    #[serde(default)]
    allowed_return_urls: Vec<String>,
    #[serde(default)]
    providers: Vec<Bound>,
    #[serde(default)]
    egress: Vec<String>,
    #[serde(default)]
    claims: Vec<String>,
    #[serde(default)]
    reveal: bool,
    #[serde(default)]
    users: u64,
}

#[derive(Deserialize)]
struct Version {
    digest: String,
    #[serde(default)]
    deployed_by: String,
    deployed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Bound {
    #[serde(alias = "provider")]
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
}

impl Agent {
    /// Whether the version that it runs has this digest.
    pub(super) fn runs(&self, digest: &Digest) -> bool {
        self.version.as_ref().is_some_and(|version| version.digest == digest.to_string())
    }
}

impl Agents {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let admin = Admin::of(global)?;
        let reply = match self.deed.unwrap_or(Deed::List) {
            Deed::List => {
                let reply = admin.read("/v1/agents", &[]).await?;
                if !printed(global.format, &reply) {
                    overview(&typed::<Vec<Agent>>(&reply)?);
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::Show { name } => {
                let reply = admin.read("/v1/agents", &[]).await?;
                let found = reply.as_array().and_then(|all| all.iter().find(|agent| agent["name"] == name.as_str()));
                let Some(found) = found else {
                    anyhow::bail!("agent `{name}` is not registered; `attache agents` lists those that are");
                };
                if !printed(global.format, found) {
                    show(&typed(found)?);
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::Suspend { name } => {
                (admin.change(Method::POST, &path(&name, "suspend")?, None).await?, name, "is suspended")
            }
            Deed::Resume { name } => {
                (admin.change(Method::POST, &path(&name, "resume")?, None).await?, name, "may be invoked again")
            }
            Deed::Create { name, publisher, return_urls } => {
                let body =
                    serde_json::json!({ "name": name, "publisher": publisher, "allowed_return_urls": return_urls });
                (admin.change(Method::POST, "/v1/workloads", Some(body)).await?, name, "has a workload identity now")
            }
        };
        let (reply, name, what) = reply;
        if !printed(global.format, &reply) {
            println!("agent `{}` {what}", printable(&name));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A name goes into a path, so it is checked before.
pub(super) fn path(name: &str, deed: &str) -> anyhow::Result<String> {
    Ok(format!("/v1/agents/{}/{deed}", crate::ids::AgentName::parse(name)?))
}

fn overview(agents: &[Agent]) {
    let mut table = Table::new(&["agent", "state", "publisher", "origin", "digest", "made by", "credentials", "users"]);
    for agent in agents {
        let credentials: Vec<String> =
            agent.providers.iter().map(|bound| format!("{}({})", bound.name, bound.scopes.join(","))).collect();
        table.row([
            agent.name.clone(),
            agent.state.clone(),
            agent.publisher.clone(),
            agent.origin.clone(),
            agent.version.as_ref().map_or("-".into(), |version| short(&version.digest)),
            agent.created_by.clone(),
            list(&credentials) + if agent.reveal { " REVEAL" } else { "" },
            agent.users.to_string(),
        ]);
    }
    table.print("no agent is registered; run `attache deploy FILE`");
    if !agents.is_empty() {
        println!("\n{} in all", agents.len());
    }
}

fn show(agent: &Agent) {
    let line = |name: &str, value: String| println!("{name:<14}{}", printable(&value));
    let moment = |at: Option<Timestamp>| at.map_or("-".into(), time);
    line("agent", agent.name.clone());
    line("id", agent.id.clone());
    line("state", agent.state.clone());
    line("publisher", agent.publisher.clone());
    line("origin", agent.origin.clone());
    line("made", format!("{} by {}", moment(agent.created_at), agent.created_by));
    line("changed", moment(agent.updated_at));
    match &agent.version {
        Some(version) => {
            line("digest", version.digest.clone());
            line("deployed", format!("{} by {}", moment(version.deployed_at), version.deployed_by));
        }
        None => line("digest", "nothing is deployed".into()),
    }
    for bound in &agent.providers {
        line("credential", format!("{}: {} at {}", bound.name, list(&bound.scopes), list(&bound.hosts)));
    }
    line("plain egress", list(&agent.egress));
    line("claims", list(&agent.claims));
    line("reveal", if agent.reveal { "yes: it can turn credentials into bytes".into() } else { "no".into() });
    line("return URLs", list(&agent.allowed_return_urls));
    line("granted by", format!("{} users", agent.users));
}

/// `sha256:` and the first 12 digits.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}
