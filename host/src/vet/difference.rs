//! What changed since the version before, in authority only: another size or another compiler is no reason to ask again.

use super::authority::Class;
use super::reach::dotted;
use super::report::{Difference, Direction, Facts};
use super::signature::bare;
use std::collections::BTreeSet;

/// Everything that a component could use a grant for, and everything that its author says it will.
pub(super) fn authority(facts: &Facts) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for import in &facts.imports {
        let powerful = |class: Class| !matches!(class, Class::Harmless | Class::Empty);
        if import.functions.is_empty() && powerful(import.class) {
            all.insert(format!("import {}", bare(&import.interface)));
        }
        for function in import.functions.iter().filter(|function| powerful(function.class)) {
            // Without its version: a patch gives no power.
            all.insert(format!("import {}", dotted(bare(&import.interface), &function.name)));
        }
    }
    if let Some(manifest) = &facts.manifest {
        for provider in &manifest.providers {
            all.insert(format!("provider {}", provider.name));
            all.extend(provider.scopes.iter().map(|scope| format!("scope {scope} at {}", provider.name)));
        }
        all.extend(manifest.hosts.iter().map(|host| format!("host {host}")));
        all.extend(manifest.claims.iter().map(|claim| format!("claim {claim}")));
    }
    all
}

/// From the version before to this one.
pub(super) fn between(before: &Facts, digest: String, now: &Facts) -> Difference {
    let all = |facts: &Facts| facts.authority.iter().cloned().collect::<BTreeSet<_>>();
    let (old, new) = (all(before), all(now));
    let added: Vec<String> = new.difference(&old).cloned().collect();
    let removed: Vec<String> = old.difference(&new).cloned().collect();
    let direction = match (added.is_empty(), removed.is_empty()) {
        (false, _) => Direction::Widened,
        (true, false) => Direction::Narrowed,
        (true, true) => Direction::Same,
    };
    Difference { against: digest, direction, added, removed }
}
