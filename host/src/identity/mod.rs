//! Who asks, and for whom.
//!
//! `Bearer` → [`Verifier`] → [`VerifiedUser`] → [`Binding`] → [`WorkloadAccessToken`]. Each arrow is one function, and
//! what follows does not accept what came before.

mod authorizer;
mod binding;
mod host;
mod jwks;
mod precheck;
mod verify;
mod wat;

pub use authorizer::{Authorizer, ClaimRule, Condition, IssuerRule};
pub use binding::Binding;
pub use host::{HostKey, HostKeyError};
pub use verify::{Bearer, Rejected, VerifiedUser, Verifier};
pub use wat::{Live, WatTable, WorkloadAccessToken};
