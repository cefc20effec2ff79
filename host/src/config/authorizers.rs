//! `[issuers.NAME]` and `[authorizers.NAME]`: who may call.

use super::file::{self, At, Named, Path};
use super::problems::Problems;
use super::{Context, dangling, providers, url};
use crate::identity::{Algorithm, Authorizer, ClaimRule, Condition, IssuerRule, RelyingParty};
use crate::ids::Issuer;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// The authorizer of agents that name none.
pub(super) const DEFAULT: &str = "default";

/// By name; none where the table is there and wrong.
pub(super) type Authorizers = BTreeMap<String, Option<Arc<Authorizer>>>;

/// An identity provider that tokens may come from.
#[derive(Clone)]
pub(super) struct KnownIssuer {
    pub(super) issuer: Issuer,
    discovery_url: Option<Url>,
    /// None, and every one that we know is accepted.
    algorithms: Option<Vec<Algorithm>>,
}

impl KnownIssuer {
    /// The host as its client.
    pub(super) fn relying_party(self, client_id: String) -> RelyingParty {
        let Self { issuer, discovery_url, algorithms } = self;
        let algorithms = algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec());
        RelyingParty { issuer, discovery_url, algorithms, client_id }
    }
}

/// By name; none where the table is there and wrong.
pub(super) struct Issuers(BTreeMap<String, Option<KnownIssuer>>);

impl Issuers {
    /// The issuer of this name; a URL in its place stands for itself.
    pub(super) fn resolve(
        &self,
        context: &Context<'_>,
        name: &At<String>,
        problems: &mut Problems<'_>,
    ) -> Option<KnownIssuer> {
        if name.get_ref().contains("://") {
            let issuer = providers::issuer(context, name, problems)?;
            let named = self.0.values().flatten().find(|known| known.issuer == issuer).cloned();
            return Some(named.unwrap_or(KnownIssuer { issuer, discovery_url: None, algorithms: None }));
        }
        match self.0.get(name.get_ref()) {
            Some(known) => known.clone(),
            None => {
                problems.at(&name.span(), dangling("issuers", name.get_ref(), self.0.keys().map(String::as_str)));
                None
            }
        }
    }
}

pub(super) fn issuers(context: &Context<'_>, tables: Named<file::Issuer>, problems: &mut Problems<'_>) -> Issuers {
    Issuers(
        tables
            .into_iter()
            .map(|(name, table)| {
                let known = known_issuer(context, &table, problems);
                (name.into_inner(), known)
            })
            .collect(),
    )
}

fn known_issuer(context: &Context<'_>, table: &file::Issuer, problems: &mut Problems<'_>) -> Option<KnownIssuer> {
    let issuer = providers::issuer(context, &table.issuer, problems);
    let discovery_url =
        table.discovery_url.as_ref().and_then(|text| problems.take(&text.span(), url(context, text.get_ref())));
    let algorithms: Vec<_> = table
        .algorithms
        .iter()
        .filter_map(|text| problems.take(&text.span(), Algorithm::parse(text.get_ref())))
        .collect();
    let algorithms = (!algorithms.is_empty()).then_some(algorithms);
    Some(KnownIssuer { issuer: issuer?, discovery_url, algorithms })
}

pub(super) fn convert(
    context: &Context<'_>,
    tables: Named<file::Authorizer>,
    issuers: &Issuers,
    problems: &mut Problems<'_>,
) -> Authorizers {
    tables
        .into_iter()
        .map(|(name, table)| {
            let here = name.span();
            let before = table.rules.len();
            if before == 0 {
                let name = name.get_ref();
                problems.at(&here, format!("this authorizer lets nobody in; add `[[authorizers.{name}.rules]]`"));
                return (name.clone(), None);
            }
            let rules: Vec<_> =
                table.rules.into_iter().filter_map(|rule| issuer_rule(context, rule, issuers, problems)).collect();
            // A rule that was refused already must not be told again as a missing one.
            let authorizer = if rules.len() == before {
                problems.take(&here, Authorizer::new(name.get_ref().clone(), rules)).map(Arc::new)
            } else {
                None
            };
            (name.into_inner(), authorizer)
        })
        .collect()
}

