//! Reading a token endpoint's answers (RFC 6749 §5). Strict: what is not understood is no token.

use super::client::OAuthError;
use super::vendor::Quirks;
use crate::egress::Scrubber;
use crate::ids::{Scopes, sha256};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// How an access token is shown to an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// Whoever holds it may use it (RFC 6750).
    #[default]
    Bearer,
    /// Only together with a proof of the key that the request named (RFC 9449).
    Dpop,
}

/// What a token endpoint granted.
pub struct TokenSet {
    /// The access token: printable ASCII, fit for a header.
    pub access: Secret,
    /// How it is shown.
    pub token_type: TokenType,
    /// None: keep the one there is (RFC 6749 §6), if there is one.
    pub refresh: Option<Secret>,
    /// From now, whatever the provider says: at most 24 hours where there is a refresh token, at most 90 days where there
    /// is none. None when the provider does not say.
    pub expires_in: Option<Duration>,
    /// None: as asked (RFC 6749 §5.1).
    pub scopes: Option<Scopes>,
    /// For a sign-in; not verified here.
    pub id_token: Option<Secret>,
    /// Of whom the provider says that the tokens are, where it sent an ID token: see [`Holder`].
    pub holder: Option<Holder>,
    /// What a token exchange made (RFC 8693 §2.2.1).
    pub issued_token_type: Option<String>,
}

/// The SHA-256 of the `iss` and `sub` of an ID token, which came from the token endpoint itself and was not verified beyond
/// that. Good for one thing: a grant that is renewed stays that of the same account (OIDC Core §12.2).
pub type Holder = [u8; 32];

/// A token that can be renewed is renewed at least once a day.
const LONGEST_LIFE: f64 = 24.0 * 60.0 * 60.0;
/// One that cannot would send its user to consent every day although it lives for months, as LinkedIn's and Facebook's do.
const LONGEST_LIFE_ALONE: f64 = 90.0 * LONGEST_LIFE;
/// Longer access tokens do not fit into the headers of most servers.
const LONGEST_TOKEN: usize = 32 * 1024;

/// Codes that repeat nobody's secret, even where a secret is a word of theirs (RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 8707 §2,
/// RFC 8628 §3.5, RFC 9449 §5 and §8).
const KNOWN_ERRORS: [&str; 15] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_token",
    "unsupported_token_type",
    "invalid_target",
    "access_denied",
    "authorization_pending",
    "slow_down",
    "expired_token",
    "invalid_dpop_proof",
    "use_dpop_nonce",
];

/// How one answer is read.
pub(super) struct Reading<'a> {
    /// Between scopes, beside the space.
    pub(super) separator: char,
    /// Where this vendor leaves the standard.
    pub(super) quirks: &'a Quirks,
    /// The request named a key, so that the token may be bound to it.
    pub(super) bound: bool,
    /// The token is none for an API, but one to be exchanged again: its type is `N_A` (RFC 8693 §2.2.1).
    pub(super) assertion: bool,
    /// The secrets of the request, kept out of every message.
    pub(super) sent: &'a [&'a Secret],
}

/// Text that is not copied unless it was escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field that comes twice is an error: two readers could take different ones.
#[derive(Deserialize, Default)]
struct Answer<'a> {
    #[serde(borrow)]
    access_token: Option<Text<'a>>,
    #[serde(borrow)]
    token_type: Option<Text<'a>>,
    #[serde(borrow)]
    refresh_token: Option<Text<'a>>,
    #[serde(borrow)]
    id_token: Option<Text<'a>>,
    #[serde(borrow)]
    issued_token_type: Option<Text<'a>>,
    #[serde(borrow)]
    scope: Option<Scope<'a>>,
    #[serde(default)]
    expires_in: Value,
    #[serde(borrow)]
    error: Option<Trouble<'a>>,
    #[serde(borrow)]
    error_description: Option<Text<'a>>,
}

/// Text (RFC 6749 §3.3), or a list as Twitch sends it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scope<'a> {
    Text(#[serde(borrow)] Text<'a>),
    List(Vec<String>),
}

/// A code (RFC 6749 §5.2), Reddit's number, or Facebook's object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Trouble<'a> {
    Code(#[serde(borrow)] Text<'a>),
    Number(u64),
    Object {
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow)]
        message: Option<Text<'a>>,
    },
}

