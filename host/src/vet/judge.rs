//! From facts to findings, under a policy. A pure function; each rule is one paragraph.

use super::advisories::Advisories;
use super::authority::{self, CREDENTIALS, Class, EGRESS, IDENTITY, REVEAL};
use super::content::Content;
use super::dependencies;
use super::manifest::{Flow, Found, Manifest};
use super::part::Body;
use super::policy::{Policy, named};
use super::provenance::State;
use super::reach::{Reach, dotted};
use super::read::Anatomy;
use super::report::{Direction, Facts, Finding, Import};
use super::rule::{RULES, Severity};
use super::signature::bare;
use super::world::{INVOKED_BY, Mismatch};

/// Of one rule; a file with more of the same is as bad.
const MOST_OF_A_KIND: usize = 50;

/// What the rules look at.
pub(super) struct Case<'a> {
    pub(super) anatomy: &'a Anatomy<'a>,
    pub(super) reach: &'a Reach,
    pub(super) content: &'a Content,
    pub(super) manifest: &'a Found,
    pub(super) mismatches: &'a [Mismatch],
    pub(super) facts: &'a Facts,
    pub(super) advisories: Option<&'a Advisories>,
    pub(super) policy: &'a Policy,
}

/// The findings, heaviest first.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Findings { policy: case.policy, list: Vec::new() };
    engine(case, &mut found);
    imports(case, &mut found);
    exports(case, &mut found);
    combinations(case, &mut found);
    declarations(case, &mut found);
    content(case, &mut found);
    sizes(case, &mut found);
    origin(case, &mut found);
    change(case, &mut found);
    // Stable: within a severity, in the order of the paragraphs.
    found.list.sort_by_key(|finding| finding.severity);
    found.list
}

struct Findings<'a> {
    policy: &'a Policy,
    list: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, rule: &'static str, message: String, part: &str, offset: Option<usize>) {
        let severity = self.policy.severity(rule);
        let of_its_kind = self.list.iter().filter(|finding| finding.rule == rule).count();
        if severity == Severity::Off || of_its_kind >= MOST_OF_A_KIND {
            return;
        }
        let advice = RULES.iter().find(|known| known.id == rule).map_or("", |known| known.advice);
        let message =
            if of_its_kind + 1 == MOST_OF_A_KIND { format!("{message}; and more like this") } else { message };
        // Names in a component are of any length.
        let message: String = message.chars().take(2_000).collect();
        self.list.push(Finding { rule, severity, message, advice: advice.to_owned(), part: part.to_owned(), offset });
    }

    fn whole(&mut self, rule: &'static str, message: String) {
        self.add(rule, message, "component", None);
    }
}

fn engine(case: &Case<'_>, found: &mut Findings<'_>) {
    if let Some((message, offset)) = &case.anatomy.outside {
        found.add(
            "outside-profile",
            format!("the engine of this host refuses it: {message}"),
            "component",
            Some(*offset),
        );
    }
    for mismatch in case.mismatches {
        let Mismatch { side, interface, what } = mismatch;
        found.whole("wrong-world", format!("{side} `{interface}`: {what}"));
    }
    for part in &case.anatomy.parts {
        let Body::Module(module) = &part.body else { continue };
        for (is, what) in [(module.memories.len(), "memories"), (module.tables.len(), "tables")] {
            if is > 1 {
                let message = format!("one module defines {is} {what}, and the engine of this host takes one");
                found.add("outside-profile", message, &part.path, Some(part.offset));
            }
        }
    }
    let (instances, memories, tables) = case.reach.made;
    for (is, most, what) in [(instances, 64, "core instances"), (memories, 4, "memories"), (tables, 32, "tables")] {
        if is > most {
            found.whole("outside-profile", format!("it makes {is} {what}, and the engine of this host takes {most}"));
        }
    }
    if !case.reach.complete {
        found.whole("reach-incomplete", "calls were not followed to their end, which would cost too much".to_owned());
    }
}

