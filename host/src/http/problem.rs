//! What is said outside when something does not work: RFC 9457, and the only place that picks statuses.
//!
//! 401 for a missing or bad credential, 404 for what is not yours to know, 403 for what you may see but not do. A detail
//! says what to do next; the reason behind it goes to the log and the audit trail.

use crate::access::{Forbidden, KeysError};
use crate::audit::Unwritable;
use crate::consent::ConsentError;
use crate::directory::{ChangeError, Unresolved};
use crate::identity::Rejected;
use crate::ids::{AgentName, Malformed};
use crate::operations::{Class, OperationError};
use crate::runtime::{InvokeError, LoadError};
use crate::sign_in::SignInError;
use crate::vault::VaultError;
use crate::wiring::ComponentError;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// One refusal. `type` is `urn:attache:problem:<slug>`.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) slug: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
    /// Seconds.
    retry_after: Option<u32>,
    challenge: Option<HeaderValue>,
}

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), retry_after: None, challenge: None }
    }

    fn retry(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The request cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "the request cannot be understood", detail)
    }

    /// Nothing here, or nothing that the caller may know of.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here", "check the address")
    }

    /// Something is here, but does not answer to this method.
    pub(super) fn method_not_allowed() -> Self {
        let detail = "use another method at this address";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this method does nothing here", detail)
    }

    /// The body is over the cap.
    pub(super) fn too_large(max: u64) -> Self {
        let detail = format!("send at most {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large", detail)
    }

    /// The body took too long to come.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the body did not arrive in time", "send it again")
    }

    /// A form that did not come from a page of this visit.
    pub(super) fn foreign_form() -> Self {
        let detail = "open the page again and repeat what you did";
        Self::new(StatusCode::FORBIDDEN, "foreign-form", "this form did not come from a page of yours", detail)
    }

    /// There is no identity provider for the host's own pages.
    pub(super) fn no_sign_in() -> Self {
        let detail = "an operator adds `[sign_in]` to the configuration";
        Self::new(StatusCode::NOT_FOUND, "no-sign-in", "nobody can sign in at this host", detail)
    }

    /// The return URL is not on the workload's list.
    pub(super) fn return_url(agent: &AgentName) -> Self {
        let detail =
            format!("`attache-return-url` must be one of the return URLs that agent `{agent}` is deployed with");
        Self::new(StatusCode::BAD_REQUEST, "return-url", "this return URL is not allowed", detail)
    }

    /// No authorizer says who may call this.
    pub(super) fn nobody_let_in() -> Self {
        let detail = "no token is accepted here; an operator names an authorizer in the configuration";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first", detail)
    }

    /// No such agent, as far as outsiders are told.
    pub(super) fn no_agent(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        let detail = format!("there is no agent `{}` at this host", name.escape_debug());
        Self::new(StatusCode::NOT_FOUND, "unknown-agent", "no such agent", detail)
    }

    /// A token was not accepted. `metadata` is the URL of RFC 9728 §5.1.
    pub(super) fn rejected(rejected: &Rejected, metadata: &str) -> Self {
        let public = rejected.public();
        if rejected.is_unavailable() {
            let title = "the identity provider is unavailable";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "identity-unavailable", title, public).retry(30);
        }
        let (status, slug, title) = match rejected.error_code() {
            "insufficient_scope" => (StatusCode::FORBIDDEN, "insufficient-scope", "the token is not enough"),
            _ => (StatusCode::UNAUTHORIZED, "unauthorized", "sign in first"),
        };
        let mut problem = Self::new(status, slug, title, public);
        problem.challenge = challenge(rejected, metadata);
        problem
    }

    /// Adds the challenge of RFC 9728 §5.1 where there is no token to speak of.
    pub(super) fn challenging(mut self, metadata: &str) -> Self {
        self.challenge = challenge(&Rejected::Missing, metadata);
        self
    }

    /// What tells a client how to come with a token.
    pub(super) fn challenge(&self) -> Option<&HeaderValue> {
        self.challenge.as_ref()
    }

    /// For operators, who are told all.
    pub(super) fn component(error: &ComponentError) -> Self {
        match error {
            ComponentError::Load(load) => load.into(),
            ComponentError::Store(source) => storage(source.to_string()),
            ComponentError::Stopped => storage(error.to_string()),
        }
    }

    /// The component of an agent that is registered cannot run. Outside, only that.
    pub(super) fn component_unavailable(error: &ComponentError) -> Self {
        log("a component cannot run", error);
        let detail = "the agent cannot be started at present; its operator finds the reason in the host's log";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "component-unavailable", "the agent cannot be started", detail)
            .retry(5)
    }
}

