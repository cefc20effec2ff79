//! Who asks a registry: nobody in particular, or somebody by name and password
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use zeroize::Zeroizing;

/// A name and a password, for one registry.
pub struct Credentials {
    basic: Secret,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    auth: Option<String>,
}

/// Of a configuration file.
const MOST_BYTES: u64 = 1 << 20;

impl Credentials {
    /// A name and a password.
    pub fn new(name: &str, password: &Secret) -> Self {
        let mut pair = Zeroizing::new(name.as_bytes().to_vec());
        pair.push(b':');
        pair.extend_from_slice(password.expose());
        Self { basic: Secret::from_text(STANDARD.encode(pair.as_slice())) }
    }

    /// What `docker login` and others wrote down for this registry; none where there is nothing, or it is kept elsewhere.
    pub fn from_docker(file: &Path, registry: &str) -> Option<Self> {
        if std::fs::metadata(file).ok()?.len() > MOST_BYTES {
            return None;
        }
        let text = Zeroizing::new(std::fs::read(file).ok()?);
        let config: DockerConfig = serde_json::from_slice(&text).ok()?;
        let found = config.auths.into_iter().find(|(name, _)| {
            let bare = name.trim_start_matches("https://").trim_start_matches("http://");
            bare.split('/').next() == Some(registry)
        });
        let auth = found?.1.auth.filter(|auth| STANDARD.decode(auth).is_ok())?;
        Some(Self { basic: Secret::from_text(auth) })
    }

    /// As an `Authorization` header.
    pub(super) fn header(&self) -> Option<http::HeaderValue> {
        let mut value = Zeroizing::new(b"Basic ".to_vec());
        value.extend_from_slice(self.basic.expose());
        let mut value = http::HeaderValue::from_bytes(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// How a registry wants to be told who asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// From `WWW-Authenticate` (RFC 9110 §11.6.1), as registries write it.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut values = HashMap::new();
        let mut rest = rest.trim_start();
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"')?;
            values.insert(name.trim_matches([',', ' ']).to_ascii_lowercase(), value.to_owned());
            rest = after;
        }
        let realm = values.remove("realm")?;
        Some(Self::Bearer { realm, service: values.remove("service"), scope: values.remove("scope") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = Challenge::read(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            bearer,
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: text("registry.example"),
                scope: text("repository:a/b:pull,push"),
            })
        );
        assert_eq!(Challenge::read(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(Challenge::read("Negotiate"), None);
        assert_eq!(Challenge::read(r#"Bearer service="x""#), None);
    }

    #[test]
    fn what_others_wrote_down_is_used_for_that_registry_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let text = r#"{"auths":{"r.example:5000":{"auth":"YTpi"},"https://index.example/v1/":{"auth":"Yzpk"},"x":{}}}"#;
        std::fs::write(&file, text).unwrap();
        let header = |registry: &str| Credentials::from_docker(&file, registry).and_then(|found| found.header());
        assert_eq!(header("r.example:5000").unwrap(), "Basic YTpi");
        assert_eq!(header("index.example").unwrap(), "Basic Yzpk");
        assert!(header("r.example").is_none() && header("x").is_none());
    }
}
