//! The words by which things are named. They prove nothing: a name says which, never that somebody may.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why text is not the name it should be. The message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads and checks it.
            ///
            /// # Errors
            /// [`Malformed`], saying what is allowed.
            pub fn parse(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> Result<(), Malformed> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

/// ASCII only: no look-alike names, no separators of paths, URLs or SPIFFE ids. `also` is what else may stand in it.
fn plain_name(text: &str, max: usize, also: &[u8], what: &str) -> Result<(), Malformed> {
    let good = (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
        && text.as_bytes()[0].is_ascii_alphanumeric();
    if good {
        return Ok(());
    }
    let shown: String = text.chars().take(64).collect();
    let also: String = also.iter().flat_map(|b| [' ', char::from(*b)]).collect();
    Err(Malformed(format!(
        "`{}` is no {what} name; use 1 to {max} of `A-Z a-z 0-9{also}`, the first a letter or digit",
        shown.escape_debug()
    )))
}

/// Printable text of a bounded length, as identity providers and clients send it.
fn opaque_text(text: &str, max: usize, what: &str) -> Result<(), Malformed> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        return Err(Malformed(format!("{what} must be 1 to {max} bytes without control characters")));
    }
    Ok(())
}

text_id! {
    /// The name of a workload identity, which an agent is deployed under. 1 to 255 of `A-Z a-z 0-9 - _ .`, as AgentCore
    /// has it; the directory keeps two from differing in case alone.
    AgentName, |t| plain_name(t, 255, b"-_.", "agent")
}
text_id! {
    /// The name of a credential provider. 1 to 128 of `A-Z a-z 0-9 - _`, as AgentCore has it.
    ProviderName, |t| plain_name(t, 128, b"-_", "provider")
}
text_id! {
    /// The account all identities of a host belong to. 1 to 128 of `A-Z a-z 0-9 - _`.
    Account, |t| plain_name(t, 128, b"-_", "account")
}
text_id! {
    /// `iss`: an identity provider's URL, compared byte for byte (OIDC Core §2). At most 512 bytes.
    Issuer, |t| opaque_text(t, 512, "an issuer")
}
text_id! {
    /// `sub`: a user, unique within one issuer. At most 255 bytes (OIDC Core §2).
    Subject, |t| opaque_text(t, 255, "a subject")
}
text_id! {
    /// The session that a caller names, to tell its invocations apart. 16 to 256 of `A-Z a-z 0-9 - _`.
    SessionId, |t| {
        if (16..=256).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Ok(());
        }
        Err(Malformed("a session id must be 16 to 256 of `A-Z a-z 0-9 - _`".into()))
    }
}
text_id! {
    /// One OAuth 2 scope (RFC 6749 §3.3): printable ASCII without space, `"` and `\`. At most 256 bytes.
    Scope, |t| {
        let good = (1..=256).contains(&t.len())
            && t.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if good { return Ok(()); }
        Err(Malformed("a scope must be 1 to 256 printable ASCII characters without space, `\"` and `\\`".into()))
    }
}
text_id! {
    /// A trust domain (SPIFFE-ID §2.1): `a-z 0-9 . - _`, at most 255 bytes.
    TrustDomain, |t| {
        let good = (1..=255).contains(&t.len())
            && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'));
        if good { return Ok(()); }
        Err(Malformed(format!("`{}` is no trust domain; use 1 to 255 of `a-z 0-9 . - _`", t.escape_debug())))
    }
}
text_id! {
    /// A SPIFFE id. Made by [`TrustDomain::agent`] and [`TrustDomain::host`]; parsing is for reading back what was stored.
    SpiffeId, |t| {
        if t.starts_with("spiffe://") && t.len() <= 2048 { return Ok(()); }
        Err(Malformed("a SPIFFE id starts with `spiffe://`".into()))
    }
}
text_id! {
    /// This host, in every audit record: its SPIFFE id, whose last segment is a fingerprint of its public key.
    HostId, |t| opaque_text(t, 512, "a host id")
}

impl TrustDomain {
    /// The SPIFFE id of an agent: `spiffe://<trust domain>/agent/<name>`.
    pub fn agent(&self, name: &AgentName) -> SpiffeId {
        SpiffeId(format!("spiffe://{self}/agent/{name}"))
    }

    /// The id of a host, from the fingerprint of its key: `spiffe://<trust domain>/host/<fingerprint>`.
    pub fn host(&self, fingerprint: &str) -> HostId {
        HostId(format!("spiffe://{self}/host/{fingerprint}"))
    }
}