/// RFC 6750 §3: a request without any token gets the challenge without an error.
fn challenge(rejected: &Rejected, metadata: &str) -> Option<HeaderValue> {
    let text = match rejected {
        Rejected::Missing => format!("Bearer resource_metadata=\"{metadata}\""),
        _ => format!(
            "Bearer error=\"{}\", error_description=\"{}\", resource_metadata=\"{metadata}\"",
            rejected.error_code(),
            // Printable ASCII without `"` and `\` (RFC 6750 §3).
            rejected.public().replace(['"', '\\'], "'")
        ),
    };
    HeaderValue::try_from(text).ok()
}

fn storage(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the host cannot do this now", detail).retry(5)
}

fn unavailable(what: &'static str, error: &dyn std::error::Error) -> Problem {
    log(what, error);
    storage("try again in a moment; nothing was done".to_owned())
}

fn log(what: &'static str, error: &dyn std::error::Error) {
    let mut causes = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes = format!("{causes}: {next}");
        cause = next.source();
    }
    tracing::error!(error = %causes, "{what}");
}

impl From<Unwritable> for Problem {
    fn from(error: Unwritable) -> Self {
        unavailable("nothing is done that cannot be written down", &error)
    }
}

impl From<Forbidden> for Problem {
    fn from(error: Forbidden) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not yours to do", error.to_string())
    }
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        let detail = error.to_string();
        match &error {
            KeysError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here", detail),
            KeysError::Name => Self::bad_request(detail),
            KeysError::TooMany => Self::new(StatusCode::CONFLICT, "conflict", "there are too many", detail),
            KeysError::MoreThanYours => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not yours to do", detail)
            }
            KeysError::OtherPermission(_) | KeysError::Seal { .. } | KeysError::Store(_) => {
                unavailable("an access key could not be made or changed", &error)
            }
        }
    }
}

