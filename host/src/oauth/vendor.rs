//! The vendors that AgentCore names, as data: what is asked, where, and where their tokens may go.

use super::authentication::ClientAuthentication;
use super::behalf::{ActorToken, Delegation, OnBehalfOf, token_types};
use super::provider::{Provider, ProviderError};
use super::server::{Endpoints, Server};
use crate::egress::Destinations;
use crate::ids::{Issuer, Malformed, ProviderName, Scope, Scopes};
use crate::secret::SharedSecret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use url::Url;

/// One of AgentCore's vendors of OAuth 2 credentials.
#[derive(Clone, Copy)]
pub struct Vendor(Option<&'static Entry>);

/// What the table says of one vendor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    display: String,
    /// What stands for `{tenant}`, in words for a message. None: there is no such hole, or only endpoints will do.
    tenant: Option<String>,
    /// Stands for `{tenant}` where nothing else is said.
    usual_tenant: Option<String>,
    issuer: Option<String>,
    authorization: Option<String>,
    token: Option<String>,
    revocation: Option<String>,
    device_authorization: Option<String>,
    authentication: Method,
    separator: Option<char>,
    offline_scope: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    force: Option<BTreeMap<String, String>>,
    #[serde(default)]
    hosts: Vec<String>,
    on_behalf_of: Option<Grant>,
    #[serde(default)]
    quirks: Quirks,
}

/// How a client with a secret is authenticated.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Basic,
    Post,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Grant {
    JwtBearer,
}

/// Where a vendor leaves the standards.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Quirks {
    /// Answers may be forms instead of JSON.
    pub(super) form_answers: bool,
    /// Answers say `ok`, and may hold the user's token in `authed_user`.
    pub(super) envelope: bool,
    /// Scopes in answers are separated by commas, whatever separates them in requests.
    pub(super) commas: bool,
    /// Other names of the token type `Bearer`; empty where it may be missing.
    pub(super) bearer: Vec<String>,
    /// What an error says where the standard has `invalid_grant`.
    pub(super) gone: Vec<String>,
    /// Requests are JSON objects instead of forms.
    pub(super) json_requests: bool,
    /// Sent along with every request.
    pub(super) headers: BTreeMap<String, String>,
    /// The name of the authorization request's `scope`.
    pub(super) scope_parameter: Option<String>,
    /// Sent along with a JWT bearer grant.
    pub(super) assertion_parameters: BTreeMap<String, String>,
}

static NO_QUIRKS: LazyLock<Quirks> = LazyLock::new(Quirks::default);

/// The table is part of this program, and a test reads it. Were it broken all the same, there would be no vendors, and
/// each would be refused by name.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| read().map(|table| table.vendor).unwrap_or_default());

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    vendor: Vec<Entry>,
}

fn read() -> Result<Table, toml::de::Error> {
    toml::from_str(include_str!("vendors.toml"))
}

const CUSTOM: &str = "CustomOauth2";

impl Vendor {
    /// Any provider that does as the standards say.
    pub const CUSTOM: Vendor = Vendor(None);

    /// By AgentCore's name, such as `GoogleOauth2`.
    ///
    /// # Errors
    /// [`Malformed`] names those there are.
    pub fn parse(name: &str) -> Result<Self, Malformed> {
        Self::all().find(|vendor| vendor.name() == name).ok_or_else(|| {
            let known = Self::all().map(Self::name).collect::<Vec<_>>().join("`, `");
            Malformed(format!("`{}` is no vendor; use one of `{known}`", super::discovery::shown(name)))
        })
    }

    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Vendor> {
        TABLE.iter().map(|entry| Self(Some(entry))).chain([Self::CUSTOM])
    }

