//! Credential providers: Amazon's union of configurations, as the settings of this host, and back.

use super::answers::{Answer, page, seconds, wanted};
use super::calls::providers::UNION;
use super::input::Values;
use crate::access::{Caller, Operation};
use crate::directory::Tags;
use crate::ids::ProviderName;
use crate::oauth::Endpoints;
use crate::operations::{Arns, GivenSecret, OperationError, Operations};
use crate::providers::{
    Actor, ApiKeySettings, Authentication, Discovery, Facts, KeyPlace, Kind, Metadata, Oauth2Settings, OnBehalf,
    OnBehalfGrant, SecretKept, Status,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) async fn answer(
    operations: &Operations,
    caller: &Arc<Caller>,
    operation: Operation,
    input: &Values<'_>,
    arns: &Arns,
) -> Answer {
    use Operation as O;
    let name = || input.parsed::<ProviderName>("name");
    match operation {
        O::CreateOauth2CredentialProvider => {
            let (settings, secret) = oauth2_settings(input, GivenSecret::None)?;
            let made = operations.create_oauth2_provider(caller, &name()?, settings, secret, tags(input)?).await?;
            Ok(oauth2(&made, arns))
        }
        O::UpdateOauth2CredentialProvider => {
            let (settings, secret) = oauth2_settings(input, GivenSecret::Unchanged)?;
            Ok(oauth2(&operations.update_oauth2_provider(caller, &name()?, settings, secret).await?, arns))
        }
        O::GetOauth2CredentialProvider => Ok(oauth2(&operations.provider(caller, Kind::Oauth2, &name()?)?, arns)),
        O::DeleteOauth2CredentialProvider => {
            operations.delete_provider(caller, Kind::Oauth2, &name()?).await?;
            Ok(Value::Null)
        }
        O::ListOauth2CredentialProviders => {
            let found = operations.list_providers(caller, Kind::Oauth2, wanted(input))?;
            let item = |facts: &Facts| {
                json!({
                    "name": facts.name,
                    "credentialProviderVendor": vendor(facts),
                    "credentialProviderArn": arns.oauth2_provider(&facts.name),
                    "createdTime": seconds(facts.created_at),
                    "lastUpdatedTime": seconds(facts.updated_at),
                })
            };
            Ok(page("credentialProviders", found.items.iter().map(item).collect(), found.next))
        }
        O::CreateApiKeyCredentialProvider => {
            let key = secret(input, "apiKey", "apiKeySecretConfig", "apiKeySecretSource", GivenSecret::None)?;
            let settings = key_settings(input).unwrap_or_default();
            let made = operations.create_api_key_provider(caller, &name()?, settings, key, tags(input)?).await?;
            Ok(api_key(&made, arns))
        }
        O::UpdateApiKeyCredentialProvider => {
            let key = secret(input, "apiKey", "apiKeySecretConfig", "apiKeySecretSource", GivenSecret::Unchanged)?;
            Ok(api_key(&operations.update_api_key_provider(caller, &name()?, key_settings(input), key).await?, arns))
        }
        O::GetApiKeyCredentialProvider => Ok(api_key(&operations.provider(caller, Kind::ApiKey, &name()?)?, arns)),
        O::DeleteApiKeyCredentialProvider => {
            operations.delete_provider(caller, Kind::ApiKey, &name()?).await?;
            Ok(Value::Null)
        }
        O::ListApiKeyCredentialProviders => {
            let found = operations.list_providers(caller, Kind::ApiKey, wanted(input))?;
            let item = |facts: &Facts| {
                json!({
                    "name": facts.name,
                    "credentialProviderArn": arns.api_key_provider(&facts.name),
                    "createdTime": seconds(facts.created_at),
                    "lastUpdatedTime": seconds(facts.updated_at),
                })
            };
            Ok(page("credentialProviders", found.items.iter().map(item).collect(), found.next))
        }
        _ => Err(OperationError::NotOffered(format!("`{operation}` is not offered by this host"))),
    }
}

fn tags(input: &Values<'_>) -> Result<Tags, OperationError> {
    Tags::parse(input.map("tags")).map_err(|malformed| OperationError::malformed("tags", malformed))
}

