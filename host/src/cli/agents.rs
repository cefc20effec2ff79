//! `attache agents`: the directory.

use super::Global;
use super::admin::{Admin, patiently, printed, typed};
use super::deploy::agreed;
use super::table::{Table, list, printable, time};
use crate::clock::Timestamp;
use crate::directory::Killed;
use crate::ids::{AgentName, Digest, ProviderName};
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use url::form_urlencoded;

/// Lists them unless told otherwise.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  attache agents\n  attache agents show calendar\n  attache agents suspend rogue\n  \
                        attache agents create reporting --publisher \"Example Ltd\"\n  \
                        attache agents bind reporting --provider google-calendar --scopes calendar.read\n  \
                        attache agents delete reporting"
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
    /// The versions that ever ran under a name, the newest first
    Versions {
        /// Its name
        name: String,
    },
    /// Give it back a version that ran before
    RollBack {
        /// Its name
        name: String,
        /// Which: sha256:… [default: the one before the present]
        digest: Option<Digest>,
    },
    /// Hold it to the version that it runs: nothing else is deployed under its name until it is let go
    Pin {
        /// Its name
        name: String,
    },
    /// Let another version be deployed again
    Unpin {
        /// Its name
        name: String,
    },
    /// Let bytes run nowhere on this host, under whatever name, and stop what runs of them
    Kill {
        /// Which: sha256:…
        digest: Digest,
        /// Why; shown to whoever wants to deploy it
        #[arg(long)]
        reason: String,
    },
    /// Let them run again
    Revive {
        /// Which: sha256:…
        digest: Digest,
    },
    /// What may run nowhere on this host, and why
    Killed,
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
        /// A tag; may be repeated
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
    },
    /// Replace where a browser may be sent after a consent
    Update {
        /// Its name
        name: String,
        /// One of the new URLs; may be repeated. Without any, there are none any more
        #[arg(long = "return-url", value_name = "URL")]
        return_urls: Vec<String>,
    },
    /// Delete it for good, with every grant and token of its
    Delete {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Let it use a credential provider, besides what the configuration says
    Bind {
        /// Its name
        name: String,
        /// Which
        #[arg(long)]
        provider: String,
        /// The most that it may ask for
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// Take back what `bind` gave; acts on the next call of whatever runs
    Unbind {
        /// Its name
        name: String,
        /// Which
        #[arg(long)]
        provider: String,
    },
    /// Put tags on it
    Tag {
        /// Its name
        name: String,
        /// The tags
        #[arg(value_name = "KEY=VALUE", value_parser = tag, required = true)]
        tags: Vec<(String, String)>,
    },
    /// Take tags off it
    Untag {
        /// Its name
        name: String,
        /// Their keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

/// `team=payments`.
fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a tag as `KEY=VALUE`")?;
    Ok((key.to_owned(), value.to_owned()))
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
    pub(super) version: Option<Version>,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    allowed_return_urls: Vec<String>,
    #[serde(default)]
    providers: Vec<Bound>,
    #[serde(default)]
    egress: Vec<String>,
    #[serde(default)]
    claims: Vec<String>,
    #[serde(default)]
    configured_return_urls: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    reveal: bool,
    #[serde(default)]
    any_provider: bool,
    #[serde(default)]
    trusts_user_ids: bool,
    #[serde(default)]
    users: u64,
}

#[derive(Deserialize)]
pub(super) struct Version {
    digest: String,
    #[serde(default)]
    deployed_by: String,
    deployed_at: Option<Timestamp>,
    /// Where it came from, where that is known.
    source: Option<String>,
    /// What it could use a grant for, and says that it will.
    #[serde(default)]
    pub(super) authority: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bound {
    #[serde(alias = "provider")]
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    at_run_time: bool,
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
            Deed::Versions { name } => {
                let reply = admin.read(&path(&name, "versions")?, &[]).await?;
                if !printed(global.format, &reply) {
                    history(&typed::<Vec<Version>>(&reply)?);
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::RollBack { name, digest } => {
                let body = json!({ "to": digest });
                (
                    admin.change(Method::POST, &path(&name, "roll-back")?, Some(body)).await?,
                    name,
                    "runs that version again",
                )
            }
            Deed::Pin { name } => {
                (admin.change(Method::POST, &path(&name, "pin")?, None).await?, name, "is held to its version")
            }
            Deed::Unpin { name } => {
                (admin.change(Method::POST, &path(&name, "unpin")?, None).await?, name, "may be given another version")
            }
            Deed::Kill { digest, reason } => {
                let body = json!({ "reason": reason });
                let reply = admin.change(Method::PUT, &format!("/v1/killed/{digest}"), Some(body)).await?;
                if !printed(global.format, &reply) {
                    println!("{digest} runs nowhere on this host any more");
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::Revive { digest } => {
                let reply = admin.change(Method::DELETE, &format!("/v1/killed/{digest}"), None).await?;
                if !printed(global.format, &reply) {
                    println!("{digest} may run on this host again");
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::Killed => {
                let reply = admin.read("/v1/killed", &[]).await?;
                if !printed(global.format, &reply) {
                    let mut table = Table::new(&["digest", "when", "by", "why"]);
                    for one in typed::<Vec<Killed>>(&reply)? {
                        table.row([one.digest.to_string(), time(one.at), one.by, one.reason]);
                    }
                    table.print("nothing is: `attache agents kill DIGEST --reason WHY` stops a version for good");
                }
                return Ok(ExitCode::SUCCESS);
            }
            Deed::Create { name, publisher, return_urls, tags } => {
                let tags: BTreeMap<_, _> = tags.into_iter().collect();
                let body =
                    json!({ "name": name, "publisher": publisher, "allowed_return_urls": return_urls, "tags": tags });
                (admin.change(Method::POST, "/v1/workloads", Some(body)).await?, name, "has a workload identity now")
            }
            Deed::Update { name, return_urls } => {
                let body = json!({ "allowed_return_urls": return_urls });
                (admin.change(Method::PATCH, &at(&name)?, Some(body)).await?, name, "has these return URLs now")
            }
            Deed::Delete { name, yes } => {
                let place = at(&name)?;
                if !yes && !agreed("delete", &format!("delete `{name}`, and revoke all that users granted to it?"))? {
                    println!("nothing was deleted");
                    return Ok(ExitCode::FAILURE);
                }
                let deleted = admin.change(Method::DELETE, &place, None);
                (patiently("the host revokes what users granted", deleted).await?, name, "is deleted")
            }
            Deed::Bind { name, provider, scopes } => {
                let body = json!({ "scopes": scopes });
                let place = provider_at(&name, &provider)?;
                (admin.change(Method::PUT, &place, Some(body)).await?, name, "may use it from its next call on")
            }
            Deed::Unbind { name, provider } => {
                let place = provider_at(&name, &provider)?;
                (admin.change(Method::DELETE, &place, None).await?, name, "may not use it any more")
            }
            Deed::Tag { name, tags } => {
                let body = json!(tags.into_iter().collect::<BTreeMap<_, _>>());
                (admin.change(Method::PUT, &path(&name, "tags")?, Some(body)).await?, name, "has these tags now")
            }
            Deed::Untag { name, keys } => {
                let query = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(keys.iter().map(|key| ("key", key)))
                    .finish();
                let place = format!("{}?{query}", path(&name, "tags")?);
                (admin.change(Method::DELETE, &place, None).await?, name, "does not have these tags any more")
            }
        };
        let (reply, name, what) = reply;
        if !printed(global.format, &reply) {
            println!("agent `{}` {what}", printable(&name));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn history(versions: &[Version]) {
    let mut table = Table::new(&["digest", "deployed", "by", "from"]);
    for version in versions {
        table.row([
            version.digest.clone(),
            version.deployed_at.map_or("-".into(), time),
            version.deployed_by.clone(),
            version.source.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    table.print("nothing was ever deployed under this name");
}

/// A name goes into a path, so it is checked before.
pub(super) fn path(name: &str, deed: &str) -> anyhow::Result<String> {
    Ok(format!("/v1/agents/{}/{deed}", AgentName::parse(name)?))
}

fn at(name: &str) -> anyhow::Result<String> {
    Ok(format!("/v1/agents/{}", AgentName::parse(name)?))
}

fn provider_at(name: &str, provider: &str) -> anyhow::Result<String> {
    path(name, &format!("providers/{}", ProviderName::parse(provider)?))
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
            [
                list(&credentials).as_str(),
                if agent.any_provider { " ANY PROVIDER" } else { "" },
                if agent.trusts_user_ids { " UNVERIFIED USERS" } else { "" },
                if agent.reveal { " REVEAL" } else { "" },
            ]
            .concat(),
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
            for what in &version.authority {
                line("wants", what.clone());
            }
            if agent.pinned {
                line("", "held to this version".into());
            }
            if let Some(source) = &version.source {
                line("from", source.clone());
            }
        }
        None => line("digest", "nothing is deployed".into()),
    }
    for bound in &agent.providers {
        let how = if bound.at_run_time { ", bound at run time" } else { "" };
        line("credential", format!("{}: {} at {}{how}", bound.name, list(&bound.scopes), list(&bound.hosts)));
    }
    if agent.any_provider {
        line("credentials", "of EVERY provider, with all that it offers: its operator trusts it like itself".into());
    }
    if agent.trusts_user_ids {
        line("users", "it may name its users WITHOUT PROOF".into());
    }
    line("plain egress", list(&agent.egress));
    line("claims", list(&agent.claims));
    line("reveal", if agent.reveal { "yes: it can turn credentials into bytes".into() } else { "no".into() });
    line("return URLs", list(&agent.allowed_return_urls));
    if !agent.configured_return_urls.is_empty() {
        line("", format!("{}, by the configuration", list(&agent.configured_return_urls)));
    }
    let tags: Vec<String> = agent.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    line("tags", list(&tags));
    line("granted by", format!("{} users", agent.users));
}

/// `sha256:` and the first 12 digits.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}
