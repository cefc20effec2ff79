//! The report: what a program reads. `report.schema.json` describes it, and a test holds the two together.

use super::authority::Class;
use super::dependencies::Package;
use super::manifest::Manifest;
use super::provenance::Provenance;
use super::rule::Severity;
use serde::Serialize;

/// What comes of vetting. Field names are stable; new ones may be added.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Of this form.
    pub version: u32,
    /// First of all.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub summary: String,
    /// The name of the policy.
    pub policy: String,
    /// As it was given.
    pub file: String,
    /// `sha256:` and 64 hexadecimal digits. None where the file could not be read.
    pub digest: Option<String>,
    /// In bytes.
    pub size: usize,
    /// The heaviest first.
    pub findings: Vec<Finding>,
    /// None where it is unreadable.
    #[serde(flatten)]
    pub facts: Option<Facts>,
}

/// May it be listed?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Exit code 0.
    Allowed,
    /// Exit code 1.
    Refused,
    /// Exit code 2.
    Unreadable,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// Under this policy.
    pub severity: Severity,
    /// What is the matter, in a sentence.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// In which module or component it was seen.
    pub part: String,
    /// At which byte of the file, where that is one.
    pub offset: Option<usize>,
}

/// What the component is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// What it wants.
    pub imports: Vec<Import>,
    /// What it gives, and which imports each can reach.
    pub exports: Vec<Export>,
    /// Whether calls could be followed to their end. Reaching is over-approximated: what is named may never be called,
    /// what is not named cannot be.
    pub reach_complete: bool,
    /// What instantiating it or dropping its resources can reach, whichever export is called.
    pub always_reached: Vec<String>,
    /// As the author declares; null without.
    pub manifest: Option<Manifest>,
    /// Modules and components, outermost first.
    pub parts: Vec<PartFacts>,
    /// Languages and tools, as they say of themselves.
    pub producers: Vec<Producer>,
    /// Whether it carries a list of its dependencies.
    pub dependencies_listed: bool,
    /// Packages that it was built from.
    pub dependencies: Vec<Package>,
    /// Hosts of URLs in its data.
    pub hosts: Vec<Host>,
    /// What an instance takes at the start.
    pub needs: Needs,
    /// Compared with the version before; null where there is none.
    pub difference: Option<Difference>,
    /// Everything that it could use a grant for, and everything that its author says it will: what a later version is
    /// compared with.
    pub authority: Vec<String>,
    /// Who says that they made it; null for a version that it is only compared with.
    pub provenance: Option<Provenance>,
    /// Whether its dependencies were looked up in an advisory database.
    pub advisories_asked: bool,
}

/// An interface that is wanted.
#[derive(Debug, Clone, Serialize)]
pub struct Import {
    /// With its version.
    pub interface: String,
    /// The gravest of its functions.
    pub class: Class,
    /// In words.
    pub meaning: String,
    /// Those that are imported; others of the interface are not.
    pub functions: Vec<ImportedFunction>,
}

/// A function that is wanted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImportedFunction {
    /// As in WIT's component form.
    pub name: String,
    /// What it is to the host.
    pub class: Class,
    /// Exports from which it can be reached; `(always)` when no export need be called.
    pub reached_from: Vec<String>,
}

/// A function that is given.
#[derive(Debug, Clone, Serialize)]
pub struct Export {
    /// With its version.
    pub interface: String,
    /// Empty when it stands alone.
    pub function: String,
    /// Imported functions that it can reach and that need a grant, are forbidden or unknown.
    pub reaches: Vec<String>,
}

/// A module or component.
#[derive(Debug, Clone, Serialize)]
pub struct PartFacts {
    /// Where it is.
    pub path: String,
    /// `component` or `module`.
    pub kind: &'static str,
    /// As it calls itself.
    pub name: Option<String>,
    /// At which byte it starts.
    pub offset: usize,
    /// In bytes.
    pub size: usize,
    /// Names of its custom sections.
    pub sections: Vec<String>,
}

/// A tool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A host in the data.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// Whether the manifest names it.
    pub declared: bool,
    /// Where it was first seen.
    pub part: String,
    /// At which byte.
    pub offset: usize,
}

/// What an instance takes at the start.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Needs {
    /// Linear memories.
    pub memories: usize,
    /// Bytes of them.
    pub memory: u64,
    /// Tables.
    pub tables: usize,
    /// Their elements.
    pub table_elements: u64,
    /// Core modules.
    pub modules: usize,
    /// Modules that run code when they are instantiated.
    pub start_functions: usize,
}

/// Compared with the version before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The digest of the version before.
    pub against: String,
    /// Which way its authority went.
    pub direction: Direction,
    /// What it wants anew.
    pub added: Vec<String>,
    /// What it wants no more.
    pub removed: Vec<String>,
}

/// Which way authority went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It wants all that it wanted and more, or other things.
    Widened,
    /// It wants less.
    Narrowed,
    /// It wants what it wanted.
    Same,
}
