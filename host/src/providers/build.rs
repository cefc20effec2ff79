//! From what was said of a provider to the provider: the only place where a half-described one is refused.

use super::api_key::{ApiKeyProvider, check};
use super::manage::ManageError;
use super::settings::{
    Actor, ApiKeySettings, Authentication, Discovery, KeyPlace, Metadata, Oauth2Settings, OnBehalf, OnBehalfGrant,
};
use super::source::{SecretFolder, SecretSource, read_private};
use crate::egress::{Destinations, Placement, check_url};
use crate::ids::{Issuer, Malformed, ProviderName, Scopes};
use crate::jose::{SigningAlgorithm, SigningKey};
use crate::oauth::{
    ActorToken, ClientAuthentication, Delegation, Endpoints, OAuth, OnBehalfOf, PrivateKeyJwt, Provider, Server,
    Vendor, VendorError, VendorInput, WorkloadJwt, token_types,
};
use crate::secret::{Secret, SharedSecret};
use std::sync::Arc;
use url::Url;

/// Makes providers from settings.
pub struct Builder {
    /// To ask a provider what it says of itself.
    pub oauth: Arc<OAuth>,
    /// Where secrets lie that the operator keeps. None: no provider may name one.
    pub folder: Option<SecretFolder>,
}

impl Builder {
    /// The provider of these settings. `found` is the issuer that its discovery URL led to. Asks nobody.
    pub(super) fn oauth2(
        &self,
        name: &ProviderName,
        settings: &Oauth2Settings,
        found: Option<&str>,
        secret: Option<SharedSecret>,
    ) -> Result<Provider, ManageError> {
        let vendor = Vendor::parse(&settings.vendor).map_err(|why| ManageError::input("vendor", why))?;
        if settings.client_id.is_empty() || settings.client_id.len() > 256 {
            return Err(ManageError::input(
                "client_id",
                "it must be 1 to 256 characters; write the one that the provider issued",
            ));
        }
        let client_authentication = self.authentication(vendor, settings, secret)?;
        let endpoints = endpoints(vendor, settings, found)?;
        let hosts = settings.hosts.as_deref().map(destinations).transpose()?;
        let mut provider = vendor
            .provider(VendorInput {
                name: name.clone(),
                client_id: settings.client_id.clone(),
                client_authentication,
                tenant: settings.tenant.clone(),
                endpoints,
                scopes: Scopes::default(),
                hosts,
            })
            .map_err(|error| of_vendor(vendor, settings, &error))?;
        if let Some(said) = &settings.on_behalf_of {
            provider.on_behalf_of = Some(on_behalf_of(said)?);
        }
        Ok(provider)
    }

    /// Where a custom provider describes itself: asked for its issuer, which is then kept.
    pub(super) async fn issuer_of(&self, settings: &Oauth2Settings) -> Result<Option<String>, ManageError> {
        let Some(Discovery::Url(text)) = &settings.discovery else { return Ok(None) };
        let field = |why: String| ManageError::input("discovery_url", why);
        let url = endpoint("discovery_url", text)?;
        let known = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
        if !known.iter().any(|place| url.path().contains(place)) || url.query().is_some() {
            return Err(field(format!("it must hold `{}` or `{}`, and no query", known[0], known[1])));
        }
        let issuer = self.oauth.issuer_at(&url).await.map_err(|error| field(error.to_string()))?;
        Ok(Some(issuer.to_string()))
    }

    /// Asks a provider for its endpoints, where somebody other than the vendor's table says who is asked.
    pub(super) async fn try_out(&self, settings: &Oauth2Settings, provider: &Provider) -> Result<(), ManageError> {
        let named = matches!(settings.discovery, Some(Discovery::Url(_))) || settings.issuer.is_some();
        if !named || !matches!(provider.endpoints, Endpoints::Discovery { .. }) {
            return Ok(());
        }
        let field = if settings.issuer.is_some() { "issuer" } else { "discovery_url" };
        let server = self.oauth.server(provider).await.map_err(|error| ManageError::input(field, error))?;
        if server.authorization.is_none() {
            return Err(ManageError::input(field, "its discovery document has no `authorization_endpoint`"));
        }
        Ok(())
    }

