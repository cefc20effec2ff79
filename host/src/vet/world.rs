//! The world that this host runs, from the very text in `wit/`, and whether a component fits into it.

use super::signature::{Function, Interface, Interfaces, bare};
use std::collections::HashMap;
use std::sync::LazyLock;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{Validator, WasmFeatures};
use wit_parser::{Resolve, SourceMap};

const OURS: &[(&str, &str)] = &[
    ("wit/world.wit", include_str!("../../../wit/world.wit")),
    ("wit/identity.wit", include_str!("../../../wit/identity.wit")),
    ("wit/credentials.wit", include_str!("../../../wit/credentials.wit")),
    ("wit/reveal.wit", include_str!("../../../wit/reveal.wit")),
];
/// Each after those that it names.
const WASI: &[(&str, &str)] = &[
    ("wit/deps/io.wit", include_str!("../../../wit/deps/io.wit")),
    ("wit/deps/random.wit", include_str!("../../../wit/deps/random.wit")),
    ("wit/deps/clocks.wit", include_str!("../../../wit/deps/clocks.wit")),
    ("wit/deps/filesystem.wit", include_str!("../../../wit/deps/filesystem.wit")),
    ("wit/deps/sockets.wit", include_str!("../../../wit/deps/sockets.wit")),
    ("wit/deps/cli.wit", include_str!("../../../wit/deps/cli.wit")),
    ("wit/deps/http.wit", include_str!("../../../wit/deps/http.wit")),
];
/// What std imports without being asked. The host links it empty, so its shape counts although no world names it.
const BESIDES: &str = "package attache:vet; world linked { include attache:identity/revealing-agent@0.1.0; \
    import wasi:cli/environment@0.2.12; import wasi:cli/exit@0.2.12; import wasi:cli/terminal-input@0.2.12; \
    import wasi:cli/terminal-output@0.2.12; import wasi:cli/terminal-stdin@0.2.12; \
    import wasi:cli/terminal-stdout@0.2.12; import wasi:cli/terminal-stderr@0.2.12; \
    import wasi:filesystem/types@0.2.12; import wasi:filesystem/preopens@0.2.12; \
    import wasi:random/insecure@0.2.12; import wasi:random/insecure-seed@0.2.12; }";

/// How an agent is invoked.
pub(super) const INVOKED_BY: &str = "wasi:http/incoming-handler";

/// How a component and the world differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// `import` or `export`.
    pub(super) side: &'static str,
    /// The interface, with its version.
    pub(super) interface: String,
    /// What is different, in a sentence.
    pub(super) what: String,
}

/// The world that the host links, with every function's text.
pub(super) struct World(Interfaces);

impl World {
    /// Read once per process, which takes a few milliseconds.
    ///
    /// # Errors
    /// Why it cannot be read, which would be a mistake in this program.
    pub(super) fn ours() -> Result<&'static Self, &'static str> {
        static OURS: LazyLock<Result<World, String>> = LazyLock::new(World::read);
        OURS.as_ref().map_err(String::as_str)
    }

