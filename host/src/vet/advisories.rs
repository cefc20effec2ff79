//! Known weaknesses of the packages that a component was built from, by a copy of RustSec's advisory database.

use super::dependencies::Package;
use rustsec::advisory::Versions;
use rustsec::{Database, Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The advisories of a database, as far as they decide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisories(Vec<Advisory>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// `RUSTSEC-…`.
    pub id: String,
    /// The crate.
    pub package: String,
    /// In a line.
    pub title: String,
    /// Versions that mend it, and versions that never had it.
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

/// Why a database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdvisoriesError {
    /// Not there, or no database.
    #[error(
        "the advisory database cannot be read: {0}; get one with `git clone https://github.com/rustsec/advisory-db`"
    )]
    Unreadable(String),
    /// Nothing in it.
    #[error("the advisory database has no advisories; name the folder that has `crates` in it")]
    Empty,
}

impl Advisories {
    /// Reads a copy of <https://github.com/rustsec/advisory-db>. What was withdrawn, and mere notices, are left out.
    ///
    /// # Errors
    /// [`AdvisoriesError`]: half a database would say that what it does not know is good.
    pub fn open(folder: &Path) -> Result<Self, AdvisoriesError> {
        let database = Database::open(folder).map_err(|error| AdvisoriesError::Unreadable(error.to_string()))?;
        let all: Vec<Advisory> = database
            .iter()
            .filter(|advisory| advisory.metadata.withdrawn.is_none() && advisory.metadata.informational.is_none())
            .map(|advisory| Advisory {
                id: advisory.id().to_string(),
                package: advisory.metadata.package.to_string(),
                title: advisory.metadata.title.clone(),
                patched: advisory.versions.patched().to_vec(),
                unaffected: advisory.versions.unaffected().to_vec(),
            })
            .collect();
        if all.is_empty() { Err(AdvisoriesError::Empty) } else { Ok(Self(all)) }
    }

    /// Those that concern one of these packages. Only crates of the registry are in the database.
    pub(super) fn concerning<'a>(&'a self, packages: &'a [Package]) -> Vec<(&'a Package, &'a Advisory)> {
        let mut by_name: HashMap<&str, Vec<&Advisory>> = HashMap::new();
        for advisory in &self.0 {
            by_name.entry(&advisory.package).or_default().push(advisory);
        }
        let mut found = Vec::new();
        for package in packages.iter().filter(|package| package.source == "crates.io") {
            let Ok(version) = package.version.parse::<Version>() else { continue };
            for advisory in by_name.get(package.name.as_str()).into_iter().flatten() {
                let versions = Versions::new(advisory.patched.clone(), advisory.unaffected.clone());
                // Ranges that contradict each other say nothing, so all versions count.
                if versions.map_or(true, |versions| versions.is_vulnerable(&version)) {
                    found.push((package, *advisory));
                }
            }
        }
        found
    }
}
