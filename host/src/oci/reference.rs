//! `registry.example/team/agent:1.2@sha256:…`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name in a registry. By tag, by digest, or both; then the digest decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port where it is none of the usual.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// `latest` where nothing is said.
    pub tag: String,
    /// `sha256:…` of a manifest.
    pub digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names nothing in a registry: {why}; write it as `oci://registry.example/team/agent:1.2`")]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

/// Longer names are in no registry (distribution-spec, "Pulling manifests").
const LONGEST: usize = 255;

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let bare = text.strip_prefix("oci://").unwrap_or(text);
        let wrong = |why| ReferenceError { text: bare.chars().take(LONGEST).collect::<String>(), why };
        let (name, digest) = match bare.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (bare, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("the digest after `@` is not `sha256:` and 64 hexadecimal digits"));
        }
        let (registry, rest) = name.split_once('/').ok_or_else(|| wrong("there is no `/` after the registry"))?;
        if !is_registry(registry) {
            return Err(wrong("the registry before the first `/` is no host"));
        }
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, tag),
            None => (rest, "latest"),
        };
        let part = |part: &str| {
            part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
                && part.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if repository.len() > LONGEST || !repository.split('/').all(part) {
            return Err(wrong("the repository has parts of small letters, digits, `.`, `_` and `-`"));
        }
        let of_tag = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if tag.is_empty() || tag.len() > 128 || !tag.bytes().all(of_tag) || tag.starts_with(['.', '-']) {
            return Err(wrong("the tag has letters, digits, `.`, `_` and `-`, at most 128 of them"));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.map(str::to_owned),
        })
    }
}

/// `sha256:` and 64 small hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of an address in brackets is part of it.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            // What is one to this check must be the same one to whatever connects: `1.2.3` and `0x7f.1` are numbers there.
            let url = url::Url::parse(&format!("https://{host}/")).ok();
            let same = url.is_some_and(|url| url.host_str().is_some_and(|known| known.eq_ignore_ascii_case(host)));
            same && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        }
    };
    known && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

impl Reference {
    /// What to ask a registry for: the digest where there is one.
    pub(super) fn wanted(&self) -> &str {
        self.digest.as_deref().unwrap_or(&self.tag)
    }

    /// The same, held to this manifest.
    pub fn pinned(&self, manifest: &str) -> Self {
        Self { digest: Some(manifest.to_owned()), ..self.clone() }
    }

    /// Without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Whether it is on this machine, by its spelling: only there plain HTTP is spoken.
    pub(super) fn is_local(&self) -> bool {
        let host = self.registry.rsplit_once(':').map_or(self.registry.as_str(), |(host, port)| {
            if port.ends_with(']') { self.registry.as_str() } else { host }
        });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name(), self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_written_alike() {
        let hex = "a".repeat(64);
        for (text, shown, local) in [
            ("registry.example/agent", "registry.example/agent:latest", false),
            ("oci://registry.example:5000/team/my_agent:1.2", "registry.example:5000/team/my_agent:1.2", false),
            ("localhost:5000/a:x", "localhost:5000/a:x", true),
            ("[::1]:5000/a:x", "[::1]:5000/a:x", true),
            ("127.0.0.1/a", "127.0.0.1/a:latest", true),
            ("localhost.evil.example/a", "localhost.evil.example/a:latest", false),
            (&format!("r.example/a@sha256:{hex}"), &format!("r.example/a:latest@sha256:{hex}"), false),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.to_string().as_str(), reference.is_local()), (shown, local));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_how_to_write_it() {
        for text in [
            "",
            "agent",
            "/agent",
            "r.example/",
            "r.example/Agent",
            "r.example/a:",
            "r.example/a:-x",
            "r.example/../a",
            "r.example/a@sha256:abc",
            "r.example/a@md5:abc",
            "user@r.example/a",
            "r.example:x/a",
            "r.example/a?b",
            "r example/a",
            "[::1/a",
            "r.example/a#b:1",
            "r.example/a/:1",
            "registry.example.5000/a",
            "2130706433/a",
            "r.example:+5000/a",
            "0x7f.1/a",
            "127.1/a",
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains("write it as `oci://"), "{text}: {error}");
        }
    }
}