    fn read() -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| format!("the embedded WIT cannot be read: {error:#}");
        let mut resolve = Resolve::default();
        for (path, contents) in WASI {
            resolve.push_source(path, contents).map_err(|error| text(&error))?;
        }
        let mut ours = SourceMap::default();
        OURS.iter().for_each(|(path, contents)| ours.push_str(path, *contents));
        let ours = ours.parse().map_err(|(_, error)| text(&error))?;
        resolve.push_group(ours).map_err(|error| text(&error))?;
        let package = resolve.push_source("linked.wit", BESIDES).map_err(|error| text(&error))?;
        let bytes = wit_component::encode(&resolve, package).map_err(|error| text(&error))?;
        let types = Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes).map_err(|e| text(&e))?;
        let types = types.as_ref();
        let world = types.component_item_for_export("linked").and_then(|item| inner(&item.ty, types));
        world.map(Self).ok_or_else(|| text(&"its world is not where it should be"))
    }

    /// What does not fit, each with the difference. Imports of other interfaces are not this one's matter.
    pub(super) fn mismatches(&self, component: &Interfaces) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let imports: HashMap<&str, &Interface> = self.0.imports.iter().map(|i| (bare(&i.name), i)).collect();
        for wanted in &component.imports {
            let Some(offered) = imports.get(bare(&wanted.name)) else { continue };
            let mut differ = |what: String| {
                found.push(Mismatch { side: "import", interface: wanted.name.clone(), what });
            };
            if wanted.kind != "instance" {
                differ(format!("it is imported as a {}, and the host gives an interface", wanted.kind));
                continue;
            }
            for function in &wanted.functions {
                match offered.functions.iter().find(|f| f.name == function.name) {
                    None => differ(format!("it wants the function `{}`, which the host does not have", function.name)),
                    Some(ours) if ours.signature != function.signature => differ(different(ours, function)),
                    Some(_) => {}
                }
            }
        }
        let Some(must) = self.0.exports.iter().find(|interface| bare(&interface.name) == INVOKED_BY) else {
            return found;
        };
        match component.exports.iter().find(|export| bare(&export.name) == INVOKED_BY && on_track(&export.name)) {
            None => {
                found.push(Mismatch { side: "export", interface: must.name.clone(), what: nearest(&component.exports) })
            }
            Some(export) => {
                for ours in &must.functions {
                    match export.functions.iter().find(|f| f.name == ours.name) {
                        Some(theirs) if theirs.signature == ours.signature => {}
                        Some(theirs) => found.push(Mismatch {
                            side: "export",
                            interface: export.name.clone(),
                            what: different(ours, theirs),
                        }),
                        None => found.push(Mismatch {
                            side: "export",
                            interface: export.name.clone(),
                            what: format!("the function `{}` is missing", ours.name),
                        }),
                    }
                }
            }
        }
        found
    }
}

fn inner(ty: &ComponentEntityType, types: TypesRef<'_>) -> Option<Interfaces> {
    let component = |ty: &ComponentEntityType| match ty {
        ComponentEntityType::Type { created: ComponentAnyTypeId::Component(id), .. }
        | ComponentEntityType::Component(id) => types.get(*id),
        _ => None,
    };
    // A world is exported as a component type around the component type that it is.
    let (_, world) = component(ty)?.exports.iter().next()?;
    Some(Interfaces::of_world(component(&world.ty)?, types))
}

fn on_track(name: &str) -> bool {
    name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.2."))
}

fn different(ours: &Function, theirs: &Function) -> String {
    let short = |text: &str| match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    };
    // Long types differ somewhere in the middle: show them from there.
    let common = ours.signature.chars().zip(theirs.signature.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| match common > 100 {
        true => format!("…{}", short(&text.chars().skip(common - 40).collect::<String>())),
        false => short(text),
    };
    format!(
        "the function `{}` is `{}` there, and `{}` in this host's world",
        theirs.name,
        from(&theirs.signature),
        from(&ours.signature)
    )
}

/// What the component is instead, in the words of whoever built it.
fn nearest(exports: &[Interface]) -> String {
    let exported = |name: &str| exports.iter().find(|export| bare(&export.name) == name);
    let lacks = format!("it does not export `{INVOKED_BY}@0.2`, by which an agent is invoked");
    if let Some(export) = exported(INVOKED_BY) {
        return format!("{lacks}; `{}` is another version", export.name);
    }
    if exported("wasi:http/handler").is_some() {
        return format!("{lacks}; `wasi:http/handler` is that of WASI 0.3: build it for WASI 0.2");
    }
    if exported("wasi:cli/run").is_some() {
        return format!("{lacks}; it is a command-line program, of the world `wasi:cli/command`");
    }
    let near =
        exports.iter().map(|export| (strsim::normalized_damerau_levenshtein(bare(&export.name), INVOKED_BY), export));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        None => format!("{lacks}; it exports nothing"),
        Some((_, export)) => format!("{lacks}; the nearest that it has is `{}`", export.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_world_is_read_whole() {
        let world = World::ours().unwrap();
        let imports: Vec<&str> = world.0.imports.iter().map(|i| bare(&i.name)).collect();
        for name in ["attache:identity/reveal", "wasi:filesystem/preopens", "wasi:http/types", "wasi:io/streams"] {
            assert!(imports.contains(&name), "{name} of {imports:?}");
        }
        let credentials = world.0.imports.iter().find(|i| bare(&i.name) == "attache:identity/credentials").unwrap();
        let send = credentials.functions.iter().find(|f| f.name == "[method]credential.send").unwrap();
        assert!(
            send.signature.starts_with(
                "func(self: borrow<attache:identity/credentials.credential>, request: wasi:http/types.outgoing-request"
            ),
            "{}",
            send.signature
        );
    }
}
