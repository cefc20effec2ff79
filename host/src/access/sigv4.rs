//! AWS Signature Version 4, verified: the scheme that every client of AgentCore signs its requests with.
//!
//! Facts from "Create a signed AWS API request" in the AWS documentation, and from what botocore 1.44.5 sends. Where the
//! scheme would have us tidy a request up before comparing (`//`, `/../` in a path), such a request is refused instead, so
//! that what was signed and what is served cannot differ.

use super::door::Refused;
use super::key::KeyId;
use crate::clock::Timestamp;
use crate::ids::{hex, sha256};
use crate::secret::Secret;
use aws_lc_rs::hmac;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, Uri};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// Of the `Authorization` header.
pub(super) const SCHEME: &str = "AWS4-HMAC-SHA256";
/// The signing name of both services of AgentCore.
const SERVICE: &str = "bedrock-agentcore";
const TERMINATOR: &str = "aws4_request";
/// SHA-256 in hexadecimal.
const HEX: usize = 64;
/// No client of AWS signs as many headers.
const MOST_HEADERS: usize = 64;

/// A signature that was read and not checked.
pub(super) struct Signed {
    key: KeyId,
    /// `20261124`.
    date: String,
    region: String,
    time: Timestamp,
    /// `x-amz-date`, as sent.
    moment: String,
    /// The canonical request up to the body's hash.
    canonical: String,
    /// `x-amz-content-sha256`, where it was sent.
    declared: Option<String>,
    signature: [u8; 32],
    unique: bool,
}

impl Signed {
    /// Reads the signature, and makes the canonical request of everything but the body.
    pub(super) fn read(head: &Parts) -> Result<Self, Refused> {
        let headers = &head.headers;
        let authorization = Authorization::parse(one(headers, AUTHORIZATION.as_str())?)?;
        if headers.contains_key("x-amz-security-token") {
            return Err(Refused::SessionToken);
        }
        let moment = one(headers, "x-amz-date")?;
        let time = moment_of(moment).ok_or_else(|| malformed("`x-amz-date` must be like `20261124T123000Z`"))?;
        if moment.get(..8) != Some(authorization.date) {
            return Err(malformed("the date of `Credential` is not the date of `x-amz-date`"));
        }
        let signed = &authorization.headers;
        check_signed(headers, signed)?;
        let declared = match headers.contains_key("x-amz-content-sha256") {
            true => Some(one(headers, "x-amz-content-sha256")?.to_owned()),
            false => None,
        };
        if declared.as_ref().is_some_and(|hash| hash.len() != HEX) {
            let why =
                "`x-amz-content-sha256` must be the body's SHA-256; unsigned and streamed bodies are not accepted";
            return Err(malformed(why));
        }
        Ok(Self {
            canonical: canonical(head, signed)?,
            key: authorization.key,
            date: authorization.date.to_owned(),
            region: authorization.region.to_owned(),
            time,
            moment: moment.to_owned(),
            declared,
            signature: authorization.signature,
            unique: signed.contains(&"amz-sdk-invocation-id"),
        })
    }

    /// Whose secret it should be.
    pub(super) fn key(&self) -> &KeyId {
        &self.key
    }

    /// When the client says it signed.
    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    /// `20261124`: of the signing key.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// Of the signing key. Whatever the client chose.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The signature.
    pub(super) fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// Whether it covers something that no other request has.
    pub(super) fn is_unique(&self) -> bool {
        self.unique
    }

    /// Whether this signing key made it, for this body. Takes as long whatever the signature.
    pub(super) fn matches(&self, signing_key: &hmac::Key, body: &[u8]) -> bool {
        let hash = hex(&sha256(body));
        if self.declared.as_ref().is_some_and(|declared| *declared != hash) {
            return false;
        }
        let canonical = hex(&sha256(format!("{}{hash}", self.canonical).as_bytes()));
        let text = text_to_sign(&self.moment, [&self.date, &self.region, SERVICE, TERMINATOR], &canonical);
        hmac::sign(signing_key, text.as_bytes()).as_ref().ct_eq(&self.signature).into()
    }
}