/// A secret of the request, or where the operator keeps it; `none` where it says neither.
fn secret(
    input: &Values<'_>,
    text: &str,
    config: &str,
    source: &str,
    none: GivenSecret,
) -> Result<GivenSecret, OperationError> {
    let given = input.may_text(text).filter(|secret| !secret.is_empty());
    let reference = input.may_inner(config);
    let external = match input.may_text(source) {
        Some("EXTERNAL") => true,
        Some(_) => false,
        None => reference.is_some(),
    };
    match (external, given, reference) {
        (true, None, Some(reference)) => Ok(GivenSecret::External {
            secret_id: reference.text("secretId")?.to_owned(),
            json_key: Some(reference.text("jsonKey")?.to_owned()),
        }),
        (true, None, None) => {
            Err(OperationError::field(input.at(config), "is required where the source is `EXTERNAL`"))
        }
        (true, Some(_), _) => Err(OperationError::field(input.at(text), "has no place where the source is `EXTERNAL`")),
        (false, _, Some(_)) => {
            Err(OperationError::field(input.at(config), "has no place where the source is `MANAGED`"))
        }
        (false, Some(given), None) => Ok(GivenSecret::Managed(Zeroizing::new(given.to_owned()))),
        (false, None, None) => Ok(none),
    }
}

/// The member of the union that this vendor's configuration stands in.
fn member(vendor: &str) -> &'static str {
    let (own, shared) = (UNION.iter().find(|(name, _)| *name == vendor), UNION.last());
    own.or(shared).map_or("", |(_, member)| member)
}

fn oauth2_settings(input: &Values<'_>, none: GivenSecret) -> Result<(Oauth2Settings, GivenSecret), OperationError> {
    let vendor = input.text("credentialProviderVendor")?;
    let union = input.inner("oauth2ProviderConfigInput")?;
    let wanted = member(vendor);
    let config = union.may_inner(wanted).ok_or_else(|| {
        OperationError::field("oauth2ProviderConfigInput", format!("must have `{wanted}` for vendor `{vendor}`"))
    })?;
    let secret = secret(&config, "clientSecret", "clientSecretConfig", "clientSecretSource", none)?;
    let owned = |name: &str| config.may_text(name).map(str::to_owned);
    let settings = Oauth2Settings {
        vendor: vendor.to_owned(),
        client_id: owned("clientId").unwrap_or_default(),
        authentication: authentication(&config)?,
        tenant: owned("tenantId"),
        issuer: owned("issuer"),
        authorization_endpoint: owned("authorizationEndpoint"),
        token_endpoint: owned("tokenEndpoint"),
        discovery: config.may_inner("oauthDiscovery").map(|of| discovery(&of)).transpose()?,
        on_behalf_of: config.may_inner("onBehalfOfTokenExchangeConfig").map(|of| on_behalf_of(&of)).transpose()?,
        hosts: input.may_texts("allowedHosts"),
    };
    Ok((settings, secret))
}

fn discovery(of: &Values<'_>) -> Result<Discovery, OperationError> {
    if let Some(url) = of.may_text("discoveryUrl") {
        return Ok(Discovery::Url(url.to_owned()));
    }
    let of = of.inner("authorizationServerMetadata")?;
    Ok(Discovery::Metadata(Metadata {
        issuer: of.text("issuer")?.to_owned(),
        authorization_endpoint: of.text("authorizationEndpoint")?.to_owned(),
        token_endpoint: of.text("tokenEndpoint")?.to_owned(),
        response_types: of.texts("responseTypes"),
        token_endpoint_auth_methods: of.texts("tokenEndpointAuthMethods"),
    }))
}

fn authentication(config: &Values<'_>) -> Result<Option<Authentication>, OperationError> {
    let by_key = config.may_inner("privateKeyJwtConfig");
    Ok(match (config.may_text("clientAuthenticationMethod"), by_key) {
        (Some("PRIVATE_KEY_JWT"), None) => {
            return Err(OperationError::field(config.at("privateKeyJwtConfig"), "is required for `PRIVATE_KEY_JWT`"));
        }
        (Some("PRIVATE_KEY_JWT"), Some(of)) => {
            let arn = of.inner("privateKeySource")?.inner("kmsKeySource")?.text("kmsKeyArn")?;
            let claims = |name: &str| -> Map<String, Value> {
                of.map(name).into_iter().map(|(name, value)| (name, value.into())).collect()
            };
            Some(Authentication::PrivateKeyJwt {
                // The key's id is the name of its file in the secrets folder.
                key: arn.rsplit('/').next().unwrap_or_default().to_owned(),
                algorithm: of.may_text("signingAlgorithm").map(str::to_owned),
                header: claims("additionalHeaderClaims"),
                claims: claims("additionalPayloadClaims"),
            })
        }
        (_, Some(_)) => {
            let message = "has no place unless `clientAuthenticationMethod` is `PRIVATE_KEY_JWT`";
            return Err(OperationError::field(config.at("privateKeyJwtConfig"), message));
        }
        (Some("CLIENT_SECRET_POST"), None) => Some(Authentication::Post),
        (Some("CLIENT_SECRET_BASIC"), None) => Some(Authentication::Basic),
        (Some("AWS_IAM_ID_TOKEN_JWT"), None) => Some(Authentication::WorkloadJwt { audience: None }),
        _ => None,
    })
}

