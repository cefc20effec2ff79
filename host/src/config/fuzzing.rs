//! Configuration files, for fuzzing.

use super::{ConfigError, Secrets};
use std::path::Path;

/// A file: it is read, or every problem says where it is and what to do.
pub fn file(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("/nowhere/attache.toml");
    match super::parse(source, path, Path::new("/nowhere"), Secrets::Left) {
        Ok(settings) => assert!(!settings.development || settings.public_url.has_host()),
        Err(ConfigError::Refused { problems, .. }) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in &problems {
                let said = problem.to_string();
                assert!(said.len() < 16_384, "{}", said.len());
            }
        }
        Err(other) => panic!("{other}"),
    }
}
