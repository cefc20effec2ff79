//! What a workload may do, and where that is said.
//!
//! Three places say it, and what holds is all of them together: `[agents.NAME]` of the configuration; for workloads that run
//! elsewhere, the longest matching `[workloads."PATTERN"]`; and the providers that an operator bound at run time.

use crate::ids::{AgentName, Malformed, ProviderName, Scopes};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What one workload may do. Absent means no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Credential providers it may use, each with the most it may ask for.
    pub providers: Vec<BoundProvider>,
    /// Whether it may use every credential provider with everything that provider offers. Only for a workload that runs
    /// elsewhere and that its operator trusts like itself.
    pub any_provider: bool,
    /// Claims of the user's token that it may read, by top-level name.
    pub claims: Vec<String>,
    /// Origins it may reach without a credential, such as `https://api.example.com`.
    pub egress: Vec<String>,
    /// Whether it may turn credentials into bytes.
    pub reveal: bool,
    /// Whether an invocation that used a credential of one provider reaches that provider's hosts alone from then on.
    pub confine: bool,
    /// Whether its word is taken for who its user is (AgentCore's user-id mint). Only for a workload that runs elsewhere.
    pub trusts_user_ids: bool,
    /// Where a browser may be sent after a consent, besides what its own entry says.
    pub return_urls: Vec<String>,
}

/// A provider bound to a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundProvider {
    /// Which.
    pub provider: ProviderName,
    /// The most it may ask for.
    pub scopes: Scopes,
}

/// The most that a workload may ask of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most<'a> {
    /// These scopes.
    Scopes(&'a Scopes),
    /// Everything that the provider offers.
    Offered,
}

impl Terms {
    /// The binding for this provider by name, if there is one.
    pub fn provider(&self, name: &ProviderName) -> Option<&BoundProvider> {
        self.providers.iter().find(|bound| &bound.provider == name)
    }

    /// The most that may be asked of this provider; none where it may not be used at all.
    pub fn most(&self, name: &ProviderName) -> Option<Most<'_>> {
        if self.any_provider {
            return Some(Most::Offered);
        }
        self.provider(name).map(|bound| Most::Scopes(&bound.scopes))
    }

    /// What both say together. What is bound twice has the scopes of both.
    fn with(mut self, other: &Terms) -> Self {
        for bound in &other.providers {
            self.bind(bound);
        }
        add(&mut self.claims, &other.claims);
        add(&mut self.egress, &other.egress);
        add(&mut self.return_urls, &other.return_urls);
        self.any_provider |= other.any_provider;
        self.reveal |= other.reveal;
        self.confine |= other.confine;
        self.trusts_user_ids |= other.trusts_user_ids;
        self
    }

    fn bind(&mut self, bound: &BoundProvider) {
        match self.providers.iter_mut().find(|known| known.provider == bound.provider) {
            Some(known) => known.scopes = known.scopes.iter().chain(bound.scopes.iter()).cloned().collect(),
            None => self.providers.push(bound.clone()),
        }
    }
}

fn add(to: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !to.contains(text) {
            to.push(text.clone());
        }
    }
}

impl Most<'_> {
    /// Those of `wanted` that are beyond it. A provider that lists no scopes offers any.
    pub fn beyond(self, wanted: &Scopes, offered: &Scopes) -> Scopes {
        match self {
            Self::Scopes(most) => most.missing(wanted),
            Self::Offered if offered.is_empty() => Scopes::default(),
            Self::Offered => offered.missing(wanted),
        }
    }

    /// As a set; none where a provider that lists no scopes offers any.
    pub fn limit<'b>(&'b self, offered: &'b Scopes) -> Option<&'b Scopes> {
        match self {
            Self::Offered if offered.is_empty() => None,
            _ => Some(self.all(offered)),
        }
    }

    /// What is asked for by asking for no scope in particular.
    pub fn all<'b>(&'b self, offered: &'b Scopes) -> &'b Scopes {
        match self {
            Self::Scopes(most) => most,
            Self::Offered => offered,
        }
    }
}

