//! Why an agent could not answer.

use crate::Consent;
use ::http::StatusCode;
use std::fmt;

/// Why an agent could not answer. Returned from a handler, it becomes a [`Problem`](crate::Problem) for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The user has to agree first: 403, with the URL to open.
    ConsentRequired(Consent),
    /// Policy refuses, and asking again will not help: 403.
    Denied(String),
    /// The user agreed, and the provider granted less. These scopes are missing: 403.
    InsufficientScopes(Vec<String>),
    /// This host has no such provider: 500.
    NotConfigured(String),
    /// The provider answered, and the answer was no: 502.
    ProviderRefused(String),
    /// The user's own token has expired; they must sign in again and call with the new one: 403.
    SignInRequired(String),
    /// The provider, or a part of the host, cannot be reached now: 503 with `retry-after`.
    Unavailable(String),
    /// This agent made a request that cannot be sent: 500.
    InvalidRequest(String),

    /// The caller's request cannot be read: 400.
    BadRequest(String),
    /// A request of this agent, or its reply, did not get through: 502.
    Network(String),
    /// A service answered with a status that is not a success: 502.
    Status(StatusCode),
    /// A service's reply cannot be read: 502.
    Unreadable(String),
    /// What the agent itself wants to say; make it with [`Error::new`].
    Other(StatusCode, String),
}

impl Error {
    /// An error of the agent's own: a status, and one sentence for the caller.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Error {
        Error::Other(status, detail.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::ConsentRequired(_) => write!(f, "the user has not granted this yet; open `authorization_url`"),
            Error::InsufficientScopes(missing) => write!(f, "the provider did not grant `{}`", missing.join(" ")),
            Error::Status(status) => write!(f, "the service answered `{status}`"),
            Error::Unreadable(why) => write!(f, "the service's reply cannot be read: {why}"),
            Error::BadRequest(why) => write!(f, "the request cannot be read: {why}"),
            Error::Denied(why)
            | Error::NotConfigured(why)
            | Error::ProviderRefused(why)
            | Error::SignInRequired(why)
            | Error::Unavailable(why)
            | Error::InvalidRequest(why)
            | Error::Network(why)
            | Error::Other(_, why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Network(error.to_string())
    }
}
