//! The host as an issuer of tokens about its workloads, which other systems can check by OpenID Connect's discovery.

use super::Workload;
use crate::clock::Timestamp;
use crate::ids::InvocationId;
use crate::jose::{KeyError, SignError, SigningAlgorithm, SigningKey};
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// The claim that holds the digest of the component that runs, as `sha256:…`. A name of our own namespace, so that it
/// meets no other's (RFC 7519 §4.2).
pub const DIGEST_CLAIM: &str = "urn:attache:digest";
/// No workload token lives longer.
pub const LONGEST_WORKLOAD_TOKEN: Duration = Duration::from_secs(60 * 60);
/// More than a dozen keys; a larger file is none of ours.
const LARGEST: u64 = 64 * 1024;
/// What is made at the first start. Some systems take only RS256 (OIDC Core §15.1 has everybody take it), others want ES256.
const MADE: [SigningAlgorithm; 2] = [SigningAlgorithm::Es256, SigningAlgorithm::Rs256];

/// Signs what this host says of its workloads. No `Debug`: it holds private keys.
pub struct WorkloadIssuer {
    issuer: String,
    keys: Vec<SigningKey>,
}

/// Why there are no keys to sign tokens with.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Others may read it, so it may be known to others.
    #[error(
        "the token keys `{}` are readable by others (mode {mode:o}); move them away to have new ones made, or `chmod 600` \
         them if nobody has read them",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("the token keys `{}` cannot be used; restore them, or move them away to have new ones made", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// One of the two algorithms has no key.
    #[error("the token keys `{}` hold none for `{algorithm}`; add one, or move them away to have new ones made", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Which.
        algorithm: SigningAlgorithm,
    },
    /// No new keys.
    #[error("no token keys can be made")]
    NotMade(#[source] KeyError),
    /// The file could not be read or written.
    #[error("the token keys `{}` cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertError {
    /// A claim that is the host's to make.
    #[error("the claim `{0}` is set by the host; remove it")]
    Reserved(String),
    /// This issuer does not sign so.
    #[error("the host has no key for `{0}`; use `ES256` or `RS256`")]
    Algorithm(SigningAlgorithm),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// The host's own claims. `act` is among them: a workload that is asserted acts for nobody (RFC 8693 §4.1).
const RESERVED: [&str; 9] = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "act", DIGEST_CLAIM];

impl WorkloadIssuer {
    /// Reads the keys from this file, or makes them there (PKCS#8 in PEM, mode 0600) when there is none. Blocks, at the
    /// first start for as long as an RSA key takes.
    ///
    /// Of each algorithm the file's first key signs and all are published, so a key is changed in two steps: a new one is
    /// put in front, and the old one is taken out when the tokens that it signed are over.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn open_or_create(path: &Path, public_url: &Url) -> Result<Self, IssuerError> {
        let pem = match read(path) {
            Err(IssuerError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                read(path)?
            }
            read => read?,
        };
        let keys =
            SigningKey::all_from_pem(&pem).map_err(|source| IssuerError::Keys { path: path.to_owned(), source })?;
        for algorithm in MADE {
            if !keys.iter().any(|key| key.alg() == algorithm) {
                return Err(IssuerError::Missing { path: path.to_owned(), algorithm });
            }
        }
        let issuer = public_url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { issuer, keys })
    }

    /// Its `iss`: the host's public URL, without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token that says which workload is speaking to `audience`. It is a bearer token: whoever has it is believed, so it
    /// goes to that audience and nowhere else.
    ///
    /// Its subject is the workload's SPIFFE id, [`DIGEST_CLAIM`] the component that runs, where the host runs it. It lives
    /// for `lifetime`, at most [`LONGEST_WORKLOAD_TOKEN`].
    ///
    /// # Errors
    /// [`AssertError`]: `extra` adds claims and replaces none.
    pub fn assert(
        &self,
        workload: &Workload,
        audience: &str,
        algorithm: SigningAlgorithm,
        lifetime: Duration,
        extra: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Secret, AssertError> {
        if let Some(name) = extra.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Err(AssertError::Reserved(name.clone()));
        }
        let key = self.keys.iter().find(|key| key.alg() == algorithm).ok_or(AssertError::Algorithm(algorithm))?;
        let mut claims = extra.clone();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("iss", self.issuer.as_str().into());
        claim("sub", workload.id().as_str().into());
        claim("aud", audience.into());
        claim("iat", now.secs().into());
        claim("nbf", now.secs().into());
        claim("exp", now.plus(lifetime.min(LONGEST_WORKLOAD_TOKEN)).secs().into());
        claim("jti", InvocationId::random().to_string().into());
        if let Some(digest) = workload.digest() {
            claim(DIGEST_CLAIM, digest.to_string().into());
        }
        Ok(key.sign_jws("JWT", &Map::new(), &claims)?)
    }

    /// The discovery document (OIDC Discovery §3). Nobody is sent here to sign in, so the authorization endpoint, which §3
    /// requires, names none.
    pub fn discovery(&self) -> Value {
        let algorithms: std::collections::BTreeSet<&str> = self.keys.iter().map(|key| key.alg().as_str()).collect();
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.issuer),
            "authorization_endpoint": "urn:attache:no-authorization-endpoint",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", DIGEST_CLAIM],
        })
    }

    /// The public keys (RFC 7517 §5).
    pub fn key_set(&self) -> Value {
        json!({ "keys": self.keys.iter().map(SigningKey::public_jwk).collect::<Vec<_>>() })
    }
}

fn read(path: &Path) -> Result<Secret, IssuerError> {
    let failed = |source| IssuerError::File { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    // Of the open file, not of the path: what is checked is what is read.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IssuerError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1));
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(Secret::new(std::mem::take(&mut *text)))
}

/// Writes new keys beside the path and links them into place: the file appears whole or not at all, and replaces none.
fn create(path: &Path) -> Result<(), IssuerError> {
    let failed = |source| IssuerError::File { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let draft = folder.join(format!(".token-keys-{}", InvocationId::random()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let linked = (|| {
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        for algorithm in MADE {
            let key = SigningKey::generate(algorithm).and_then(|key| key.to_pem()).map_err(IssuerError::NotMade)?;
            file.write_all(key.expose()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        match std::fs::hard_link(&draft, path) {
            // Another process was faster; its keys are as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.and_then(|()| File::open(folder)?.sync_all()).map_err(failed),
        }
    })();
    std::fs::remove_file(&draft).map_err(failed)?;
    linked
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
mod tests;
