//! Who is at the other end of the operators' socket.

use super::problem::Problem;
use crate::access::Caller;
use crate::operations::Operations;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::sync::Arc;
use tokio::net::UnixStream;

/// The state of the operators' routes.
#[derive(Clone)]
pub(super) struct Operators(pub(super) Arc<Operations>);

/// An account of this machine. Put into each request by the server of the socket.
#[derive(Clone, Debug)]
pub(super) struct Operator(Arc<Caller>);

impl Operator {
    /// The account at the other end, by the kernel's word; none for one that has no business here.
    pub(super) fn at(stream: &UnixStream) -> Option<Self> {
        Caller::at_socket(stream).map(Self)
    }

    /// As operations take it.
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.0
    }
}

/// Anywhere but at the socket there is no operator, and so nothing of theirs.
impl FromRequestParts<Operators> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &Operators) -> Result<Self, Problem> {
        head.extensions.get::<Self>().cloned().ok_or_else(Problem::not_found)
    }
}
