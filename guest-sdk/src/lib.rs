//! Write an Attaché agent: a function from a typed request to a typed reply.
//!
//! ```no_run
//! use attache_guest::{Error, Json, credentials, http, identity};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Ask {
//!     calendar: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Answer {
//!     user: Option<String>,
//!     events: usize,
//! }
//!
//! fn handle(Json(ask): Json<Ask>) -> Result<Json<Answer>, Error> {
//!     let google = credentials::oauth2("google-calendar", &["calendar.read"])?;
//!     let url = format!("https://www.googleapis.com/calendar/v3/calendars/{}/events", ask.calendar);
//!     let reply: serde_json::Value = http::get(url).credential(&google).send()?.success()?.json()?;
//!     let events = reply["items"].as_array().map_or(0, Vec::len);
//!     Ok(Json(Answer { user: identity::user().map(|user| user.subject), events }))
//! }
//!
//! attache_guest::agent!(handle);
//! ```
//!
//! Build it with `crate-type = ["cdylib"]` for `wasm32-wasip2`. What comes out is a component that answers
//! `wasi:http/incoming-handler`, one fresh instance per request.
//!
//! The agent above holds no token and never will: [`credentials::oauth2`] hands out a [`Credential`], which is a handle,
//! and the host attaches the token after the request has left this component. Whose token it is was settled before
//! `handle` ran. When the user has not agreed yet, `?` answers the caller with `application/problem+json` that carries
//! the `authorization_url` to open (see [`Problem`]).

pub mod bindings;
mod body;
pub mod credentials;
mod error;
pub mod http;
pub mod identity;
mod problem;
mod reply;
mod request;

pub use body::{Body, Writer};
pub use credentials::{Consent, Credential};
pub use error::Error;
pub use problem::Problem;
pub use reply::{IntoReply, Reply};
pub use request::{FromRequest, Json, Request};

/// Makes a function the agent that this component is.
///
/// The function takes anything that is [`FromRequest`] and returns anything that is [`IntoReply`]. Use this once, in a
/// crate of type `cdylib`.
///
/// ```no_run
/// fn handle(name: String) -> String {
///     format!("Hello, {name}")
/// }
///
/// attache_guest::agent!(handle);
/// ```
#[macro_export]
macro_rules! agent {
    ($handler:expr) => {
        const _: () = {
            struct Agent;

            impl $crate::bindings::exports::wasi::http::incoming_handler::Guest for Agent {
                fn handle(
                    request: $crate::bindings::wasi::http::types::IncomingRequest,
                    reply: $crate::bindings::wasi::http::types::ResponseOutparam,
                ) {
                    $crate::answer($handler, request, reply)
                }
            }

    $crate::bindings::export!(Agent with_types_in $crate::bindings);
        };
    };
}

/// Declares what this agent needs, for whoever decides whether to list or to deploy it: `attache vet` compares it with what
/// the component imports. It grants nothing.
///
/// Takes JSON in a constant, such as `include_str!("../attache.json")`; use it once. All fields may be left out:
///
/// - `providers`: each with `name`, `scopes` and `flow` (`user-federation`, `machine-to-machine`, `on-behalf-of`, `api-key`)
/// - `hosts`: those that are called without a credential; `*.example.com` stands for all below
/// - `claims`: those of the user's token that are read
/// - `reveal`: whether the bytes of credentials are asked for
///
/// ```no_run
/// attache_guest::manifest!(
///     r#"{
///         "providers": [{ "name": "google-calendar", "scopes": ["calendar.read"], "flow": "user-federation" }],
///         "hosts": ["www.googleapis.com"]
///     }"#
/// );
/// ```
#[macro_export]
macro_rules! manifest {
    ($json:expr) => {
        const _: () = {
            const TEXT: &str = $json;
            const LENGTH: usize = TEXT.len();
            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, reason = "names a custom section, which no code reads")]
            #[unsafe(link_section = "attache:manifest")]
            #[used]
            static MANIFEST: [u8; LENGTH] = {
                let mut bytes = [0; LENGTH];
                let mut at = 0;
                while at < LENGTH {
                    bytes[at] = TEXT.as_bytes()[at];
                    at += 1;
                }
                bytes
            };
            // Elsewhere, as in tests on this machine, it is only looked at.
            #[cfg(not(target_family = "wasm"))]
            const _: usize = LENGTH;
        };
    };
}

/// The project's front page, whose agent compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;

/// What [`agent!`] calls: reads the request, runs the handler, sends the reply.
#[doc(hidden)]
pub fn answer<Ask: FromRequest, Answer: IntoReply>(
    handler: impl FnOnce(Ask) -> Answer,
    request: bindings::wasi::http::types::IncomingRequest,
    reply: bindings::wasi::http::types::ResponseOutparam,
) {
    let answer = Request::receive(request)
        .and_then(Ask::from_request)
        .map(|ask| handler(ask).into_reply())
        .unwrap_or_else(IntoReply::into_reply);
    answer.send(reply);
}