    /// AgentCore's name for it.
    pub fn name(self) -> &'static str {
        self.0.map_or(CUSTOM, |entry| &entry.name)
    }

    /// What stands for the tenant in its endpoints, in words. None: it has none.
    pub fn tenant(self) -> Option<&'static str> {
        self.0?.tenant.as_deref()
    }

    /// How a client with this secret proves itself there, unless the operator knows better.
    pub fn with_secret(self, secret: SharedSecret) -> ClientAuthentication {
        match self.0.map(|entry| &entry.authentication) {
            Some(Method::Post) => ClientAuthentication::Post(secret),
            Some(Method::Basic) | None => ClientAuthentication::Basic(secret),
        }
    }

    /// Where a vendor leaves the standards.
    pub(super) fn quirks(self) -> &'static Quirks {
        self.0.map_or(&NO_QUIRKS, |entry| &entry.quirks)
    }

    /// A provider of this vendor, checked. What [`VendorInput`] does not say may be set on it afterwards.
    ///
    /// # Errors
    /// [`VendorError`] names what is missing or too much.
    pub fn provider(self, input: VendorInput) -> Result<Provider, VendorError> {
        let Some(entry) = self.0 else {
            if input.tenant.is_some() {
                return Err(self.unfit("has no tenant; write it into the endpoints"));
            }
            let endpoints = input
                .endpoints
                .ok_or_else(|| self.missing("an issuer, or an authorization and a token endpoint; add them"))?;
            let mut provider = Provider::new(input.name, endpoints, input.client_id, input.client_authentication);
            provider.scopes = input.scopes;
            provider.destinations = input.hosts.unwrap_or_default();
            provider.check()?;
            return Ok(provider);
        };
        let endpoints = match (input.endpoints, &input.tenant) {
            (Some(_), Some(_)) => return Err(self.unfit("takes either a tenant or endpoints, not both; remove one")),
            (Some(endpoints), None) => endpoints,
            (None, _) => self.endpoints(entry, input.tenant.as_deref())?,
        };
        let hosts = match input.hosts {
            Some(hosts) => hosts,
            None => self.hosts(entry, input.tenant.as_deref())?,
        };
        let unusable =
            |what: &str| self.unfit(format!("is described wrongly in this program: its {what} is malformed"));
        let offline_scope =
            entry.offline_scope.as_deref().map(Scope::parse).transpose().map_err(|_| unusable("offline scope"))?;
        let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let usual = Provider::new(input.name, endpoints, input.client_id, input.client_authentication);
        let provider = Provider {
            display_name: entry.display.clone(),
            vendor: self,
            scopes: input.scopes,
            destinations: hosts,
            authorize_parameters: pairs(&entry.parameters),
            force_parameters: entry.force.as_ref().map_or(usual.force_parameters, pairs),
            scope_separator: entry.separator.unwrap_or(usual.scope_separator),
            offline_scope,
            on_behalf_of: entry.on_behalf_of.as_ref().map(|Grant::JwtBearer| OnBehalfOf {
                grant: Delegation::JwtBearer,
                actor: ActorToken::None,
                subject_token_type: token_types::JWT.into(),
                requested_token_type: None,
                client_authentication: None,
            }),
            ..usual
        };
        provider.check()?;
        Ok(provider)
    }

    fn endpoints(self, entry: &Entry, tenant: Option<&str>) -> Result<Endpoints, VendorError> {
        let fill = |text: &String| self.fill(entry, tenant, text);
        if let Some(issuer) = &entry.issuer {
            let issuer = Issuer::parse(&fill(issuer)?).map_err(|Malformed(why)| self.unfit(why))?;
            return Ok(Endpoints::Discovery { issuer });
        }
        let Some(token) = &entry.token else {
            if tenant.is_some() {
                return Err(self.unfit("has no tenant; give its issuer or its endpoints"));
            }
            return Err(self.missing("its issuer, or its authorization and token endpoints; add them"));
        };
        let url = |text: &String| Url::parse(&fill(text)?).map_err(|error| self.unfit(error.to_string()));
        let some = |text: &Option<String>| text.as_ref().map(url).transpose();
        let server = Server {
            revocation: some(&entry.revocation)?,
            device_authorization: some(&entry.device_authorization)?,
            ..Server::new(some(&entry.authorization)?, url(token)?)
        };
        Ok(Endpoints::Static(Arc::new(server)))
    }

    /// The vendor's own API hosts. Where they hold a tenant that is not said, there are none.
    fn hosts(self, entry: &Entry, tenant: Option<&str>) -> Result<Destinations, VendorError> {
        let hosts: Vec<_> = entry.hosts.iter().filter_map(|host| self.fill(entry, tenant, host).ok()).collect();
        Destinations::parse(hosts.iter().map(String::as_str)).map_err(|Malformed(why)| self.unfit(why))
    }

    /// Puts the tenant into its hole. It is one name of one host, or one segment of a path: nothing that could lead to
    /// another place than the table says.
    fn fill(self, entry: &Entry, tenant: Option<&str>, text: &str) -> Result<String, VendorError> {
        let Some(wanted) = &entry.tenant else {
            return if tenant.is_none() { Ok(text.to_owned()) } else { Err(self.unfit("has no tenant; remove it")) };
        };
        let tenant =
            tenant.or(entry.usual_tenant.as_deref()).ok_or_else(|| self.missing(&format!("a tenant: {wanted}")))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let dots = tenant.starts_with('.') || tenant.ends_with('.') || tenant.contains("..");
        if !(1..=253).contains(&tenant.len()) || dots || !tenant.bytes().all(plain) {
            let shown = super::discovery::shown(tenant);
            return Err(self.unfit(format!("cannot have the tenant `{shown}`; it must be {wanted}")));
        }
        if !text.contains("{tenant.region}") {
            return Ok(text.replace("{tenant}", tenant));
        }
        let (region, _) = tenant
            .split_once('_')
            .ok_or_else(|| self.unfit(format!("cannot have the tenant `{tenant}`; it must be {wanted}")))?;
        Ok(text.replace("{tenant.region}", region).replace("{tenant}", tenant))
    }

    fn missing(self, what: &str) -> VendorError {
        VendorError::Missing { vendor: self.name(), what: what.to_owned() }
    }

    fn unfit(self, why: impl Into<String>) -> VendorError {
        VendorError::Unfit { vendor: self.name(), why: why.into() }
    }
}

impl PartialEq for Vendor {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}
impl Eq for Vendor {}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
    /// How we prove it; [`Vendor::with_secret`] is the vendor's usual way.
    pub client_authentication: ClientAuthentication,
    /// What stands in the vendor's endpoints for this customer: an Entra tenant, an Okta domain. None where the vendor has
    /// no such hole, or where its default will do.
    pub tenant: Option<String>,
    /// Instead of the vendor's own.
    pub endpoints: Option<Endpoints>,
    /// All that is offered here.
    pub scopes: Scopes,
    /// Where its tokens may go. None: to the vendor's API hosts, which are none for vendors whose tokens are for their
    /// customer's own APIs.
    pub hosts: Option<Destinations>,
}

/// Why a vendor's provider cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    /// Something that this vendor wants.
    #[error("`{vendor}` needs {what}")]
    Missing {
        /// Which vendor.
        vendor: &'static str,
        /// What, in words.
        what: String,
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

#[cfg(test)]
#[path = "vendor_tests.rs"]
mod tests;