fn on_behalf_of(of: &Values<'_>) -> Result<OnBehalf, OperationError> {
    let exchange = of.may_inner("tokenExchangeGrantTypeConfig");
    let grant = match of.text("grantType")? {
        "TOKEN_EXCHANGE" => OnBehalfGrant::TokenExchange,
        _ => OnBehalfGrant::JwtBearer,
    };
    if grant == OnBehalfGrant::JwtBearer && exchange.is_some() {
        let message = "has no place beside `JWT_AUTHORIZATION_GRANT`";
        return Err(OperationError::field(of.at("tokenExchangeGrantTypeConfig"), message));
    }
    let (content, scopes) = match &exchange {
        None => ("NONE", Vec::new()),
        Some(exchange) => (exchange.text("actorTokenContent")?, exchange.texts("actorTokenScopes")),
    };
    let actor = match content {
        "M2M" => Actor::MachineToMachine { scopes },
        _ if !scopes.is_empty() => {
            let message = "has no place unless `actorTokenContent` is `M2M`";
            let at = format!("{}.actorTokenScopes", of.at("tokenExchangeGrantTypeConfig"));
            return Err(OperationError::field(at, message));
        }
        "AWS_IAM_ID_TOKEN_JWT" => Actor::WorkloadJwt,
        _ => Actor::None,
    };
    Ok(OnBehalf { grant, actor, without_client: of.may_inner("onBehalfOfAuthenticationConfig").is_some() })
}

fn key_settings(input: &Values<'_>) -> Option<ApiKeySettings> {
    let place = input.may_inner("apiKeyPlacement");
    let hosts = input.may_texts("allowedHosts");
    if place.is_none() && hosts.is_none() {
        return None;
    }
    let place = place.and_then(|place| match (place.may_inner("header"), place.may_inner("queryParameter")) {
        (Some(header), _) => Some(KeyPlace::Header {
            name: header.may_text("name")?.to_owned(),
            prefix: header.may_text("prefix").unwrap_or_default().to_owned(),
        }),
        (None, Some(query)) => Some(KeyPlace::Query(query.may_text("name")?.to_owned())),
        (None, None) => None,
    });
    Some(ApiKeySettings { place, hosts: hosts.unwrap_or_default() })
}

fn vendor(facts: &Facts) -> &str {
    facts.vendor.as_deref().unwrap_or("CustomOauth2")
}

fn hosts(facts: &Facts) -> Vec<String> {
    facts.destinations.iter().map(ToString::to_string).collect()
}

/// Who keeps the secret, in Amazon's words. What the configuration has is the operator's own.
fn kept(value: &mut Value, secret: Option<&SecretKept>, source: &str, json_key: &str) {
    match secret {
        Some(SecretKept::External { json_key: key, .. }) => {
            value[source] = "EXTERNAL".into();
            if let Some(key) = key {
                value[json_key] = key.clone().into();
            }
        }
        Some(SecretKept::Managed | SecretKept::None) => value[source] = "MANAGED".into(),
        None => value[source] = "EXTERNAL".into(),
    }
}

fn oauth2(facts: &Facts, arns: &Arns) -> Value {
    let mut config = json!({ "oauthDiscovery": told_discovery(facts) });
    if let Some(client_id) = facts.client_id.as_deref().filter(|id| !id.is_empty()) {
        config["clientId"] = client_id.into();
    }
    let member = member(vendor(facts));
    if let Some(settings) = facts.oauth2.as_ref().filter(|_| member == "customOauth2ProviderConfig") {
        told_custom(&mut config, settings, arns);
    }
    let (status, reason) = match &facts.status {
        Status::Ready => ("READY", None),
        Status::Failed(reason) => ("UPDATE_FAILED", Some(reason)),
    };
    let mut value = json!({
        "clientSecretArn": { "secretArn": arns.secret("oauth2", &facts.name) },
        "name": facts.name,
        "credentialProviderArn": arns.oauth2_provider(&facts.name),
        "credentialProviderVendor": vendor(facts),
        "oauth2ProviderConfigOutput": { member: config },
        "createdTime": seconds(facts.created_at),
        "lastUpdatedTime": seconds(facts.updated_at),
        "status": status,
        "allowedHosts": hosts(facts),
    });
    if let Some(url) = &facts.callback_url {
        value["callbackUrl"] = url.as_str().into();
    }
    if let Some(reason) = reason {
        value["failureReason"] = reason.clone().into();
    }
    kept(&mut value, facts.secret.as_ref(), "clientSecretSource", "clientSecretJsonKey");
    value
}

