//! From the anatomy of a file to the facts that a report tells. No policy has a say here.

use super::authority::{self, Class};
use super::content::Content;
use super::dependencies;
use super::manifest::{Found, Manifest};
use super::part::{Body, Part};
use super::reach::{Reach, dotted};
use super::read::Anatomy;
use super::report::{Export, Facts, Host, Import, ImportedFunction, Needs, PartFacts, Producer};
use super::signature::Interface;
use std::collections::BTreeSet;

/// What is not shown of a file that has more than anybody reads.
const MOST_SHOWN: usize = 2_000;

pub(super) fn facts(anatomy: &Anatomy<'_>, reach: &Reach, content: &Content, manifest: &Found) -> Facts {
    let parts = &anatomy.parts;
    let manifest = match manifest {
        Found::One(_, _, manifest) => Some(manifest.clone()),
        Found::Nothing | Found::Unreadable(..) => None,
    };
    let (dependencies, _, dependencies_listed) = dependencies::read(parts);
    let imports: Vec<Import> = anatomy.interfaces.imports.iter().map(|interface| import(interface, reach)).collect();
    let grave = |name: &(String, String)| {
        !matches!(authority::function(&name.0, &name.1).class, Class::Harmless | Class::Empty)
    };
    let shown = |names: &BTreeSet<(String, String)>| {
        names.iter().filter(|name| grave(name)).map(|(i, f)| dotted(i, f)).collect::<Vec<_>>()
    };
    let everything = || {
        imports.iter().flat_map(|import| {
            let of = import.functions.iter().map(|f| (import.interface.clone(), f.name.clone()));
            of.collect::<Vec<_>>()
        })
    };
    let exports = match reach.complete {
        true => reach
            .exports
            .iter()
            .take(MOST_SHOWN)
            .map(|((interface, function), imports)| Export {
                interface: interface.clone(),
                function: function.clone(),
                reaches: shown(imports),
            })
            .collect(),
        false => {
            let all = shown(&everything().collect());
            let of = |interface: &Interface| {
                let export = |function: &str| Export {
                    interface: interface.name.clone(),
                    function: function.to_owned(),
                    reaches: all.clone(),
                };
                interface.functions.iter().take(20).map(|function| export(&function.name)).collect::<Vec<_>>()
            };
            anatomy.interfaces.exports.iter().take(20).flat_map(of).collect()
        }
    };
    Facts {
        exports,
        reach_complete: reach.complete,
        always_reached: shown(&reach.always),
        parts: parts.iter().take(MOST_SHOWN).map(part).collect(),
        producers: producers(parts),
        dependencies_listed,
        dependencies,
        hosts: content
            .hosts
            .iter()
            .map(|(host, seen)| Host {
                host: host.clone(),
                declared: manifest.as_ref().is_some_and(|manifest| declares(manifest, host)),
                part: seen.part.clone(),
                offset: seen.offset,
            })
            .collect(),
        needs: needs(parts),
        imports,
        manifest,
        difference: None,
        authority: Vec::new(),
        provenance: None,
        advisories_asked: false,
    }
}

/// Whether the author names this host. One that runs into the string after it counts by its beginning.
fn declares(manifest: &Manifest, host: &str) -> bool {
    manifest.hosts.iter().any(|declared| {
        let declared = declared.to_ascii_lowercase();
        host == declared || declared.strip_prefix("*.").is_some_and(|parent| host.ends_with(&format!(".{parent}")))
    })
}

fn import(interface: &Interface, reach: &Reach) -> Import {
    let whole = authority::interface(&interface.name);
    let functions: Vec<ImportedFunction> = interface
        .functions
        .iter()
        .take(MOST_SHOWN)
        .map(|function| ImportedFunction {
            name: function.name.clone(),
            class: authority::function(&interface.name, &function.name).class,
            reached_from: reach.reached_from(&interface.name, &function.name),
        })
        .collect();
    // With one function that differs, what the interface means depends on whether that one is there.
    let gravest = functions.iter().map(|function| function.class).max();
    let class = match whole.class {
        Class::Harmless => gravest.unwrap_or(Class::Harmless),
        // Its types are named by another interface, and none of its functions is there to be called.
        Class::NeedsGrant if functions.is_empty() && interface.kind == "instance" => Class::Harmless,
        class => class,
    };
    let meaning = match functions.iter().find(|function| function.class > whole.class && class > whole.class) {
        Some(function) => {
            format!("{}; {}", whole.words, authority::function(&interface.name, &function.name).words)
        }
        None => whole.words.to_owned(),
    };
    Import { interface: interface.name.clone(), class, meaning, functions }
}

fn part(part: &Part<'_>) -> PartFacts {
    let kind = match part.body {
        Body::Component(_) => "component",
        Body::Module(_) => "module",
    };
    PartFacts {
        path: part.path.clone(),
        kind,
        name: part.name.map(|name| name.chars().take(200).collect()),
        offset: part.offset,
        size: part.size,
        sections: part.customs.iter().take(100).map(|custom| custom.name.chars().take(100).collect()).collect(),
    }
}

fn producers(parts: &[Part<'_>]) -> Vec<Producer> {
    let short = |text: &str| text.chars().take(100).collect::<String>();
    let all: BTreeSet<Producer> = parts
        .iter()
        .flat_map(|part| &part.producers)
        .map(|(field, name, version)| Producer { field: short(field), name: short(name), version: short(version) })
        .collect();
    all.into_iter().take(MOST_SHOWN).collect()
}

fn needs(parts: &[Part<'_>]) -> Needs {
    let mut needs = Needs::default();
    for part in parts {
        let Body::Module(module) = &part.body else { continue };
        needs.modules += 1;
        needs.memories += module.memories.len();
        needs.tables += module.tables.len();
        needs.start_functions += usize::from(module.start.is_some());
        needs.memory = module.memories.iter().fold(needs.memory, |sum, (least, _)| sum.saturating_add(*least));
        needs.table_elements =
            module.tables.iter().fold(needs.table_elements, |sum, (least, _)| sum.saturating_add(*least));
    }
    needs
}
