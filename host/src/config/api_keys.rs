//! `[api_keys.NAME]`: keys that the host puts into agents' requests.

use super::file::{self, Named};
use super::problems::Problems;
use super::providers::{self, Providers, destinations};
use super::secrets::Secrets;
use super::{Context, dangling};
use crate::directory::BoundProvider;
use crate::egress::Placement;
use crate::ids::ProviderName;
use crate::providers::{ApiKeyProvider, CredentialProvider, SecretSource};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Every provider of the file, of either kind, by name; none where its table is there and wrong.
pub(super) type Known = BTreeMap<ProviderName, Option<CredentialProvider>>;

/// Those of `[providers]`, and these.
pub(super) fn convert(
    context: &Context<'_>,
    providers: Providers,
    tables: Named<file::ApiKey>,
    problems: &mut Problems<'_>,
) -> Known {
    let mut known: Known =
        providers.into_iter().map(|(name, provider)| (name, provider.map(CredentialProvider::Oauth2))).collect();
    for (name, table) in tables {
        let here = name.span();
        let Some(name) = problems.take(&here, ProviderName::parse(name.get_ref())) else { continue };
        if known.contains_key(&name) {
            problems.at(&here, format!("there is a `[providers.{name}]` already; choose another name"));
            continue;
        }
        let provider = provider(context, name.clone(), &here, table, problems);
        known.insert(name, provider.map(|provider| CredentialProvider::ApiKey(Arc::new(provider))));
    }
    known
}

fn provider(
    context: &Context<'_>,
    name: ProviderName,
    here: &Range<usize>,
    table: file::ApiKey,
    problems: &mut Problems<'_>,
) -> Option<ApiKeyProvider> {
    let placement = placement(here, &table, problems);
    let hosts = destinations(context, &table.hosts, problems);
    let span = table.key.span();
    let key = match context.secrets {
        Secrets::Left => SecretSource::Fixed(Arc::new(Secret::new(Vec::new()))),
        Secrets::Resolved => problems.take(&span, table.key.get_ref().source(context))?,
    };
    let mut provider = ApiKeyProvider::new(name, key, placement?, hosts?);
    if let Some(display_name) = table.display_name {
        provider.display_name = display_name;
    }
    if context.secrets == Secrets::Resolved {
        problems.take(&span, provider.check())?;
    }
    Some(provider)
}

fn placement(here: &Range<usize>, table: &file::ApiKey, problems: &mut Problems<'_>) -> Option<Placement> {
    match (&table.header, &table.prefix, &table.query) {
        (Some(header), prefix, None) => {
            let text = prefix.as_ref().map_or("", |prefix| prefix.get_ref());
            problems.take(&header.span(), Placement::header(header.get_ref(), text))
        }
        (None, None, Some(query)) => problems.take(&query.span(), Placement::query(query.get_ref())),
        (None, None, None) => {
            problems.at(here, "where the key goes is missing: write `header = \"X-Api-Key\"` or `query = \"key\"`");
            None
        }
        (None, Some(prefix), _) => {
            problems.at(&prefix.span(), "`prefix` stands before a key in a header; write `header`, or remove it");
            None
        }
        (Some(_), _, Some(query)) => {
            problems.at(&query.span(), "`query` and `header` exclude each other; keep one");
            None
        }
    }
}

/// What an agent or workload may use. One key has no scopes.
pub(super) fn bound(tables: &[file::BoundProvider], known: &Known, problems: &mut Problems<'_>) -> Vec<BoundProvider> {
    let mut bound: Vec<BoundProvider> = Vec::new();
    for table in tables {
        let span = table.name.span();
        let Some(name) = problems.take(&span, ProviderName::parse(table.name.get_ref())) else { continue };
        let scopes = providers::scopes(&table.scopes, problems);
        match known.get(&name) {
            None => problems.at(&span, dangling("providers", name.as_str(), known.keys().map(ProviderName::as_str))),
            Some(Some(CredentialProvider::Oauth2(provider)))
                if !provider.scopes.is_empty() && !provider.scopes.covers(&scopes) =>
            {
                problems.at(
                    &span,
                    format!(
                        "`[providers.{name}]` does not offer `{}`; add it there or remove it here",
                        provider.scopes.missing(&scopes).joined()
                    ),
                );
            }
            Some(Some(CredentialProvider::ApiKey(_))) if !scopes.is_empty() => {
                problems.at(&span, format!("`[api_keys.{name}]` is a key, which has no scopes; remove them"));
            }
            Some(_) => {}
        }
        if bound.iter().any(|other| other.provider == name) {
            problems.at(&span, format!("`{name}` is bound twice; keep one with all its scopes"));
        }
        bound.push(BoundProvider { provider: name, scopes });
    }
    bound
}
