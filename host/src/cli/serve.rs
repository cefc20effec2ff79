//! `attache serve`: the host, until it is told to stop.

use super::Global;
use super::admin::patiently;
use crate::clock::Clock;
use crate::config::Settings;
use crate::{config, http, sandbox, wiring};
use anyhow::Context as _;
use clap::Args;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Everything is in the configuration.
#[derive(Args)]
#[command(
    after_help = "The configuration is read once. SIGTERM or SIGINT lets invocations in flight end, then stops.\n\n\
                        Example:\n  attache serve --config /etc/attache/attache.toml"
)]
pub(super) struct Serve {
    /// Start with a database that lacks what was written before: the record that the refusal names. For this start alone
    #[arg(long, value_name = "RECORD")]
    accept_database: Option<u64>,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        sandbox::harden()?;
        let mut settings = config::load(&global.required_config()?)?;
        if let Some(dir) = &global.data_dir {
            settings.data_dir = std::path::absolute(dir)?;
        }
        settings.accept_database = self.accept_database;
        settings.program = Some(std::env::current_exe().context("this program does not know where it is")?);
        announce(&settings);
        let host = patiently("starting", wiring::Host::start(settings, Clock::system())).await?;
        http::serve(host, stopped()?).await?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}

fn announce(settings: &Settings) {
    if settings.development {
        tracing::warn!("=====================================================================================");
        tracing::warn!("DEVELOPMENT: loopback addresses and plain http are allowed. Never serve real users so.");
        tracing::warn!("=====================================================================================");
    }
    let tls = match (&settings.tls, &settings.proxy) {
        (Some(_), _) => "TLS ends here",
        (None, Some(_)) => "TLS ends at the proxy",
        (None, None) => "no TLS",
    };
    tracing::info!(
        listen = %settings.listen,
        public_url = %settings.public_url,
        data = %settings.data_dir.display(),
        providers = settings.providers.len(),
        agents = settings.agents.len(),
        "{tls}"
    );
    if settings.sign_in.is_none() {
        tracing::info!("there is no `[sign_in]`: users cannot consent at this host's own pages");
    }
}

/// Resolves at the first SIGTERM or SIGINT.
pub(super) fn stopped() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; invocations in flight may end");
    })
}
