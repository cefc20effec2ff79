//! What a caller may do: which operations, and for which workloads. Written by people, so patterns are kept as written.

use super::operation::Operation;
use crate::directory::WorkloadPattern;
use crate::ids::{AgentName, Malformed};
use Operation as O;
use std::fmt;

/// Patterns that one key may hold of either kind.
const MOST_PATTERNS: usize = 64;

/// What a workload outside this host needs for itself: its mints, its resource tokens, the end of a consent.
const RUNTIME: &[Operation] = &[
    O::GetWorkloadAccessToken,
    O::GetWorkloadAccessTokenForJWT,
    // Refused all the same unless an operator trusts this one workload's word.
    O::GetWorkloadAccessTokenForUserId,
    O::GetResourceOauth2Token,
    O::CompleteResourceTokenAuth,
    O::GetResourceApiKey,
    O::GetWorkloadIdentity,
    O::IntrospectWorkloadAccessToken,
    O::RevokeWorkloadAccessToken,
];

/// What an app needs that calls deployed agents without a user.
const INVOKE: &[Operation] = &[O::InvokeAgentRuntime, O::StopRuntimeSession];

/// Sets that have a name. An operation that is added later joins `operator` by itself, and the others only here.
const SETS: &[(&str, &[Operation])] = &[("runtime", RUNTIME), ("invoke", INVOKE), ("operator", Operation::ALL)];

/// Which operations: names, beginnings with a trailing `*` such as `Get*`, or sets: `runtime`, `invoke`, `operator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations(Vec<OperationPattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum OperationPattern {
    One(Operation),
    Beginning(String),
    Set(&'static str, &'static [Operation]),
}

impl Operations {
    /// Reads the patterns, one by one.
    ///
    /// # Errors
    /// [`Malformed`]: none, too many, or one that names no operation.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Malformed> {
        let patterns: Vec<_> = patterns.into_iter().map(OperationPattern::parse).collect::<Result<_, _>>()?;
        counted(patterns.len(), "operations")?;
        Ok(Self(patterns))
    }

    /// Whether this one is among them.
    pub fn allow(&self, operation: Operation) -> bool {
        self.0.iter().any(|pattern| pattern.allows(operation))
    }

    /// Whether everything that `other` allows, now or by operations that a later version adds, is allowed here too.
    pub fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|theirs| match theirs {
            OperationPattern::One(operation) => self.allow(*operation),
            OperationPattern::Beginning(theirs) => self.0.iter().any(|ours| match ours {
                OperationPattern::Beginning(ours) => theirs.starts_with(ours.as_str()),
                // Not so the other sets: what is added later may begin like this.
                OperationPattern::Set(_, ours) => ours.len() == Operation::ALL.len(),
                OperationPattern::One(_) => false,
            }),
            OperationPattern::Set(_, operations) => operations.iter().all(|operation| self.allow(*operation)),
        })
    }

    /// As written.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl OperationPattern {
    fn parse(text: &str) -> Result<Self, Malformed> {
        if let Some((name, operations)) = SETS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Set(name, operations));
        }
        let Some(beginning) = text.strip_suffix('*') else {
            return text.parse().map(Self::One).map_err(|Malformed(why)| Malformed(format!("{why}; {HOW}")));
        };
        if !Operation::ALL.iter().any(|operation| operation.name().starts_with(beginning)) {
            let shown = text.escape_debug();
            return Err(Malformed(format!("no operation of this API begins like `{shown}`; {HOW}")));
        }
        Ok(Self::Beginning(beginning.to_owned()))
    }

    fn allows(&self, operation: Operation) -> bool {
        match self {
            Self::One(one) => *one == operation,
            Self::Beginning(beginning) => operation.name().starts_with(beginning.as_str()),
            Self::Set(_, operations) => operations.contains(&operation),
        }
    }
}

const HOW: &str =
    "name one such as `GetResourceOauth2Token`, a beginning such as `Get*`, or `runtime`, `invoke` or `operator`";

impl fmt::Display for OperationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(operation) => operation.fmt(f),
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
            Self::Set(name, _) => f.write_str(name),
        }
    }
}

/// Which workloads: names, or beginnings with a trailing `*`. `*` is every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workloads(Vec<WorkloadPattern>);

impl Workloads {
    /// Reads the patterns, one by one.
    ///
    /// # Errors
    /// [`Malformed`]: none, too many, or one that no workload could have.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Malformed> {
        let patterns: Vec<_> = patterns.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        counted(patterns.len(), "workloads")?;
        Ok(Self(patterns))
    }

    /// Whether this one is among them. Upper and lower case differ.
    pub fn allow(&self, name: &AgentName) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether every workload that `other` allows is allowed here too.
    pub fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|theirs| self.0.iter().any(|ours| ours.covers(theirs)))
    }

    /// As written.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