/// Slack's envelope: a refusal says `"ok": false` with status 200, and the user's token lies within.
#[derive(Deserialize)]
struct Envelope<'a> {
    ok: bool,
    #[serde(borrow)]
    authed_user: Option<Answer<'a>>,
}

/// Reads a successful answer.
pub(super) fn granted(reading: &Reading<'_>, body: &[u8]) -> Result<TokenSet, OAuthError> {
    let mut answer = read(reading, body)?;
    if reading.quirks.envelope {
        let envelope: Envelope<'_> = from_json(body)?;
        if !envelope.ok {
            return Err(refusal(reading, answer, body));
        }
        if let Some(user) = envelope.authed_user.filter(|user| user.access_token.is_some()) {
            answer = user;
        }
    }
    if answer.access_token.is_none() && answer.error.is_some() {
        // Some providers refuse with status 200.
        return Err(refusal(reading, answer, body));
    }
    let access = secret(answer.access_token).ok_or_else(|| unreadable("it has no access token"))?;
    if access.len() > LONGEST_TOKEN || !access.expose().iter().all(u8::is_ascii_graphic) {
        return Err(unreadable("its access token does not fit into a header"));
    }
    let token_type = token_type(reading, answer.token_type.as_ref())?;
    let scopes = answer.scope.map(|scope| {
        let parsed = match &scope {
            Scope::Text(Text(text)) => {
                let also = if reading.quirks.commas { ',' } else { ' ' };
                Scopes::parse(text.split([' ', reading.separator, also]).filter(|one| !one.is_empty()))
            }
            Scope::List(list) => Scopes::parse(list.iter().map(String::as_str)),
        };
        parsed.map_err(|_| unreadable("its scope is malformed"))
    });
    let issued_token_type = answer.issued_token_type.map(|Text(kind)| {
        let good = (1..=256).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(kind.into_owned()) } else { Err(unreadable("its `issued_token_type` is malformed")) }
    });
    let refresh = secret(answer.refresh_token);
    let id_token = secret(answer.id_token);
    Ok(TokenSet {
        holder: id_token.as_ref().and_then(holder),
        access,
        token_type,
        expires_in: lifetime(&answer.expires_in, refresh.is_some())?,
        refresh,
        scopes: scopes.transpose()?,
        id_token,
        issued_token_type: issued_token_type.transpose()?,
    })
}

/// None where the ID token names nobody.
fn holder(id_token: &Secret) -> Option<Holder> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        sub: String,
    }
    let payload = id_token.expose_text()?.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(sha256(format!("{}:{}{}", claims.iss.len(), claims.iss, claims.sub).as_bytes()))
}

/// A token that is bound to a key we did not name, or to something else entirely, is no use to us.
fn token_type(reading: &Reading<'_>, said: Option<&Text<'_>>) -> Result<TokenType, OAuthError> {
    let said = said.map_or("", |Text(kind)| kind);
    if reading.assertion {
        let right = said.eq_ignore_ascii_case("N_A");
        return if right { Ok(TokenType::Bearer) } else { Err(unreadable("its token type is not `N_A`")) };
    }
    if said.eq_ignore_ascii_case("bearer") || reading.quirks.bearer.iter().any(|known| known == said) {
        return Ok(TokenType::Bearer);
    }
    match said {
        "" => Err(unreadable("it has no token type")),
        kind if kind.eq_ignore_ascii_case("dpop") && reading.bound => Ok(TokenType::Dpop),
        kind if kind.eq_ignore_ascii_case("dpop") => {
            Err(unreadable("its token is bound to a key, and the request named none; set `dpop` of the provider"))
        }
        _ => Err(unreadable("its token type is not `Bearer`")),
    }
}

/// Reads an error answer (RFC 6749 §5.2); `status` is for those that hold none.
pub(super) fn refused(reading: &Reading<'_>, status: u16, body: &[u8]) -> OAuthError {
    if is_gone(reading.quirks, body) {
        return OAuthError::GrantGone;
    }
    match read(reading, body) {
        Ok(answer) if answer.error.is_some() => refusal(reading, answer, body),
        _ => OAuthError::Unreadable(format!("the provider answered {status} and no OAuth error")),
    }
}

