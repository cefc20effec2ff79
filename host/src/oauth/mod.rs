//! Talking to OAuth 2 providers: discovery, authorization URLs, code exchange, refresh, revocation.
//!
//! It keeps no tokens and knows no users; `vault` does. Algorithms, endpoints and hosts come from the operator's
//! configuration or from the discovery document of the configured issuer, never from a response.

mod authorize;
mod client;
mod discovery;
mod provider;
mod tokens;

pub use authorize::{AuthorizationRequest, CallbackError, Pkce};
pub use client::{OAuth, OAuthError, Revoked};
pub use provider::{ClientAuthentication, Endpoints, Provider, ProviderError};
pub use tokens::TokenSet;
