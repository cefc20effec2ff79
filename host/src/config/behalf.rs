//! `on_behalf_of = { … }` of a provider: how it takes a user's own token.

use super::Context;
use super::file::At;
use super::problems::Problems;
use super::secrets::Secrets;
use crate::ids::{ProviderName, Scope, Scopes};
use crate::oauth::{self, ActorToken, ClientAuthentication, Delegation, Provider, token_types};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnBehalfOf {
    grant: At<String>,
    actor: Option<At<String>>,
    actor_scopes: Option<At<Vec<At<String>>>>,
    actor_audience: Option<At<String>>,
    subject_token_type: Option<At<String>>,
    requested_token_type: Option<At<String>>,
    identity_provider: Option<At<String>>,
    audience: Option<At<String>>,
    client_authentication: Option<At<String>>,
}

/// What the provider does with a user's token. `made` are the providers of the file, this one among them.
pub(super) fn convert(
    context: &Context<'_>,
    table: &At<OnBehalfOf>,
    name: &ProviderName,
    made: &BTreeMap<ProviderName, Option<Provider>>,
    problems: &mut Problems<'_>,
) -> Option<oauth::OnBehalfOf> {
    let table = table.get_ref();
    let provider = made.get(name)?.as_ref()?;
    let actor = actor(table, problems);
    let grant = grant(table, name, made, problems);
    let subject = token_type(table.subject_token_type.as_ref(), "subject_token_type", problems);
    let requested = token_type(table.requested_token_type.as_ref(), "requested_token_type", problems);
    let client_authentication = client_authentication(context, table, provider, problems);
    let (grant, actor, usual) = (grant?, actor?, usual_subject(&table.grant));
    match &grant {
        Delegation::JwtBearer if actor != ActorToken::None => {
            let place = table.actor.as_ref().map_or_else(|| table.grant.span(), At::span);
            problems.at(&place, "a `jwt-bearer` grant names no actor; write `actor = \"none\"`, or `token-exchange`");
        }
        Delegation::JwtBearer | Delegation::IdJag { .. } => {
            if let Some(kind) = &table.requested_token_type {
                problems.at(&kind.span(), "`requested_token_type` belongs to a `token-exchange` grant; remove it");
            }
        }
        Delegation::TokenExchange => {}
    }
    Some(oauth::OnBehalfOf {
        grant,
        actor,
        subject_token_type: subject.unwrap_or_else(|| usual.into()),
        requested_token_type: requested,
        client_authentication: client_authentication?,
    })
}

/// An identity assertion is made of what a sign-in left behind; elsewhere the token that came with the call is sent on.
fn usual_subject(grant: &At<String>) -> &'static str {
    if grant.get_ref() == "id-jag" { token_types::ID_TOKEN } else { token_types::JWT }
}

fn grant(
    table: &OnBehalfOf,
    name: &ProviderName,
    made: &BTreeMap<ProviderName, Option<Provider>>,
    problems: &mut Problems<'_>,
) -> Option<Delegation> {
    let jag = match table.grant.get_ref().as_str() {
        "token-exchange" => Some(Delegation::TokenExchange),
        "jwt-bearer" => Some(Delegation::JwtBearer),
        "id-jag" => None,
        other => {
            let text =
                format!("`{}` is no grant; use `token-exchange`, `jwt-bearer` or `id-jag`", other.escape_debug());
            problems.at(&table.grant.span(), text);
            return None;
        }
    };
    if let Some(grant) = jag {
        for (key, there) in [("identity_provider", &table.identity_provider), ("audience", &table.audience)] {
            if let Some(there) = there {
                problems.at(&there.span(), format!("`{key}` belongs to an `id-jag` grant; remove it"));
            }
        }
        return Some(grant);
    }
    let Some(other) = &table.identity_provider else {
        let text = "an `id-jag` grant needs an `identity_provider`: the name of the provider that issues the assertion";
        problems.at(&table.grant.span(), text);
        return None;
    };
    if other.get_ref() == name.as_str() {
        let text = "the provider cannot vouch for its own users here; name the one that issues the assertion";
        problems.at(&other.span(), text);
        return None;
    }
    let known = ProviderName::parse(other.get_ref()).ok().and_then(|other| made.get(&other));
    let Some(identity_provider) = known else {
        let names = made.keys().filter(|other| *other != name).map(ProviderName::as_str);
        problems.at(&other.span(), super::dangling("providers", other.get_ref(), names));
        return None;
    };
    Some(Delegation::IdJag {
        identity_provider: Arc::new(identity_provider.clone()?),
        audience: table.audience.as_ref().map(|audience| audience.get_ref().clone()),
    })
}

