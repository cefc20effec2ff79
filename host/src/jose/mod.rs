//! What this host signs: keys, their public JWKs, compact JWS, and proofs of possession (DPoP).
//!
//! It signs and never verifies: tokens of others are `identity`'s matter, with a library and a strictness of its own. It
//! knows neither users nor agents; whoever calls it says what the claims are.

mod algorithm;
mod dpop;
mod jwk;
mod jws;
mod key;
mod nonces;
mod pem;
mod pkcs11;

pub use algorithm::SigningAlgorithm;
pub use dpop::{DpopKey, DpopProver};
pub use jws::SignError;
pub use key::{KeyError, SigningKey};
pub use nonces::DpopNonces;
pub use pkcs11::TokenKey;
