//! Tokens on behalf of a user: token exchange (RFC 8693), the JWT bearer grant (RFC 7523 §2.1), and the identity
//! assertion grant, which is the one after the other (draft-ietf-oauth-identity-assertion-authz-grant).

use super::act::ActChain;
use super::authentication::ClientAuthentication;
use super::client::{OAuth, OAuthError, Request, asked, text};
use super::more::{More, Proofs};
use super::provider::Provider;
use super::tokens::{TokenSet, unreadable};
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

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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
        let behalf = provider.on_behalf_of.as_ref().ok_or_else(|| {
            OAuthError::Configuration(format!(
                "provider `{}` takes no tokens of users; add `on_behalf_of` to it",
                provider.name
            ))
        })?;
        ActChain::of(exchange.subject_token).map_err(asked)?;
        let asking = Asking {
            provider,
            authentication: behalf.client_authentication.as_ref().unwrap_or(&provider.client_authentication),
            proofs,
            scopes,
            more,
        };
        let tokens = match &behalf.grant {
            Delegation::TokenExchange => {
                let wanted = behalf.requested_token_type.as_deref();
                self.exchange_tokens(&asking, exchange, &behalf.subject_token_type, wanted).await?
            }
            Delegation::JwtBearer => {
                if exchange.actor.is_some() {
                    return Err(OAuthError::Configuration(format!(
                        "provider `{}`: a JWT bearer grant names no actor; set `actor = \"none\"`",
                        provider.name
                    )));
                }
                self.redeem(&asking, exchange.subject_token).await?
            }
            Delegation::IdJag { identity_provider, audience } => {
                let audience = match audience {
                    Some(audience) => audience.clone(),
                    None => self.audience_of(provider).await?,
                };
                // The resources are the provider's; which of them the assertion is for, its issuer has to know.
                let resources = more.resources_of(provider).map(str::to_owned).collect();
                let for_provider = More { resources, audiences: vec![audience], parameters: Vec::new() };
                let at_issuer = Asking {
                    provider: identity_provider,
                    authentication: &identity_provider.client_authentication,
                    proofs: Proofs { dpop: None, ..proofs },
                    scopes,
                    more: &for_provider,
                };
                let kind = &behalf.subject_token_type;
                let jag = self.exchange_tokens(&at_issuer, exchange, kind, Some(token_types::ID_JAG)).await?;
                self.redeem(&asking, &jag.access).await?
            }
        };
        Ok(TokenSet { refresh: None, ..tokens })
    }

    /// RFC 8693 §2.1.
    async fn exchange_tokens(
        &self,
        asking: &Asking<'_>,
        exchange: &Exchange<'_>,
        subject_token_type: &str,
        requested: Option<&str>,
    ) -> Result<TokenSet, OAuthError> {
        let subject = exchange.subject_token;
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", text(subject)?),
            ("subject_token_type", exchange.subject_token_type.unwrap_or(subject_token_type)),
        ];
        let mut sent = vec![subject];
        if let Some((actor, kind)) = exchange.actor {
            form.extend([("actor_token", text(actor)?), ("actor_token_type", kind)]);
            sent.push(actor);
        }
        form.extend(requested.map(|kind| ("requested_token_type", kind)));
        let assertion = requested == Some(token_types::ID_JAG);
        let tokens = self.ask_as(asking, form, &sent, assertion).await?;
        check_issued(requested, tokens.issued_token_type.as_deref())?;
        Ok(tokens)
    }

    /// RFC 7523 §2.1.
    async fn redeem(&self, asking: &Asking<'_>, assertion: &Secret) -> Result<TokenSet, OAuthError> {
        let mut form = vec![("grant_type", JWT_BEARER), ("assertion", text(assertion)?)];
        let added = &asking.provider.vendor.quirks().assertion_parameters;
        form.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.ask_as(asking, form, &[assertion], false).await
    }

    async fn ask_as(
        &self,
        asking: &Asking<'_>,
        form: Vec<(&str, &str)>,
        sent: &[&Secret],
        assertion: bool,
    ) -> Result<TokenSet, OAuthError> {
        let provider = asking.provider;
        let server = self.server(provider).await?;
        let scope = provider.scope_text(asking.scopes.iter());
        let mut form = form;
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        asking.more.add_to(provider, &mut form).map_err(asked)?;
        let request = Request::new(provider, &server, &server.token, asking.proofs, form);
        self.tokens(Request { authentication: asking.authentication, assertion, ..request }, sent).await
    }

    async fn audience_of(&self, provider: &Provider) -> Result<String, OAuthError> {
        let issuer = self.server(provider).await?.issuer.clone();
        issuer.map(String::from).ok_or_else(|| {
            OAuthError::Configuration(format!(
                "provider `{}` has no issuer that an assertion could be for; add `issuer`, or `audience` to `on_behalf_of`",
                provider.name
            ))
        })
    }
}

/// Who asks whom for what.
struct Asking<'a> {
    provider: &'a Provider,
    authentication: &'a ClientAuthentication,
    proofs: Proofs<'a>,
    scopes: &'a Scopes,
    more: &'a More,
}

/// Whether the provider made what it was asked for (RFC 8693 §2.2.1). One that says nothing is believed where an access
/// token was wanted: that is what its place in the answer says.
fn check_issued(requested: Option<&str>, issued: Option<&str>) -> Result<(), OAuthError> {
    let right = match (requested, issued) {
        (Some(requested), Some(issued)) => requested == issued,
        (Some(requested), None) => requested == token_types::ACCESS_TOKEN,
        (None, None) => true,
        (None, Some(issued)) => issued == token_types::ACCESS_TOKEN || issued == token_types::JWT,
    };
    if right { Ok(()) } else { Err(unreadable("it issued another type of token than was asked for")) }
}

#[cfg(test)]
#[path = "behalf_tests.rs"]
mod tests;
