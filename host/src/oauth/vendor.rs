//! The vendors that AgentCore names, as data: what is asked, where, and where their tokens may go.

use super::provider::{ClientAuthentication, Provider, ProviderError};
use super::server::Endpoints;
use crate::egress::Destinations;
use crate::ids::{Malformed, ProviderName, Scopes};

/// One of AgentCore's vendors of OAuth 2 credentials.
#[derive(Clone, Copy)]
pub struct Vendor(Option<&'static Entry>);

struct Entry {
    name: &'static str,
}

impl Vendor {
    /// Any provider that does as the standards say.
    pub const CUSTOM: Vendor = Vendor(None);

    /// By AgentCore's name, such as `GoogleOauth2`.
    ///
    /// # Errors
    /// [`Malformed`] names those there are.
    pub fn parse(name: &str) -> Result<Self, Malformed> {
        match name {
            "CustomOauth2" => Ok(Self::CUSTOM),
            _ => Err(Malformed("no such vendor".into())),
        }
    }

    /// AgentCore's name for it.
    pub fn name(self) -> &'static str {
        self.0.map_or("CustomOauth2", |entry| entry.name)
    }

    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = Vendor> {
        std::iter::once(Self::CUSTOM)
    }

    /// A provider of this vendor, checked.
    ///
    /// # Errors
    /// [`VendorError`] names what is missing or too much.
    pub fn provider(self, input: VendorInput) -> Result<Provider, VendorError> {
        let endpoints = input.endpoints.ok_or(VendorError::Missing { vendor: self.name(), what: "endpoints" })?;
        let mut provider = Provider::new(input.name, endpoints, input.client_id, input.client_authentication);
        provider.scopes = input.scopes;
        provider.destinations = input.hosts.unwrap_or_default();
        provider.check()?;
        Ok(provider)
    }
}

/// What an operator says of a provider beside its vendor.
///
/// No `Debug`: it holds the client secret.
pub struct VendorInput {
    /// The operator's name for it.
    pub name: ProviderName,
    /// Our name there.
    pub client_id: String,
    /// How we prove it.
    pub client_authentication: ClientAuthentication,
    /// What stands in the vendor's endpoints for this customer: an Entra tenant, an Okta domain. None where the vendor has
    /// no such hole, or where its default will do.
    pub tenant: Option<String>,
    /// Instead of the vendor's own.
    pub endpoints: Option<Endpoints>,
    /// All that is offered here.
    pub scopes: Scopes,
    /// Where its tokens may go. None: to the vendor's API hosts.
    pub hosts: Option<Destinations>,
}

/// Why a vendor's provider cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    /// Something that this vendor wants.
    #[error("`{vendor}` needs {what}; add it to the provider")]
    Missing {
        /// Which vendor.
        vendor: &'static str,
        /// What, in words.
        what: &'static str,
    },
    /// Something that makes no sense with this vendor.
    #[error("`{vendor}` {why}")]
    Unfit {
        /// Which vendor.
        vendor: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
    /// Something else.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}