    /// The provider of an API key.
    pub(super) fn api_key(
        &self,
        name: &ProviderName,
        settings: &ApiKeySettings,
        key: SecretSource,
    ) -> Result<ApiKeyProvider, ManageError> {
        let placement = match &settings.place {
            None => Ok(Placement::Bearer),
            Some(KeyPlace::Header { name, prefix }) => Placement::header(name, prefix),
            Some(KeyPlace::Query(parameter)) => Placement::query(parameter),
        };
        let placement = placement.map_err(|why| ManageError::input("place", why))?;
        let destinations = destinations(&settings.hosts)?;
        if let SecretSource::Fixed(key) = &key {
            check(key, &destinations).map_err(|error| ManageError::input("key", error))?;
        }
        Ok(ApiKeyProvider::new(name.clone(), key, placement, destinations))
    }

    fn authentication(
        &self,
        vendor: Vendor,
        settings: &Oauth2Settings,
        secret: Option<SharedSecret>,
    ) -> Result<ClientAuthentication, ManageError> {
        let usual = match (&settings.authentication, &settings.discovery) {
            (None, Some(Discovery::Metadata(metadata))) => offered(metadata)?,
            (said, _) => said.clone(),
        };
        let needs = |with: fn(SharedSecret) -> ClientAuthentication, secret: Option<SharedSecret>| {
            secret
                .map(with)
                .ok_or_else(|| ManageError::input("client_secret", "this client authentication needs one; add it"))
        };
        let without = |secret: &Option<SharedSecret>| match secret {
            Some(_) => Err(ManageError::input("client_secret", "this client authentication has none; remove it")),
            None => Ok(()),
        };
        match usual {
            None => secret.map(|secret| vendor.with_secret(secret)).ok_or_else(|| {
                ManageError::input(
                    "client_secret",
                    "it is missing; add it, or say how else the client is authenticated",
                )
            }),
            Some(Authentication::Basic) => needs(ClientAuthentication::Basic, secret),
            Some(Authentication::Post) => needs(ClientAuthentication::Post, secret),
            Some(Authentication::None) => without(&secret).map(|()| ClientAuthentication::None),
            Some(Authentication::WorkloadJwt { audience }) => without(&secret).map(|()| {
                ClientAuthentication::WorkloadJwt(WorkloadJwt { audience, algorithm: SigningAlgorithm::Es256 })
            }),
            Some(Authentication::PrivateKeyJwt { key, algorithm, header, claims }) => {
                without(&secret)?;
                let field = |why: &dyn std::fmt::Display| ManageError::input("private_key", why);
                let algorithm =
                    algorithm.map(|name| SigningAlgorithm::parse(&name)).transpose().map_err(|why| field(&why))?;
                let pem = self.pem(&key)?;
                let key = SigningKey::from_pem(&pem, algorithm, None).map_err(|error| field(&error))?;
                let jwt = PrivateKeyJwt::new(Arc::new(key), header, claims).map_err(|error| field(&error))?;
                Ok(ClientAuthentication::PrivateKeyJwt(Arc::new(jwt)))
            }
        }
    }

    fn pem(&self, id: &str) -> Result<Secret, ManageError> {
        let path = self.folder("private_key")?.path(id).map_err(|why| ManageError::input("private_key", why))?;
        let (_, bytes) = read_private(&path).map_err(|why| ManageError::input("private_key", why))?;
        Ok(Secret::new(bytes.to_vec()))
    }

    pub(super) fn folder(&self, field: &'static str) -> Result<&SecretFolder, ManageError> {
        self.folder.as_ref().ok_or_else(|| {
            ManageError::input(
                field,
                "this host has no folder of secrets; its operator names one as `[secrets] folder`",
            )
        })
    }
}

/// The first way to authenticate that a description names and we can.
fn offered(metadata: &Metadata) -> Result<Option<Authentication>, ManageError> {
    let methods = &metadata.token_endpoint_auth_methods;
    let known = methods.iter().find_map(|method| match method.as_str() {
        "client_secret_basic" => Some(Authentication::Basic),
        "client_secret_post" => Some(Authentication::Post),
        _ => None,
    });
    match known {
        None if !methods.is_empty() => Err(ManageError::input(
            "token_endpoint_auth_methods",
            "it names neither `client_secret_basic` nor `client_secret_post`; add one, or say how the client is authenticated",
        )),
        known => Ok(known),
    }
}

