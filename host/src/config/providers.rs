//! `[providers.NAME]` and `[sign_in]`: this host's OAuth 2 clients.

use super::authorizers::Issuers;
use super::behalf;
use super::file::{self, At, Named};
use super::keys::{self, Client};
use super::problems::Problems;
use super::{Context, SignIn, url};
use crate::egress::Destinations;
use crate::ids::{Issuer, ProviderName, Scope, Scopes};
use crate::oauth::{ClientAuthentication, ConsentBy, Endpoints, Provider, Server, Vendor, VendorInput, When, reserved};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// By name; none where the table is there and wrong, so that its name does not dangle as well.
pub(super) type Providers = BTreeMap<ProviderName, Option<Arc<Provider>>>;

pub(super) fn convert(context: &Context<'_>, tables: Named<file::Provider>, problems: &mut Problems<'_>) -> Providers {
    let mut made = BTreeMap::new();
    let mut behalves = Vec::new();
    for (name, mut table) in tables {
        let span = name.span();
        let Some(name) = problems.take(&span, ProviderName::parse(name.get_ref())) else { continue };
        if let Some(behalf) = table.on_behalf_of.take() {
            behalves.push((name.clone(), behalf));
        }
        let provider = provider(context, name.clone(), &span, table, problems);
        made.insert(name, provider);
    }
    // A user's identity provider is one of the others, so they come first.
    let behalves: Vec<_> = behalves
        .into_iter()
        .map(|(name, table)| {
            let behalf = behalf::convert(context, &table, &name, &made, problems);
            (name, behalf)
        })
        .collect();
    for (name, behalf) in behalves {
        if let Some(Some(provider)) = made.get_mut(&name) {
            provider.on_behalf_of = behalf;
        }
    }
    made.into_iter().map(|(name, provider)| (name, provider.map(Arc::new))).collect()
}

/// What the vendor's table says comes first; what the file says stands above it.
fn provider(
    context: &Context<'_>,
    name: ProviderName,
    here: &Range<usize>,
    table: file::Provider,
    problems: &mut Problems<'_>,
) -> Option<Provider> {
    let vendor = match &table.vendor {
        None => Some(Vendor::CUSTOM),
        Some(vendor) => problems.take(&vendor.span(), Vendor::parse(vendor.get_ref())),
    };
    if let (None, Some(tenant)) = (&table.vendor, &table.tenant) {
        problems.at(&tenant.span(), "`tenant` belongs to a `vendor`; name one, or write it into the endpoints");
        return None;
    }
    let consent = consent(table.consent.as_ref(), problems);
    let endpoints = endpoints(context, &table, here, vendor, consent, problems);
    let client = Client {
        method: table.client_authentication.as_ref(),
        secret: table.client_secret.as_ref(),
        key: table.client_key.as_ref(),
        assertion: table.client_assertion.as_ref(),
        for_workloads: true,
    };
    let client_authentication = keys::client_authentication(context, here, &client, problems);
    let scopes = scopes(&table.scopes, problems);
    let offline_scope = table.offline_scope.as_ref().and_then(|s| problems.take(&s.span(), Scope::parse(s.get_ref())));
    let hosts = table.hosts.as_ref().map(|hosts| destinations(context, hosts, problems));
    check_parameters(&table, problems);
    let scope_separator = separator(table.scope_separator.as_ref(), problems);
    let pushed_authorization = when("pushed_authorization", table.pushed_authorization.as_ref(), problems);
    let dpop = when("dpop", table.dpop.as_ref(), problems);
    if table.client_id.is_empty() {
        problems.at(here, "`client_id` is empty");
        return None;
    }
    let vendor = vendor?;
    let client_authentication = match client_authentication? {
        // The vendor's usual way, where the file names none.
        ClientAuthentication::Basic(secret) if client.method.is_none() => vendor.with_secret(secret),
        other => other,
    };
    let hosts = match hosts {
        Some(hosts) => Some(hosts?),
        None => None,
    };
    let input = VendorInput {
        name,
        client_id: table.client_id,
        client_authentication,
        tenant: table.tenant.map(At::into_inner),
        endpoints: endpoints?,
        scopes,
        hosts,
    };
    let place = table.vendor.as_ref().map_or_else(|| here.clone(), At::span);
    let mut provider = problems.take(&place, vendor.provider(input))?;
    if provider.destinations.is_empty() && table.hosts.is_none() {
        problems.at(here, "`hosts` is missing; name the hosts that the credential may be sent to");
    }
    if let Some(name) = table.display_name {
        provider.display_name = name;
    }
    let added: Vec<_> = table.authorize_parameters.into_iter().map(|(k, v)| (k.into_inner(), v)).collect();
    provider.authorize_parameters.retain(|(name, _)| !added.iter().any(|(other, _)| other == name));
    provider.authorize_parameters.extend(added);
    provider.resource = table.resource.into_iter().map(At::into_inner).collect();
    provider.scope_separator = scope_separator.unwrap_or(provider.scope_separator);
    provider.offline_scope = offline_scope.or(provider.offline_scope);
    provider.pushed_authorization = pushed_authorization.unwrap_or(provider.pushed_authorization);
    provider.dpop = dpop.unwrap_or(provider.dpop);
    provider.consent = consent.unwrap_or_default();
    check_offers(&provider, here, pushed_authorization, dpop, problems);
    Some(provider)
}

