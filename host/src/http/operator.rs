//! Who is at the other end of the operators' socket.

use super::problem::Problem;
use crate::audit::Actor;
use crate::wiring::Host;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::sync::Arc;

/// The state of the operators' routes.
#[derive(Clone)]
pub(super) struct Operators(pub(super) Arc<Host>);

/// An account of this machine, as the kernel says it (`SO_PEERCRED`). Put into each request by the server of the socket.
#[derive(Clone, Debug)]
pub(super) struct Operator(String);

impl Operator {
    /// By the peer's user id.
    pub(super) fn of_uid(uid: u32) -> Self {
        Self(format!("uid:{uid}"))
    }

    /// As it stands in the directory and in the audit trail.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::operator(self.name())
    }
}

/// Anywhere but at the socket there is no operator, and so nothing of theirs.
impl FromRequestParts<Operators> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &Operators) -> Result<Self, Problem> {
        head.extensions.get::<Self>().cloned().ok_or_else(Problem::not_found)
    }
}
