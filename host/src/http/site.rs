//! What every public route is given.

use super::pages::Failed;
use super::problem::Problem;
use super::sign_in::ReturnTo;
use super::{cookies, headers};
use crate::access::Refused;
use crate::audit::{Action, Actor, Allowance, Outcome, codes};
use crate::identity::Authorizer;
use crate::ids::AgentName;
use crate::operations::Operations;
use crate::sign_in::{SignIns, Visit};
use crate::wiring::Host;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use http::{HeaderMap, header};
use std::net::SocketAddr;
use std::sync::Arc;

/// Rejected tokens that are recorded at once, and per second after that.
const REJECTS: (u64, u64) = (50, 5);

/// A host as its routes see it. One per router.
pub(super) struct Site {
    pub(super) host: Arc<Host>,
    pub(super) operations: Arc<Operations>,
    /// None where nobody can sign in at the host's own pages.
    pub(super) sign_ins: Option<Arc<SignIns>>,
    /// The public URL without a slash at its end.
    pub(super) origin: String,
    pub(super) rejects: Allowance,
    page_headers: HeaderMap,
}

/// Where a connection comes from; put into each request by the server.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Site {
    pub(super) fn new(operations: Arc<Operations>) -> Arc<Self> {
        let host = operations.host().clone();
        let settings = &host.settings;
        let origin = settings.public_url.as_str().trim_end_matches('/').to_owned();
        let sign_ins = settings.sign_in.as_ref().map(|sign_in| {
            let client = (sign_in.party.clone(), sign_in.provider.clone());
            let (oauth, verifier) = (host.oauth.clone(), host.verifier.clone());
            SignIns::new(client, &origin, oauth, verifier, host.trail.clone(), host.clock.clone())
        });
        let page_headers = headers::of_pages(settings.public_url.scheme() == "https", settings.development);
        Arc::new(Self {
            operations,
            rejects: Allowance::new(REJECTS.0, REJECTS.1, host.clock.clone()),
            sign_ins,
            origin,
            page_headers,
            host,
        })
    }

    /// Who may call this agent; none where nobody may.
    pub(super) fn authorizer(&self, name: &AgentName) -> Option<&Arc<Authorizer>> {
        let settings = &self.host.settings;
        settings.agents.get(name).map(|agent| &agent.authorizer).or(settings.default_authorizer.as_ref())
    }

    /// Who signed in with this browser, if anybody did.
    pub(super) fn visit(&self, headers: &HeaderMap) -> Option<Visit> {
        self.sign_ins.as_ref()?.visit(cookies::read(headers, cookies::SESSION)?)
    }

    /// The sign-ins, or a refusal where there are none.
    pub(super) fn sign_ins(&self) -> Result<&Arc<SignIns>, Problem> {
        self.sign_ins.as_ref().ok_or_else(Problem::no_sign_in)
    }

    /// Where a request comes from, for the log: what the proxy says, where the configuration trusts one to say it.
    pub(super) fn caller(&self, head: &Parts) -> String {
        let proxy = self.host.settings.proxy.as_ref().and_then(|proxy| proxy.client_address_header.as_ref());
        let said = proxy.and_then(|name| head.headers.get_all(name).iter().next_back()?.to_str().ok());
        match (said, head.extensions.get::<Peer>()) {
            (Some(said), _) => said.rsplit(',').next().unwrap_or_default().trim().escape_debug().take(64).collect(),
            (None, Some(peer)) => peer.0.to_string(),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// A caller of the API who was not let in leaves a record. Anybody can cause these, so a flood is counted instead.
    pub(super) fn note_caller(&self, head: &Parts, refused: &Refused) {
        if matches!(refused, Refused::Missing) {
            return;
        }
        let Some(left_out) = self.rejects.take() else { return };
        let caller = self.caller(head);
        tracing::info!(caller, reason = %refused, left_out, "a caller of the API was not let in");
        let mut action = Action::new(codes::CALLER_REJECT, "host");
        action.detail = serde_json::json!({ "caller": caller });
        if left_out > 0 {
            action.detail["left_out"] = left_out.into();
        }
        let outcome = Outcome::refused(crate::audit::with_cause(refused));
        // Nothing is released by it, and the caller is refused anyway.
        if let Err(error) = self.host.trail.note(Actor::default(), action, outcome) {
            tracing::error!(%error, "a caller who was not let in could not be written down");
        }
    }

    /// Puts the headers of pages on a page.
    pub(super) fn dress(&self, mut page: Response) -> Response {
        let headers = page.headers_mut();
        for (name, value) in &self.page_headers {
            if name != header::CONTENT_TYPE || !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
        page
    }
}

/// A page that is for somebody who is signed in. Others are sent to sign in first.
impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        if let Err(problem) = site.sign_ins() {
            return Err(Failed::from(problem).into_response());
        }
        site.visit(&head.headers).ok_or_else(|| {
            let return_to = ReturnTo::parse(head.uri.path()).unwrap_or(ReturnTo::Me);
            Redirect::to(&return_to.sign_in()).into_response()
        })
    }
}
