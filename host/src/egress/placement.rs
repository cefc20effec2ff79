//! Where in a request a credential goes, and that a guest has not put anything there.

use super::headers::{as_read, of_connection};
use super::scrub::percent_encoded;
use crate::ids::Malformed;
use crate::secret::Secret;
use bytes::Bytes;
use http::header::{self, AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Uri};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Where in a request a credential goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// A header of its own. [`Placement::header`] makes it.
    Header {
        /// Which.
        name: HeaderName,
        /// Stands directly before the credential, such as `Token `. May be empty.
        prefix: String,
    },
    /// A parameter of the query. [`Placement::query`] makes it.
    Query {
        /// Which.
        parameter: String,
    },
}

/// The credential cannot be written where it belongs.
#[derive(Debug)]
pub(super) struct Misfit;

/// No prefix that anybody uses is longer.
const LONGEST_PREFIX: usize = 64;
const LONGEST_PARAMETER: usize = 128;

impl Placement {
    /// In a header, after this prefix.
    ///
    /// # Errors
    /// [`Malformed`] for a name that is none or that the connection or the body needs, and for a prefix that no header
    /// can hold.
    pub fn header(name: &str, prefix: &str) -> Result<Self, Malformed> {
        let shown = || name.chars().take(100).collect::<String>().escape_debug().to_string();
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Malformed(format!("`{}` is no header name; write one such as `X-Api-Key`", shown())))?;
        let needed = parsed.as_str().starts_with("content-")
            || matches!(parsed, header::ACCEPT_ENCODING | header::COOKIE | header::SET_COOKIE | header::USER_AGENT);
        if of_connection(&parsed) || needed {
            return Err(Malformed(format!("the header `{}` cannot carry a key; name another", shown())));
        }
        if prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(Malformed(format!(
                "a prefix is at most {LONGEST_PREFIX} printable ASCII characters, such as `Token `"
            )));
        }
        if prefix.starts_with(' ') {
            return Err(Malformed("a prefix cannot begin with a space: a header's value does not".into()));
        }
        Ok(Self::Header { name: parsed, prefix: prefix.to_owned() })
    }

    /// In a parameter of the query.
    ///
    /// # Errors
    /// [`Malformed`] for a name that would have to be encoded.
    pub fn query(parameter: &str) -> Result<Self, Malformed> {
        if !(1..=LONGEST_PARAMETER).contains(&parameter.len()) || !parameter.bytes().all(unreserved) {
            return Err(Malformed(format!(
                "a query parameter for a key is 1 to {LONGEST_PARAMETER} of `A-Z a-z 0-9 - . _ ~`, such as `key`"
            )));
        }
        Ok(Self::Query { parameter: parameter.to_owned() })
    }

    /// What a guest has put where the credential goes, if anything; fit for a message.
    pub(super) fn taken(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        match self {
            Self::Bearer => headers.contains_key(AUTHORIZATION).then(|| format!("the header `{AUTHORIZATION}`")),
            Self::Header { name, .. } => {
                let place = as_read(name.as_str());
                headers.keys().any(|other| as_read(other.as_str()) == place).then(|| format!("the header `{name}`"))
            }
            Self::Query { parameter } => uri
                .query()
                .is_some_and(|query| names(query).any(|name| reads_as(&name, parameter)))
                .then(|| format!("the query parameter `{parameter}`")),
        }
    }

    /// Writes the credential there. The bytes are wiped when the request lets go of them.
    pub(super) fn place<B>(&self, secret: &Secret, request: &mut Request<B>) -> Result<(), Misfit> {
        match self {
            Self::Bearer => in_header(request, AUTHORIZATION, "Bearer ", secret),
            Self::Header { name, prefix } => in_header(request, name.clone(), prefix, secret),
            Self::Query { parameter } => {
                *request.uri_mut() = with_parameter(request.uri(), parameter, secret)?;
                Ok(())
            }
        }
    }
}

/// Whether it stays in its place wherever that is.
fn fits(secret: &Secret) -> bool {
    !secret.is_empty() && secret.expose().iter().all(u8::is_ascii_graphic)
}

/// Puts a credential into a header, behind what stands before it.
pub(super) fn in_header<B>(
    request: &mut Request<B>,
    name: HeaderName,
    prefix: &str,
    secret: &Secret,
) -> Result<(), Misfit> {
    if !fits(secret) {
        return Err(Misfit);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(prefix.len() + secret.len()));
    text.extend_from_slice(prefix.as_bytes());
    text.extend_from_slice(secret.expose());
    // The header borrows these bytes, and they are wiped when the last holder lets go.
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).map_err(|_| Misfit)?;
    // Not indexed by HPACK (RFC 7541 §7.1.3), not in Debug.
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Added after what the guest asked for, every byte but the unreserved ones percent-encoded (RFC 3986 §2.1).
fn with_parameter(uri: &Uri, parameter: &str, secret: &Secret) -> Result<Uri, Misfit> {
    if !fits(secret) {
        return Err(Misfit);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut text = Zeroizing::new(Vec::with_capacity(path.len() + parameter.len() + 3 * secret.len() + 2));
    text.extend_from_slice(path.as_bytes());
    match uri.query() {
        None => text.push(b'?'),
        Some("") => {}
        Some(_) => text.push(b'&'),
    }
    text.extend_from_slice(parameter.as_bytes());
    text.push(b'=');
    text.extend_from_slice(&Zeroizing::new(percent_encoded(secret.expose())));
    let mut parts = uri.clone().into_parts();
    // Shares these bytes, as a header does.
    let path = http::uri::PathAndQuery::from_maybe_shared(Bytes::from_owner(text)).map_err(|_| Misfit)?;
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| Misfit)
}

