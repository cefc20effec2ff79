//! The trust file: whose keys and identities count, and for whom.

use super::key::{KeyError, PublicKey};
use super::{By, Signer};
use serde::{Deserialize, Serialize};
use sigstore_verify::trust_root::TrustedRoot;

/// Whose signatures count. Empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Vec<(Signer, PublicKey)>,
    identities: Vec<Identity>,
    root: Option<Box<TrustedRoot>>,
}

/// A trust file as it was read, with the file that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustFile {
    /// TOML.
    pub text: String,
    /// What stands in the file that `trusted-root` names.
    pub trusted_root: Option<String>,
}

/// Who may sign without a key.
#[derive(Debug, Clone)]
struct Identity {
    name: String,
    publisher: Option<String>,
    issuer: String,
    subjects: Subjects,
}

/// What an issuer calls them: one, or all that begin so.
#[derive(Debug, Clone)]
enum Subjects {
    Just(String),
    Under(String),
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
    /// An identity that is none, or would be more than one meant.
    #[error("the identity `{name}` of the trust file: {why}")]
    Identity {
        /// Its name there.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Two of one name.
    #[error("the trust file has two signers with the name `{0}`; give each its own, such as the year")]
    Twice(String),
    /// Identities, and nothing that vouches for them.
    #[error(
        "the trust file names identities and no trusted root; write `trusted-root = \"trusted_root.json\"` at its top, with \
         the file that `cosign trusted-root create` writes or your Sigstore instance publishes"
    )]
    NoRoot,
    /// The trusted root is none.
    #[error("the trusted root that the trust file names cannot be used: {0}")]
    Root(String),
    /// Nothing in it.
    #[error(
        "the trust file names nobody; write `[[keys]]` with `name` and `public-key`, as `attache sign --new-key` prints it, \
         or `[[identities]]` with `name`, `issuer` and `subject`"
    )]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    trusted_root: Option<String>,
    #[serde(default)]
    keys: Vec<KeyEntry>,
    #[serde(default)]
    identities: Vec<IdentityEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KeyEntry {
    name: String,
    publisher: Option<String>,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct IdentityEntry {
    name: String,
    publisher: Option<String>,
    issuer: String,
    subject: String,
}

impl TrustFile {
    /// One that names no trusted root, or one that was not read.
    pub fn alone(text: impl Into<String>) -> Self {
        Self { text: text.into(), trusted_root: None }
    }

    /// The path that a trust file names its trusted root by, as it stands there: relative to itself.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`].
    pub fn root_of(text: &str) -> Result<Option<String>, TrustError> {
        Ok(File::read(text)?.trusted_root)
    }
}

impl File {
    fn read(text: &str) -> Result<Self, TrustError> {
        toml::from_str(text).map_err(|error| {
            let lines = error.to_string();
            TrustError::Unreadable(lines.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n  "))
        })
    }
}

impl Trust {
    /// From TOML: `[[keys]]`, each with a `name`, a `public-key` in PEM and, if it stands for one, a `publisher`; and
    /// `[[identities]]`, each with a `name`, an `issuer`, a `subject` and perhaps a `publisher`, which need a `trusted-root`.
    ///
    /// # Errors
    /// [`TrustError`]: nothing of a file that is not understood whole is used.
    pub fn parse(file: &TrustFile) -> Result<Self, TrustError> {
        let File { trusted_root, keys, identities } = File::read(&file.text)?;
        let mut trust = Self::default();
        for KeyEntry { name, publisher, public_key } in keys {
            trust.no_other(&name)?;
            let key = PublicKey::from_pem(&public_key).map_err(|why| TrustError::Key { name: name.clone(), why })?;
            trust.keys.push((Signer { name, publisher, by: By::Key(key.id()) }, key));
        }
        for IdentityEntry { name, publisher, issuer, subject } in identities {
            trust.no_other(&name)?;
            let subjects = Subjects::parse(&subject).map_err(|why| TrustError::Identity { name: name.clone(), why })?;
            if issuer.is_empty() {
                return Err(TrustError::Identity { name, why: "it has no issuer" });
            }
            trust.identities.push(Identity { name, publisher, issuer, subjects });
        }
        trust.root = match (trusted_root, &file.trusted_root) {
            (None, _) if trust.identities.is_empty() => None,
            (None, _) => return Err(TrustError::NoRoot),
            (Some(_), None) => return Err(TrustError::Root("it was not read".to_owned())),
            (Some(_), Some(json)) => Some(Box::new(root(json)?)),
        };
        if trust.is_empty() { Err(TrustError::Empty) } else { Ok(trust) }
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.identities.is_empty()
    }

    fn no_other(&self, name: &str) -> Result<(), TrustError> {
        let mut names =
            self.keys.iter().map(|(signer, _)| &signer.name).chain(self.identities.iter().map(|of| &of.name));
        if names.any(|known| known == name) { Err(TrustError::Twice(name.to_owned())) } else { Ok(()) }
    }

    /// What vouches for identities.
    pub(super) fn root(&self) -> Option<&TrustedRoot> {
        self.root.as_deref()
    }

    /// Whose signature over these bytes it is.
    pub(super) fn signer(&self, message: &[u8], signature: &[u8]) -> Result<Signer, String> {
        match self.keys.iter().find(|(_, key)| key.verifies(message, signature)) {
            Some((signer, _)) => Ok(signer.clone()),
            None if self.is_empty() => {
                Err("no key is trusted; name a trust file with `--trust FILE` to have it verified".to_owned())
            }
            None if self.keys.is_empty() => {
                Err("a key made it, and the trust file names none; add it under `[[keys]]`, if it can be trusted"
                    .to_owned())
            }
            None => Err(format!(
                "none of the {} keys of the trust file made it over this; add the key of whoever did, if they can be \
                 trusted, or ask for a new signature",
                self.keys.len()
            )),
        }
    }

    /// Whom an identity is that was verified.
    pub(super) fn identity(&self, issuer: &str, subject: &str) -> Result<Signer, String> {
        let named = self.identities.iter().find(|one| one.issuer == issuer && one.subjects.take_in(subject));
        let (known, said) = (subject.escape_debug(), issuer.escape_debug());
        let Identity { name, publisher, .. } = named.ok_or_else(|| {
            format!(
                "`{known}` made it, as `{said}` says, and the trust file does not name them; add them under \
                 `[[identities]]`, if they can be trusted"
            )
        })?;
        let by = By::Identity { issuer: issuer.to_owned(), subject: subject.to_owned() };
        Ok(Signer { name: name.clone(), publisher: publisher.clone(), by })
    }
}

/// A trusted root that could verify something.
fn root(json: &str) -> Result<TrustedRoot, TrustError> {
    let root = TrustedRoot::from_json(json).map_err(|error| TrustError::Root(error.to_string()))?;
    sigstore_verify::Verifier::new(&root).map_err(|error| TrustError::Root(error.to_string()))?;
    Ok(root)
}

impl Subjects {
    /// As it is; with a `*` at the end, where that stands for a part of the address of a workflow, everything under it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once('*') {
            None if text.is_empty() => Err("it has no subject"),
            None => Ok(Self::Just(text.to_owned())),
            // `https://host/*` would be everybody whom the issuer knows there.
            Some((start, ""))
                if start.starts_with("https://")
                    && start.ends_with(['/', '@'])
                    && start[8..].matches('/').count() > 1 =>
            {
                Ok(Self::Under(start.to_owned()))
            }
            Some(_) => Err(
                "a `*` stands at the end alone, after a `/` or `@`, in an address that begins with `https://` and names \
                 whose it is, such as `https://github.com/acme/agent/.github/workflows/release.yml@refs/tags/*`",
            ),
        }
    }

    fn take_in(&self, subject: &str) -> bool {
        match self {
            Self::Just(text) => text == subject,
            Self::Under(start) => subject.strip_prefix(start.as_str()).is_some_and(|rest| !rest.is_empty()),
        }
    }
}
