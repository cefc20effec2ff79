//! The proof types cannot be had by any other way than their checkers, and secrets cannot be seen.
//!
//! What a type must not implement is said right here: this file does not compile once it does. What must not compile
//! stands in `proofs/`, one attempt a file, each with the error that refuses it in its first line. They are compiled
//! against the library that this test was linked with; `honest.rs` shows that this works at all. (`trybuild` would
//! build the whole dependency tree a second time.)

use attache::access::{Caller, MadeKey, Permitted};
use attache::audit::Written;
use attache::directory::{RegisteredAgent, Retired};
use attache::identity::{AssertedUser, Bearer, Binding, Live, PresentedWat, VerifiedUser, WorkloadAccessToken};
use attache::secret::Secret;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does not compile when the type implements one of the traits: then there are two ways to read the last line.
macro_rules! never {
    ($type:ty: $($bound:path),+ $(,)?) => { $( const _: fn() = || {
        trait Ambiguous<Way> { fn there() {} }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct Implements;
        impl<T: ?Sized + $bound> Ambiguous<Implements> for T {}
        let _ = <$type as Ambiguous<_>>::there;
    }; )+ };
}

never!(VerifiedUser: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, From<Bearer>, std::ops::DerefMut);
never!(AssertedUser: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::ops::DerefMut);
never!(RegisteredAgent: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::ops::DerefMut);
never!(Binding: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::ops::DerefMut);
never!(Written<'static>: Clone, Copy, Default, serde::de::DeserializeOwned);
never!(WorkloadAccessToken: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize);
never!(WorkloadAccessToken: std::fmt::Debug, std::fmt::Display, AsRef<[u8]>, Into<Vec<u8>>, std::ops::Deref);
never!(PresentedWat: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::fmt::Debug);
never!(PresentedWat: From<WorkloadAccessToken>, Into<WorkloadAccessToken>, AsRef<[u8]>, std::ops::Deref);
never!(Retired: Clone, Copy, Default, serde::de::DeserializeOwned, std::ops::DerefMut);
never!(Caller: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::ops::DerefMut);
never!(Permitted: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, std::ops::DerefMut);
never!(MadeKey: Clone, Copy, std::fmt::Debug, std::fmt::Display, serde::Serialize);
never!(Live: Clone, Copy, Default, serde::de::DeserializeOwned);
never!(Secret: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize, PartialEq, std::hash::Hash);
never!(Secret: std::fmt::Debug, std::fmt::Display, std::fmt::LowerHex, AsRef<[u8]>, AsRef<str>, Into<Vec<u8>>, std::ops::Deref);
never!(Bearer: Clone, std::fmt::Debug, std::fmt::Display, serde::Serialize, AsRef<[u8]>, AsRef<str>, std::ops::Deref);

#[test]
fn honest_code_compiles() {
    assert_eq!(compile(&folder().join("honest.rs")), Vec::<String>::new());
}

#[test]
fn no_proof_is_made_by_hand() {
    let mut attempts = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("honest.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let expected = source.lines().next().and_then(|line| line.strip_prefix("//! Refused: ")).unwrap();
        let errors = compile(&path);
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{}: {errors:?}", path.display());
        attempts += 1;
    }
    assert!(attempts >= 10, "only {attempts} attempts were found");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proofs")
}

/// The errors, each as `code: message`.
fn compile(source: &Path) -> Vec<String> {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(option_env!("RUSTC").unwrap_or("rustc"))
        .args(["--edition", "2024", "--crate-type", "lib", "--crate-name", "attempt", "--emit", "metadata"])
        .args(["--error-format", "json", "--cap-lints", "allow"])
        .arg("--out-dir")
        .arg(out.path())
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("attache={}", library(&deps).display()))
        .arg(source)
        .output()
        .unwrap();
    let mut errors = Vec::new();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let text = message["message"].as_str().unwrap_or(line);
        if message["level"] == "error" && !text.starts_with("aborting due to") {
            errors.push(format!("{}: {text}", message["code"]["code"].as_str().unwrap_or_default()));
        }
    }
    assert_eq!(output.status.success(), errors.is_empty(), "{}: {errors:?}", source.display());
    errors
}

/// The library as it was built last. Older builds with other features may lie beside it.
fn library(deps: &Path) -> PathBuf {
    let built = std::fs::read_dir(deps).unwrap().map(|entry| entry.unwrap());
    built
        .filter(|entry| {
            let name = entry.file_name().into_string().unwrap_or_default();
            name.starts_with("libattache-") && name.ends_with(".rlib")
        })
        .max_by_key(|entry| entry.metadata().unwrap().modified().unwrap())
        .unwrap()
        .path()
}
