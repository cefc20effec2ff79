//! Talking to OAuth 2 providers: discovery, authorization URLs, code exchange, refresh, revocation.
//!
//! It keeps no tokens and knows no users; `vault` does. Algorithms, endpoints and hosts come from the operator's
//! configuration or from the discovery document of the configured issuer, never from a response.

mod act;
mod authorize;
mod behalf;
mod client;
mod device;
mod discovery;
mod more;
mod provider;
mod server;
mod tokens;
mod vendor;

pub use act::{ActChain, ActorClaim};
pub use authorize::{AuthorizationRequest, CallbackError, Pkce};
pub use behalf::{ActorToken, Delegation, Exchange, OnBehalfOf, token_types};
pub use client::{OAuth, OAuthError, Revoked};
pub use device::{DeviceAnswer, DeviceAuthorization};
pub use more::{More, Proofs};
pub use provider::{ClientAuthentication, ConsentBy, Provider, ProviderError, When};
pub use server::{Endpoints, Server};
pub use tokens::{TokenSet, TokenType};
pub use vendor::{Vendor, VendorError, VendorInput};