fn refusal(reading: &Reading<'_>, answer: Answer<'_>, body: &[u8]) -> OAuthError {
    let sent = reading.sent;
    let (error, message) = match answer.error {
        None => return unreadable("it holds neither token nor error"),
        Some(Trouble::Code(Text(error))) => (error, None),
        Some(Trouble::Number(number)) => (number.to_string().into(), None),
        Some(Trouble::Object { kind, message }) => (kind.map_or("error".into(), |Text(kind)| kind), message),
    };
    // RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
    let proper =
        (1..=100).contains(&error.len()) && error.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !proper || (!KNOWN_ERRORS.contains(&&*error) && quotes(&error, sent)) {
        return unreadable("its error code is malformed");
    }
    if error == "invalid_grant" || is_gone(reading.quirks, body) {
        return OAuthError::GrantGone;
    }
    let description = match answer.error_description.or(message) {
        Some(Text(text)) if quotes(&text, sent) => "(withheld: it quotes a secret)".into(),
        Some(Text(text)) => text.escape_debug().take(200).collect(),
        None => String::new(),
    };
    OAuthError::Refused { error: error.into_owned(), description }
}

/// Whether a vendor says in its own words that a grant is over.
fn is_gone(quirks: &Quirks, body: &[u8]) -> bool {
    let words = ["error", "status", "message"];
    let is = |text: &str| quirks.gone.iter().any(|known| known == text);
    if quirks.gone.is_empty() {
        return false;
    }
    match serde_json::from_slice::<serde_json::Map<String, Value>>(body) {
        Ok(said) => words.iter().any(|word| said.get(*word).and_then(Value::as_str).is_some_and(is)),
        Err(_) => url::form_urlencoded::parse(body).any(|(name, value)| words.contains(&&*name) && is(&value)),
    }
}

/// Whether a provider's text repeats a secret that we sent it.
pub(super) fn quotes(text: &str, sent: &[&Secret]) -> bool {
    sent.iter().any(|secret| {
        !secret.is_empty()
            && (secret.expose_text().is_some_and(|secret| text.contains(secret))
                || Scrubber::new(secret).finds_in(text.as_bytes()))
    })
}

fn read<'a>(reading: &Reading<'_>, body: &'a [u8]) -> Result<Answer<'a>, OAuthError> {
    if reading.quirks.form_answers && first(body).is_some_and(|b| b != b'{') {
        read_form(body)
    } else {
        from_json(body)
    }
}

/// An object and nothing else: serde would take an array for the fields in their order.
pub(super) fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, OAuthError> {
    if first(body) != Some(b'{') {
        return Err(unreadable("it is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|_| unreadable("it is not the JSON of a token response"))
}

fn first(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|b| !b.is_ascii_whitespace())
}

/// GitHub's answers are forms where it is not asked for JSON, and behind some proxies also where it is.
fn read_form(body: &[u8]) -> Result<Answer<'_>, OAuthError> {
    let mut answer = Answer::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        let twice = match &*name {
            "access_token" => answer.access_token.replace(Text(value)).is_some(),
            "token_type" => answer.token_type.replace(Text(value)).is_some(),
            "refresh_token" => answer.refresh_token.replace(Text(value)).is_some(),
            "scope" => answer.scope.replace(Scope::Text(Text(value))).is_some(),
            "error" => answer.error.replace(Trouble::Code(Text(value))).is_some(),
            "error_description" => answer.error_description.replace(Text(value)).is_some(),
            "expires_in" => !std::mem::replace(&mut answer.expires_in, Value::String(value.into_owned())).is_null(),
            _ => false,
        };
        if twice {
            return Err(unreadable("it names a field twice"));
        }
    }
    Ok(answer)
}

/// Empty counts as absent: some providers send `""` for a refresh token that they do not issue.
fn secret(text: Option<Text<'_>>) -> Option<Secret> {
    let secret = match text?.0 {
        Cow::Borrowed(text) => Secret::new(text.as_bytes().to_vec()),
        Cow::Owned(text) => Secret::from_text(text),
    };
    (!secret.is_empty()).then_some(secret)
}

/// Seconds, as a number or as a number in a string.
fn lifetime(value: &Value, renewable: bool) -> Result<Option<Duration>, OAuthError> {
    let seconds = match value {
        Value::Null => return Ok(None),
        _ => number(value),
    };
    let longest = if renewable { LONGEST_LIFE } else { LONGEST_LIFE_ALONE };
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds.clamp(0.0, longest).trunc()))),
        None => Err(unreadable("its `expires_in` is not a number of seconds")),
    }
}

/// A number, or one in a string.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| !number.is_nan())
}

pub(super) fn unreadable(why: &str) -> OAuthError {
    OAuthError::Unreadable(format!("the provider's token response cannot be used: {why}"))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
