//! Reading a token endpoint's answers (RFC 6749 §5). Strict: what is not understood is no token.

use super::client::OAuthError;
use crate::egress::Scrubber;
use crate::ids::Scopes;
use crate::secret::Secret;
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
    /// From now, 0 to 24 hours whatever the provider says; none when it does not.
    pub expires_in: Option<Duration>,
    /// None: as asked (RFC 6749 §5.1).
    pub scopes: Option<Scopes>,
    /// For a sign-in; not verified here.
    pub id_token: Option<Secret>,
    /// What a token exchange made (RFC 8693 §2.2.1).
    pub issued_token_type: Option<String>,
}

const LONGEST_LIFE: f64 = 24.0 * 60.0 * 60.0;
/// Longer access tokens do not fit into the headers of most servers.
const LONGEST_TOKEN: usize = 32 * 1024;

/// Codes that repeat nobody's secret, even where a secret is a word of theirs (RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 8707 §2).
const KNOWN_ERRORS: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_token",
    "unsupported_token_type",
    "invalid_target",
];

/// Text that is not copied unless it was escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field that comes twice is an error: two readers could take different ones.
#[derive(Deserialize)]
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
    scope: Option<Text<'a>>,
    #[serde(default)]
    expires_in: Value,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    error_description: Option<Text<'a>>,
}

/// Reads a successful answer. `sent` are the secrets of the request, kept out of every message.
pub(super) fn granted(body: &[u8], separator: char, sent: &[&Secret]) -> Result<TokenSet, OAuthError> {
    let answer = read(body)?;
    if answer.access_token.is_none() && answer.error.is_some() {
        // Some providers refuse with status 200.
        return Err(refusal(answer, sent));
    }
    let access = secret(answer.access_token).ok_or_else(|| unreadable("it has no access token"))?;
    if access.len() > LONGEST_TOKEN || !access.expose().iter().all(u8::is_ascii_graphic) {
        return Err(unreadable("its access token does not fit into a header"));
    }
    match answer.token_type {
        Some(Text(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(unreadable("its token type is not `Bearer`")),
        None => return Err(unreadable("it has no token type")),
    }
    let scopes = answer.scope.map(|Text(scope)| {
        let each = scope.split([' ', separator]).filter(|one| !one.is_empty());
        Scopes::parse(each).map_err(|_| unreadable("its scope is malformed"))
    });
    Ok(TokenSet {
        access,
        refresh: secret(answer.refresh_token),
        expires_in: lifetime(&answer.expires_in)?,
        scopes: scopes.transpose()?,
        id_token: secret(answer.id_token),
        token_type: TokenType::Bearer,
        issued_token_type: None,
    })
}

/// Reads an error answer (RFC 6749 §5.2); `status` is for those that hold none.
pub(super) fn refused(status: u16, body: &[u8], sent: &[&Secret]) -> OAuthError {
    match read(body) {
        Ok(answer) if answer.error.is_some() => refusal(answer, sent),
        _ => OAuthError::Unreadable(format!("the provider answered {status} and no OAuth error")),
    }
}

fn refusal(answer: Answer<'_>, sent: &[&Secret]) -> OAuthError {
    let Some(Text(error)) = answer.error else { return unreadable("it holds neither token nor error") };
    // RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
    let proper =
        (1..=100).contains(&error.len()) && error.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !proper || (!KNOWN_ERRORS.contains(&&*error) && quotes(&error, sent)) {
        return unreadable("its error code is malformed");
    }
    if error == "invalid_grant" {
        return OAuthError::GrantGone;
    }
    let description = match answer.error_description {
        Some(Text(text)) if quotes(&text, sent) => "(withheld: it quotes a secret)".into(),
        Some(Text(text)) => text.escape_debug().take(200).collect(),
        None => String::new(),
    };
    OAuthError::Refused { error: error.into_owned(), description }
}

/// Whether a provider's text repeats a secret that we sent it.
fn quotes(text: &str, sent: &[&Secret]) -> bool {
    sent.iter().any(|secret| {
        !secret.is_empty()
            && (secret.expose_text().is_some_and(|secret| text.contains(secret))
                || Scrubber::new(secret).finds_in(text.as_bytes()))
    })
}

fn read(body: &[u8]) -> Result<Answer<'_>, OAuthError> {
    // An object and nothing else: serde would take an array for the fields in their order.
    if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(unreadable("it is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|_| unreadable("it is not the JSON of a token response"))
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
fn lifetime(value: &Value) -> Result<Option<Duration>, OAuthError> {
    let seconds = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    match seconds {
        Some(seconds) if !seconds.is_nan() => {
            Ok(Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_LIFE).trunc())))
        }
        _ => Err(unreadable("its `expires_in` is not a number of seconds")),
    }
}

fn unreadable(why: &str) -> OAuthError {
    OAuthError::Unreadable(format!("the provider's token response cannot be used: {why}"))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
