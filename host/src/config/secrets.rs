//! Secrets by reference: `{ file = "…" }` or `{ env = "…" }`, never inline.

use super::Context;
use crate::providers::{self, SecretFile, SecretSource};
use crate::secret::Secret;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where a secret is. Reading the configuration does not read it; [`SecretRef::resolve`] does.
pub(super) enum SecretRef {
    File(PathBuf),
    Env(String),
}

/// What is read in place of `[…]`'s secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// The secrets themselves.
    Resolved,
    /// Nothing: whoever only looks at the configuration does not need to be able to read them.
    Left,
}

impl<'de> Deserialize<'de> for SecretRef {
    /// Reads the value first and judges it afterwards, so that no message of the parser repeats an inline secret.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from)?;
        let text = |value: &toml::Value| value.as_str().map(str::to_owned);
        let reference = match value.as_table() {
            Some(table) if table.len() == 1 => {
                let file = table.get("file").and_then(text).map(|path| Self::File(path.into()));
                file.or_else(|| table.get("env").and_then(text).map(Self::Env))
            }
            _ => None,
        };
        reference.ok_or_else(|| {
            D::Error::custom(
                "secrets do not stand in this file; write `{ file = \"path\" }` or `{ env = \"NAME\" }` instead, \
                 and replace the secret if others could read it here",
            )
        })
    }
}

impl SecretRef {
    /// The secret. A file is relative to the configuration's folder; one line ending after it is not part of it.
    pub(super) fn resolve(&self, context: &Context<'_>) -> Result<Arc<Secret>, String> {
        providers::line(&self.read(context)?, &self.to_string()).map(Arc::new)
    }

    /// As it is, in as many lines as it has: a key in PEM.
    pub(super) fn resolve_lines(&self, context: &Context<'_>) -> Result<Secret, String> {
        Ok(Secret::new(self.read(context)?.to_vec()))
    }

    fn read(&self, context: &Context<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::File(path) => {
                let path = context.base.join(path);
                apart(&path, context.shared.as_deref())?;
                providers::read_private(&path).map(|(_, bytes)| bytes)
            }
            Self::Env(name) => {
                use std::os::unix::ffi::OsStringExt as _;
                let value = std::env::var_os(name).ok_or_else(|| {
                    format!("the environment variable `{name}` is not set; set it or use `{{ file = \"…\" }}`")
                })?;
                Ok(Zeroizing::new(value.into_vec()))
            }
        }
    }

    /// The secret as it is at each use: what is in a file is looked at again, what is in the environment does not change.
    pub(super) fn source(&self, context: &Context<'_>) -> Result<SecretSource, String> {
        let secret = self.resolve(context)?;
        Ok(match self {
            Self::File(path) => SecretSource::File(SecretFile::new(context.base.join(path), None)),
            Self::Env(_) => SecretSource::Fixed(secret),
        })
    }
}

/// Refuses a file of the folder that `[secrets]` names: whoever may make a provider chooses where such a secret is sent, and
/// the secrets of this file are the operator's alone.
fn apart(path: &Path, shared: Option<&Path>) -> Result<(), String> {
    // What is not there cannot be read either, and is told so then.
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    match (shared.and_then(real), real(path)) {
        (Some(shared), Some(file)) if file.starts_with(&shared) => Err(format!(
            "the secret file `{}` is in the folder of `[secrets]`, from which whoever may make providers can have secrets \
             sent anywhere; move it out of there",
            path.display()
        )),
        _ => Ok(()),
    }
}

/// Where it is, for messages.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, SecretRef) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, SecretRef::File("secret".into()))
    }

    fn at(base: &Path) -> Context<'_> {
        Context { base, secrets: Secrets::Resolved, development: false, shared: None, own: None }
    }

    #[test]
    fn a_secret_of_the_configuration_is_none_that_callers_may_name() {
        let (dir, reference) = file(b"s3cret", 0o600);
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        for (shared, apart) in
            [(kept, true), (dir.path().join("nowhere"), true), (dir.path().into(), false), (link, false)]
        {
            let context = Context { shared: Some(shared.clone()), ..at(dir.path()) };
            let read = reference.resolve(&context);
            assert_eq!(read.is_ok(), apart, "{}", shared.display());
            assert!(read.err().is_none_or(|error| error.contains("move it out of there")));
        }
    }

    #[test]
    fn a_private_file_is_read_without_its_line_ending() {
        let (dir, reference) = file(b"s3cret\n", 0o600);
        assert!(reference.resolve(&at(dir.path())).unwrap().matches(&Secret::from_text("s3cret".into())));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_without_repeating_it() {
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let (dir, reference) = file(b"s3cret", mode);
            let error = reference.resolve(&at(dir.path())).err().unwrap();
            assert!(error.contains("readable by others; run `chmod 600"), "{error}");
            assert!(!error.contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for bytes in [&b""[..], b"\n", b"two\nlines", b"\xff\xfe"] {
            let (dir, reference) = file(bytes, 0o600);
            assert!(reference.resolve(&at(dir.path())).is_err(), "{bytes:?}");
        }
        assert!(SecretRef::File("/nowhere/at/all".into()).resolve(&at(Path::new("/"))).is_err());
        assert!(SecretRef::Env("ATTACHE_TEST_SURELY_UNSET".into()).resolve(&at(Path::new("/"))).is_err());
    }

    #[test]
    fn an_inline_secret_is_refused_without_repeating_it() {
        #[derive(Deserialize)]
        struct Holder {
            #[expect(dead_code, reason = "only whether it parses matters")]
            secret: SecretRef,
        }
        for value in
            ["\"s3cret\"", "5318008", "{ value = \"s3cret\" }", "[\"s3cret\"]", "{ file = \"a\", env = \"b\" }"]
        {
            let error = toml::from_str::<Holder>(&format!("secret = {value}")).err().unwrap();
            assert!(error.message().starts_with("secrets do not stand in this file"), "{error}");
            assert!(!error.message().contains("s3cret") && !error.message().contains("5318008"));
        }
    }
}
