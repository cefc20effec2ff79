//! The host's configuration for development: an ordinary `attache.toml`, read by the ordinary reader.

use super::{AUDIENCE, Addresses, identity_provider, third_party};
use crate::secret::Secret;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes `attache.toml` and the third party's client secret into this folder, and answers where the former is.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Path, addresses: &Addresses, agent: &str, secret: &Secret) -> io::Result<PathBuf> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    private(&folder.join("third-party-secret"), secret.expose())?;
    let file = folder.join("attache.toml");
    private(&file, text(addresses, agent)?.as_bytes())?;
    Ok(file)
}

/// A new file each time: an old one may have been opened up to others.
fn private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(bytes)
}

fn text(addresses: &Addresses, agent: &str) -> io::Result<String> {
    let (issuer, third_party) = addresses.issuers()?;
    let (listen, public_url) = (addresses.host, addresses.host_url());
    let (sign_in, client, scopes) = (identity_provider::CLIENT, third_party::CLIENT, third_party::SCOPES);
    Ok(format!(
        r#"# Written by `attache dev` at every start. For development only.

[host]
listen = "{listen}"
public_url = "{public_url}"
data_dir = "data"
trust_domain = "dev.test"
account = "development"

[development]
allow_loopback = true

[engine]
max_instances = 20

[sign_in]
issuer = "development"
client_id = "{sign_in}"
client_authentication = "none"

[issuers.development]
issuer = "{issuer}"
algorithms = ["ES256"]

[providers.google-calendar]
display_name = "Development calendar"
issuer = "{third_party}"
client_id = "{client}"
client_secret = {{ file = "third-party-secret" }}
scopes = {scopes:?}
hosts = ["{third_party}/calendar/"]

[[authorizers.default.rules]]
issuer = "development"
audiences = ["{AUDIENCE}"]

[agents.{agent}]
providers = [{{ name = "google-calendar", scopes = {scopes:?} }}]
claims = ["name", "email"]
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_ones_that_the_reader_accepts() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses::take(0).unwrap();
        let file = write(&dir.path().join("dev"), &addresses, "my-agent", &Secret::random()).unwrap();
        let file = write(file.parent().unwrap(), &addresses, "my-agent", &Secret::random()).unwrap();
        let settings = crate::config::load(&file).unwrap_or_else(|error| panic!("{error}"));
        assert!(settings.development && settings.listen.ip().is_loopback());
        assert_eq!(settings.agents[&"my-agent".parse().unwrap()].terms.providers.len(), 1);
    }
}
