//! `attache new`: the project of a new agent, small enough to be read in a minute.

use super::Global;
use crate::ids::AgentName;
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to call it, and where.
#[derive(Args)]
#[command(after_help = "Example:\n  attache new calendar && cd calendar && attache dev")]
pub(super) struct New {
    /// Its name, which is the folder's and the crate's too
    name: AgentName,
    /// Make it in this folder instead of one named after it
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Use the SDK in this folder instead of the published one
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../templates/agent/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../templates/agent/src/lib.rs.txt")),
    ("README.md", include_str!("../../templates/agent/README.md.txt")),
    (".gitignore", include_str!("../../templates/agent/gitignore.txt")),
];

impl New {
    pub(super) fn run(self, _: &Global) -> anyhow::Result<ExitCode> {
        let name = self.name.as_str();
        if !name.as_bytes()[0].is_ascii_lowercase() {
            bail!("`{name}` cannot be a crate: let its name begin with a letter");
        }
        let folder = self.path.clone().unwrap_or_else(|| name.into());
        if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("`{}` is there already and not empty; choose another with `--path`", folder.display());
        }
        let sdk = self.dependency()?;
        for (file, template) in FILES {
            let text = template
                .replace("{{name}}", name)
                .replace("{{file}}", &name.replace('-', "_"))
                .replace("{{sdk}}", &sdk);
            write(&folder.join(file), &text)?;
        }
        println!("`{name}` is in `{0}`; go on with `cd {0} && attache dev`", folder.display());
        Ok(ExitCode::SUCCESS)
    }

    fn dependency(&self) -> anyhow::Result<String> {
        let Some(sdk) = &self.sdk else {
            return Ok(format!("{{ git = \"{}\" }}", env!("CARGO_PKG_REPOSITORY")));
        };
        let sdk = sdk.canonicalize().with_context(|| format!("there is no SDK in `{}`", sdk.display()))?;
        if !sdk.join("Cargo.toml").is_file() {
            bail!("there is no SDK in `{}`: it has no Cargo.toml", sdk.display());
        }
        Ok(format!("{{ path = {:?} }}", sdk.display().to_string()))
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let unwritable = || format!("`{}` cannot be written", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(unwritable)?;
    }
    std::fs::write(file, text).with_context(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn new(folder: &Path) -> anyhow::Result<ExitCode> {
        let path = folder.to_str().unwrap();
        let cli = super::super::Cli::try_parse_from(["attache", "new", "my-agent", "--path", path]).unwrap();
        super::super::run(cli)
    }

    #[test]
    fn a_project_is_complete_and_never_written_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made");
        new(&folder).unwrap();
        for (file, _) in FILES {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(!text.contains("{{"), "{file} still has a placeholder");
        }
        let manifest: toml::Table = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("my-agent"));
        assert!(new(&folder).unwrap_err().to_string().contains("not empty"));
    }
}