/// What the configuration says, for agents by name and for workloads that run elsewhere by pattern.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// `[agents.NAME]`.
    pub agents: HashMap<AgentName, Arc<Terms>>,
    /// `[workloads."PATTERN"]`, for workloads that run elsewhere alone: a pattern that is wide on purpose must not open
    /// anything to a component that somebody deploys under a name that matches.
    pub workloads: Patterns<Arc<Terms>>,
    /// Whether agents are confined of which `[agents.NAME]` says nothing.
    pub confine: bool,
}

impl From<HashMap<AgentName, Arc<Terms>>> for Configured {
    fn from(agents: HashMap<AgentName, Arc<Terms>>) -> Self {
        Self { agents, ..Self::default() }
    }
}

impl Configured {
    /// All that is said for this workload, with what was bound to it at run time.
    pub(super) fn terms(&self, name: &AgentName, elsewhere: bool, bound: &[BoundProvider]) -> Arc<Terms> {
        let by_name = self.agents.get(name);
        let by_pattern = elsewhere.then(|| self.workloads.find(name)).flatten();
        if let (Some(terms), None, true) = (by_name, by_pattern, bound.is_empty()) {
            return terms.clone();
        }
        let mut terms = Terms { confine: self.confine && by_name.is_none(), ..Terms::default() };
        for more in by_name.into_iter().chain(by_pattern) {
            terms = terms.with(more);
        }
        bound.iter().for_each(|bound| terms.bind(bound));
        Arc::new(terms)
    }

    /// What of it the configuration says for this provider, which an operator cannot take back at run time.
    pub(super) fn binds(&self, name: &AgentName, elsewhere: bool, provider: &ProviderName) -> bool {
        self.terms(name, elsewhere, &[]).most(provider).is_some()
    }
}

/// Values by pattern; the longest pattern that matches a name wins, and a name in full before any pattern.
#[derive(Clone, Debug)]
pub struct Patterns<T>(Vec<(WorkloadPattern, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Patterns<T> {
    /// The value for this name.
    pub fn find(&self, name: &AgentName) -> Option<&T> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name)).map(|(_, value)| value)
    }

    /// All of them, the narrowest first.
    pub fn iter(&self) -> impl Iterator<Item = &(WorkloadPattern, T)> {
        self.0.iter()
    }
}

impl<T> FromIterator<(WorkloadPattern, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (WorkloadPattern, T)>>(values: I) -> Self {
        let mut all: Vec<_> = values.into_iter().collect();
        all.sort_by_key(|(pattern, _)| std::cmp::Reverse((!pattern.open, pattern.text.len())));
        Self(all)
    }
}

/// A name of a workload, or the beginning of one followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadPattern {
    text: String,
    open: bool,
}

impl WorkloadPattern {
    /// Whether it covers this name. Case counts.
    pub fn matches(&self, name: &AgentName) -> bool {
        if self.open { name.as_str().starts_with(&self.text) } else { name.as_str() == self.text }
    }

    /// Whether it covers every name.
    pub fn is_all(&self) -> bool {
        self.open && self.text.is_empty()
    }

    /// Whether it covers every name that `other` covers.
    pub fn covers(&self, other: &Self) -> bool {
        if self.open { other.text.starts_with(&self.text) } else { self == other }
    }
}

impl FromStr for WorkloadPattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        if !(open && start.is_empty()) {
            AgentName::parse(start).map_err(|_| {
                let shown = text.chars().take(64).collect::<String>();
                Malformed(format!(
                    "`{}` is no pattern for workloads; write a name, or the beginning of names and `*`",
                    shown.escape_debug()
                ))
            })?;
        }
        Ok(Self { text: start.to_owned(), open })
    }
}

