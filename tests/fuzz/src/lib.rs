//! Where seeds and findings lie.
//!
//! A seed is where a fuzzer begins; a finding is what broke a promise once. Both are files in a folder of the target's
//! name, and `tests/bounded.rs` runs all of them each time.

use std::fs;
use std::path::{Path, PathBuf};

/// `seeds` or `findings` of one target.
pub fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

/// The files of a folder in the order of their names; none where there is no folder.
///
/// # Panics
/// When a file cannot be read.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}
