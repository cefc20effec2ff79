//! Who is at the other end of the operators' socket.

use super::problem::Problem;
use crate::access::Caller;
use crate::audit::Actor;
use crate::wiring::Host;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::sync::Arc;

/// The state of the operators' routes.
#[derive(Clone)]
pub(super) struct Operators(pub(super) Arc<Host>);

/// An account of this machine, as the kernel says it. Put into each request by the server of the socket.
#[derive(Clone, Debug)]
pub(super) struct Operator(Arc<Caller>);

impl Operator {
    /// At the other end of this connection; none where that is nobody who operates this host.
    pub(super) fn at(stream: &tokio::net::UnixStream) -> Option<Self> {
        Caller::at_socket(stream).map(Self)
    }

    /// Who calls, for [`Caller::may`].
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.0
    }

    /// As it stands in the directory and in the audit trail.
    pub(super) fn name(&self) -> String {
        self.0.to_string()
    }

    pub(super) fn actor(&self) -> Actor {
        self.0.actor()
    }
}

/// Anywhere but at the socket there is no operator, and so nothing of theirs.
impl FromRequestParts<Operators> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &Operators) -> Result<Self, Problem> {
        head.extensions.get::<Self>().cloned().ok_or_else(Problem::not_found)
    }
}
