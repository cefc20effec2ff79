//! Where the host is: its configuration, its data folder and its socket.

use super::Global;
use crate::config::{self, Glance};
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

const CONFIG: &str = "attache.toml";
const DATA_DIR: &str = ".attache";
const SOCKET: &str = "attache.sock";

impl Global {
    /// The configuration that was named, or the one lying here.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Path::new(CONFIG).is_file().then(|| CONFIG.into()))
    }

    /// As [`Global::config_file`], where there is no going on without one.
    pub(super) fn required_config(&self) -> anyhow::Result<PathBuf> {
        let Some(file) = self.config_file() else {
            bail!("there is no `{CONFIG}` here; name the configuration with `--config FILE`");
        };
        Ok(file)
    }

    /// What the configuration says apart from its secrets; none where there is no file.
    pub(super) fn glance(&self) -> anyhow::Result<Option<Glance>> {
        self.config_file().map(|file| Ok(config::glance(&file)?)).transpose()
    }

    /// The socket: named, or in the data folder that is named, configured, or lying here.
    pub(super) fn socket(&self) -> anyhow::Result<PathBuf> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        if let Some(dir) = &self.data_dir {
            return Ok(dir.join(SOCKET));
        }
        let configured = self.glance().context("the host's data folder is not known; name it with `--data-dir`")?;
        Ok(configured.map_or_else(|| DATA_DIR.into(), |glance| glance.data_dir).join(SOCKET))
    }
}
