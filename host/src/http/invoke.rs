//! `/agents/{name}/invocations`: one call of an agent, in a straight line.

use super::body::{capped, forget};
use super::headers::{self, INVOCATION, RETURN_URL, SESSION};
use super::problem::Problem;
use super::site::Site;
use super::token::For;
use crate::audit::{Action, Actor, Outcome, codes};
use crate::directory::RegisteredAgent;
use crate::identity::VerifiedUser;
use crate::ids::{AgentName, InvocationId, SessionId};
use crate::operations::{Invocation, Invoked};
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use std::sync::Arc;

/// Any method. The guest sees `/`, or what follows `invocations`, with the query.
pub(super) async fn invoke(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let host = &site.host;
    let (head, body) = request.into_parts();
    let (named, target) = split(&head.uri).ok_or_else(Problem::not_found)?;
    let name = AgentName::parse(named).ok();
    let user = site.user(&head, For::Agent(name.as_ref())).await?;
    let agent = resolve(&site, &user, name.as_ref(), named)?;
    let return_url = return_url(&head.headers, &agent)?;
    let session = session(&head.headers)?;
    let max = host.settings.max_body_bytes;
    let (body, overflow) = match capped(body, max) {
        Ok(capped) => capped,
        Err(body) => {
            // One that waits for a `100 Continue` has not begun to write.
            if !head.headers.contains_key(http::header::EXPECT) {
                forget(body).await;
            }
            return Err(Problem::too_large(max));
        }
    };
    let request = for_guest(&site, &head, agent.name(), target, body);
    let (user, caller) = (Some(user.into()), Actor::default());
    let invocation = Invocation { agent, user, session, return_url, request, overflow, caller };
    let Invoked { mut response, session, invocation } = site.operations.invoke(invocation).await?;
    headers::outbound(response.headers_mut());
    tell(response.headers_mut(), &session, invocation);
    Ok(response.map(axum::body::Body::new))
}

/// The name as it was written, and what the guest sees.
fn split(uri: &Uri) -> Option<(&str, PathAndQuery)> {
    let (name, rest) = uri.path().strip_prefix("/agents/")?.split_once('/')?;
    let rest = match rest.strip_prefix("invocations")? {
        "" => "/",
        rest if rest.starts_with('/') => rest,
        _ => return None,
    };
    let target = match uri.query() {
        None => rest.parse(),
        Some(query) => format!("{rest}?{query}").parse(),
    };
    Some((name, target.ok()?))
}

/// The agent, or a refusal that a verified user may read, and that is written down.
fn resolve(
    site: &Site,
    user: &VerifiedUser,
    name: Option<&AgentName>,
    named: &str,
) -> Result<Arc<RegisteredAgent>, Problem> {
    let name = name.ok_or_else(|| Problem::no_agent(named))?;
    let unresolved = match site.host.directory.resolve(name) {
        Ok(agent) => return Ok(agent),
        Err(unresolved) => unresolved,
    };
    let action = Action::new(codes::INVOKE, name.as_str());
    site.host.trail.note(Actor::user(user), action, Outcome::refused(unresolved.to_string()))?;
    Err(unresolved.into())
}

/// Checked again when a consent starts; here, so that a caller hears of a mistake before anything runs.
fn return_url(headers: &HeaderMap, agent: &RegisteredAgent) -> Result<Option<String>, Problem> {
    let Some(value) = single(headers, &RETURN_URL)? else { return Ok(None) };
    let allowed = agent.return_url(value.as_bytes());
    allowed.map(|url| Some(url.to_owned())).ok_or_else(|| Problem::return_url(agent.name()))
}

fn session(headers: &HeaderMap) -> Result<SessionId, Problem> {
    match single(headers, &SESSION)? {
        None => Ok(SessionId::random()),
        Some(value) => Ok(SessionId::parse(value.to_str().unwrap_or_default())?),
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    match values.next() {
        Some(_) => Err(Problem::bad_request(format!("send `{name}` once"))),
        None => Ok(value),
    }
}

fn for_guest(
    site: &Site,
    head: &Parts,
    agent: &AgentName,
    target: PathAndQuery,
    body: crate::broker::Body,
) -> http::Request<crate::broker::Body> {
    let also = site.host.settings.agents.get(agent).map_or(&[][..], |agent| &agent.inbound_headers);
    let mut request = http::Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers::inbound(&head.headers, also);
    request
}

/// By these the caller goes on, and finds the invocation in the audit trail.
fn tell(headers: &mut HeaderMap, session: &SessionId, invocation: InvocationId) {
    if let Ok(session) = HeaderValue::from_str(session.as_str()) {
        headers.insert(SESSION, session);
    }
    if let Ok(invocation) = HeaderValue::try_from(invocation.to_string()) {
        headers.insert(INVOCATION, invocation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_sees_what_follows_its_address() {
        for (uri, expect) in [
            ("/agents/calendar/invocations", Some(("calendar", "/"))),
            ("/agents/calendar/invocations?a=b", Some(("calendar", "/?a=b"))),
            ("/agents/calendar/invocations/", Some(("calendar", "/"))),
            ("/agents/calendar/invocations/x/y%2Fz?a=b%20c", Some(("calendar", "/x/y%2Fz?a=b%20c"))),
            ("/agents/calendar/invocations//evil.example/x", Some(("calendar", "//evil.example/x"))),
            ("https://host.example/agents/calendar/invocations/x", Some(("calendar", "/x"))),
            ("/agents/calendar/invocationsx", None),
            ("/agents/calendar", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let split = split(&uri);
            assert_eq!(split.as_ref().map(|(name, target)| (*name, target.as_str())), expect, "{uri}");
            if let Some((_, target)) = split {
                let inner = Uri::from(target);
                assert!(inner.authority().is_none() && inner.scheme().is_none(), "{inner}");
            }
        }
    }

    #[test]
    fn a_session_is_one_that_its_caller_chose_well() {
        let named = |names: &[&str]| -> HeaderMap {
            names.iter().map(|name| (SESSION, HeaderValue::from_str(name).unwrap())).collect()
        };
        assert_eq!(session(&named(&["0123456789abcdef"])).unwrap().as_str(), "0123456789abcdef");
        assert_ne!(session(&named(&[])).unwrap(), session(&named(&[])).unwrap());
        for bad in [&["short"][..], &["0123456789abcdef", "0123456789abcdef"], &["../../../../etc/passwd"]] {
            assert_eq!(session(&named(bad)).unwrap_err().status, 400, "{bad:?}");
        }
    }
}