/// The authorizer of this name; one that was refused already is not told again.
pub(super) fn named(name: &At<String>, known: &Authorizers, problems: &mut Problems<'_>) -> Option<Arc<Authorizer>> {
    match known.get(name.get_ref()) {
        Some(authorizer) => authorizer.clone(),
        None => {
            problems.at(&name.span(), dangling("authorizers", name.get_ref(), known.keys().map(String::as_str)));
            None
        }
    }
}

fn issuer_rule(
    context: &Context<'_>,
    rule: At<file::Rule>,
    issuers: &Issuers,
    problems: &mut Problems<'_>,
) -> Option<IssuerRule> {
    let span = rule.span();
    let rule = rule.into_inner();
    let known = issuers.resolve(context, &rule.issuer, problems);
    if rule.audiences.is_empty() && rule.clients.is_empty() && rule.scopes.is_empty() && rule.claims.is_empty() {
        problems.at(&span, "this rule lets in every user of its issuer, whatever the token was made for; add `audiences`, `clients`, `scopes` or `claims`");
        return None;
    }
    let wanted = rule.claims.len();
    let claims: Vec<_> = rule.claims.into_iter().filter_map(|claim| claim_rule(claim, problems)).collect();
    if claims.len() != wanted {
        return None;
    }
    let known = known?;
    let every = IssuerRule::new(known.issuer);
    Some(IssuerRule {
        discovery_url: known.discovery_url,
        algorithms: known.algorithms.unwrap_or_else(|| every.algorithms.clone()),
        audiences: rule.audiences,
        clients: rule.clients,
        scopes: rule.scopes,
        claims,
        ..every
    })
}

fn claim_rule(claim: At<file::Claim>, problems: &mut Problems<'_>) -> Option<ClaimRule> {
    let span = claim.span();
    let claim = claim.into_inner();
    let path: Vec<String> = match claim.path {
        Path::Dotted(text) => text.split('.').map(str::to_owned).collect(),
        Path::Names(names) => names,
    };
    if path.is_empty() || path.iter().any(String::is_empty) {
        problems
            .at(&span, "a claim path must not be empty; write `path = \"roles\"` or `path = [\"realm\", \"roles\"]`");
        return None;
    }
    let test = file::Test {
        equals: claim.equals,
        contains: claim.contains,
        contains_any: claim.contains_any,
        not: claim.not.map(Box::new),
    };
    let condition = problems.take(&span, condition(test))?;
    Some(ClaimRule { path, condition })
}

/// Exactly one of the four: two would have to be read as and, or as or.
fn condition(test: file::Test) -> Result<Condition, String> {
    match (test.equals, test.contains, test.contains_any, test.not) {
        (Some(value), None, None, None) => Ok(Condition::Equals(json(value)?)),
        (None, Some(value), None, None) => Ok(Condition::Contains(json(value)?)),
        (None, None, Some(values), None) if !values.is_empty() => {
            Ok(Condition::ContainsAny(values.into_iter().map(json).collect::<Result<_, _>>()?))
        }
        (None, None, None, Some(test)) => Ok(Condition::Not(Box::new(condition(*test)?))),
        _ => Err("a claim rule needs exactly one of `equals`, `contains`, `contains_any` (not empty) and `not`; write several rules to ask for several".to_owned()),
    }
}

fn json(value: toml::Value) -> Result<serde_json::Value, String> {
    match value {
        toml::Value::Datetime(_) => {
            Err("a claim is compared as JSON, which has no dates; write the date as text".to_owned())
        }
        value => serde_json::to_value(value).map_err(|_| "this value cannot be compared as JSON".to_owned()),
    }
}
