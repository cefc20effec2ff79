//! Who asks, and for whom.
//!
//! `Bearer` → [`Verifier`] → [`VerifiedUser`] → [`Binding`] → [`WorkloadAccessToken`]. Each arrow is one function, and
//! what follows does not accept what came before.

mod algorithm;
mod authorizer;
mod binding;
mod cache;
mod documents;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host;
mod issued;
mod issuer;
mod jwks;
mod kept;
mod key;
mod precheck;
mod rejected;
mod roca;
mod strict;
mod user;
mod verify;
mod wat;
mod workload;
#[cfg(test)]
mod wycheproof;

pub use algorithm::Algorithm;
pub use authorizer::{Authorizer, ClaimRule, Condition, IssuerRule};
pub use binding::Binding;
pub use host::{HostKey, HostKeyError};
pub use issued::{IssuedFacts, IssuedWats, PresentedWat, RunsHere};
pub use issuer::{AssertError, DIGEST_CLAIM, IssuerError, LONGEST_WORKLOAD_TOKEN, WorkloadIssuer};
pub use jwks::Documents;
pub use kept::{Keeper, KeySetRow, KeySetRows};
pub use precheck::TokenType;
pub use rejected::Rejected;
pub use user::{AssertedUser, NotAsserted, User};
pub use verify::{Bearer, RelyingParty, VerifiedUser, Verifier};
pub use wat::{Live, WatTable, WorkloadAccessToken};
pub use workload::Workload;
