//! What somebody who lists or deploys components allows. Nothing is allowed by omission: what needs a grant and is not
//! named under `authority.grants` is refused, and a key that is not known is an error.

use super::rule::{RULES, Severity};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rules for a verdict.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// Stands in every report.
    pub name: String,
    /// Which imports may be wanted.
    #[serde(default)]
    pub authority: Authority,
    /// What the author must and must not declare.
    #[serde(default)]
    pub manifest: Declarations,
    /// Who must have signed it.
    #[serde(default)]
    pub signatures: Signatures,
    /// How large it may be.
    pub limits: Limits,
    /// Whether a version that wants more than the one before is refused until somebody has looked at it.
    pub require_review_when_widened: bool,
    /// Severities that differ from the rules' own.
    #[serde(default)]
    pub severity: BTreeMap<String, Severity>,
}

/// Which imports may be wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Authority {
    /// Interfaces without version, or `interface.function`, of those that need a grant.
    #[serde(default)]
    pub grants: Vec<String>,
    /// The same, and beginnings that end in `*`; they win over `grants`, and over what is harmless.
    #[serde(default)]
    pub forbid: Vec<String>,
}

/// What the author must and must not declare.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Declarations {
    /// Providers that must not be declared; a `*` at the end stands for any end.
    #[serde(default)]
    pub forbid_providers: Vec<String>,
    /// Scopes that must not be declared; a `*` at the end stands for any end.
    #[serde(default)]
    pub forbid_scopes: Vec<String>,
}

/// Who must have signed it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signatures {
    /// Whether a key of the trust file must have.
    #[serde(default)]
    pub required: bool,
    /// Names of keys there, one of which it must be; empty for any of them.
    #[serde(default)]
    pub signers: Vec<String>,
    /// Whether a key of the trust file must say how it was built (SLSA provenance).
    #[serde(default)]
    pub provenance: bool,
    /// Builders that may have built it, by their ids; a `*` at the end stands for any end. Empty for any.
    #[serde(default)]
    pub builders: Vec<String>,
}

/// How large it may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Of the file.
    pub bytes: u64,
    /// Bytes of linear memory at the start, all memories together.
    pub memory: u64,
    /// Elements of tables at the start, all tables together.
    pub table_elements: u64,
    /// Modules and components inside.
    pub parts: u64,
}

/// Why a policy is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No TOML, or with a value of another kind.
    #[error("the policy cannot be read: {0}")]
    Unreadable(String),
    /// A key that is not known, which could be a rule that is misspelt.
    #[error("the policy has the key `{key}`, which is not known{}", hint(.nearest))]
    UnknownKey {
        /// As written, with the table it stands in.
        key: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A rule that nobody can weaken.
    #[error("the policy lowers the rule `{0}`, which stands for what the host will not run; remove the line")]
    Fixed(String),
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => "; see the profiles in `host/src/vet/profiles` for those that are".to_owned(),
    }
}

/// Tables and keys. `severity` has the rules' ids.
const KEYS: &[(&str, &[&str])] = &[
    ("", &["name", "authority", "manifest", "signatures", "limits", "require-review-when-widened", "severity"]),
    ("authority", &["grants", "forbid"]),
    ("manifest", &["forbid-providers", "forbid-scopes"]),
    ("signatures", &["required", "signers", "provenance", "builders"]),
    ("limits", &["bytes", "memory", "table-elements", "parts"]),
];

/// The profiles that come with the program: name and text.
pub const PROFILES: &[(&str, &str)] = &[
    ("internal", include_str!("profiles/internal.toml")),
    ("marketplace", include_str!("profiles/marketplace.toml")),
    ("strict", include_str!("profiles/strict.toml")),
];

impl Policy {
    /// One of [`PROFILES`], by its name.
    pub fn profile(name: &str) -> Option<Self> {
        let (_, text) = PROFILES.iter().find(|(known, _)| *known == name)?;
        Self::parse(text).ok()
    }

    /// From TOML.
    ///
    /// # Errors
    /// [`PolicyError`]: nothing of a policy that is not understood whole is used.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let unreadable = |error: &toml::de::Error| {
            PolicyError::Unreadable(
                error.to_string().trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n  "),
            )
        };
        let table: toml::Table = toml::from_str(text).map_err(|error| unreadable(&error))?;
        known(&table, "", KEYS[0].1)?;
        for (name, keys) in &KEYS[1..] {
            if let Some(toml::Value::Table(inner)) = table.get(*name) {
                known(inner, name, keys)?;
            }
        }
        if let Some(toml::Value::Table(severities)) = table.get("severity") {
            let rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
            known(severities, "severity", &rules)?;
        }
        let policy: Self = toml::from_str(text).map_err(|error| unreadable(&error))?;
        let fixed = |id: &str| RULES.iter().any(|rule| rule.id == id && rule.fixed);
        match policy.severity.iter().find(|(id, severity)| fixed(id) && **severity != Severity::Error) {
            Some((id, _)) => Err(PolicyError::Fixed(id.clone())),
            None => Ok(policy),
        }
    }

    /// How much a rule weighs under this policy.
    pub fn severity(&self, id: &str) -> Severity {
        let own = || RULES.iter().find(|rule| rule.id == id).map_or(Severity::Error, |rule| rule.severity);
        self.severity.get(id).copied().unwrap_or_else(own)
    }
}

fn known(table: &toml::Table, within: &str, keys: &[&str]) -> Result<(), PolicyError> {
    let Some(wrong) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    let dotted = |key: &str| if within.is_empty() { key.to_owned() } else { format!("{within}.{key}") };
    let nearest = keys
        .iter()
        .map(|key| (strsim::damerau_levenshtein(wrong, key), *key))
        .filter(|(distance, key)| *distance <= (wrong.len().max(key.len()) / 3).max(1))
        .min()
        .map(|(_, key)| dotted(key));
    Err(PolicyError::UnknownKey { key: dotted(wrong), nearest })
}

/// Whether one of these patterns names this: itself, or its beginning before a `*`.
pub(super) fn named(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_are_policies_of_their_name() {
        for (name, text) in PROFILES {
            let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(policy.name, *name);
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_with_the_nearest() {
        let refused = |addition: &str, expected: &str| {
            let text = format!("{}\n{addition}", PROFILES[0].1);
            let error = Policy::parse(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let top = format!("forbidden = 1\n{}", PROFILES[0].1);
        assert!(Policy::parse(&top).unwrap_err().to_string().starts_with("the policy has the key `forbidden`, which"));
        refused("secret-in-dta = \"note\"", "did you mean `severity.secret-in-data`?");
        refused("unknown-import = \"note\"", "lowers the rule `unknown-import`, which stands for");
        refused("secret-in-data = \"shout\"", "the policy cannot be read");
    }

    #[test]
    fn a_policy_that_leaves_a_limit_out_is_none() {
        let text = "name = \"x\"\nrequire-review-when-widened = true\n[limits]\nbytes = 1\n";
        assert!(Policy::parse(text).unwrap_err().to_string().contains("missing field"));
    }
}
