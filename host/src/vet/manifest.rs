//! What the author says that the component needs: the custom section `attache:manifest`, JSON that the SDK's
//! `manifest!` writes. It is a claim of the author, to be compared with the imports; it grants nothing.

use super::part::Part;
use serde::{Deserialize, Serialize};

/// The section's name.
pub(super) const SECTION: &str = "attache:manifest";
const LONGEST: usize = 64 << 10;

/// What an author declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Credential providers, with what is wanted of each.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Hosts that are called without a credential.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Claims of the user's token that are read.
    #[serde(default)]
    pub claims: Vec<String>,
    /// Whether the bytes of credentials are wanted.
    #[serde(default)]
    pub reveal: bool,
}

/// A provider that an author names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As the SDK asks for it.
    pub name: String,
    /// OAuth scopes; none for an API key.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How the credential is obtained.
    pub flow: Flow,
}

/// How a credential is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// The user consents.
    UserFederation,
    /// The agent for itself.
    MachineToMachine,
    /// The user's token is exchanged.
    OnBehalfOf,
    /// A key that the operator configured.
    ApiKey,
}

/// What was found in a component.
pub(super) enum Found {
    Nothing,
    /// Where it is, and what is wrong with it.
    Unreadable(String, usize, String),
    /// Where it is.
    One(String, usize, Manifest),
}

/// Looks into all modules: linkers leave the section in the module that brought it.
pub(super) fn find(parts: &[Part<'_>]) -> Found {
    let mut sections = parts
        .iter()
        .flat_map(|part| part.customs.iter().map(move |custom| (part, custom)))
        .filter(|(_, custom)| custom.name == SECTION);
    let Some((part, custom)) = sections.next() else { return Found::Nothing };
    let unreadable = |what: String| Found::Unreadable(part.path.clone(), custom.offset, what);
    if sections.next().is_some() {
        return unreadable("there is more than one, and none is better than the other".to_owned());
    }
    if custom.data.len() > LONGEST {
        return unreadable(format!("it is longer than {LONGEST} bytes"));
    }
    match serde_json::from_slice(custom.data) {
        Ok(manifest) => Found::One(part.path.clone(), custom.offset, manifest),
        Err(error) => unreadable(error.to_string()),
    }
}
