//! `attache grants`: what users granted, and undoing it.

use super::Global;
use super::admin::{Admin, printed, typed};
use super::table::{Table, list, time};
use crate::clock::Timestamp;
use crate::ids::{GrantId, UserId};
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use std::process::ExitCode;

/// Lists them unless told otherwise.
#[derive(Args)]
#[command(after_help = "Examples:\n  attache grants --user alice\n  attache grants revoke 5f0c6a1e…")]
pub(super) struct Grants {
    #[command(subcommand)]
    deed: Option<Deed>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Args)]
struct Wanted {
    /// Of this user (`sub`)
    #[arg(long)]
    user: Option<String>,
    /// To this agent
    #[arg(long)]
    agent: Option<String>,
    /// At this provider
    #[arg(long)]
    provider: Option<String>,
}

#[derive(Subcommand)]
enum Deed {
    /// All that match
    List {
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Undo one: the agent has to ask again, and the provider is told
    Revoke {
        /// Its id, as the list shows it
        id: GrantId,
    },
}

#[derive(Deserialize)]
struct Grant {
    id: String,
    agent: String,
    user: UserId,
    provider: String,
    #[serde(default)]
    granted: Vec<String>,
    created_at: Option<Timestamp>,
}

impl Grants {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let admin = Admin::of(global)?;
        let wanted = match self.deed {
            None => self.wanted,
            Some(Deed::List { wanted }) => wanted,
            Some(Deed::Revoke { id }) => {
                let reply = admin.change(Method::DELETE, &format!("/v1/grants/{id}"), None).await?;
                if !printed(global.format, &reply) {
                    println!(
                        "grant {id} is revoked here; the provider is being told (`attache audit --action provider.revoke`)"
                    );
                }
                return Ok(ExitCode::SUCCESS);
            }
        };
        let given = [("user", &wanted.user), ("agent", &wanted.agent), ("provider", &wanted.provider)];
        let query: Vec<(&str, &str)> =
            given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let reply = admin.read("/v1/grants", &query).await?;
        if printed(global.format, &reply) {
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["grant", "user", "agent", "provider", "scopes", "since"]);
        for grant in typed::<Vec<Grant>>(&reply)? {
            table.row([
                grant.id,
                grant.user.to_string(),
                grant.agent,
                grant.provider,
                list(&grant.granted),
                grant.created_at.map_or("-".into(), time),
            ]);
        }
        table.print("nobody granted anything that matches");
        Ok(ExitCode::SUCCESS)
    }
}
