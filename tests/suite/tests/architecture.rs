//! Who may name whom. The table is the architecture: a line here changes only together with ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the words at the top to the wiring at the bottom: a room names itself and rooms of earlier lines. Rooms of one
/// line are told apart by [`SHUT`].
const FLOORS: &[&[&str]] = &[
    &["ids", "secret", "clock", "sandbox", "sync", "vet", "oci"],
    &["seal"],
    &["jose"],
    &["egress"],
    &["directory"],
    &["identity"],
    &["audit"],
    &["oauth"],
    &["providers"],
    &["vault"],
    &["consent"],
    &["sign_in"],
    &["access"],
    &["broker"],
    &["runtime"],
    &["workers"],
    &["rehearsal"],
    &["store"],
    &["config"],
    &["wiring"],
    &["operations"],
    &["http"],
    &["cli", "dev", "fuzzing"],
];

/// Doors that stay shut although the floors would allow them.
const SHUT: &[(&str, &[&str])] = &[
    // The room that runs guests holds no secrets: of credentials it knows only broker's messages.
    ("runtime", &["vault", "secret", "store", "consent", "oauth", "audit", "directory"]),
    // What speaks to a process that may be an attacker's by now.
    ("workers", &["vault", "secret", "store", "consent", "oauth", "audit", "directory", "seal"]),
    ("http", &["store", "secret"]),
    // What a stranger's bytes ask for is judged without anything of this host.
    ("vet", &["ids", "secret", "clock"]),
    ("sign_in", &["vault", "consent"]),
    // Who calls, and nothing of what is called.
    ("access", &["vault", "consent", "sign_in", "oauth", "providers", "egress"]),
    // A dry run has no credential of anybody's.
    ("rehearsal", &["vault", "consent", "sign_in", "oauth", "providers", "access", "seal"]),
    // Sealed bytes are all that the store sees.
    ("store", &["secret", "broker", "runtime", "oauth", "egress"]),
];

/// Heavy dependencies live in one room each.
const HEAVY: &[(&str, &[&str])] = &[
    ("sigstore_verify", &["vet"]),
    ("rusqlite", &["store"]),
    ("wasmtime", &["runtime"]),
    ("wasmtime_wasi", &["runtime"]),
    ("wasmtime_wasi_http", &["runtime"]),
    ("regex", &["http"]),
    ("wit_component", &["vet"]),
    ("wit_parser", &["vet"]),
    ("axum", &["http", "dev"]),
    ("clap", &["cli"]),
    ("jsonwebtoken", &["identity"]),
    ("cryptoki", &["jose"]),
    // `attache invoke` is an app's client: it reaches a host on any network, where `egress` would not.
    ("hyper_rustls", &["egress", "cli", "oci"]),
    ("anyhow", &["cli", "dev", "main"]),
    ("notify", &["dev"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Each room's files, without comments (a comment may speak of any room).
fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = root().join("host/src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let first = file.strip_prefix(&src).unwrap().components().next().unwrap();
        let room = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
        rooms.entry(room).or_default().push((file, code));
    }
    rooms
}

/// The names that follow `prefix` as whole words: `crate::vault::Vault` and `crate::{vault, ids}` both name `vault`.
fn named(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            let mut start = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.push(std::mem::take(&mut word));
                        start = true;
                    }
                    c if depth == 0 && start && (c.is_alphanumeric() || c == '_') => word.push(c),
                    c if depth == 0 && !c.is_whitespace() => start = false,
                    _ => {}
                }
            }
            names.push(word);
        } else {
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

fn violations(rooms: &BTreeMap<String, Vec<(PathBuf, String)>>) -> Vec<String> {
    let floor = |room: &str| FLOORS.iter().position(|f| f.contains(&room));
    let mut found = Vec::new();
    for (room, files) in rooms {
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(mine) = floor(room) else {
            found.push(format!("room `{room}` is not in the table"));
            continue;
        };
        for (file, code) in files {
            for name in named(code, "crate::") {
                let Some(theirs) = floor(&name) else { continue };
                let shut = SHUT.iter().any(|(who, what)| who == room && what.contains(&name.as_str()));
                if name != *room && (theirs > mine || shut) {
                    found.push(format!("`{room}` names `{name}` in {}", file.display()));
                }
            }
            for (dependency, allowed) in HEAVY {
                let starts_a_word = |at: usize| {
                    code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
                };
                let used = code.match_indices(&format!("{dependency}::")).any(|(at, _)| starts_a_word(at));
                if used && !allowed.contains(&room.as_str()) {
                    found.push(format!("`{room}` uses the dependency `{dependency}` in {}", file.display()));
                }
            }
        }
    }
    found
}

#[test]
fn a_room_names_only_rooms_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 12, "the rooms were not found");
    let found = violations(&rooms);
    assert!(found.is_empty(), "shut doors were opened:\n{}", found.join("\n"));
}

#[test]
fn the_check_notices_a_shut_door() {
    let breach = |room: &str, code: &str| {
        violations(&BTreeMap::from([(room.to_owned(), vec![(PathBuf::from("x.rs"), code.to_owned())])]))
    };
    assert_eq!(breach("runtime", "use crate::vault::Vault;").len(), 1);
    assert_eq!(breach("runtime", "use crate::{broker::Acquire, secret::Secret};").len(), 1);
    assert_eq!(breach("http", "use crate::store::Store;").len(), 1);
    assert_eq!(breach("vault", "let c = rusqlite::Connection::open(x);").len(), 1);
    assert_eq!(breach("ids", "use crate::clock::Clock;").len(), 0);
    assert_eq!(breach("unheard", "").len(), 1);
}

/// The bytes of a workload access token cross to a worker and back, and nowhere else: who could make one of bytes elsewhere
/// could present one that nobody was given.
#[test]
fn only_the_wall_takes_a_workload_access_token_apart() {
    let places: Vec<String> = rooms()
        .into_iter()
        .filter(|(room, _)| !["identity", "workers"].contains(&room.as_str()))
        .flat_map(|(_, files)| files)
        .filter(|(_, code)| code.contains("WorkloadAccessToken::presented") || code.contains(".to_worker("))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert!(places.is_empty(), "{places:?}");
    let workers: String = rooms().remove("workers").unwrap().into_iter().map(|(_, code)| code).collect();
    assert!(
        workers.contains("WorkloadAccessToken::presented") && workers.contains(".to_worker("),
        "the check is blind"
    );
}

/// Guests meet the host only in `wit/`.
#[test]
fn the_guest_sdk_does_not_know_the_host() {
    let manifest = fs::read_to_string(root().join("guest-sdk/Cargo.toml")).unwrap();
    assert!(!manifest.contains("attache =") && !manifest.contains("../host"));
    let host = fs::read_to_string(root().join("host/Cargo.toml")).unwrap();
    assert!(!host.contains("attache-guest"));
}
