//! `[workloads."PATTERN"]`: what workloads that run elsewhere may do, and whose users they may act for; and how long their
//! tokens live.

use super::Settings;
use super::api_keys::{self, Known};
use super::authorizers::{Authorizers, named};
use super::file::{self, At, Named};
use super::problems::Problems;
use super::quantity::Span;
use crate::directory::{Configured, Patterns, Terms, WorkloadPattern, return_url};
use crate::identity::Authorizer;
use crate::ids::AgentName;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The configuration of workloads that run elsewhere.
pub struct Workloads {
    /// How long a workload access token of the API lives: a quarter of an hour unless set.
    pub token_lifetime: Duration,
    /// What is configured by pattern.
    pub patterns: Patterns<WorkloadSettings>,
}

/// What is configured for the workloads of one pattern.
pub struct WorkloadSettings {
    /// What they may do.
    pub terms: Arc<Terms>,
    /// Whose users they may act for: issuers and audiences. None, and no user's token is taken for them.
    pub authorizer: Option<Arc<Authorizer>>,
}

const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The table as it is written: one key of its own, and tables by pattern beside it.
#[derive(Default)]
pub(super) struct Table {
    token_lifetime: Option<At<Span>>,
    patterns: Named<file::Workload>,
}

impl Table {
    /// The authorizers that workloads name.
    pub(super) fn authorizers(&self) -> impl Iterator<Item = &String> {
        self.patterns.values().filter_map(|table| table.authorizer.as_ref().map(At::get_ref))
    }
}

pub(super) fn convert(
    table: Table,
    known: &Known,
    authorizers: &Authorizers,
    problems: &mut Problems<'_>,
) -> Workloads {
    let mut patterns = Vec::new();
    for (name, table) in table.patterns {
        let here = name.span();
        let pattern = problems.take(&here, name.get_ref().parse::<WorkloadPattern>());
        if table.any_provider && !table.providers.is_empty() {
            problems.at(&here, "`any_provider = true` and `providers` exclude each other; keep the narrower one");
        }
        let authorizer = table.authorizer.as_ref().and_then(|name| named(name, authorizers, problems));
        let terms = Terms {
            providers: api_keys::bound(&table.providers, known, problems),
            any_provider: table.any_provider,
            trusts_user_ids: table.trust_user_ids,
            return_urls: return_urls(table.allowed_return_urls, problems),
            ..Terms::default()
        };
        if let Some(pattern) = pattern {
            patterns.push((pattern, WorkloadSettings { terms: Arc::new(terms), authorizer }));
        }
    }
    Workloads {
        token_lifetime: table.token_lifetime.map_or(DEFAULT_LIFETIME, |span| lifetime(&span, problems)),
        patterns: patterns.into_iter().collect(),
    }
}

fn lifetime(span: &At<Span>, problems: &mut Problems<'_>) -> Duration {
    let lifetime = span.get_ref().0;
    if !(SHORTEST..=LONGEST).contains(&lifetime) {
        problems.at(&span.span(), "`token_lifetime` must be 1 minute to 1 hour; write one such as \"15m\"");
    }
    lifetime
}

/// Where browsers are sent after a consent, by the directory's own rule.
pub(super) fn return_urls(urls: Vec<At<String>>, problems: &mut Problems<'_>) -> Vec<String> {
    for url in &urls {
        let shown = url.get_ref().chars().take(256).collect::<String>();
        let checked = return_url(url.get_ref());
        problems.take(
            &url.span(),
            checked.map_err(|why| format!("`{}` cannot be a return URL: {why}", shown.escape_debug())),
        );
    }
    urls.into_iter().map(At::into_inner).collect()
}

impl Settings {
    /// What the configuration lets each agent and workload do.
    pub fn terms(&self) -> Configured {
        let agents = self.agents.iter().map(|(name, agent)| (name.clone(), Arc::new(agent.terms.clone())));
        let patterns = self.workloads.patterns.iter();
        Configured {
            agents: agents.collect(),
            workloads: patterns.map(|(pattern, of)| (pattern.clone(), of.terms.clone())).collect(),
            confine: self.limits.confine,
        }
    }

    /// Whose users a workload that runs elsewhere may act for: what `[agents.NAME]` says, then the longest matching
    /// `[workloads."PATTERN"]`. The default authorizer lets users call agents; it does not stand for what is not said here.
    ///
    /// # Errors
    /// [`NoAuthorizer`]: no user's token is taken for it.
    pub fn authorizer_of(&self, workload: &AgentName) -> Result<&Arc<Authorizer>, NoAuthorizer> {
        let by_name = self.agents.get(workload).map(|agent| &agent.authorizer);
        let by_pattern = || self.workloads.patterns.find(workload).and_then(|of| of.authorizer.as_ref());
        by_name.or_else(by_pattern).ok_or_else(|| NoAuthorizer(workload.clone()))
    }
}

/// Nobody said whose users a workload may act for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no issuer and audience are named whose tokens workload `{0}` may bring; add `authorizer = \"NAME\"` under `[workloads.\"{0}\"]`"
)]
pub struct NoAuthorizer(pub AgentName);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Table;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`token_lifetime`, and tables by pattern such as `[workloads.\"batch-*\"]`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
        let mut table = Table::default();
        while let Some(key) = map.next_key::<At<String>>()? {
            if key.get_ref() == "token_lifetime" {
                table.token_lifetime = Some(map.next_value()?);
            } else {
                table.patterns.insert(key, map.next_value()?);
            }
        }
        Ok(table)
    }
}
