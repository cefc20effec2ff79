//! Why a token is not accepted.

use crate::clock::Timestamp;

/// Why there is no verified user. `Display` is the reason for the log and the audit trail; outside goes
/// [`Rejected::public`] alone, which does not help a forger to learn which check he failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No bearer token was sent.
    #[error("no bearer token was sent")]
    Missing,
    /// The request carries it wrongly (RFC 6750 §2.1).
    #[error("the authorization header cannot be read: {0}")]
    Header(&'static str),
    /// It is no JWT as it should be.
    #[error("the token is malformed: {0}")]
    Malformed(String),
    /// Signed with an algorithm that the issuer's rule does not accept.
    #[error("the token's algorithm {0} is not accepted for this issuer")]
    Algorithm(String),
    /// A JWT, but not of a kind that is accepted here.
    #[error("the token's type {0} is not accepted here")]
    Type(String),
    /// Nobody whom this agent trusts.
    #[error("the issuer {0} is not one that this agent's authorizer names")]
    Issuer(String),
    /// The issuer's keys do not hold the one that the token names.
    #[error("the issuer has no usable key {0}")]
    Key(String),
    /// The signature is not the issuer's.
    #[error("the signature does not verify")]
    Signature,
    /// Its time has passed.
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    /// Its time has not come, or it comes from the future.
    #[error("the token is not valid before {0}")]
    TooEarly(Timestamp),
    /// For somebody else.
    #[error("the token's audience is none of those that are accepted")]
    Audience,
    /// Made for a client that is not accepted.
    #[error("the token's client {0} is none of those that are accepted")]
    Client(String),
    /// It lacks the scopes that this agent asks for.
    #[error("the token has none of the scopes that are accepted")]
    Scope,
    /// A rule over its claims does not hold.
    #[error("the rule over the claim {0} does not hold")]
    Claim(String),
    /// Not the answer to this sign-in (OIDC Core §3.1.3.7).
    #[error("the ID token does not answer this sign-in: {0}")]
    SignIn(&'static str),
    /// The issuer's keys cannot be read, so nothing can be said about the token.
    #[error("the issuer's keys are unavailable: {0}")]
    Unavailable(String),
}

impl Rejected {
    /// One sentence for outside.
    pub fn public(&self) -> &'static str {
        match self {
            Self::Missing => "sign in and send the token as `Authorization: Bearer`",
            Self::Header(_) => "send exactly one `Authorization: Bearer` header with a token of at most 16 KiB",
            Self::Expired(_) => "the token has expired; sign in again",
            Self::TooEarly(_) => "the token is not valid yet; check the clocks and try again",
            Self::Scope => "the token lacks a scope that this agent asks for; sign in again with that scope",
            Self::Unavailable(_) => "the identity provider cannot be reached; try again in half a minute",
            Self::Malformed(_)
            | Self::Algorithm(_)
            | Self::Type(_)
            | Self::Issuer(_)
            | Self::Key(_)
            | Self::Signature
            | Self::Audience
            | Self::Client(_)
            | Self::Claim(_)
            | Self::SignIn(_) => {
                "the token is not accepted here; sign in again with an account that may use this agent"
            }
        }
    }

    /// `error` of RFC 6750 §3.1. For [`Rejected::Missing`] the standard wants the challenge without any.
    pub fn error_code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Header(_) => "invalid_request",
            Self::Scope => "insufficient_scope",
            _ => "invalid_token",
        }
    }

    /// Whether the fault is not the caller's: the same token may be good in a while.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A stranger's text, made fit for a log line: escaped, in backticks, at most 64 characters.
pub(super) fn shown(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    format!("`{}`", start.escape_debug())
}
