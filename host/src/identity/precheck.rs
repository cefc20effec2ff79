//! The strict pass over a token, before and beside the signature check.
//!
//! The crate that checks signatures lets through what a resource server must not: `crit` that nobody understands, claims
//! of the wrong type, duplicate members, tokens of any size. Here a token is taken apart once, by rules of our own, and
//! nothing below reads its bytes again.

use super::rejected::{Rejected, shown};
use super::{Algorithm, strict};
use crate::clock::Timestamp;
use crate::ids::{Issuer, Subject};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::time::Duration;

/// A longer token is refused before anything is decoded.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A longer key id is refused.
pub(super) const MAX_KID_BYTES: usize = 256;
/// How far clocks may differ.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);
/// The end of the year 9999: a later time is no time.
const LAST_SECOND: u64 = 253_402_300_799;

/// What kind of JWT the `typ` header says it is (RFC 7515 §4.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// It does not say.
    Absent,
    /// `JWT`.
    Jwt,
    /// `at+jwt`: an access token (RFC 9068 §2.1).
    AccessToken,
}

impl TokenType {
    /// All of them: what an issuer's rule accepts when it names none. `logout+jwt`, `dpop+jwt` and others never pass.
    pub const ALL: [Self; 3] = [Self::Absent, Self::Jwt, Self::AccessToken];

    fn parse(typ: &str) -> Option<Self> {
        // Media types are case-insensitive, and `application/` may be left out.
        let typ = typ.to_ascii_lowercase();
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "jwt" => Some(Self::Jwt),
            "at+jwt" => Some(Self::AccessToken),
            _ => None,
        }
    }
}

/// A compact JWS (RFC 7515 §7.1), taken apart. Nothing in it is believed yet.
pub(super) struct Compact<'a> {
    /// Header and payload as they were signed.
    pub signed: &'a str,
    /// The signature, in base64url that is known to decode.
    pub signature: &'a str,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    header: Map<String, Value>,
}

/// The members of the header that we act on.
pub(super) struct Header {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    pub typ: TokenType,
}

impl<'a> Compact<'a> {
    /// Three parts of canonical base64url without padding, the first a strict JSON object.
    pub(super) fn split(token: &'a [u8]) -> Result<Self, Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(malformed("it is longer than 16 KiB"));
        }
        let token = std::str::from_utf8(token).map_err(|_| malformed("it is not ASCII"))?;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("it has no three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| malformed("it has no three parts"))?;
        if signature.is_empty() {
            return Err(malformed("it is not signed"));
        }
        // The engine refuses padding, foreign characters (a fourth part's dot too) and stray trailing bits.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is no base64url"));
        decode(signature)?;
        let header =
            strict::object(&decode(header)?).map_err(|why| Rejected::Malformed(format!("its header: {why}")))?;
        Ok(Self { signed, signature, payload: decode(payload)?, header })
    }

    /// The header, if it asks for nothing that we do not do. `jku`, `x5u`, `jwk` and `x5c` are not looked at: keys come
    /// from the issuer's key set alone.
    pub(super) fn header(&self) -> Result<Header, Rejected> {
        for name in ["crit", "zip", "enc", "b64", "cty"] {
            if self.header.contains_key(name) {
                return Err(Rejected::Malformed(format!("its header has `{name}`, which is not understood here")));
            }
        }
        let alg = text(&self.header, "alg")?.ok_or_else(|| malformed("its header has no `alg`"))?;
        let algorithm = Algorithm::parse(alg).map_err(|_| Rejected::Algorithm(shown(alg)))?;
        let kid = text(&self.header, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(malformed("its `kid` is longer than 256 bytes"));
        }
        let typ = match text(&self.header, "typ")? {
            None => TokenType::Absent,
            Some(typ) => TokenType::parse(typ).ok_or_else(|| Rejected::Type(shown(typ)))?,
        };
        Ok(Header { algorithm, kid, typ })
    }
}

/// The claims, each of the type that its standard gives it (RFC 7519 §4.1).
pub(super) struct Claims {
    pub issuer: Issuer,
    pub subject: Subject,
    pub audiences: Vec<String>,
    pub client: Option<String>,
    pub scopes: Vec<String>,
    pub expires_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub issued_at: Option<Timestamp>,
    pub all: Map<String, Value>,
}

