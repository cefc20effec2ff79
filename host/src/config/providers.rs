//! `[providers.NAME]` and `[sign_in]`: this host's OAuth 2 clients.

use super::authorizers::Issuers;
use super::file::{self, At, Named};
use super::problems::Problems;
use super::secrets::{SecretRef, Secrets};
use super::{Context, SignIn, url};
use crate::egress::Destinations;
use crate::ids::{Issuer, ProviderName, Scope, Scopes};
use crate::oauth::{ClientAuthentication, Endpoints, Provider, Server};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// By name; none where the table is there and wrong, so that its name does not dangle as well.
pub(super) type Providers = BTreeMap<ProviderName, Option<Arc<Provider>>>;

/// Parameters of the authorization request that are ours alone (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2).
const OUR_PARAMETERS: [&str; 9] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

pub(super) fn convert(context: &Context<'_>, tables: Named<file::Provider>, problems: &mut Problems<'_>) -> Providers {
    tables
        .into_iter()
        .filter_map(|(name, table)| {
            let span = name.span();
            let name = problems.take(&span, ProviderName::parse(name.get_ref()))?;
            let provider = provider(context, name.clone(), &span, table, problems);
            Some((name, provider.map(Arc::new)))
        })
        .collect()
}

fn provider(
    context: &Context<'_>,
    name: ProviderName,
    here: &Range<usize>,
    table: file::Provider,
    problems: &mut Problems<'_>,
) -> Option<Provider> {
    let endpoints = endpoints(context, &table, here, problems);
    let client_authentication = client_authentication(
        context,
        here,
        table.client_authentication.as_ref(),
        table.client_secret.as_ref(),
        problems,
    );
    let scopes = scopes(&table.scopes, problems);
    let offline_scope = table.offline_scope.as_ref().and_then(|s| problems.take(&s.span(), Scope::parse(s.get_ref())));
    if table.hosts.get_ref().is_empty() {
        problems.at(&table.hosts.span(), "`hosts` must name at least one host; the credential goes nowhere else");
    }
    let destinations = destinations(context, &table.hosts, problems);
    for name in table.authorize_parameters.keys() {
        if OUR_PARAMETERS.contains(&name.get_ref().as_str()) {
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
    let scope_separator = match &table.scope_separator {
        None => ' ',
        Some(text) => match text.get_ref().as_str() {
            " " => ' ',
            "," => ',',
            _ => {
                problems.at(&text.span(), "`scope_separator` must be \" \" or \",\"");
                ' '
            }
        },
    };
    if table.client_id.is_empty() {
        problems.at(here, "`client_id` is empty");
    }
    Some(Provider {
        display_name: table.display_name.unwrap_or_else(|| name.to_string()),
        scopes,
        destinations: destinations?,
        authorize_parameters: table.authorize_parameters.into_iter().map(|(k, v)| (k.into_inner(), v)).collect(),
        resource: table.resource.into_iter().map(At::into_inner).collect(),
        scope_separator,
        offline_scope,
        ..Provider::new(name, endpoints?, table.client_id, client_authentication?)
    })
}

/// Either an `issuer`, whose metadata names the endpoints (RFC 8414), or the endpoints themselves; the issuer may stand
/// beside them to check the callback's `iss` (RFC 9207).
fn endpoints(
    context: &Context<'_>,
    table: &file::Provider,
    here: &Range<usize>,
    problems: &mut Problems<'_>,
) -> Option<Endpoints> {
    let mut endpoint =
        |text: &Option<At<String>>| text.as_ref().map(|text| problems.take(&text.span(), url(context, text.get_ref())));
    let authorization = endpoint(&table.authorization_endpoint);
    let token = endpoint(&table.token_endpoint);
    let revocation = endpoint(&table.revocation_endpoint);
    let issuer = table.issuer.as_ref().map(|text| issuer(context, text, problems));
    match (issuer, authorization, token) {
        (Some(issuer), None, None) => {
            if revocation.is_some() {
                problems.at(
                    here,
                    "`revocation_endpoint` stands beside `issuer`; the issuer's metadata names it, so remove it",
                );
            }
            Some(Endpoints::Discovery { issuer: issuer? })
        }
        (issuer, Some(authorization), Some(token)) => {
            let revocation = match revocation {
                Some(revocation) => Some(revocation?),
                None => None,
            };
            let issuer = match issuer {
                Some(issuer) => Some(issuer?),
                None => None,
            };
            let server = Server { issuer, revocation, ..Server::new(Some(authorization?), token?) };
            Some(Endpoints::Static(Arc::new(server)))
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
        Some(_) => Err(format!("`{url}` is no issuer: it must have no query (RFC 8414 §2)")),
        None => Issuer::parse(text.get_ref()).map_err(|error| error.to_string()),
    });
    problems.take(&text.span(), checked)
}

fn client_authentication(
    context: &Context<'_>,
    here: &Range<usize>,
    method: Option<&At<String>>,
    secret: Option<&At<SecretRef>>,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    let name = method.map_or(if secret.is_some() { "basic" } else { "none" }, |method| method.get_ref().as_str());
    let place = method.map_or_else(|| here.clone(), At::span);
    let with: fn(Arc<Secret>) -> ClientAuthentication = match (name, secret) {
        ("basic", Some(_)) => ClientAuthentication::Basic,
        ("post", Some(_)) => ClientAuthentication::Post,
        ("none", None) => return Some(ClientAuthentication::None),
        ("none", Some(_)) => {
            problems
                .at(&place, "`client_authentication = \"none\"` and a `client_secret` exclude each other; remove one");
            return None;
        }
        ("basic" | "post", None) => {
            problems.at(&place, format!("`client_authentication = \"{name}\"` needs a `client_secret`"));
            return None;
        }
        (other, _) => {
            problems.at(
                &place,
                format!("`{}` is no client authentication; use `basic`, `post` or `none`", other.escape_debug()),
            );
            return None;
        }
    };
    let secret = secret?;
    match context.secrets {
        Secrets::Left => Some(ClientAuthentication::None),
        Secrets::Resolved => problems.take(&secret.span(), secret.get_ref().resolve(context.base)).map(with),
    }
}

pub(super) fn scopes(texts: &[At<String>], problems: &mut Problems<'_>) -> Scopes {
    texts.iter().filter_map(|text| problems.take(&text.span(), Scope::parse(text.get_ref()))).collect()
}

/// `www.googleapis.com` is short for `https://www.googleapis.com/`.
fn destinations(
    context: &Context<'_>,
    hosts: &At<Vec<At<String>>>,
    problems: &mut Problems<'_>,
) -> Option<Destinations> {
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
    let client_authentication = client_authentication(
        context,
        &here,
        table.client_authentication.as_ref(),
        table.client_secret.as_ref(),
        problems,
    );
    let wanted = scopes(&table.scopes, problems);
    let openid = Scopes::parse(["openid"]).ok()?;
    let none = problems.take(&here, Destinations::parse(std::iter::empty()));
    let issuer = issuer?.issuer.clone();
    Some(SignIn {
        provider: Arc::new(Provider {
            display_name: issuer.to_string(),
            scopes: wanted.iter().chain(openid.iter()).cloned().collect(),
            destinations: none?,
            ..Provider::new(
                ProviderName::parse("sign-in").ok()?,
                Endpoints::Discovery { issuer: issuer.clone() },
                table.client_id,
                client_authentication?,
            )
        }),
        issuer,
    })
}
