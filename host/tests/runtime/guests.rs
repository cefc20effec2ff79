//! The guests that the tests run, built when they are first wanted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The bytes of one of the packages under `tests/guests`.
///
/// Taken from the folder that `ATTACHE_GUESTS` names, where somebody has built them before; otherwise built here, in a
/// target folder of their own, because the outer cargo holds the lock of the usual one.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{}.wasm", name.replace('-', "_")));
    std::fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os("ATTACHE_GUESTS") {
        Some(folder) => folder.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = workspace.join("target/guests");
    let status = Command::new(env!("CARGO"))
        .current_dir(&workspace)
        .args([
            "build",
            "--quiet",
            "--profile",
            "guest",
            "--target",
            "wasm32-wasip2",
            "-p",
            "probe",
            "-p",
            "reveal-probe",
            "-p",
            "hostile",
        ])
        .arg("--target-dir")
        .arg(&target)
        // Flags for this machine's programs, such as those of a coverage tool, mean nothing to a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the guests do not build; is the target there? `rustup target add wasm32-wasip2`");
    target.join("wasm32-wasip2/guest")
}