/// Half of a thing is told at start: an endpoint that is wanted and not named, an offer that nobody makes.
fn check_offers(
    provider: &Provider,
    here: &Range<usize>,
    pushed: Option<When>,
    dpop: Option<When>,
    problems: &mut Problems<'_>,
) {
    let Endpoints::Static(server) = &provider.endpoints else { return };
    if provider.consent == ConsentBy::Device && server.device_authorization.is_none() {
        problems.at(here, "`consent = \"device\"` needs a `device_authorization_endpoint`");
    }
    if matches!(pushed, Some(When::Always | When::Offered)) && server.pushed_authorization.is_none() {
        problems.at(here, "`pushed_authorization` needs a `pushed_authorization_endpoint`");
    }
    if dpop == Some(When::Offered) {
        problems.at(
            here,
            "`dpop = \"when-offered\"` needs an `issuer` whose metadata offers it; write `always` or `never` beside \
             endpoints",
        );
    }
}

fn check_parameters(table: &file::Provider, problems: &mut Problems<'_>) {
    for name in table.authorize_parameters.keys() {
        if reserved(name.get_ref()) {
            problems.at(
                &name.span(),
                format!("`{}` is set by the host; remove it from `authorize_parameters`", name.get_ref()),
            );
        }
    }
    for resource in &table.resource {
        let absolute = url::Url::parse(resource.get_ref()).is_ok_and(|url| url.fragment().is_none());
        if !absolute {
            problems.at(
                &resource.span(),
                format!(
                    "`{}` is no resource: it must be an absolute URI without a fragment (RFC 8707 §2)",
                    resource.get_ref().escape_debug()
                ),
            );
        }
    }
}

fn separator(text: Option<&At<String>>, problems: &mut Problems<'_>) -> Option<char> {
    let text = text?;
    match text.get_ref().as_str() {
        " " => Some(' '),
        "," => Some(','),
        _ => {
            problems.at(&text.span(), "`scope_separator` must be \" \" or \",\"");
            None
        }
    }
}

fn when(key: &str, text: Option<&At<String>>, problems: &mut Problems<'_>) -> Option<When> {
    let text = text?;
    match text.get_ref().as_str() {
        "never" => Some(When::Never),
        "when-offered" => Some(When::Offered),
        "always" => Some(When::Always),
        _ => {
            problems.at(&text.span(), format!("`{key}` must be \"never\", \"when-offered\" or \"always\""));
            None
        }
    }
}

fn consent(text: Option<&At<String>>, problems: &mut Problems<'_>) -> Option<ConsentBy> {
    let text = text?;
    match text.get_ref().as_str() {
        "browser" => Some(ConsentBy::Browser),
        "device" => Some(ConsentBy::Device),
        "none" => Some(ConsentBy::None),
        _ => {
            problems.at(&text.span(), "`consent` must be \"browser\", \"device\" or \"none\"");
            None
        }
    }
}

