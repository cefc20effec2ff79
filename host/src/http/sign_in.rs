//! The user's sign-in at the host's own pages: away to the identity provider, and back.

use super::pages::Failed;
use super::problem::Problem;
use super::site::Site;
use super::{cookies, form};
use crate::ids::ConsentId;
use crate::sign_in::{Answer, Visit};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::Deserialize;
use std::sync::Arc;

/// Of both cookies, in seconds: a little longer than what they name.
const AWAY_SECONDS: u32 = 660;
const VISIT_SECONDS: u32 = 8 * 3600;

/// Where a browser goes after signing in: pages of ours that need it, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReturnTo {
    /// The user's own page.
    Me,
    /// A consent page.
    Consent(ConsentId),
}

impl ReturnTo {
    /// From a path of ours; none for any other text.
    pub(super) fn parse(path: &str) -> Option<Self> {
        match path {
            "/me" => Some(Self::Me),
            _ => path.strip_prefix("/consent/")?.parse().ok().map(Self::Consent),
        }
    }

    pub(super) fn path(self) -> String {
        match self {
            Self::Me => "/me".to_owned(),
            Self::Consent(id) => format!("/consent/{id}"),
        }
    }

    /// The link that signs in and comes back here.
    pub(super) fn sign_in(self) -> String {
        format!("/sign-in?return={}", self.path())
    }
}

#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(rename = "return")]
    return_to: Option<String>,
    /// Ask who is there even if the identity provider knows.
    anew: Option<String>,
}

pub(super) async fn depart(
    State(site): State<Arc<Site>>,
    wish: Result<Query<Wish>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let Query(wish) = wish.map_err(|_| Problem::bad_request("follow a link of this host's pages"))?;
    let return_to = wish.return_to.as_deref().and_then(ReturnTo::parse).unwrap_or(ReturnTo::Me);
    let sign_ins = site.sign_ins()?;
    let known = cookies::read(&headers, cookies::AWAY);
    let departure = sign_ins.depart(known, return_to.path(), wish.anew.is_some()).await.map_err(Problem::from)?;
    let mut response = Redirect::to(departure.url.as_str()).into_response();
    let cookie = cookies::set(cookies::AWAY, &departure.browser, AWAY_SECONDS);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// RFC 6749 §4.1.2 and RFC 9207. Parameters that come twice are refused.
#[derive(Deserialize)]
pub(super) struct Returned {
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

pub(super) async fn arrive(
    State(site): State<Arc<Site>>,
    returned: Result<Query<Returned>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let Query(returned) = returned.map_err(|_| unreadable_answer())?;
    let sign_ins = site.sign_ins()?;
    let answer = Answer { state: returned.state, code: returned.code, iss: returned.iss, error: returned.error };
    let arrival = sign_ins.arrive(cookies::read(&headers, cookies::AWAY), answer).await.map_err(Problem::from)?;
    if let Some(earlier) = cookies::read(&headers, cookies::SESSION) {
        sign_ins.leave(earlier);
    }
    let mut response = Redirect::to(&arrival.return_to).into_response();
    let cookie = cookies::set(cookies::SESSION, &arrival.cookie, VISIT_SECONDS);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

pub(super) fn unreadable_answer() -> Problem {
    Problem::bad_request("the answer of the provider cannot be read; start again")
}

/// Ends the visit; with a `return` field, goes on to sign in as somebody else.
pub(super) async fn leave(State(site): State<Arc<Site>>, visit: Visit, request: Request) -> Result<Response, Failed> {
    let (head, body) = request.into_parts();
    let fields = form::read(&site, &visit, &head.headers, body).await?;
    if let Some(cookie) = cookies::read(&head.headers, cookies::SESSION) {
        site.sign_ins()?.leave(cookie);
    }
    let next = match fields.field("return").and_then(ReturnTo::parse) {
        Some(return_to) => format!("{}&anew=1", return_to.sign_in()),
        None => "/signed-out".to_owned(),
    };
    let mut response = Redirect::to(&next).into_response();
    response.headers_mut().append(SET_COOKIE, cookies::clear(cookies::SESSION));
    Ok(response)
}

pub(super) async fn left() -> Response {
    super::pages::signed_out()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_back_to_our_own_pages_only() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(ReturnTo::parse("/me"), Some(ReturnTo::Me));
        assert_eq!(ReturnTo::parse(&format!("/consent/{id}")).unwrap().path(), format!("/consent/{id}"));
        for bad in [
            "https://evil.example/",
            "//evil.example/me",
            "/me/../x",
            "/me?x=//evil.example",
            "/consent/x",
            "/consent/../me",
            "/sign-out",
            "/\\evil.example",
            "",
        ] {
            assert_eq!(ReturnTo::parse(bad), None, "{bad}");
        }
    }
}
