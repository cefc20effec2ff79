//! What a caller hears when an agent could not answer (RFC 9457).

use crate::Error;
use ::http::StatusCode;
use serde::Serialize;

/// An error in the words of `application/problem+json` (RFC 9457).
///
/// `type` is what a caller branches on: `urn:attache:problem:` and one of `consent-required`, `denied`,
/// `insufficient-scopes`, `not-configured`, `provider-refused`, `sign-in-required`, `unavailable`,
/// `invalid-request`, `bad-request`, `upstream`, `agent`. A `consent-required` also carries `authorization_url`, `session_uri` and `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which problem, as a URN.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words; the same for every problem of this kind.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a sentence.
    pub detail: String,
    /// Where the user agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<String>,
    /// Names the attempt to agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_uri: Option<String>,
    /// Seconds since 1970 after which the attempt is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The scopes that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Problem {
        let (kind, title, status) = match error {
            Error::ConsentRequired(_) => ("consent-required", "consent required", StatusCode::FORBIDDEN),
            Error::Denied(_) => ("denied", "not allowed for this agent", StatusCode::FORBIDDEN),
            Error::InsufficientScopes(_) => ("insufficient-scopes", "too little was granted", StatusCode::FORBIDDEN),
            Error::NotConfigured(_) => ("not-configured", "not configured", StatusCode::INTERNAL_SERVER_ERROR),
            Error::ProviderRefused(_) => ("provider-refused", "the provider refused", StatusCode::BAD_GATEWAY),
            Error::SignInRequired(_) => ("sign-in-required", "sign in again", StatusCode::FORBIDDEN),
            Error::Unavailable(_) => ("unavailable", "not available now", StatusCode::SERVICE_UNAVAILABLE),
            Error::InvalidRequest(_) => {
                ("invalid-request", "the agent made an invalid request", StatusCode::INTERNAL_SERVER_ERROR)
            }
            Error::BadRequest(_) => ("bad-request", "unreadable request", StatusCode::BAD_REQUEST),
            Error::Network(_) | Error::Status(_) | Error::Unreadable(_) => {
                ("upstream", "a service did not answer as expected", StatusCode::BAD_GATEWAY)
            }
            Error::Other(status, _) => ("agent", "the agent could not answer", *status),
        };
        let mut problem = Problem {
            kind: format!("urn:attache:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: error.to_string(),
            authorization_url: None,
            session_uri: None,
            expires_at: None,
            missing_scopes: Vec::new(),
        };
        match error {
            Error::ConsentRequired(consent) => {
                problem.authorization_url = Some(consent.authorization_url.clone());
                problem.session_uri = Some(consent.session_uri.clone());
                problem.expires_at = Some(consent.expires_at);
            }
            Error::InsufficientScopes(missing) => problem.missing_scopes.clone_from(missing),
            _ => {}
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Consent, IntoReply};
    use serde_json::{Value, json};

    fn check(error: Error, expect: Value) {
        let status = expect["status"].as_u64().unwrap();
        let reply = error.into_reply();
        assert_eq!(u64::from(reply.status().as_u16()), status);
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        assert_eq!(serde_json::from_slice::<Value>(reply.bytes().unwrap()).unwrap(), expect);
    }

    #[test]
    fn a_caller_learns_where_to_agree() {
        check(
            Error::ConsentRequired(Consent {
                authorization_url: "https://host.test/consent/1".into(),
                session_uri: "urn:ietf:params:oauth:request_uri:1".into(),
                expires_at: 1_800_000_000,
            }),
            json!({
                "type": "urn:attache:problem:consent-required",
                "title": "consent required",
                "status": 403,
                "detail": "the user has not granted this yet; open `authorization_url`",
                "authorization_url": "https://host.test/consent/1",
                "session_uri": "urn:ietf:params:oauth:request_uri:1",
                "expires_at": 1_800_000_000,
            }),
        );
    }

    #[test]
    fn a_caller_learns_which_scopes_are_missing() {
        check(
            Error::InsufficientScopes(vec!["calendar.write".into()]),
            json!({
                "type": "urn:attache:problem:insufficient-scopes",
                "title": "too little was granted",
                "status": 403,
                "detail": "the provider did not grant `calendar.write`",
                "missing_scopes": ["calendar.write"],
            }),
        );
    }

    #[test]
    fn every_fault_has_its_status() {
        let statuses = [
            (Error::Denied("no".into()), 403),
            (Error::NotConfigured("no".into()), 500),
            (Error::ProviderRefused("no".into()), 502),
            (Error::SignInRequired("no".into()), 403),
            (Error::Unavailable("no".into()), 503),
            (Error::InvalidRequest("no".into()), 500),
            (Error::BadRequest("no".into()), 400),
            (Error::Network("no".into()), 502),
            (Error::Status(StatusCode::NOT_FOUND), 502),
            (Error::Unreadable("no".into()), 502),
            (Error::new(StatusCode::IM_A_TEAPOT, "no"), 418),
        ];
        for (error, status) in statuses {
            assert_eq!(Problem::from(&error).status, status, "{error:?}");
        }
    }

    #[test]
    fn a_caller_is_told_to_come_back_when_something_is_down() {
        let reply = Error::Unavailable("the provider cannot be reached".into()).into_reply();
        assert!(reply.headers().contains_key("retry-after"));
    }
}