fn imports(case: &Case<'_>, found: &mut Findings<'_>) {
    let policy = &case.policy.authority;
    for import in &case.facts.imports {
        let name = &import.interface;
        if import.class == Class::Unknown {
            found.whole("unknown-import", format!("imports `{name}`, which is not known here"));
            continue;
        }
        if import.class == Class::Forbidden {
            let words = authority::interface(name).words;
            found.whole("forbidden-import", format!("imports `{name}`: {words}; this host never gives it"));
            continue;
        }
        if named(&policy.forbid, bare(name)) {
            found.whole(
                "forbidden-import",
                format!("imports `{name}` ({}), which the policy `{}` forbids", import.meaning, case.policy.name),
            );
            continue;
        }
        for function in &import.functions {
            let dotted = dotted(bare(name), &function.name);
            if named(&policy.forbid, &dotted) {
                found.whole(
                    "forbidden-import",
                    format!("imports `{dotted}`, which the policy `{}` forbids", case.policy.name),
                );
            } else if function.class == Class::NeedsGrant
                && !policy.grants.iter().any(|granted| granted == bare(name) || *granted == dotted)
            {
                found.whole(
                    "ungranted-import",
                    format!(
                        "imports `{dotted}` ({}), which the policy `{}` does not grant",
                        import.meaning, case.policy.name
                    ),
                );
            }
            if function.class == Class::NeedsGrant && !case.reach.reaches(name, &function.name) {
                found.whole(
                    "unreachable-import",
                    format!("imports `{dotted}`, and nothing that it exports can call it"),
                );
            }
        }
    }
    if let Some(import) = has(case.facts, REVEAL) {
        let from = import.functions.first().map(|function| function.reached_from.join(", ")).unwrap_or_default();
        let from = if from.is_empty() { String::new() } else { format!("; it can do so from {from}") };
        found.whole(
            "reveal",
            format!("this component can hold your users' secrets: it imports `{}`, by which it gets the tokens and keys themselves{from}", import.interface),
        );
    }
}

/// The import, if one of its functions is there to be called.
fn has<'a>(facts: &'a Facts, interface: &str) -> Option<&'a Import> {
    facts.imports.iter().find(|import| bare(&import.interface) == interface && !import.functions.is_empty())
}

fn exports(case: &Case<'_>, found: &mut Findings<'_>) {
    let extra: Vec<String> = case
        .anatomy
        .interfaces
        .exports
        .iter()
        .filter(|export| bare(&export.name) != INVOKED_BY)
        .map(|export| format!("`{}`", export.name))
        .take(20)
        .collect();
    if !extra.is_empty() {
        found.whole("extra-export", format!("exports {} besides", extra.join(", ")));
    }
}

/// What is harmless alone and not together. Everything that an agent is asked comes from outside, so untrusted input is
/// always there.
fn combinations(case: &Case<'_>, found: &mut Findings<'_>) {
    let reaches = |interface: &str| {
        has(case.facts, interface).is_some_and(|import| {
            import.functions.iter().any(|function| case.reach.reaches(&import.interface, &function.name))
        })
    };
    if !reaches(EGRESS) {
        return;
    }
    if reaches(REVEAL) {
        found.whole(
            "toxic-secret-and-egress",
            "it can get the secrets themselves and send requests of its own: a caller who talks it into that has them"
                .to_owned(),
        );
    }
    if reaches(CREDENTIALS) {
        found.whole(
            "toxic-data-and-egress",
            "it takes input from outside, reads what its users keep at a third party, and can send requests to other hosts: \
             a text that it reads may talk it into sending one to the other"
                .to_owned(),
        );
    }
}

