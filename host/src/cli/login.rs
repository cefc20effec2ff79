//! Who asks a registry, from the command line.

use crate::oci::{Beside, Credentials, Reference, Registry};
use crate::secret::Secret;
use crate::vet::Evidence;
use clap::Args;
use std::path::PathBuf;

/// For registries that want to know who asks.
#[derive(Args, Clone, Default)]
pub(super) struct Login {
    /// The name to log in to the registry with; the password is taken from ATTACHE_REGISTRY_PASSWORD [default: what
    /// ~/.docker/config.json has for the registry]
    #[arg(long, value_name = "NAME", env = "ATTACHE_REGISTRY_USER")]
    registry_user: Option<String>,
}

/// Where the password is taken from: an option would be seen by everybody on the machine.
const PASSWORD: &str = "ATTACHE_REGISTRY_PASSWORD";

impl Login {
    /// The registry of this reference, asked by whoever this is.
    pub(super) fn registry(&self, reference: &Reference) -> anyhow::Result<Registry> {
        let credentials = match &self.registry_user {
            Some(name) => {
                let password = std::env::var(PASSWORD)
                    .map_err(|_| anyhow::anyhow!("there is no password for `{name}`; set {PASSWORD}"))?;
                Some(Credentials::new(name, &Secret::from_text(password)))
            }
            None => {
                let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
                let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
                folder.and_then(|folder| Credentials::from_docker(&folder.join("config.json"), &reference.registry))
            }
        };
        Ok(Registry::new(reference, credentials)?)
    }
}

/// What lies beside a component in a registry, as evidence.
pub(super) async fn evidence(
    registry: &Registry,
    reference: &Reference,
    manifest: &str,
) -> anyhow::Result<Vec<Evidence>> {
    let found = registry.beside(reference, manifest).await?;
    let from = reference.name();
    let of = |one| match one {
        Beside::Signature { payload, signature } => {
            Evidence::Simple { from: format!("a signature in {from}"), payload, signature }
        }
        Beside::Attestation(bytes) => Evidence::Envelope { from: format!("an attestation in {from}"), bytes },
    };
    let bundles = registry.bundles(reference, manifest).await?;
    let bundles = bundles.into_iter().map(|bytes| Evidence::Bundle { from: format!("a bundle in {from}"), bytes });
    Ok(found.into_iter().map(of).chain(bundles).collect())
}