fn counted(patterns: usize, what: &str) -> Result<(), Malformed> {
    match (1..=MOST_PATTERNS).contains(&patterns) {
        true => Ok(()),
        false => Err(Malformed(format!("name 1 to {MOST_PATTERNS} {what}, or `*` for all"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(patterns: &[&str]) -> Operations {
        Operations::parse(patterns.iter().copied()).unwrap()
    }

    fn workloads(patterns: &[&str]) -> Workloads {
        Workloads::parse(patterns.iter().copied()).unwrap()
    }

    #[test]
    fn a_pattern_allows_what_it_names_and_nothing_else() {
        let check = |patterns: &[&str], operation: Operation, expect: bool| {
            assert_eq!(operations(patterns).allow(operation), expect, "{patterns:?} {operation}");
        };
        check(&["GetResourceApiKey"], O::GetResourceApiKey, true);
        check(&["GetResourceApiKey"], O::GetResourceOauth2Token, false);
        check(&["GetWorkloadAccessToken"], O::GetWorkloadAccessTokenForUserId, false);
        check(&["GetWorkloadAccessToken*"], O::GetWorkloadAccessTokenForUserId, true);
        check(&["Get*"], O::DeleteWorkloadIdentity, false);
        check(&["List*", "Get*"], O::GetTokenVault, true);
        check(&["*"], O::DeleteAccessKey, true);
        check(&["operator"], O::DeleteAccessKey, true);
        check(&["runtime"], O::GetResourceOauth2Token, true);
        check(&["runtime"], O::CreateWorkloadIdentity, false);
        check(&["runtime"], O::InvokeAgentRuntime, false);
        check(&["invoke"], O::InvokeAgentRuntime, true);
        check(&["invoke"], O::InvokeAgentRuntimeForUser, false);
        assert!(O::ALL.iter().all(|operation| operations(&["operator"]).allow(*operation)));
    }

    #[test]
    fn what_names_no_operation_is_refused_and_what_would_is_said() {
        for bad in ["", "getworkloadaccesstoken", "Get*Token", "*Token", "Runtime", "Fetch*", "GetWorkloadIdentity "] {
            let Malformed(why) = Operations::parse([bad]).unwrap_err();
            assert!(why.contains("`runtime`"), "{bad}: {why}");
        }
        assert!(Operations::parse([]).is_err());
        assert!(Operations::parse(std::iter::repeat_n("*", MOST_PATTERNS + 1)).is_err());
        for bad in ["", "a b", "*a", "a*b", "../a*", "a/*", "ä*", "-a"] {
            assert!(Workloads::parse([bad]).is_err(), "{bad}");
        }
        assert!(Workloads::parse([]).is_err());
    }

    #[test]
    fn a_workload_pattern_is_exact_or_a_beginning() {
        let check = |patterns: &[&str], name: &str, expect: bool| {
            assert_eq!(workloads(patterns).allow(&AgentName::parse(name).unwrap()), expect, "{patterns:?} {name}");
        };
        check(&["calendar"], "calendar", true);
        check(&["calendar"], "calendar-2", false);
        check(&["calendar"], "Calendar", false);
        check(&["team-a.*"], "team-a.mail", true);
        check(&["team-a.*"], "team-ab", false);
        check(&["x", "team-*"], "team-b", true);
        check(&["*"], "anything", true);
    }

    #[test]
    fn nobody_passes_on_more_than_they_have() {
        let check = |mine: &[&str], theirs: &[&str], expect: bool| {
            assert_eq!(operations(mine).cover(&operations(theirs)), expect, "{mine:?} {theirs:?}");
        };
        check(&["*"], &["operator", "Get*", "ListGrants"], true);
        check(&["Get*"], &["GetResourceApiKey", "GetWorkload*"], true);
        check(&["Get*"], &["Get*", "ListGrants"], false);
        check(&["GetResource*"], &["Get*"], false);
        check(&["runtime"], &["runtime", "GetResourceApiKey"], true);
        check(&["runtime"], &["GetResource*"], false);
        check(&["runtime"], &["operator"], false);
        check(&["operator"], &["runtime", "*"], true);
        let check = |mine: &[&str], theirs: &[&str], expect: bool| {
            assert_eq!(workloads(mine).cover(&workloads(theirs)), expect, "{mine:?} {theirs:?}");
        };
        check(&["*"], &["a", "b*", "*"], true);
        check(&["team-*"], &["team-a", "team-a*"], true);
        check(&["team-*"], &["team*"], false);
        check(&["team-a"], &["team-a*"], false);
        check(&["team-a", "team-b"], &["team-b"], true);
    }

    #[test]
    fn patterns_are_read_back_as_they_were_written() {
        let written = ["runtime", "List*", "GetTokenVault", "*"];
        let read = operations(&written).to_vec();
        assert_eq!(read, written);
        assert_eq!(Operations::parse(read.iter().map(String::as_str)).unwrap(), operations(&written));
        assert_eq!(workloads(&["a", "b*", "*"]).to_vec(), ["a", "b*", "*"]);
    }

    #[test]
    fn every_operation_is_parsed_from_its_name() {
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse::<Operation>().unwrap(), *operation);
        }
    }
}
