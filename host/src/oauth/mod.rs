//! Talking to OAuth 2 providers: discovery, authorization URLs and pushed requests, code exchange, refresh, revocation,
//! tokens for the client itself, on behalf of a user, and for a device. Vendors are data, in `vendors.toml`.
//!
//! It keeps no tokens and knows no users; `vault` does. Algorithms, endpoints and hosts come from the operator's
//! configuration or from the discovery document of the configured issuer, never from a response.

mod act;
mod authentication;
mod authorize;
mod behalf;
mod client;
mod device;
mod discovery;
mod dpop;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod more;
mod provider;
mod pushed;
mod server;
mod tokens;
mod vendor;

pub use act::{ActChain, ActorClaim};
pub use authentication::{Asking, AssertionError, ClientAuthentication, Form, PrivateKeyJwt, WorkloadJwt};
pub use authorize::{AuthorizationRequest, CallbackError, Pkce};
pub use behalf::{ActorToken, Delegation, Exchange, OnBehalfOf, token_types};
pub use client::{OAuth, OAuthError, Revoked};
pub use device::{DeviceAnswer, DeviceAuthorization};
pub use more::{More, Proofs, reserved};
pub use provider::{ConsentBy, Provider, ProviderError, When};
pub use server::{Endpoints, Server};
pub use tokens::{Holder, TokenSet, TokenType};
pub use vendor::{Vendor, VendorError, VendorInput};