/// The key of one day and region.
pub(super) fn signing_key(secret: &Secret, date: &str, region: &str) -> hmac::Key {
    derived(secret, [date, region, SERVICE, TERMINATOR])
}

pub(super) fn derived(secret: &Secret, scope: [&str; 4]) -> hmac::Key {
    let first = zeroize::Zeroizing::new([b"AWS4", secret.expose()].concat());
    let first = hmac::Key::new(hmac::HMAC_SHA256, &first);
    scope
        .into_iter()
        .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
}

pub(super) fn text_to_sign(moment: &str, scope: [&str; 4], canonical_hash: &str) -> String {
    format!("{SCHEME}\n{moment}\n{}\n{canonical_hash}", scope.join("/"))
}

/// Whether a request is signed in its query.
pub(super) fn in_query(uri: &Uri) -> bool {
    let names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let mut presigned = names.filter(|name| name.to_ascii_lowercase().starts_with("x-amz-"));
    presigned.next().is_some()
}

/// `Credential=AKID/20261124/region/service/aws4_request, SignedHeaders=a;b, Signature=…`.
struct Authorization<'a> {
    key: KeyId,
    date: &'a str,
    region: &'a str,
    headers: Vec<&'a str>,
    signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str) -> Result<Self, Refused> {
        let rest = value
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| malformed(format!("`Authorization` must begin with `{SCHEME} `")))?;
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').unwrap_or_default();
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => {
                    return Err(malformed(
                        "`Authorization` must have `Credential`, `SignedHeaders` and `Signature` only",
                    ));
                }
            };
            if place.replace(value).is_some() {
                return Err(malformed(format!("`Authorization` has `{name}` twice")));
            }
        }
        let missing = |name| move || malformed(format!("`Authorization` has no `{name}`"));
        let credential = credential.ok_or_else(missing("Credential"))?;
        let headers = headers.ok_or_else(missing("SignedHeaders"))?;
        let signature = signature.ok_or_else(missing("Signature"))?;
        let (key, date, region) = scope(credential)?;
        Ok(Self { key, date, region, headers: signed_headers(headers)?, signature: unhex(signature)? })
    }
}

fn scope(credential: &str) -> Result<(KeyId, &str, &str), Refused> {
    let parts: Vec<&str> = credential.split('/').collect();
    let [key, date, region, service, terminator] = parts[..] else {
        return Err(malformed("`Credential` must be `KEY/DATE/REGION/SERVICE/aws4_request`"));
    };
    if service != SERVICE || terminator != TERMINATOR {
        return Err(malformed(format!("sign for the service `{SERVICE}`, ending in `{TERMINATOR}`")));
    }
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed("the date of `Credential` must be like `20261124`"));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=64).contains(&region.len()) || !region.bytes().all(plain) {
        return Err(malformed("the region of `Credential` must be 1 to 64 of `a-z 0-9 -`"));
    }
    let key = key.parse().map_err(|error| malformed(format!("{error}; keys of AWS itself are not accepted")))?;
    Ok((key, date, region))
}

/// Lower-case names, sorted, each once.
fn signed_headers(list: &str) -> Result<Vec<&str>, Refused> {
    let names: Vec<&str> = list.split(';').collect();
    let good = |name: &&str| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
    if names.len() > MOST_HEADERS || !names.iter().all(good) || !names.is_sorted_by(|a, b| a < b) {
        return Err(malformed("`SignedHeaders` must be lower-case names, sorted, each once"));
    }
    Ok(names)
}

/// Whatever decides what a request means must be under the signature.
fn check_signed(headers: &HeaderMap, signed: &[&str]) -> Result<(), Refused> {
    let missing = |name: &str| malformed(format!("`SignedHeaders` must have `{name}`"));
    if !signed.contains(&HOST.as_str()) {
        return Err(missing(HOST.as_str()));
    }
    for name in headers.keys().map(http::HeaderName::as_str) {
        if must_be_signed(name) && !signed.contains(&name) {
            return Err(missing(name));
        }
    }
    Ok(())
}

/// Proxies add a trace id of their own, so clients do not sign it.
fn must_be_signed(name: &str) -> bool {
    let ours = name.starts_with("x-amz-") || name.starts_with("x-amzn-") || name.starts_with("attache-");
    name == CONTENT_TYPE.as_str() || (ours && name != "x-amzn-trace-id")
}