impl Claims {
    /// Reads them; nothing is compared with anything yet.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Rejected> {
        let all = strict::object(payload).map_err(|why| Rejected::Malformed(format!("its claims: {why}")))?;
        let issuer = text(&all, "iss")?.ok_or_else(|| malformed("it has no `iss`"))?;
        let issuer = Issuer::parse(issuer).map_err(|why| Rejected::Malformed(why.0))?;
        let subject = text(&all, "sub")?.ok_or_else(|| malformed("it has no `sub`"))?;
        let subject = Subject::parse(subject).map_err(|why| Rejected::Malformed(why.0))?;
        Ok(Self {
            issuer,
            subject,
            audiences: audiences(&all)?,
            client: client(&all)?,
            scopes: scopes(&all)?,
            expires_at: time(&all, "exp")?.ok_or_else(|| malformed("it has no `exp`"))?,
            not_before: time(&all, "nbf")?,
            issued_at: time(&all, "iat")?,
            all,
        })
    }

    /// `exp`, `nbf` and `iat` against now, with 30 seconds of leeway.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), Rejected> {
        if now >= self.expires_at.plus(LEEWAY) {
            return Err(Rejected::Expired(self.expires_at));
        }
        for start in [self.not_before, self.issued_at].into_iter().flatten() {
            if start > now.plus(LEEWAY) {
                return Err(Rejected::TooEarly(start));
            }
        }
        Ok(())
    }
}

fn malformed(why: &str) -> Rejected {
    Rejected::Malformed(why.to_owned())
}

/// A member that must be text where it is there at all. `null` is there.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Rejected> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Rejected::Malformed(format!("its `{name}` is no text"))),
    }
}

fn texts(items: &[Value], name: &str) -> Result<Vec<String>, Rejected> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    items
        .iter()
        .map(text)
        .collect::<Option<_>>()
        .ok_or_else(|| Rejected::Malformed(format!("its `{name}` is no list of text")))
}

fn audiences(all: &Map<String, Value>) -> Result<Vec<String>, Rejected> {
    match all.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => texts(several, "aud"),
        Some(_) => Err(malformed("its `aud` is neither text nor a list")),
    }
}

/// Who the token was made for: `azp` (OIDC Core §2), `client_id` (RFC 9068 §2.2), else Okta's `cid`.
fn client(all: &Map<String, Value>) -> Result<Option<String>, Rejected> {
    let client = match (text(all, "azp")?, text(all, "client_id")?) {
        // Two answers to one question: whichever we took, the other reader might take the other.
        (Some(one), Some(other)) if one != other => return Err(malformed("its `azp` and `client_id` differ")),
        (Some(client), _) | (None, Some(client)) => Some(client),
        (None, None) => all.get("cid").and_then(Value::as_str),
    };
    Ok(client.map(str::to_owned))
}

/// `scope` (RFC 8693 §4.2), else `scp` as Entra (text) and Okta (list) have it.
fn scopes(all: &Map<String, Value>) -> Result<Vec<String>, Rejected> {
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if let Some(scope) = text(all, "scope")? {
        return Ok(words(scope));
    }
    match all.get("scp") {
        None => Ok(Vec::new()),
        Some(Value::String(scp)) => Ok(words(scp)),
        Some(Value::Array(scp)) => texts(scp, "scp"),
        Some(_) => Err(malformed("its `scp` is neither text nor a list")),
    }
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, whole or not.
fn time(all: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Rejected> {
    let Some(value) = all.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_u64().filter(|seconds| *seconds <= LAST_SECOND) {
        return Ok(Some(Timestamp::from_secs(seconds)));
    }
    match value.as_f64().filter(|seconds| !value.is_u64() && (0.0..=LAST_SECOND as f64).contains(seconds)) {
        // In range by the line above, so this neither wraps nor saturates.
        Some(seconds) => Ok(Some(Timestamp::from_millis((seconds * 1000.0) as u64))),
        None => Err(Rejected::Malformed(format!("its `{name}` is no time"))),
    }
}