/// Either an `issuer`, whose metadata names the endpoints (RFC 8414), or the endpoints themselves; the issuer may stand
/// beside them to check the callback's `iss` (RFC 9207). A vendor's need not be written at all: none within.
fn endpoints(
    context: &Context<'_>,
    table: &file::Provider,
    here: &Range<usize>,
    vendor: Option<Vendor>,
    consent: Option<ConsentBy>,
    problems: &mut Problems<'_>,
) -> Option<Option<Endpoints>> {
    let mut endpoint =
        |text: &Option<At<String>>| text.as_ref().map(|text| problems.take(&text.span(), url(context, text.get_ref())));
    let authorization = endpoint(&table.authorization_endpoint);
    let token = endpoint(&table.token_endpoint);
    let others = [
        ("revocation_endpoint", endpoint(&table.revocation_endpoint)),
        ("device_authorization_endpoint", endpoint(&table.device_authorization_endpoint)),
        ("pushed_authorization_endpoint", endpoint(&table.pushed_authorization_endpoint)),
    ];
    let issuer = table.issuer.as_ref().map(|text| issuer(context, text, problems));
    // The page for browsers may be missing where none ever goes there.
    let browsers = consent.is_none_or(|consent| consent == ConsentBy::Browser);
    match (issuer, authorization, token) {
        (None, None, None) if vendor.is_none_or(|vendor| vendor != Vendor::CUSTOM) => {
            if let Some((name, _)) = others.iter().find(|(_, url)| url.is_some()) {
                let text = format!("`{name}` stands beside `vendor`, whose endpoints are known; remove it");
                problems.at(here, text);
            }
            Some(None)
        }
        (Some(issuer), None, None) => {
            if let Some((name, _)) = others.iter().find(|(_, url)| url.is_some()) {
                problems
                    .at(here, format!("`{name}` stands beside `issuer`; the issuer's metadata names it, so remove it"));
            }
            Some(Some(Endpoints::Discovery { issuer: issuer? }))
        }
        (issuer, authorization, Some(token)) if authorization.is_some() || !browsers => {
            let issuer = match issuer {
                Some(issuer) => Some(issuer?),
                None => None,
            };
            let authorization = match authorization {
                Some(authorization) => Some(authorization?),
                None => None,
            };
            let [revocation, device_authorization, pushed_authorization] = others.map(|(_, url)| url.flatten());
            let server = Server {
                issuer,
                revocation,
                device_authorization,
                pushed_authorization,
                ..Server::new(authorization, token?)
            };
            Some(Some(Endpoints::Static(Arc::new(server))))
        }
        _ => {
            problems.at(
                here,
                "the endpoints are missing: write `issuer`, or both `authorization_endpoint` and `token_endpoint`",
            );
            None
        }
    }
}

/// An issuer is compared byte for byte, so it is kept as written.
pub(super) fn issuer(context: &Context<'_>, text: &At<String>, problems: &mut Problems<'_>) -> Option<Issuer> {
    let checked = url(context, text.get_ref()).and_then(|url| match url.query() {
        _ if context.own.as_ref() == Some(&url.origin()) => Err(format!(
            "`{url}` is this host itself; what it signs speaks of workloads, and must never be taken for a user's token"
        )),
        Some(_) => Err(format!("`{url}` is no issuer: it must have no query (RFC 8414 §2)")),
        None => Issuer::parse(text.get_ref()).map_err(|error| error.to_string()),
    });
    problems.take(&text.span(), checked)
}

pub(super) fn scopes(texts: &[At<String>], problems: &mut Problems<'_>) -> Scopes {
    texts.iter().filter_map(|text| problems.take(&text.span(), Scope::parse(text.get_ref()))).collect()
}

/// `www.googleapis.com` is short for `https://www.googleapis.com/`.
pub(super) fn destinations(
    context: &Context<'_>,
    hosts: &At<Vec<At<String>>>,
    problems: &mut Problems<'_>,
) -> Option<Destinations> {
    if hosts.get_ref().is_empty() {
        problems.at(&hosts.span(), "`hosts` must name at least one host; the credential goes nowhere else");
    }
    let mut full = Vec::new();
    for host in hosts.get_ref() {
        let text = host.get_ref();
        let text = if text.contains("://") { text.clone() } else { format!("https://{text}/") };
        let checked =
            url(context, &text).and_then(|_| Destinations::parse([text.as_str()]).map_err(|error| error.to_string()));
        if problems.take(&host.span(), checked).is_some() {
            full.push(text);
        }
    }
    problems.take(&hosts.span(), Destinations::parse(full.iter().map(String::as_str)))
}

/// The host as a relying party (OIDC Core §3.1): `openid` is always among the scopes.
pub(super) fn sign_in(
    context: &Context<'_>,
    table: At<file::SignIn>,
    issuers: &Issuers,
    problems: &mut Problems<'_>,
) -> Option<SignIn> {
    let here = table.span();
    let table = table.into_inner();
    let issuer = issuers.resolve(context, &table.issuer, problems);
    let client = Client {
        method: table.client_authentication.as_ref(),
        secret: table.client_secret.as_ref(),
        key: table.client_key.as_ref(),
        assertion: table.client_assertion.as_ref(),
        for_workloads: false,
    };
    let client_authentication = keys::client_authentication(context, &here, &client, problems);
    let wanted = scopes(&table.scopes, problems);
    let openid = Scopes::parse(["openid"]).ok()?;
    let none = problems.take(&here, Destinations::parse(std::iter::empty()));
    let party = issuer?.relying_party(table.client_id.clone());
    let issuer = party.issuer.clone();
    Some(SignIn {
        provider: Arc::new(Provider {
            display_name: issuer.to_string(),
            scopes: wanted.iter().chain(openid.iter()).cloned().collect(),
            destinations: none?,
            ..Provider::new(
                ProviderName::parse("sign-in").ok()?,
                Endpoints::Discovery { issuer },
                table.client_id,
                client_authentication?,
            )
        }),
        party,
    })
}