/// What was said in place of the vendor's own endpoints, if anything was.
fn endpoints(vendor: Vendor, settings: &Oauth2Settings, found: Option<&str>) -> Result<Option<Endpoints>, ManageError> {
    let said = (&settings.issuer, &settings.authorization_endpoint, &settings.token_endpoint);
    if let Some(discovery) = &settings.discovery {
        if vendor != Vendor::CUSTOM {
            return Err(ManageError::input(
                "discovery",
                format!("it belongs to `CustomOauth2`, not to `{}`", vendor.name()),
            ));
        }
        if !matches!(said, (None, None, None)) {
            return Err(ManageError::input("discovery", "it stands beside an issuer or endpoints; keep one of them"));
        }
        return match discovery {
            Discovery::Url(_) => {
                let issuer = issuer("discovery_url", found.unwrap_or_default())?;
                Ok(Some(Endpoints::Discovery { issuer }))
            }
            Discovery::Metadata(metadata) => {
                if !metadata.response_types.is_empty() && !metadata.response_types.iter().any(|one| one == "code") {
                    return Err(ManageError::input(
                        "response_types",
                        "`code` is not among them, and nothing else is used",
                    ));
                }
                fixed(Some(&metadata.issuer), &metadata.authorization_endpoint, &metadata.token_endpoint).map(Some)
            }
        };
    }
    match said {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => {
            let issuer = issuer("issuer", text)?;
            endpoint("issuer", text)?;
            Ok(Some(Endpoints::Discovery { issuer }))
        }
        (issuer, Some(authorization), Some(token)) => fixed(issuer.as_deref(), authorization, token).map(Some),
        (_, Some(_), None) => {
            Err(ManageError::input("token_endpoint", "it is missing beside `authorization_endpoint`"))
        }
        (_, None, Some(_)) => {
            Err(ManageError::input("authorization_endpoint", "it is missing beside `token_endpoint`"))
        }
    }
}

fn fixed(issuer_said: Option<&str>, authorization: &str, token: &str) -> Result<Endpoints, ManageError> {
    let authorization = endpoint("authorization_endpoint", authorization)?;
    let mut server = Server::new(Some(authorization), endpoint("token_endpoint", token)?);
    server.issuer = issuer_said.map(|text| issuer("issuer", text)).transpose()?;
    Ok(Endpoints::Static(Arc::new(server)))
}

fn issuer(field: &'static str, text: &str) -> Result<Issuer, ManageError> {
    Issuer::parse(text).map_err(|why| ManageError::input(field, why))
}

fn endpoint(field: &'static str, text: &str) -> Result<Url, ManageError> {
    let url = Url::parse(text).map_err(|error| ManageError::input(field, format!("it is no URL: {error}")))?;
    check_url(&url).map_err(|Malformed(why)| ManageError::input(field, why))?;
    Ok(url)
}

/// `api.example.com` is short for `https://api.example.com/`.
fn destinations(hosts: &[String]) -> Result<Destinations, ManageError> {
    let full: Vec<_> =
        hosts.iter().map(|host| if host.contains("://") { host.clone() } else { format!("https://{host}/") }).collect();
    Destinations::parse(full.iter().map(String::as_str)).map_err(|why| ManageError::input("hosts", why))
}

fn on_behalf_of(said: &OnBehalf) -> Result<OnBehalfOf, ManageError> {
    let actor = match &said.actor {
        Actor::None => ActorToken::None,
        Actor::WorkloadJwt => ActorToken::WorkloadJwt { audience: None },
        Actor::MachineToMachine { scopes } => ActorToken::MachineToMachine {
            scopes: Scopes::parse(scopes.iter().map(String::as_str))
                .map_err(|why| ManageError::input("on_behalf_of", why))?,
        },
    };
    let grant = match said.grant {
        OnBehalfGrant::TokenExchange => Delegation::TokenExchange,
        OnBehalfGrant::JwtBearer if actor == ActorToken::None => Delegation::JwtBearer,
        OnBehalfGrant::JwtBearer => {
            return Err(ManageError::input(
                "on_behalf_of",
                "the JWT bearer grant (RFC 7523) names no actor; remove it",
            ));
        }
    };
    Ok(OnBehalfOf {
        grant,
        actor,
        subject_token_type: token_types::JWT.into(),
        requested_token_type: None,
        client_authentication: said.without_client.then_some(ClientAuthentication::Anonymous),
    })
}

/// The field that a vendor's refusal is about.
fn of_vendor(vendor: Vendor, settings: &Oauth2Settings, error: &VendorError) -> ManageError {
    let field = match error {
        VendorError::Missing { .. } | VendorError::Unfit { .. }
            if vendor.tenant().is_some() || settings.tenant.is_some() =>
        {
            "tenant"
        }
        VendorError::Missing { .. } | VendorError::Unfit { .. } => "endpoints",
        VendorError::Provider(_) => "provider",
    };
    ManageError::input(field, error)
}
