//! Talking to OAuth 2 providers: discovery, authorization URLs, code exchange, refresh, revocation.
//!
//! It keeps no tokens and knows no users; `vault` does. Algorithms, endpoints and hosts come from the operator's
//! configuration or from the discovery document of the configured issuer, never from a response.

mod authentication;
mod authorize;
mod client;
mod discovery;
mod dpop;
mod provider;
mod tokens;

pub use authentication::{Asking, AssertionError, ClientAuthentication, Form, PrivateKeyJwt, WorkloadJwt};
pub use authorize::{AuthorizationRequest, CallbackError, Pkce};
pub use client::{OAuth, OAuthError, Revoked};
pub use provider::{Endpoints, Provider, ProviderError};
pub use tokens::TokenSet;