impl From<Malformed> for Problem {
    fn from(error: Malformed) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<Unresolved> for Problem {
    fn from(error: Unresolved) -> Self {
        match &error {
            Unresolved::NotRegistered(name)
            | Unresolved::NoWorkload(name)
            | Unresolved::NothingDeployed(name)
            | Unresolved::Retired(name) => Self::no_agent(name.as_str()),
            Unresolved::Linked(_) => {
                Self::new(StatusCode::FORBIDDEN, "linked-identity", "the agent runs on this host", error.to_string())
            }
            Unresolved::Killed(_) => {
                Self::new(StatusCode::FORBIDDEN, "suspended", "the agent's version was stopped", error.to_string())
            }
            Unresolved::Suspended(name) => {
                let detail = format!("agent `{name}` is suspended; its operator can resume it");
                Self::new(StatusCode::FORBIDDEN, "suspended", "the agent is suspended", detail)
            }
        }
    }
}

impl From<InvokeError> for Problem {
    fn from(error: InvokeError) -> Self {
        let detail = error.to_string();
        let new = |status, slug, title| Self::new(status, slug, title, detail);
        match error {
            InvokeError::Trapped(_) => new(StatusCode::BAD_GATEWAY, "agent-fault", "the agent failed"),
            InvokeError::OutOfMemory(_) => {
                new(StatusCode::BAD_GATEWAY, "agent-memory", "the agent used too much memory")
            }
            InvokeError::NoResponse => new(StatusCode::BAD_GATEWAY, "agent-silent", "the agent gave no response"),
            InvokeError::AgentError(_) => {
                new(StatusCode::BAD_GATEWAY, "agent-error", "the agent answered with an error")
            }
            InvokeError::Deadline(_) => new(StatusCode::GATEWAY_TIMEOUT, "agent-deadline", "the agent took too long"),
            InvokeError::RevealNotGranted => {
                new(StatusCode::FORBIDDEN, "reveal-not-granted", "the agent wants more than it was granted")
            }
            InvokeError::Busy => new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the host is busy").retry(1),
            InvokeError::Stopped => new(StatusCode::BAD_GATEWAY, "agent-stopped", "the agent was stopped"),
            InvokeError::Host => new(StatusCode::INTERNAL_SERVER_ERROR, "host-fault", "the host failed"),
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        let detail = error.to_string();
        let new = |status, slug, title| Self::new(status, slug, title, detail.clone());
        match &error {
            ConsentError::NotFound | ConsentError::Expired | ConsentError::Over | ConsentError::State => {
                new(StatusCode::NOT_FOUND, "consent-over", "this link no longer works")
            }
            ConsentError::NotYours => {
                let detail =
                    "it was made for another user; sign in as that user, or ask the agent for a link of your own";
                Self::new(StatusCode::FORBIDDEN, "consent-not-yours", "this link is not for you", detail)
            }
            ConsentError::SignInNeeded => new(StatusCode::UNAUTHORIZED, "sign-in-needed", "sign in first"),
            ConsentError::NotAnswered | ConsentError::NotFromBrowser | ConsentError::NotByDevice(_) => {
                new(StatusCode::CONFLICT, "consent-incomplete", "this consent cannot be completed so")
            }
            ConsentError::NoUser | ConsentError::ReturnUrl(_) | ConsentError::NoCode => {
                new(StatusCode::BAD_REQUEST, "consent-refused", "this consent cannot go on")
            }
            ConsentError::WrongProvider | ConsentError::Issuer(_) => {
                new(StatusCode::BAD_REQUEST, "consent-refused", "this answer is not from the right provider")
            }
            ConsentError::Declined { .. } => new(StatusCode::FORBIDDEN, "consent-declined", "nothing was granted"),
            ConsentError::NoProvider(_)
            | ConsentError::AnotherProvider(_)
            | ConsentError::WantsMore(_)
            | ConsentError::BorrowedClient(_)
            | ConsentError::Agent(_) => new(StatusCode::NOT_FOUND, "consent-over", "this link no longer works"),
            ConsentError::Provider(_) => {
                log("a provider could not be asked", &error);
                let detail = "the provider could not be asked; open the link again in a moment";
                Self::new(StatusCode::BAD_GATEWAY, "provider-unavailable", "the provider does not answer", detail)
                    .retry(10)
            }
            ConsentError::Vault(_)
            | ConsentError::Sessions(_)
            | ConsentError::Unwritable(_)
            | ConsentError::Seal(_)
            | ConsentError::Malformed(_)
            | ConsentError::Stopped => unavailable("a consent could not go on", &error),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let detail = error.to_string();
        let title = "you are not signed in";
        match &error {
            SignInError::Provider(_) | SignInError::NoIdToken => {
                log("the identity provider could not be asked", &error);
                let title = "the identity provider does not answer";
                Self::new(StatusCode::BAD_GATEWAY, "identity-unavailable", title, detail).retry(10)
            }
            SignInError::Unwritable(_) => unavailable("a sign-in could not be written down", &error),
            SignInError::Rejected(rejected) if rejected.is_unavailable() => {
                unavailable("an ID token could not be checked", &error)
            }
            SignInError::State
            | SignInError::OtherBrowser
            | SignInError::Declined(_)
            | SignInError::Issuer(_)
            | SignInError::NoCode
            | SignInError::Rejected(_) => Self::new(StatusCode::FORBIDDEN, "sign-in-failed", title, detail),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match &error {
            // Whether somebody else has a grant of this id is nobody's to know.
            VaultError::Missing | VaultError::NotYours => {
                let detail = "it may have been revoked already; list the grants again";
                Self::new(StatusCode::NOT_FOUND, "unknown-grant", "there is no such grant", detail)
            }
            _ => unavailable("a grant could not be revoked", &error),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match &error {
            ChangeError::OtherPublisher { .. } => {
                Self::new(StatusCode::CONFLICT, "other-publisher", "the name belongs to another publisher", detail)
            }
            ChangeError::AlreadyRegistered(_) | ChangeError::Alike { .. } => {
                Self::new(StatusCode::CONFLICT, "already-registered", "the name is taken", detail)
            }
            ChangeError::PublisherAlike { .. } => {
                Self::new(StatusCode::CONFLICT, "publisher-alike", "the publisher looks like another", detail)
            }
            ChangeError::Retired(_) => Self::new(StatusCode::CONFLICT, "being-deleted", "it is being deleted", detail),
            ChangeError::HostManaged(_) | ChangeError::BoundByConfiguration { .. } => {
                Self::new(StatusCode::CONFLICT, "not-by-this-way", "it cannot be changed this way", detail)
            }
            ChangeError::NotBound { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not-bound", "the provider is not bound", detail)
            }
            ChangeError::NotRegistered(_) => Self::new(StatusCode::NOT_FOUND, "unknown-agent", "no such agent", detail),
            ChangeError::Store(_) => unavailable("the directory could not be changed", &error),
            _ => Self::bad_request(detail),
        }
    }
}

/// What an operation says, in this room's words. A component that does not load is told in full: whoever may deploy one
/// may know why; callers of an agent are told less by [`Problem::component_unavailable`].
impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let detail = error.to_string();
        match error {
            OperationError::Directory(error) => error.into(),
            OperationError::Forbidden(error) => error.into(),
            OperationError::Keys(error) => error.into(),
            OperationError::Unresolved(error) => error.into(),
            OperationError::Vault(error) => error.into(),
            OperationError::Consent(error) => error.into(),
            OperationError::Invoke(error) => error.into(),
            OperationError::Unwritable(error) => error.into(),
            OperationError::Component(error) => Self::component(&error),
            OperationError::NotRunnable(error) => Self::component_unavailable(&error),
            OperationError::TooLarge(max) => Self::too_large(max),
            OperationError::Throttled { message, retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", "there were too many of these", message)
                    .retry(retry_after)
            }
            error => match error.class() {
                Class::Invalid | Class::NotOffered => Self::bad_request(detail),
                Class::Denied => Self::new(StatusCode::FORBIDDEN, "denied", "this is not allowed", detail),
                Class::NotFound => Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here", detail),
                Class::Throttled => {
                    Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", "there were too many of these", detail)
                        .retry(1)
                }
                Class::Conflict | Class::Quota => {
                    Self::new(StatusCode::CONFLICT, "conflict", "this stands against something that is there", detail)
                }
                Class::Agent | Class::Unavailable => unavailable("an operation could not be done", &error),
            },
        }
    }
}

impl From<&LoadError> for Problem {
    fn from(error: &LoadError) -> Self {
        let title = "this component cannot be deployed";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "component-refused", title, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:attache:problem:{}", self.slug),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(axum::body::Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(super::headers::NOSNIFF.0, super::headers::NOSNIFF.1);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;

    const METADATA: &str = "https://agents.example.com/.well-known/oauth-protected-resource/agents/calendar";

    #[tokio::test]
    async fn a_problem_is_json_of_rfc_9457() {
        let response = Problem::from(InvokeError::Deadline(Duration::from_secs(30))).into_response();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:attache:problem:agent-deadline");
        assert_eq!(body["status"], 504);
        assert!(body["title"].is_string() && body["detail"].is_string());
    }

    #[test]
    fn a_request_without_a_token_gets_the_challenge_without_an_error() {
        let problem = Problem::rejected(&Rejected::Missing, METADATA);
        let challenge = problem.challenge.unwrap();
        assert_eq!(
            (problem.status, challenge.to_str().unwrap()),
            (StatusCode::UNAUTHORIZED, format!("Bearer resource_metadata=\"{METADATA}\"").as_str(),)
        );
    }

    #[test]
    fn a_bad_token_is_told_in_one_sentence_that_does_not_help_a_forger() {
        let reasons = [Rejected::Signature, Rejected::Audience, Rejected::Issuer("`https://evil.example`".into())];
        let told: Vec<_> = reasons
            .iter()
            .map(|reason| {
                let problem = Problem::rejected(reason, METADATA);
                assert_eq!(problem.status, StatusCode::UNAUTHORIZED);
                (problem.detail, problem.challenge.unwrap())
            })
            .collect();
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        assert!(told[0].1.to_str().unwrap().starts_with("Bearer error=\"invalid_token\", error_description=\""));
    }

    #[test]
    fn a_missing_scope_and_missing_keys_are_no_401() {
        assert_eq!(Problem::rejected(&Rejected::Scope, METADATA).status, StatusCode::FORBIDDEN);
        let keys = Problem::rejected(&Rejected::Unavailable("connection refused to 10.0.0.1".into()), METADATA);
        assert_eq!((keys.status, keys.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(30)));
        assert!(!keys.detail.contains("10.0.0.1") && keys.challenge.is_none());
    }

    #[test]
    fn statuses_are_by_whose_fault_it_is() {
        let name = || AgentName::parse("calendar").unwrap();
        for (problem, status) in [
            (Problem::from(Unresolved::NotRegistered(name())), 404),
            (Problem::from(Unresolved::NothingDeployed(name())), 404),
            (Problem::from(Unresolved::Suspended(name())), 403),
            (Problem::from(InvokeError::Trapped("unreachable".into())), 502),
            (Problem::from(InvokeError::OutOfMemory("1 GiB".into())), 502),
            (Problem::from(InvokeError::Busy), 503),
            (Problem::from(ConsentError::NotYours), 403),
            (Problem::from(ConsentError::NotFound), 404),
            (Problem::from(ConsentError::Expired), 404),
            (Problem::from(VaultError::NotYours), 404),
            (Problem::from(VaultError::Missing), 404),
            (Problem::from(Unwritable("the disk is full".into())), 503),
            (Problem::too_large(9), 413),
            (Problem::from(OperationError::Throttled { message: "too many".into(), retry_after: 1 }), 429),
            (Problem::from(&LoadError::CoreModule), 422),
        ] {
            assert_eq!(problem.status.as_u16(), status, "{problem:?}");
        }
    }

    #[test]
    fn what_the_store_says_stays_inside() {
        let problem = Problem::from(Unwritable("database disk image is malformed: /var/lib/attache".into()));
        assert!(!problem.detail.contains("/var/lib"), "{}", problem.detail);
    }
}