fn declarations(case: &Case<'_>, found: &mut Findings<'_>) {
    match case.manifest {
        Found::Nothing => found.whole("manifest-missing", "the author does not say what it needs".to_owned()),
        Found::Unreadable(part, offset, what) => {
            found.add("manifest-unreadable", format!("`attache:manifest` cannot be read: {what}"), part, Some(*offset));
        }
        Found::One(part, offset, manifest) => {
            let mut at = |rule, message: String| found.add(rule, message, part, Some(*offset));
            over_declared(case.facts, manifest, &mut |message| at("over-declared", message));
            under_declared(case.facts, manifest, &mut |message| at("under-declared", message));
            let rules = &case.policy.manifest;
            for provider in &manifest.providers {
                if named(&rules.forbid_providers, &provider.name) {
                    at("forbidden-provider", format!("declares the provider `{}`", provider.name));
                }
                for scope in provider.scopes.iter().filter(|scope| named(&rules.forbid_scopes, scope)) {
                    at("forbidden-scope", format!("declares the scope `{scope}` at `{}`", provider.name));
                }
            }
            for host in case.facts.hosts.iter().filter(|host| !host.declared) {
                let message = format!("mentions `{}`, which its manifest does not", host.host);
                found.add("undeclared-host", message, &host.part, Some(host.offset));
            }
        }
    }
}

fn imports_function(facts: &Facts, interface: &str, function: &str) -> bool {
    has(facts, interface).is_some_and(|import| import.functions.iter().any(|f| f.name == function))
}

fn over_declared(facts: &Facts, manifest: &Manifest, say: &mut dyn FnMut(String)) {
    for provider in &manifest.providers {
        let by = if provider.flow == Flow::ApiKey { "api-key" } else { "oauth2" };
        if !imports_function(facts, CREDENTIALS, by) {
            say(format!("declares the provider `{}`, and does not import `{CREDENTIALS}.{by}`", provider.name));
        }
    }
    if !manifest.hosts.is_empty() && has(facts, EGRESS).is_none() {
        say(format!("declares hosts, and does not import `{EGRESS}`"));
    }
    if !manifest.claims.is_empty() && !imports_function(facts, IDENTITY, "claim") {
        say(format!("declares claims, and does not import `{IDENTITY}.claim`"));
    }
    if manifest.reveal && has(facts, REVEAL).is_none() {
        say(format!("declares `reveal`, and does not import `{REVEAL}`"));
    }
}

fn under_declared(facts: &Facts, manifest: &Manifest, say: &mut dyn FnMut(String)) {
    let declares = |api_key: bool| manifest.providers.iter().any(|p| (p.flow == Flow::ApiKey) == api_key);
    if imports_function(facts, CREDENTIALS, "oauth2") && !declares(false) {
        say(format!("imports `{CREDENTIALS}.oauth2`, and declares no provider of OAuth"));
    }
    if imports_function(facts, CREDENTIALS, "api-key") && !declares(true) {
        say(format!("imports `{CREDENTIALS}.api-key`, and declares no provider with the flow `api-key`"));
    }
    if has(facts, EGRESS).is_some() && manifest.hosts.is_empty() {
        say(format!("imports `{EGRESS}`, and declares no hosts"));
    }
    if imports_function(facts, IDENTITY, "claim") && manifest.claims.is_empty() {
        say(format!("imports `{IDENTITY}.claim`, and declares no claims"));
    }
    if has(facts, REVEAL).is_some() && !manifest.reveal {
        say(format!("imports `{REVEAL}`, and does not declare `reveal`"));
    }
}

fn content(case: &Case<'_>, found: &mut Findings<'_>) {
    for (what, seen) in &case.content.secrets {
        found.add("secret-in-data", format!("carries what looks like {what}"), &seen.part, Some(seen.offset));
    }
    for (home, seen) in &case.content.homes {
        found.add("builder-path", format!("tells of the folder `{home}`"), &seen.part, Some(seen.offset));
    }
    for part in &case.anatomy.parts {
        if let Body::Module(module) = &part.body
            && let Some(start) = module.start
        {
            let imported = module.functions.len() - module.calls.len();
            let offset = (start as usize).checked_sub(imported).and_then(|at| module.starts.get(at)).copied();
            found.add("start-function", "it has a start function".to_owned(), &part.path, offset);
        }
    }
    let (_, unread, _) = dependencies::read(&case.anatomy.parts);
    for (part, offset, why) in unread {
        found.add("dependencies-unread", format!("`.dep-v0` cannot be read: {why}"), &part, Some(offset));
    }
    let advisories = case.advisories.map(|all| all.concerning(&case.facts.dependencies)).unwrap_or_default();
    for (package, advisory) in advisories {
        let message = format!(
            "is built of `{} {}`, of which {} says: {}",
            package.name, package.version, advisory.id, advisory.title
        );
        found.whole("known-vulnerability", message);
    }
}

