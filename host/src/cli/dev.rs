//! `attache dev`: an author's loop. The only place that names the room `dev`.

use super::Global;
use super::admin::{Admin, patiently};
use super::audit::Entry;
use super::serve::stopped;
use crate::clock::Clock;
use crate::dev::{self, Addresses, Project};
use crate::ids::AgentName;
use crate::secret::Secret;
use crate::{config, http, sandbox, wiring};
use anyhow::{Context as _, bail};
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// In an agent's folder, or with a component that something else builds.
#[derive(Args)]
#[command(
    after_help = "Starts a host, an identity provider with the users alice and bob, and a calendar, all on loopback and all \
                        forgotten at the end. Rebuilds and redeploys when a source is saved, and prints what the agent asked for.\n\n\
                        Examples:\n  attache dev\n  attache dev --component target/wasm32-wasip2/release/calendar.wasm --name calendar"
)]
pub(super) struct Dev {
    /// Run this component instead of building the project in this folder
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The agent's name [default: the package's or the file's]
    #[arg(long)]
    name: Option<AgentName>,
    /// Build with optimisations
    #[arg(long)]
    release: bool,
    /// The start page's port; the next three are taken too, where they are free
    #[arg(long, default_value_t = 7410)]
    port: u16,
}

const FOLDER: &str = ".attache/dev";

impl Dev {
    pub(super) async fn run(self, _: &Global) -> anyhow::Result<ExitCode> {
        sandbox::harden()?;
        let project = match &self.component {
            Some(file) if !file.is_file() => bail!("there is no component at `{}`", file.display()),
            Some(file) => Project::Component(file.clone()),
            None => Project::open(&std::env::current_dir()?, self.release)?,
        };
        let name = match self.name {
            Some(name) => name,
            None => AgentName::parse(&project.name()).context("say the agent's name with `--name`")?,
        };
        let folder = std::path::absolute(FOLDER)?;
        let admin = Admin::at(folder.join("data/attache.sock"));
        forget_last_run(&folder, &admin).await?;

        let secret = Arc::new(Secret::random());
        let addresses = Addresses::take(self.port)?;
        let host_url = addresses.host_url();
        let file = dev::write_settings(&folder, &addresses, name.as_str(), &secret)
            .with_context(|| format!("`{}` cannot be written", folder.display()))?;
        let mut settings = config::load(&file)?;
        settings.program = Some(std::env::current_exe().context("this program does not know where it is")?);
        let host = patiently("starting the host", wiring::Host::start(settings, Clock::system())).await?;
        let world = dev::start(addresses, name.as_str(), secret)?;
        let mut server = tokio::spawn(http::serve(host, stopped()?));
        until_up(&admin).await?;

        println!("DEVELOPMENT ONLY: everybody on this machine can be anybody here\n");
        println!("  open            {}", world.page);
        println!("  the agent       {host_url}/agents/{name}/invocations");
        println!("  alice's token   curl '{}?user=alice'", world.token_url);
        println!("  the calendar    {}   (provider `google-calendar`)\n", world.third_party);

        let work = async {
            let mut changes = project.watch()?;
            loop {
                if let Err(error) = renew(&project, &name, &admin).await {
                    eprintln!("{:#}", error.context("not deployed"));
                }
                if !changes.next().await {
                    bail!("changes are not told any more");
                }
            }
        };
        tokio::select! {
            ended = &mut server => ended.context("the host broke down")??,
            failed = work => return failed,
            () = tell(&admin) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the last run knew is void: its providers forgot everything when it ended.
async fn forget_last_run(folder: &Path, admin: &Admin) -> anyhow::Result<()> {
    let data = folder.join("data");
    if !data.exists() {
        return Ok(());
    }
    if admin.read("/v1/status", &[]).await.is_ok() {
        bail!("`attache dev` is running in this folder already");
    }
    std::fs::remove_dir_all(&data).with_context(|| format!("`{}` cannot be emptied", data.display()))
}

async fn until_up(admin: &Admin) -> anyhow::Result<()> {
    let mut last = None;
    for _ in 0..200 {
        match admin.read("/v1/status", &[]).await {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no answer"))).context("the host does not come up")
}

/// Builds and deploys once.
async fn renew(project: &Project, name: &AgentName, admin: &Admin) -> anyhow::Result<()> {
    let file = project.build().await?;
    let bytes = std::fs::read(&file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    let digest = crate::ids::Digest::of(&bytes).short();
    let path = super::agents::path(name.as_str(), "deploy")?;
    let query = [("publisher", "you, in development")];
    patiently("compiling the component", admin.send_component(&path, &query, bytes.into())).await?;
    println!("deployed `{name}` {digest}");
    Ok(())
}

/// Prints each audited thing once it has ended. Ends only with the process.
async fn tell(admin: &Admin) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let Ok(reply) = admin.read("/v1/audit", &[("limit", "100")]).await else { continue };
        let Ok(entries) = super::admin::typed::<Vec<Entry>>(&reply) else { continue };
        let oldest = entries.iter().map(|entry| entry.seq).min().unwrap_or(0);
        for entry in entries.iter().rev().filter(|entry| entry.decision.is_some() && entry.is_by_a_user()) {
            if told.insert(entry.seq) {
                println!("  {}", entry.line());
            }
        }
        told.retain(|seq| *seq >= oldest);
    }
}
