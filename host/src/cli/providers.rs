//! `attache providers`: the credential providers that the configuration names.

use super::Global;
use super::admin::{Admin, printed, typed};
use super::table::{Table, list};
use clap::Args;
use serde::Deserialize;
use std::process::ExitCode;

/// Lists them.
#[derive(Args)]
#[command(after_help = "They are configured under `[providers.NAME]`. Their secrets are never shown.")]
pub(super) struct Providers {}

#[derive(Deserialize)]
struct Provider {
    name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    redirect_uri: Option<String>,
}

impl Providers {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let reply = Admin::of(global)?.read("/v1/providers", &[]).await?;
        if printed(global.format, &reply) {
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["provider", "shown as", "scopes", "hosts", "redirect URI"]);
        for provider in typed::<Vec<Provider>>(&reply)? {
            table.row([
                provider.name,
                provider.display_name,
                list(&provider.scopes),
                list(&provider.hosts),
                provider.redirect_uri.unwrap_or_else(|| "-".into()),
            ]);
        }
        table.print("no provider is configured; add `[providers.NAME]` to the configuration");
        Ok(ExitCode::SUCCESS)
    }
}
