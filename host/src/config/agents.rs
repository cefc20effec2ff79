//! `[agents.NAME]`: what each agent may do, and who may call it.

use super::authorizers::{Authorizers, DEFAULT, named};
use super::file::{self, At, Named};
use super::problems::Problems;
use super::providers::{self, Providers};
use super::{AgentSettings, Context, dangling, url, workloads};
use crate::directory::{BoundProvider, Terms};
use crate::egress;
use crate::identity::Authorizer;
use crate::ids::{AgentName, ProviderName};
use http::HeaderName;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The authorizers that agents name.
pub(super) fn authorizers(tables: &Named<file::Agent>) -> impl Iterator<Item = &String> {
    tables.values().filter_map(|table| table.authorizer.as_ref().map(At::get_ref))
}

pub(super) fn convert(
    context: &Context<'_>,
    tables: Named<file::Agent>,
    known: &Providers,
    authorizers: &Authorizers,
    problems: &mut Problems<'_>,
) -> HashMap<AgentName, AgentSettings> {
    let mut agents = HashMap::new();
    for (name, table) in tables {
        let here = name.span();
        let name = problems.take(&here, AgentName::parse(name.get_ref()));
        let authorizer = authorizer(&here, table.authorizer.as_ref(), authorizers, problems);
        let inbound_headers = table.inbound_headers.iter().filter_map(|text| header(text, problems)).collect();
        let allowed_return_urls = workloads::return_urls(table.allowed_return_urls, problems);
        let terms = Terms {
            providers: bound_providers(&table.providers, known, problems),
            claims: table.claims,
            egress: table.egress.iter().filter_map(|text| origin(context, text, problems)).collect(),
            reveal: table.reveal,
            ..Terms::default()
        };
        if let (Some(name), Some(authorizer)) = (name, authorizer) {
            agents.insert(name, AgentSettings { terms, authorizer, inbound_headers, allowed_return_urls });
        }
    }
    agents
}

fn authorizer(
    here: &Range<usize>,
    name: Option<&At<String>>,
    known: &Authorizers,
    problems: &mut Problems<'_>,
) -> Option<Arc<Authorizer>> {
    match (name, known.get(DEFAULT)) {
        (Some(name), _) => named(name, known, problems),
        (None, Some(default)) => default.clone(),
        (None, None) => {
            problems.at(here, "nobody is let in: write `authorizer = \"NAME\"`, or add `[authorizers.default]`");
            None
        }
    }
}

pub(super) fn bound_providers(
    tables: &[file::BoundProvider],
    known: &Providers,
    problems: &mut Problems<'_>,
) -> Vec<BoundProvider> {
    let mut bound: Vec<BoundProvider> = Vec::new();
    for table in tables {
        let span = table.name.span();
        let Some(name) = problems.take(&span, ProviderName::parse(table.name.get_ref())) else { continue };
        let scopes = providers::scopes(&table.scopes, problems);
        match known.get(&name) {
            None => problems.at(&span, dangling("providers", name.as_str(), known.keys().map(ProviderName::as_str))),
            Some(Some(provider)) if !provider.scopes.is_empty() && !provider.scopes.covers(&scopes) => problems.at(
                &span,
                format!(
                    "`[providers.{name}]` does not offer `{}`; add it there or remove it here",
                    provider.scopes.missing(&scopes).joined()
                ),
            ),
            Some(_) => {}
        }
        if bound.iter().any(|other| other.provider == name) {
            problems.at(&span, format!("`{name}` is bound twice; keep one with all its scopes"));
        }
        bound.push(BoundProvider { provider: name, scopes });
    }
    bound
}

fn header(text: &At<String>, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let shown = text.get_ref().escape_debug();
    let name = text.get_ref().parse::<HeaderName>().map_err(|_| format!("`{shown}` is no header name"));
    let allowed = name.and_then(|name| match egress::forbidden_header(&name) {
        true => Err(format!("`{shown}` never reaches an agent; remove it from `inbound_headers`")),
        false => Ok(name),
    });
    problems.take(&text.span(), allowed)
}

/// `https://api.example.com`: an origin, or a path below one.
fn origin(context: &Context<'_>, text: &At<String>, problems: &mut Problems<'_>) -> Option<String> {
    let written = text.get_ref();
    let checked = url(context, written)
        .and_then(|_| egress::Destinations::parse([written.as_str()]).map_err(|error| error.to_string()));
    problems.take(&text.span(), checked)?;
    Some(written.clone())
}