/// The canonical request, up to and without the body's hash.
pub(super) fn canonical(head: &Parts, signed: &[&str]) -> Result<String, Refused> {
    let mut text = String::with_capacity(1024);
    text.push_str(head.method.as_str());
    text.push('\n');
    push_path(&mut text, head.uri.path())?;
    text.push('\n');
    push_query(&mut text, head.uri.query().unwrap_or_default());
    text.push('\n');
    for name in signed {
        text.push_str(name);
        text.push(':');
        push_header(&mut text, head, name)?;
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&signed.join(";"));
    text.push('\n');
    Ok(text)
}

/// Encoded once more than on the wire, as for every service but S3: `%3A` becomes `%253A`.
fn push_path(text: &mut String, path: &str) -> Result<(), Refused> {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, "." | "..") || (segment.is_empty() && segments.peek().is_some()) {
            return Err(malformed("the path must have no empty, `.` or `..` segments"));
        }
        text.push('/');
        push_encoded(text, segment.as_bytes(), b"");
    }
    Ok(())
}

/// Sorted by name, then by value; otherwise as on the wire.
fn push_query(text: &mut String, query: &str) {
    let encoded = |part: &str| {
        let mut text = String::with_capacity(part.len());
        push_encoded(&mut text, part.as_bytes(), b"%");
        text
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<(String, String)> = pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(&name);
        text.push('=');
        text.push_str(&value);
    }
}

/// Percent-encoded but for unreserved characters (RFC 3986 §2.3) and `also`.
fn push_encoded(text: &mut String, bytes: &[u8], also: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || also.contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// All values in their order, joined by commas; spaces around and runs of spaces within do not count.
fn push_header(text: &mut String, head: &Parts, name: &str) -> Result<(), Refused> {
    let mut values = head.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        // HTTP/2 has no `Host` header (RFC 9113 §8.3.1).
        let authority = head.uri.authority().filter(|_| name == HOST.as_str());
        let authority =
            authority.ok_or_else(|| malformed(format!("`SignedHeaders` has `{name}`, which was not sent")))?;
        text.push_str(authority.as_str());
        return Ok(());
    }
    // Several values are signed joined, and runs of spaces as one: two requests that differ only there have the same
    // signature. Where that would change what a request means, it is refused.
    let exact = must_be_signed(name) || name == HOST.as_str();
    if exact {
        let value = one(&head.headers, name)?;
        if value.contains('\t') || value.contains("  ") {
            return Err(malformed(format!("`{name}` must have no runs of spaces, which no signature covers")));
        }
    }
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(',');
        }
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| malformed(format!("`{name}` is not UTF-8")))?;
        for (index, word) in value.split([' ', '\t']).filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    Ok(())
}

/// The one value of a header.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        (None, _) => Err(malformed(format!("the header `{name}` is missing"))),
        (Some(_), _) => Err(malformed(format!("the header `{name}` must come once, in ASCII"))),
    }
}

/// `20261124T123000Z` (ISO 8601, basic).
fn moment_of(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = |(at, byte): (usize, &u8)| match at {
        8 => *byte == b'T',
        15 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if bytes.len() != 16 || !bytes.iter().enumerate().all(shape) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let [year, month, day] = [part(0..4), part(4..6), part(6..8)];
    let [hour, minute, second] = [part(9..11), part(11..13), part(13..15)];
    let time: jiff::Timestamp = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()?;
    u64::try_from(time.as_second()).ok().map(Timestamp::from_secs)
}

fn unhex(text: &str) -> Result<[u8; 32], Refused> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let good = pairs.len() == out.len() && rest.is_empty();
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        match (good, digit(*high), digit(*low)) {
            (true, Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return Err(malformed("`Signature` must be 64 lower-case hexadecimal digits")),
        }
    }
    match good {
        true => Ok(out),
        false => Err(malformed("`Signature` must be 64 lower-case hexadecimal digits")),
    }
}

fn malformed(why: impl Into<String>) -> Refused {
    Refused::Malformed(why.into())
}