fn actor(table: &OnBehalfOf, problems: &mut Problems<'_>) -> Option<ActorToken> {
    let name = table.actor.as_ref().map_or("none", |actor| actor.get_ref().as_str());
    let mut belongs = |key: &str, there: Option<std::ops::Range<usize>>, to: &str| {
        if let Some(there) = there.filter(|_| name != to) {
            problems.at(&there, format!("`{key}` belongs to `actor = \"{to}\"`; remove it"));
        }
    };
    belongs("actor_scopes", table.actor_scopes.as_ref().map(At::span), "machine-to-machine");
    belongs("actor_audience", table.actor_audience.as_ref().map(At::span), "workload-jwt");
    match name {
        "none" => Some(ActorToken::None),
        "machine-to-machine" => {
            let scopes = table.actor_scopes.as_ref().map_or(&[][..], |scopes| scopes.get_ref());
            let parsed = scopes.iter().map(|text| problems.take(&text.span(), Scope::parse(text.get_ref())));
            Some(ActorToken::MachineToMachine { scopes: parsed.collect::<Option<Scopes>>()? })
        }
        "workload-jwt" => {
            let audience = table.actor_audience.as_ref().map(|audience| audience.get_ref().clone());
            Some(ActorToken::WorkloadJwt { audience })
        }
        other => {
            let place = table.actor.as_ref().map_or_else(|| table.grant.span(), At::span);
            let known = "use `none`, `machine-to-machine` or `workload-jwt`";
            problems.at(&place, format!("`{}` is no actor; {known}", other.escape_debug()));
            None
        }
    }
}

/// `jwt` is short for `urn:ietf:params:oauth:token-type:jwt` (RFC 8693 §3).
fn token_type(text: Option<&At<String>>, key: &str, problems: &mut Problems<'_>) -> Option<String> {
    let text = text?;
    let known = match text.get_ref().as_str() {
        "access_token" => token_types::ACCESS_TOKEN,
        "id_token" => token_types::ID_TOKEN,
        "jwt" => token_types::JWT,
        other if other.contains(':') && other.len() <= 256 && other.bytes().all(|byte| byte.is_ascii_graphic()) => {
            other
        }
        _ => {
            let text_ = format!("`{key}` must be `access_token`, `id_token`, `jwt`, or the URI of another type");
            problems.at(&text.span(), text_);
            return None;
        }
    };
    Some(known.to_owned())
}

/// None within: as for the provider's other requests.
fn client_authentication(
    context: &Context<'_>,
    table: &OnBehalfOf,
    provider: &Provider,
    problems: &mut Problems<'_>,
) -> Option<Option<ClientAuthentication>> {
    let Some(method) = &table.client_authentication else { return Some(None) };
    let secret = match &provider.client_authentication {
        ClientAuthentication::Basic(secret) | ClientAuthentication::Post(secret) => Some(secret.clone()),
        _ => None,
    };
    match (method.get_ref().as_str(), secret) {
        ("anonymous", _) => Some(Some(ClientAuthentication::Anonymous)),
        ("basic", Some(secret)) => Some(Some(ClientAuthentication::Basic(secret))),
        ("post", Some(secret)) => Some(Some(ClientAuthentication::Post(secret))),
        // Whoever only looks has none.
        ("basic" | "post", None) if context.secrets == Secrets::Left => Some(None),
        ("basic" | "post", None) => {
            problems.at(&method.span(), "the provider has no `client_secret`; remove `client_authentication` here");
            None
        }
        (other, _) => {
            let text = format!("`{}` is none of `basic`, `post` and `anonymous`", other.escape_debug());
            problems.at(&method.span(), text);
            None
        }
    }
}
