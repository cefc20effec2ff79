//! Where a credential may go: scheme, host, port, and perhaps a path prefix. The operator names it, exactly.

use super::vetting::names_loopback;
use crate::ids::Malformed;
use http::Uri;
use std::fmt;
use url::{Host, Url};

/// One place, such as `https://www.googleapis.com/calendar/`.
///
/// A prefix ends at a border of segments: `/calendar` allows `/calendar` and `/calendar/v3`, not `/calendars`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    text: String,
    secure: bool,
    /// As it stands in a URI: lower case, IPv6 in brackets.
    host: String,
    port: u16,
    /// Empty when every path is allowed.
    prefix: String,
}

impl Destination {
    /// Reads it as the operator wrote it. Only the normal spelling is taken, so that what is compared is what was read.
    ///
    /// # Errors
    /// [`Malformed`], saying how to write it.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(200).collect();
            Malformed(format!(
                "`{}` is no destination: {why}; write it as `https://host`, `https://host:port` or `https://host/path/`",
                shown.escape_debug()
            ))
        };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        check_url(&url).map_err(|Malformed(why)| wrong(&why))?;
        if url.query().is_some() {
            return Err(wrong("it has a query"));
        }
        if let Some(Host::Domain(name)) = url.host()
            && (name.ends_with('.') || name.contains('*'))
        {
            return Err(wrong("the host must be one full name, without a dot at its end and without `*`"));
        }
        let normal = url.as_str();
        if text != normal && Some(text) != normal.strip_suffix('/') {
            return Err(wrong(&format!("its normal spelling is `{normal}`")));
        }
        let prefix = if url.path() == "/" { "" } else { url.path() };
        if !plain_path(prefix) {
            return Err(wrong("the path holds dot segments or encoded separators"));
        }
        Ok(Self {
            text: text.to_owned(),
            secure: url.scheme() == "https",
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            prefix: prefix.to_owned(),
        })
    }

    /// Whether a request to this URI goes there and nowhere else.
    ///
    /// A trailing dot, another port, a user name before the host, and, below a prefix, any path that a server might read
    /// as leading out of it are refused.
    pub fn allows(&self, uri: &Uri) -> bool {
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return false,
        };
        let Some(authority) = uri.authority() else { return false };
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // `host:` and ports out of range parse as an authority without a port.
            None if authority.as_str().len() == authority.host().len() => {
                if secure {
                    443
                } else {
                    80
                }
            }
            None => return false,
        };
        secure == self.secure
            && port == self.port
            && !authority.as_str().contains('@')
            && authority.host().eq_ignore_ascii_case(&self.host)
            && self.allows_path(uri.path())
    }

    /// Whether all that this one allows is allowed by `other`.
    fn within(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
            && (other.prefix.is_empty() || other.allows_path(&self.prefix))
    }

    fn allows_path(&self, path: &str) -> bool {
        if self.prefix.is_empty() {
            return path.starts_with('/');
        }
        let Some(rest) = path.strip_prefix(self.prefix.as_str()) else { return false };
        plain_path(path) && (self.prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All places of one provider or one agent. Empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations(Vec<Destination>);

impl Destinations {
    /// From several.
    ///
    /// # Errors
    /// [`Malformed`] names the first bad one.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Malformed> {
        texts.into_iter().map(Destination::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them allows it.
    pub fn allows(&self, uri: &Uri) -> bool {
        self.0.iter().any(|destination| destination.allows(uri))
    }

    /// In the order they were named.
    pub fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter()
    }

    /// Whether all that these allow is allowed by `others`.
    pub fn within(&self, others: &Self) -> bool {
        self.0.iter().all(|one| others.0.iter().any(|other| one.within(other)))
    }

    /// As text, one after the other: no destination holds a space.
    pub fn joined(&self) -> String {
        self.0.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a URL may be configured as an endpoint: `https`, or `http` to this machine, which the client refuses outside
/// development; without user name, password and fragment.
///
/// # Errors
/// [`Malformed`], saying what is wrong.
pub fn check_url(url: &Url) -> Result<(), Malformed> {
    let host = url.host_str().unwrap_or_default();
    let why = match url.scheme() {
        "https" | "http" if host.is_empty() => "it names no host",
        "http" if !names_loopback(host) => "it must be https",
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            "it holds a user name or password"
        }
        "https" | "http" if url.fragment().is_some() => "it has a fragment",
        "https" | "http" => return Ok(()),
        _ => "it must be https",
    };
    Err(Malformed(why.into()))
}

/// Whether every server reads this path alike: no dot segments, and none in disguise. `..;` is one to servers that know
/// path parameters; `%25` before a dangerous code is one to those that decode twice.
fn plain_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let disguised = ["\\", "%2e", "%2f", "%5c", "%00", "%252e", "%252f", "%255c"];
    !disguised.iter().any(|code| lower.contains(code))
        && !path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

#[cfg(test)]
#[path = "destination_tests.rs"]
mod tests;
