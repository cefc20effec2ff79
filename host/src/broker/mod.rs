//! The one door to credentials: a workload access token and a request in, plain data out.
//!
//! `runtime` reaches credentials only through [`Broker`]. Its messages are plain data (ids, requests, bodies), and a process
//! boundary may go here: whoever asks may be an attacker's program by then, so what a guest may not do is refused on this side.

mod answer;
mod confined;
mod credential;
mod desk;
mod messages;
mod policy;
mod refuse;
mod seat;

pub use desk::{Desk, DeskParts};
pub use messages::{
    Acquire, Acquired, Body, BodyError, Flow, Guest, Kind, Outbound, Refusal, Released, Revealed, TokenType, UserFacts,
    Wishes, WorkloadFacts,
};
pub use seat::Seat;

use crate::identity::WorkloadAccessToken;
use crate::ids::CredentialId;
use futures_util::future::BoxFuture;

/// What the engine side may ask. Every call presents the workload access token of its invocation; a token that is
/// unknown, expired or whose invocation has ended gets [`Refusal::NotBound`].
pub trait Broker: Send + Sync {
    /// Asks for the right to use a credential. Releases no bytes.
    fn acquire<'a>(&'a self, wat: &'a WorkloadAccessToken, ask: Acquire) -> BoxFuture<'a, Result<Acquired, Refusal>>;

    /// Sends a request, with a credential attached or without one.
    fn send(
        &self,
        wat: &WorkloadAccessToken,
        outbound: Outbound,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Refusal>>;

    /// Gives up a credential.
    fn release(&self, wat: &WorkloadAccessToken, credential: CredentialId);

    /// Turns a credential into bytes, where the operator granted that.
    fn reveal<'a>(
        &'a self,
        wat: &'a WorkloadAccessToken,
        credential: CredentialId,
    ) -> BoxFuture<'a, Result<Revealed, Refusal>>;

    /// A process that was to run guests of this agent spoke for an invocation that does not run in it. Said once for each
    /// process; there is nobody to answer.
    fn stray(&self, _agent: &str) {}
}
