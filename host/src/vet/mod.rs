//! May this component be listed? A stranger's bytes are read, never run and never compiled, and what they can do is said
//! in words.
//!
//! A component's imports bound its authority, so most of the answer stands in the file. This room names no other room, so
//! that an author's CI can have it alone. What a file costs grows with its size and with nothing else that its author
//! chooses.

mod authority;
mod code;
mod content;
mod dependencies;
mod difference;
mod facts;
mod inflate;
mod judge;
mod manifest;
mod markdown;
mod part;
mod policy;
mod reach;
mod read;
mod report;
mod rule;
mod sarif;
mod signature;
mod text;
mod world;

pub use authority::Class;
pub use dependencies::Package;
pub use manifest::{Flow, Manifest, Provider};
pub use markdown::markdown;
pub use policy::{Authority, Declarations, Limits, PROFILES, Policy, PolicyError};
pub use read::Unreadable;
pub use report::{
    Difference, Direction, Export, Facts, Finding, Host, Import, ImportedFunction, Needs, PartFacts, Producer, Report,
    Verdict,
};
pub use rule::{RULES, Rule, Severity};
pub use sarif::sarif;
pub use text::text;

use aws_lc_rs::digest::{SHA256, digest};

/// The schema of the report as JSON.
pub const SCHEMA: &str = include_str!("report.schema.json");

/// Judges a component under a policy, compared with the version `before` where there is one. `file` is what the report
/// calls it.
///
/// Takes time and memory in proportion to the size of the bytes, and runs none of them.
pub fn vet(file: &str, bytes: &[u8], before: Option<&[u8]>, policy: &Policy) -> Report {
    let unreadable = |error: &dyn std::fmt::Display| Report {
        version: 1,
        verdict: Verdict::Unreadable,
        summary: error.to_string(),
        policy: policy.name.clone(),
        file: file.to_owned(),
        digest: None,
        size: bytes.len(),
        findings: Vec::new(),
        facts: None,
    };
    let before = match before.map(|before| Examined::of(before).map(|e| (name_of(before), e.facts()))).transpose() {
        Ok(before) => before,
        Err(error) => return unreadable(&format!("the version before cannot be read: {error}")),
    };
    let examined = match Examined::of(bytes) {
        Ok(examined) => examined,
        Err(error) => return unreadable(&error),
    };
    let mismatches = match world::World::ours() {
        Ok(world) => world.mismatches(&examined.anatomy.interfaces),
        Err(error) => return unreadable(&error),
    };
    let mut facts = examined.facts();
    facts.difference = before.map(|(digest, before)| difference::between(&before, digest, &facts));
    let Examined { anatomy, reach, content, manifest } = &examined;
    let case = judge::Case { anatomy, reach, content, manifest, mismatches: &mismatches, facts: &facts, policy };
    let findings = judge::findings(&case);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let (verdict, summary) = match errors {
        0 => (Verdict::Allowed, allowed(&facts)),
        1 => (Verdict::Refused, findings[0].message.clone()),
        more => (Verdict::Refused, format!("{}; and {} more", findings[0].message, more - 1)),
    };
    Report {
        version: 1,
        verdict,
        summary,
        policy: policy.name.clone(),
        file: file.to_owned(),
        digest: Some(name_of(bytes)),
        size: bytes.len(),
        findings,
        facts: Some(facts),
    }
}

/// What stands in a file, before anybody judges it.
struct Examined<'a> {
    anatomy: read::Anatomy<'a>,
    reach: reach::Reach,
    content: content::Content,
    manifest: manifest::Found,
}

impl<'a> Examined<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let anatomy = read::Anatomy::read(bytes)?;
        let reach = reach::Reach::of(&anatomy.parts);
        let content = content::search(&anatomy.parts);
        let manifest = manifest::find(&anatomy.parts);
        Ok(Self { anatomy, reach, content, manifest })
    }

    fn facts(&self) -> Facts {
        facts::facts(&self.anatomy, &self.reach, &self.content, &self.manifest)
    }
}

fn name_of(bytes: &[u8]) -> String {
    let hex: String = digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What it will be able to do, in a sentence.
fn allowed(facts: &Facts) -> String {
    let mut wants: Vec<&str> = Vec::new();
    for (interface, words) in [
        (authority::REVEAL, "the secrets of its users"),
        (authority::CREDENTIALS, "credentials as handles"),
        (authority::EGRESS, "requests without a credential"),
    ] {
        if facts.imports.iter().any(|i| signature::bare(&i.interface) == interface && i.class != Class::Harmless) {
            wants.push(words);
        }
    }
    match wants.is_empty() {
        true => "it wants nothing that needs a grant".to_owned(),
        false => format!("it wants {}, and has them only where they are granted", wants.join(", ")),
    }
}