/// Where it is asked: as it was described, or as its endpoints are.
fn told_discovery(facts: &Facts) -> Value {
    if let Some(Discovery::Url(url)) = facts.oauth2.as_ref().and_then(|settings| settings.discovery.as_ref()) {
        return json!({ "discoveryUrl": url });
    }
    match &facts.endpoints {
        Some(Endpoints::Discovery { issuer, .. }) => {
            let issuer = issuer.as_str().trim_end_matches('/');
            json!({ "discoveryUrl": format!("{issuer}/.well-known/openid-configuration") })
        }
        Some(Endpoints::Static(server)) => {
            let issuer = server.issuer.as_ref().map_or("", |issuer| issuer.as_str());
            json!({
                "authorizationServerMetadata": {
                    "issuer": issuer,
                    "authorizationEndpoint": server.authorization.as_ref().map_or("", |url| url.as_str()),
                    "tokenEndpoint": server.token.as_str(),
                },
            })
        }
        None => json!({
            "authorizationServerMetadata": { "issuer": "", "authorizationEndpoint": "", "tokenEndpoint": "" },
        }),
    }
}

fn told_custom(config: &mut Value, settings: &Oauth2Settings, arns: &Arns) {
    match &settings.authentication {
        Some(Authentication::Basic) => config["clientAuthenticationMethod"] = "CLIENT_SECRET_BASIC".into(),
        Some(Authentication::Post) => config["clientAuthenticationMethod"] = "CLIENT_SECRET_POST".into(),
        Some(Authentication::WorkloadJwt { .. }) => {
            config["clientAuthenticationMethod"] = "AWS_IAM_ID_TOKEN_JWT".into();
        }
        Some(Authentication::PrivateKeyJwt { key, algorithm, header, claims }) => {
            config["clientAuthenticationMethod"] = "PRIVATE_KEY_JWT".into();
            let mut told = json!({ "privateKeySource": { "kmsKeySource": { "kmsKeyArn": arns.key(key) } } });
            if let Some(algorithm) = algorithm {
                told["signingAlgorithm"] = algorithm.clone().into();
            }
            for (name, members) in [("additionalHeaderClaims", header), ("additionalPayloadClaims", claims)] {
                if !members.is_empty() {
                    told[name] = members.clone().into();
                }
            }
            config["privateKeyJwtConfig"] = told;
        }
        Some(Authentication::None) | None => {}
    }
    if let Some(on_behalf_of) = &settings.on_behalf_of {
        let mut told = match on_behalf_of.grant {
            OnBehalfGrant::JwtBearer => json!({ "grantType": "JWT_AUTHORIZATION_GRANT" }),
            OnBehalfGrant::TokenExchange => {
                let exchange = match &on_behalf_of.actor {
                    Actor::None => json!({ "actorTokenContent": "NONE" }),
                    Actor::WorkloadJwt => json!({ "actorTokenContent": "AWS_IAM_ID_TOKEN_JWT" }),
                    Actor::MachineToMachine { scopes } => {
                        json!({ "actorTokenContent": "M2M", "actorTokenScopes": scopes })
                    }
                };
                json!({ "grantType": "TOKEN_EXCHANGE", "tokenExchangeGrantTypeConfig": exchange })
            }
        };
        if on_behalf_of.without_client {
            told["onBehalfOfAuthenticationConfig"] = json!({ "clientAuthenticationMethod": "NO_CLIENT" });
        }
        config["onBehalfOfTokenExchangeConfig"] = told;
    }
}

fn api_key(facts: &Facts, arns: &Arns) -> Value {
    let mut value = json!({
        "apiKeySecretArn": { "secretArn": arns.secret("apikey", &facts.name) },
        "name": facts.name,
        "credentialProviderArn": arns.api_key_provider(&facts.name),
        "createdTime": seconds(facts.created_at),
        "lastUpdatedTime": seconds(facts.updated_at),
        "allowedHosts": hosts(facts),
    });
    match facts.api_key.as_ref().and_then(|settings| settings.place.as_ref()) {
        Some(KeyPlace::Header { name, prefix }) => {
            value["apiKeyPlacement"] = json!({ "header": { "name": name, "prefix": prefix } });
        }
        Some(KeyPlace::Query(name)) => value["apiKeyPlacement"] = json!({ "queryParameter": { "name": name } }),
        None => {}
    }
    kept(&mut value, facts.secret.as_ref(), "apiKeySecretSource", "apiKeySecretJsonKey");
    value
}
