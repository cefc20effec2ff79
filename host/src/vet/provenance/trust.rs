//! The trust file: whose keys count, and for whom.

use super::Signer;
use super::key::{KeyError, PublicKey};
use serde::Deserialize;

/// Whose signatures count. Empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Vec<(Signer, PublicKey)>,
}

/// Why a trust file is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No TOML, or with what is not known.
    #[error("the trust file cannot be read: {0}")]
    Unreadable(String),
    /// A key that is none.
    #[error("the key `{name}` of the trust file: {why}")]
    Key {
        /// Its name there.
        name: String,
        /// What is wrong.
        why: KeyError,
    },
    /// Two keys of one name.
    #[error("the trust file has two keys with the name `{0}`; give each its own, such as the year")]
    Twice(String),
    /// Nothing in it.
    #[error(
        "the trust file names no key; write `[[keys]]` with `name` and `public-key`, as `attache sign --new-key` prints it"
    )]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    name: String,
    publisher: Option<String>,
    public_key: String,
}

impl Trust {
    /// From TOML: `[[keys]]`, each with a `name`, a `public-key` in PEM and, if it stands for one, a `publisher`.
    ///
    /// # Errors
    /// [`TrustError`]: nothing of a file that is not understood whole is used.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let lines = error.to_string();
            TrustError::Unreadable(lines.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n  "))
        })?;
        let mut keys: Vec<(Signer, PublicKey)> = Vec::new();
        for Entry { name, publisher, public_key } in file.keys {
            if keys.iter().any(|(known, _)| known.name == name) {
                return Err(TrustError::Twice(name));
            }
            let key = PublicKey::from_pem(&public_key).map_err(|why| TrustError::Key { name: name.clone(), why })?;
            keys.push((Signer { name, publisher, key: key.id() }, key));
        }
        if keys.is_empty() { Err(TrustError::Empty) } else { Ok(Self { keys }) }
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whose signature over these bytes it is.
    pub(super) fn signer(&self, message: &[u8], signature: &[u8]) -> Result<Signer, String> {
        match self.keys.iter().find(|(_, key)| key.verifies(message, signature)) {
            Some((signer, _)) => Ok(signer.clone()),
            None if self.keys.is_empty() => {
                Err("no key is trusted; name a trust file with `--trust FILE` to have it verified".to_owned())
            }
            None => Err(format!(
                "none of the {} keys of the trust file made it over this; add the key of whoever did, if they can be \
                 trusted, or ask for a new signature",
                self.keys.len()
            )),
        }
    }
}
