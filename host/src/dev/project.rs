//! The author's project: building it, and noticing when it changes.

use notify::{EventKind, RecursiveMode, Watcher as _};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

/// Where the component comes from.
pub enum Project {
    /// A cargo project that is built here.
    Cargo {
        /// Its folder.
        folder: PathBuf,
        /// The package's name.
        name: String,
        /// Whether to optimise.
        release: bool,
    },
    /// A component that something else builds.
    Component(PathBuf),
}

/// Why there is no component. The compiler's own words are on the terminal already.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No project here.
    #[error("there is no agent's project in `{}`; make one with `attache new NAME`, or name a component with `--component`", .0.display())]
    NoProject(PathBuf),
    /// The manifest says nothing that is of use.
    #[error("`{}` names no package; run this in the agent's own folder", .0.display())]
    NoPackage(PathBuf),
    /// Cargo did not start.
    #[error("cargo cannot be started; is Rust installed?")]
    NoCargo(#[source] std::io::Error),
    /// It did not compile.
    #[error("the agent does not compile; mend it and save")]
    Failed,
    /// It compiled to something else.
    #[error("the build made no component; set `crate-type = [\"cdylib\"]` under `[lib]`")]
    NoComponent,
    /// The file system does not tell of changes.
    #[error("changes cannot be watched")]
    Unwatchable(#[source] notify::Error),
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// One line of cargo's JSON.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    manifest_path: Option<PathBuf>,
}

impl Project {
    /// The cargo project in this folder.
    ///
    /// # Errors
    /// [`BuildError`] when there is none.
    pub fn open(folder: &Path, release: bool) -> Result<Self, BuildError> {
        let manifest = folder.join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            return Err(BuildError::NoProject(folder.to_owned()));
        };
        let package = toml::from_str::<Manifest>(&text).ok().and_then(|manifest| manifest.package);
        let Some(package) = package else { return Err(BuildError::NoPackage(manifest)) };
        Ok(Self::Cargo { folder: folder.to_owned(), name: package.name, release })
    }

    /// What to call the agent, if nobody says otherwise.
    pub fn name(&self) -> String {
        match self {
            Self::Cargo { name, .. } => name.clone(),
            Self::Component(file) => {
                file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
            }
        }
    }

    /// Builds it and answers where the component is. The compiler's words go to the terminal.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(&self) -> Result<PathBuf, BuildError> {
        let Self::Cargo { folder, release, .. } = self else {
            let Self::Component(file) = self else { return Err(BuildError::NoComponent) };
            return Ok(file.clone());
        };
        let mut cargo = tokio::process::Command::new("cargo");
        cargo.args(["build", "--lib", "--target", "wasm32-wasip2", "--message-format", "json-render-diagnostics"]);
        if *release {
            cargo.arg("--release");
        }
        let mut child = cargo
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(BuildError::NoCargo)?;
        let own = folder.join("Cargo.toml").canonicalize().ok();
        let mut made = None;
        if let Some(output) = child.stdout.take() {
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines.next_line().await.map_err(BuildError::NoCargo)? {
                made = component_of(&line, own.as_deref()).or(made);
            }
        }
        match child.wait().await.map_err(BuildError::NoCargo)?.success() {
            true => made.ok_or(BuildError::NoComponent),
            false => Err(BuildError::Failed),
        }
    }

    /// Begins to watch. Until [`Changes`] is dropped, every burst of changes counts once.
    ///
    /// # Errors
    /// [`BuildError::Unwatchable`].
    pub fn watch(&self) -> Result<Changes, BuildError> {
        let (tell, changed) = mpsc::channel(1);
        let only: Vec<PathBuf> = match self {
            Self::Component(file) => file.file_name().map(PathBuf::from).into_iter().collect(),
            Self::Cargo { .. } => ["Cargo.toml", "build.rs"].map(PathBuf::from).into(),
        };
        let sources = match self {
            Self::Component(_) => None,
            Self::Cargo { folder, .. } => Some(folder.join("src")),
        };
        let inside = sources.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let written = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_));
            let ours = event.paths.iter().any(|path| {
                inside.as_ref().is_some_and(|sources| path.starts_with(sources))
                    || only.iter().any(|only| path.file_name() == Some(only.as_os_str()))
            });
            if written && ours {
                // Full means that it is told already.
                let _ = tell.try_send(());
            }
        })
        .map_err(BuildError::Unwatchable)?;
        let places: Vec<(PathBuf, RecursiveMode)> = match self {
            // The folder of a file, not the file: whoever replaces it makes a new one.
            Self::Component(file) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                vec![(folder.to_owned(), RecursiveMode::NonRecursive)]
            }
            Self::Cargo { folder, .. } => vec![(folder.clone(), RecursiveMode::NonRecursive)],
        };
        let places = places.into_iter().chain(sources.map(|sources| (sources, RecursiveMode::Recursive)));
        for (place, mode) in places {
            watcher.watch(&place, mode).map_err(BuildError::Unwatchable)?;
        }
        Ok(Changes { changed, _watcher: watcher })
    }
}

/// The component among the files that this line says were made for our own package.
fn component_of(line: &str, own: Option<&Path>) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let ours = message.manifest_path.and_then(|path| path.canonicalize().ok()).as_deref() == own;
    if message.reason != "compiler-artifact" || !ours {
        return None;
    }
    message.filenames.into_iter().find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

/// Changes of the project's sources.
pub struct Changes {
    changed: mpsc::Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

/// Editors write in several steps.
const SETTLE: Duration = Duration::from_millis(150);

impl Changes {
    /// Waits for the next change, and until it has settled. False when the watcher is gone.
    pub async fn next(&mut self) -> bool {
        if self.changed.recv().await.is_none() {
            return false;
        }
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.changed.recv()).await {}
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_project_is_answered_with_how_to_make_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = Project::open(dir.path(), false).err().unwrap();
        assert!(error.to_string().contains("make one with `attache new NAME`"), "{error}");
        std::fs::write(dir.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        assert!(matches!(Project::open(dir.path(), false), Err(BuildError::NoPackage(_))));
    }

    #[test]
    fn the_component_is_found_among_what_cargo_made() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let own = manifest.canonicalize().unwrap();
        let line = |path: &Path, file: &str| {
            serde_json::json!({ "reason": "compiler-artifact", "manifest_path": path, "filenames": [file] }).to_string()
        };
        assert_eq!(component_of(&line(&manifest, "/t/a.wasm"), Some(&own)), Some("/t/a.wasm".into()));
        assert_eq!(
            component_of(&line(Path::new("/other/Cargo.toml"), "/t/b.wasm"), Some(&own)),
            None,
            "a dependency's"
        );
        assert_eq!(component_of(&line(&manifest, "/t/liba.rlib"), Some(&own)), None);
        assert_eq!(component_of("warning: not JSON", Some(&own)), None);
    }

    #[tokio::test]
    async fn a_burst_of_changes_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.wasm");
        std::fs::write(&file, "1").unwrap();
        let mut changes = Project::Component(file.clone()).watch().unwrap();
        for text in ["2", "3", "4"] {
            std::fs::write(&file, text).unwrap();
        }
        assert!(changes.next().await);
        assert!(changes.changed.try_recv().is_err());
    }
}