/// The names of a query's parameters, decoded; `;` separates them to some servers, too.
fn names(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    query.split(['&', ';']).filter_map(|pair| url::form_urlencoded::parse(pair.as_bytes()).next()).map(|(name, _)| name)
}

/// Whether a server could take one name for the other: in another case, with space around it, as an array.
fn reads_as(name: &str, parameter: &str) -> bool {
    let bare = name.split(['[', '\0']).next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(parameter)
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(placement: &Placement, uri: &str, secret: &str) -> Option<Request<()>> {
        let mut request = Request::builder().uri(uri).body(()).unwrap();
        placement.place(&Secret::from_text(secret.into()), &mut request).ok()?;
        Some(request)
    }

    #[test]
    fn a_key_is_placed_exactly_as_configured() {
        let header = Placement::header("X-Api-Key", "").unwrap();
        let request = placed(&header, "https://api.example/a?b=c", "k3y-123/4").unwrap();
        assert_eq!((request.headers()["x-api-key"].as_bytes(), request.headers().len()), (&b"k3y-123/4"[..], 1));
        let prefixed = Placement::header("authorization", "Token token=").unwrap();
        let request = placed(&prefixed, "https://api.example/", "k3y").unwrap();
        assert_eq!(request.headers()["authorization"].as_bytes(), b"Token token=k3y");
        assert!(request.headers()["authorization"].is_sensitive());
        let query = Placement::query("key").unwrap();
        for (before, after) in [
            ("https://api.example", "https://api.example/?key=a%2Fb%26c%3D%25~"),
            ("https://api.example/v1?", "https://api.example/v1?key=a%2Fb%26c%3D%25~"),
            ("https://api.example/v1?q=1&r", "https://api.example/v1?q=1&r&key=a%2Fb%26c%3D%25~"),
        ] {
            let request = placed(&query, before, "a/b&c=%~").unwrap();
            assert_eq!(request.uri().to_string(), after);
            assert!(request.headers().is_empty());
        }
    }

    #[test]
    fn a_key_that_would_break_out_of_its_place_is_not_placed() {
        let places = [Placement::Bearer, Placement::header("x-key", "").unwrap(), Placement::query("key").unwrap()];
        for placement in &places {
            for secret in ["", "two words", "line\r\nx: y", "na\u{ef}ve", "tab\there"] {
                assert!(placed(placement, "https://api.example/", secret).is_none(), "{placement:?} {secret:?}");
            }
        }
    }

    #[test]
    fn a_place_that_a_guest_took_is_noticed_in_every_spelling() {
        let check = |placement: &Placement, headers: &HeaderMap, uri: &str, taken: bool| {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(placement.taken(headers, &uri).is_some(), taken, "{placement:?} {uri}");
        };
        let none = HeaderMap::new();
        let query = Placement::query("api_key").unwrap();
        for taken in
            ["api_key=1", "a=b&api_key", "API_KEY=1", "api%5Fkey=1", "a;api_key=1", "+api_key=1", "api_key[]=1"]
        {
            check(&query, &none, &format!("https://api.example/?{taken}"), true);
        }
        for free in ["", "api_keys=1", "a=api_key", "a=%26api_key=1", "my_api_key=2"] {
            check(&query, &none, &format!("https://api.example/api_key?{free}"), false);
        }
        let mut headers = HeaderMap::new();
        headers.insert("X-Key", HeaderValue::from_static("mine"));
        check(&Placement::header("x-kEy", "").unwrap(), &headers, "https://api.example/", true);
        check(&Placement::header("x_key", "").unwrap(), &headers, "https://api.example/", true);
        headers.insert("x_other", HeaderValue::from_static("mine"));
        check(&Placement::header("X-Other", "").unwrap(), &headers, "https://api.example/", true);
        check(&Placement::header("x-keys", "").unwrap(), &headers, "https://api.example/", false);
    }

    #[test]
    fn a_place_that_cannot_hold_a_key_is_refused() {
        for name in
            ["", "two words", "x:y", "Host", "connection", "Content-Length", "cookie", "accept-encoding", "\u{e9}"]
        {
            assert!(Placement::header(name, "").is_err(), "{name}");
        }
        for prefix in [" Token", "To\nken ", "\u{e9} ", &"x".repeat(65)] {
            assert!(Placement::header("x-key", prefix).is_err(), "{prefix:?}");
        }
        for parameter in ["", "a b", "a=b", "a&b", "a[]", "k%65y", &"x".repeat(129)] {
            assert!(Placement::query(parameter).is_err(), "{parameter:?}");
        }
    }
}