impl fmt::Display for WorkloadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AgentName {
        AgentName::parse(text).unwrap()
    }

    fn scopes(list: &[&str]) -> Scopes {
        Scopes::parse(list.iter().copied()).unwrap()
    }

    fn bound(provider: &str, list: &[&str]) -> BoundProvider {
        BoundProvider { provider: ProviderName::parse(provider).unwrap(), scopes: scopes(list) }
    }

    #[test]
    fn the_longest_pattern_wins_and_a_full_name_before_any() {
        let patterns: Patterns<&str> = ["*", "batch-*", "batch-eu-*", "batch-eu-1"]
            .into_iter()
            .map(|pattern| (pattern.parse().unwrap(), pattern))
            .collect();
        for (workload, expect) in [
            ("batch-eu-1", "batch-eu-1"),
            ("batch-eu-12", "batch-eu-*"),
            ("batch-us", "batch-*"),
            ("batch", "*"),
            ("Batch-eu-1", "*"),
        ] {
            assert_eq!(patterns.find(&name(workload)), Some(&expect), "{workload}");
        }
        let narrow: Patterns<()> = std::iter::once(("batch-*".parse().unwrap(), ())).collect();
        assert_eq!(narrow.find(&name("other")), None);
    }

    #[test]
    fn a_pattern_is_a_name_or_its_beginning() {
        for good in ["*", "a", "a.b-*", "A_1"] {
            assert_eq!(good.parse::<WorkloadPattern>().unwrap().to_string(), good);
        }
        for bad in ["", "**", "*a", "a*b", "-*", "a b*", &format!("{}*", "a".repeat(256))] {
            assert!(bad.parse::<WorkloadPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn terms_of_all_places_hold_together() {
        let of_name = Terms { providers: vec![bound("google", &["a"])], reveal: true, ..Terms::default() };
        let of_pattern = Terms {
            providers: vec![bound("google", &["b"]), bound("slack", &["c"])],
            trusts_user_ids: true,
            return_urls: vec!["https://app.example/".into()],
            ..Terms::default()
        };
        let configured = Configured {
            agents: HashMap::from([(name("batch-1"), Arc::new(of_name.clone()))]),
            workloads: std::iter::once(("batch-*".parse().unwrap(), Arc::new(of_pattern))).collect(),
            confine: false,
        };
        let all = configured.terms(&name("batch-1"), true, &[bound("slack", &["d"]), bound("weather", &[])]);
        assert_eq!(
            all.providers,
            [bound("google", &["a", "b"]), bound("slack", &["c", "d"]), bound("weather", &[])],
            "each provider once, with the scopes of every place"
        );
        assert!(all.reveal && all.trusts_user_ids && !all.any_provider);
        assert_eq!(all.return_urls, ["https://app.example/"]);
        let here = configured.terms(&name("batch-1"), false, &[]);
        assert_eq!(*here, of_name, "a pattern opens nothing to a component");
        assert_eq!(*configured.terms(&name("batch-2"), false, &[]), Terms::default());
    }

    #[test]
    fn every_provider_means_all_that_each_offers_and_no_more() {
        let any = Terms { any_provider: true, ..Terms::default() };
        let most = any.most(&ProviderName::parse("google").unwrap()).unwrap();
        assert_eq!(most.beyond(&scopes(&["a", "x"]), &scopes(&["a", "b"])), scopes(&["x"]));
        assert_eq!(most.all(&scopes(&["a", "b"])), &scopes(&["a", "b"]));
        assert!(most.beyond(&scopes(&["anything"]), &Scopes::default()).is_empty(), "it lists none, so it offers any");
        let some = Terms { providers: vec![bound("google", &["a"])], ..Terms::default() };
        let most = some.most(&ProviderName::parse("google").unwrap()).unwrap();
        assert_eq!(most.beyond(&scopes(&["a", "b"]), &scopes(&["a", "b"])), scopes(&["b"]));
        assert_eq!(some.most(&ProviderName::parse("slack").unwrap()), None);
    }
}