/// SHA-256 of a component's bytes, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }

    /// 64 hexadecimal digits, without the prefix.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// `sha256:` and the first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        format!("sha256:{}", &self.hex()[..12])
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for Digest {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.strip_prefix("sha256:")
            .and_then(unhex::<32>)
            .map(Self)
            .ok_or_else(|| Malformed("a digest is `sha256:` and 64 hexadecimal digits".into()))
    }
}
impl TryFrom<String> for Digest {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}
impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// A user: `iss` and `sub` together. Either alone names nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserId {
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
}
impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}

/// A set of scopes, sorted; the order in which they were asked does not matter. Clones share it: there are several in every
/// grant, and one goes out with every token.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(from = "BTreeSet<Scope>")]
pub struct Scopes(Arc<BTreeSet<Scope>>);

impl Scopes {
    /// From single scopes.
    ///
    /// # Errors
    /// [`Malformed`] names the first bad one.
    pub fn parse<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, Malformed> {
        scopes.into_iter().map(Scope::parse).collect()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// As the `scope` parameter (RFC 6749 §3.3): joined by single spaces.
    pub fn joined(&self) -> String {
        self.0.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    /// As text, one by one.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().map(|s| s.as_str().to_owned()).collect()
    }

    /// Whether every scope of `wanted` is here.
    pub fn covers(&self, wanted: &Scopes) -> bool {
        wanted.0.is_subset(&self.0)
    }

    /// Those of `wanted` that are not here.
    pub fn missing(&self, wanted: &Scopes) -> Scopes {
        wanted.0.difference(&self.0).cloned().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().collect::<BTreeSet<_>>().into()
    }
}
impl From<BTreeSet<Scope>> for Scopes {
    fn from(scopes: BTreeSet<Scope>) -> Self {
        Self(Arc::new(scopes))
    }
}
impl Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);
        impl $name {
            /// A new one: 128 random bits.
            pub fn random() -> Self {
                let mut bytes = [0; 16];
                fill_random(&mut bytes);
                Self(bytes)
            }
            /// The 16 bytes.
            pub fn bytes(&self) -> [u8; 16] {
                self.0
            }
            /// From 16 bytes, as stored.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                unhex::<16>(text).map(Self).ok_or_else(|| Malformed("an id is 32 hexadecimal digits".into()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

random_id! {
    /// One call of an agent.
    InvocationId
}
random_id! {
    /// One audited action.
    AttemptId
}
random_id! {
    /// One grant, by which it is listed and revoked.
    GrantId
}
random_id! {
    /// One workload access token of the API, by which it is named and revoked. Not a secret: the token does not follow from it.
    WatId
}
random_id! {
    /// One credential handle, within the invocation that asked for it.
    CredentialId
}
random_id! {
    /// One consent session. Not a secret: whoever knows it still has to be the user it belongs to.
    ConsentId
}

impl SessionId {
    /// A new one, for callers that name none.
    pub fn random() -> Self {
        Self(InvocationId::random().to_string())
    }
}

const SESSION_URI: &str = "urn:ietf:params:oauth:request_uri:";

impl ConsentId {
    /// The form that callers see, which is AgentCore's: `urn:ietf:params:oauth:request_uri:<id>` (the prefix is that of
    /// RFC 9126 §2.2).
    pub fn session_uri(&self) -> String {
        format!("{SESSION_URI}{self}")
    }

    /// Back from [`ConsentId::session_uri`].
    ///
    /// # Errors
    /// [`Malformed`] when it is no session URI of ours.
    pub fn from_session_uri(uri: &str) -> Result<Self, Malformed> {
        uri.strip_prefix(SESSION_URI)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Malformed(format!("a session URI is `{SESSION_URI}` and 32 hexadecimal digits")))
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for b in bytes {
        text.push(DIGITS[usize::from(b >> 4)] as char);
        text.push(DIGITS[usize::from(b & 15)] as char);
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut out = [0; N];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(out)
}

/// Fills it from the operating system's generator.
///
/// # Panics
/// When the system has no randomness to give: nothing that we do would be safe then.
pub fn fill_random(bytes: &mut [u8]) {
    #[expect(clippy::expect_used, reason = "without randomness no token is safe; stopping is the only honest answer")]
    aws_lc_rs::rand::fill(bytes).expect("the operating system's random generator must answer");
}