/// Who made it, by what was found beside it.
fn origin(case: &Case<'_>, found: &mut Findings<'_>) {
    let Some(provenance) = &case.facts.provenance else { return };
    let wanted = &case.policy.signatures;
    match provenance.state {
        State::Unsigned => found.whole("unsigned", "nobody signed it".to_owned()),
        State::DoesNotVerify => {
            let why = provenance.problems.join("; ");
            found.whole("signature-does-not-verify", format!("it is signed, and no signature counts: {why}"));
        }
        State::Verified => {}
    }
    let listed = |name: &str| wanted.signers.is_empty() || wanted.signers.iter().any(|signer| signer == name);
    if wanted.required && !provenance.signers.iter().any(|signer| listed(&signer.name)) {
        let by = match wanted.signers.is_empty() {
            true => "a key of the trust file".to_owned(),
            false => wanted.signers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "),
        };
        let message = format!("{}, and the policy `{}` wants it signed by {by}", provenance.words(), case.policy.name);
        found.whole("signature-missing", message);
    }
    let built: Vec<_> = provenance.attestations.iter().filter(|one| one.builder.is_some()).collect();
    if wanted.provenance && built.is_empty() {
        let message =
            format!("nobody trusted says how it was built, and the policy `{}` wants it said", case.policy.name);
        found.whole("provenance-missing", message);
    }
    let trusted = |builder: &str| wanted.builders.is_empty() || named(&wanted.builders, builder);
    if !built.is_empty() && !built.iter().any(|one| one.builder.as_deref().is_some_and(trusted)) {
        let builders: Vec<String> =
            built.iter().filter_map(|one| one.builder.as_ref()).map(|b| format!("`{b}`")).collect();
        let message =
            format!("was built by {}, which the policy `{}` does not name", builders.join(" and "), case.policy.name);
        found.whole("other-builder", message);
    }
    // An attestation that does not count beside a signature that does.
    if provenance.state != State::DoesNotVerify && !provenance.problems.is_empty() {
        found.whole(
            "evidence-set-aside",
            format!("something beside it does not count: {}", provenance.problems.join("; ")),
        );
    }
}

fn sizes(case: &Case<'_>, found: &mut Findings<'_>) {
    let limits = &case.policy.limits;
    let needs = &case.facts.needs;
    let mut over = |rule, is: u64, most: u64, what: &str| {
        if is > most {
            found.whole(rule, format!("{is} {what}, and the policy `{}` allows {most}", case.policy.name));
        }
    };
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    over("too-large", case.anatomy.parts.first().map_or(0, |part| count(part.size)), limits.bytes, "bytes of file");
    over("many-parts", count(case.anatomy.parts.len()), limits.parts, "modules and components");
    over("much-memory", needs.memory, limits.memory, "bytes of memory");
    over("large-tables", needs.table_elements, limits.table_elements, "table elements");
}

fn change(case: &Case<'_>, found: &mut Findings<'_>) {
    let Some(difference) = &case.facts.difference else { return };
    if difference.direction == Direction::Widened && case.policy.require_review_when_widened {
        let added = difference.added.iter().take(20).map(|what| format!("`{what}`")).collect::<Vec<_>>().join(", ");
        found.whole("widened", format!("wants more than the version before: {added}"));
    }
}
