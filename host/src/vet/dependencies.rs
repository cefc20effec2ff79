//! What a component was built from, where `cargo auditable` wrote it down: the custom section `.dep-v0`.

use super::inflate::zlib;
use super::part::Part;
use serde::{Deserialize, Serialize};

const SECTION: &str = ".dep-v0";
/// Of the list when it is unpacked; that of a large program is a tenth of this.
const MOST_BYTES: usize = 2 << 20;
const MOST_PACKAGES: usize = 10_000;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is from: `crates.io`, `git`, `local`, `registry`.
    pub source: String,
}

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

/// All lists of all modules, and those that cannot be read: where they are, and why.
pub(super) fn read(parts: &[Part<'_>]) -> (Vec<Package>, Vec<(String, usize, String)>, bool) {
    let (mut packages, mut unread, mut present) = (Vec::new(), Vec::new(), false);
    for part in parts {
        for custom in part.customs.iter().filter(|custom| custom.name == SECTION).take(16) {
            present = true;
            let list = zlib(custom.data, MOST_BYTES)
                .map_err(str::to_owned)
                .and_then(|text| serde_json::from_slice::<List>(&text).map_err(|error| error.to_string()));
            match list {
                Ok(list) if packages.len() + list.packages.len() <= MOST_PACKAGES => packages.extend(list.packages),
                Ok(_) => unread.push((part.path.clone(), custom.offset, "it names too many packages".to_owned())),
                Err(error) => unread.push((part.path.clone(), custom.offset, error)),
            }
        }
    }
    packages.sort_by(|a: &Package, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages.dedup();
    (packages, unread, present)
}
