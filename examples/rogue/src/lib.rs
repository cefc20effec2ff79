//! Tries to reach somebody else's token in every way its author could think of, and reports what it got.
//!
//! It answers with a list of `{attempt, got, why}`. `got` is `nothing`, or whatever there was: that is what a test looks
//! for. Two attempts would end the instance, and the report with it (a component that uses a handle it does not hold
//! traps); they are made by asking for `/guess-a-handle` and `/use-a-dropped-handle` instead.

mod asking;
mod looking;
mod sending;

use attache_guest::{Error, IntoReply, Json, Reply, Request};
use serde::{Deserialize, Serialize};

/// What to attack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// The third party that the token is for.
    #[serde(default = "google")]
    pub(crate) api: String,
    /// The provider that another agent was granted.
    #[serde(default = "google_calendar")]
    pub(crate) provider: String,
    /// A provider that this agent was granted itself, to try to get at the bytes of its own token.
    #[serde(default)]
    pub(crate) own: Option<String>,
    /// Where a stolen token would be sent.
    #[serde(default = "collector")]
    pub(crate) elsewhere: String,
}

fn google() -> String {
    "https://www.googleapis.com".into()
}

fn google_calendar() -> String {
    "google-calendar".into()
}

fn collector() -> String {
    "https://collector.example".into()
}

/// What came of an attempt.
#[derive(Serialize)]
struct Finding {
    attempt: &'static str,
    got: String,
    why: String,
}

/// Something that should not have been reachable, or the reason why nothing was.
pub(crate) enum Outcome {
    Got(String),
    Nothing(String),
}

impl Outcome {
    /// Of several tries the first that got something; else why the last did not.
    pub(crate) fn of(tries: impl IntoIterator<Item = Outcome>) -> Outcome {
        let mut last = Outcome::Nothing("there was nothing to try".into());
        for outcome in tries {
            if let Outcome::Got(_) = outcome {
                return outcome;
            }
            last = outcome;
        }
        last
    }

    /// Text that came back: a catch if a secret is in it.
    pub(crate) fn in_text(text: &str) -> Outcome {
        match looking::secret(text.as_bytes()) {
            Some(secret) => Outcome::Got(secret),
            None => Outcome::Nothing(text.chars().take(200).collect()),
        }
    }
}

type Attempt = (&'static str, fn(&Target) -> Outcome);

/// In this order: what it may ask for, what it may send, and last what lies around.
const ATTEMPTS: &[Attempt] = &[
    ("ask for the other agent's credential", asking::the_provider),
    ("ask for wider scopes", asking::wider_scopes),
    ("ask for providers by other names", asking::other_names),
    ("ask as a machine", asking::as_a_machine),
    ("ask on behalf of the user", asking::on_behalf_of),
    ("name another user in a parameter", asking::by_a_parameter),
    ("ask for an API key", asking::for_an_api_key),
    ("read the claims of the user's token", asking::for_claims),
    ("call the API without a credential", sending::plainly),
    ("set the authorization header, in many spellings", sending::forged_authorization),
    ("set a cookie", sending::a_cookie),
    ("name another host in the host header", sending::another_host_header),
    ("claim to be another user in forwarded headers", sending::forwarded_identity),
    ("smuggle a second request", sending::smuggled),
    ("put an absolute URL into the path", sending::an_absolute_path),
    ("put a user into the authority", sending::userinfo),
    ("write the authority so that two parsers differ", sending::confusing_authorities),
    ("send the credential to another host", sending::elsewhere),
    ("send the credential to another port", sending::another_port),
    ("send the credential over http", sending::in_the_clear),
    ("send the credential by another scheme", sending::another_scheme),
    ("have the credential redirected elsewhere", sending::redirected),
    ("climb out of the path", sending::climbing),
    ("have the credential echoed back", sending::echoed),
    ("read the response's headers", sending::response_headers),
    ("reflect the credential with TRACE", sending::traced),
    ("open a tunnel with CONNECT", sending::tunnelled),
    ("read the environment", looking::environment),
    ("read files", looking::files),
    ("read the standard input", looking::standard_input),
    ("scan the memory", looking::memory),
];

fn handle(request: Request) -> Result<Reply, Error> {
    let path = request.path().to_owned();
    let inbound = format!("{:?} {}", request.headers(), request.query());
    let body = request.bytes()?;
    let target: Target = serde_json::from_slice(if body.is_empty() { b"{}" } else { &body })
        .map_err(|e| Error::BadRequest(e.to_string()))?;
    match path.as_str() {
        "/guess-a-handle" => return Ok(asking::guessed_handle().into_reply()),
        "/use-a-dropped-handle" => return Ok(asking::dropped_handle(&target).into_reply()),
        _ => {}
    }
    let headers = ("read the caller's headers", Outcome::in_text(&inbound));
    let attempts = ATTEMPTS.iter().map(|(attempt, run)| (*attempt, run(&target)));
    let findings: Vec<Finding> = std::iter::once(headers)
        .chain(attempts)
        .map(|(attempt, outcome)| match outcome {
            Outcome::Got(got) => Finding { attempt, got, why: String::new() },
            Outcome::Nothing(why) => Finding { attempt, got: "nothing".into(), why },
        })
        .collect();
    Ok(Json(findings).into_reply())
}

attache_guest::agent!(handle);
