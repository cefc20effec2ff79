//! May this component be listed? A stranger's bytes are read, never run and never compiled, and what they can do is said
//! in words.
//!
//! A component's imports bound its authority, so most of the answer stands in the file. This room names no other room, so
//! that an author's CI can have it alone. What a file costs grows with its size and with nothing else that its author
//! chooses.

mod advisories;
mod authority;
mod code;
mod content;
mod dependencies;
mod difference;
mod facts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inflate;
mod judge;
mod manifest;
mod markdown;
mod order;
mod part;
mod policy;
mod provenance;
mod reach;
mod read;
mod report;
mod rule;
mod sarif;
mod signature;
mod text;
mod world;

pub use advisories::{Advisories, AdvisoriesError, Advisory};
pub use authority::Class;
pub use dependencies::Package;
pub use manifest::{Flow, Manifest, Provider};
pub use markdown::markdown;
pub use order::{Form, Order, OrderError, policy_of};
pub use policy::{Authority, Declarations, Limits, PROFILES, Policy, PolicyError, Signatures};
pub use provenance::{
    Attestation, By, Evidence, KeyError, Provenance, PublicKey, SLSA, Signer, SigningKey, State, Statement, Subject,
    Trust, TrustError, TrustFile, VET_REPORT, simple_payload,
};
pub use read::Unreadable;
pub use report::{
    Difference, Direction, Export, Facts, Finding, Host, Import, ImportedFunction, Needs, PartFacts, Producer, Report,
    Verdict,
};
pub use rule::{RULES, Rule, Severity};
pub use sarif::sarif;
pub use text::{text, word};

use aws_lc_rs::digest::{SHA256, digest};

/// The schema of the report as JSON.
pub const SCHEMA: &str = include_str!("report.schema.json");

/// A component that is to be judged, with all that is known of it besides.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    /// What the report calls it.
    pub file: &'a str,
    /// The component.
    pub bytes: &'a [u8],
    /// The version before, to compare it with.
    pub before: Option<&'a [u8]>,
    /// `sha256:…` of the manifest that names it, where it came from a registry.
    pub manifest: Option<&'a str>,
    /// What was found beside it.
    pub evidence: &'a [Evidence],
    /// Whose signatures count.
    pub trust: &'a Trust,
    /// What is known of the packages in it; none where nobody gave a database.
    pub advisories: Option<&'a Advisories>,
}

/// Judges a component by its bytes alone, compared with the version `before` where there is one.
///
/// Takes time and memory in proportion to the size of the bytes, and runs none of them.
pub fn vet(file: &str, bytes: &[u8], before: Option<&[u8]>, policy: &Policy) -> Report {
    let trust = Trust::default();
    judge(&Submission { file, bytes, before, manifest: None, evidence: &[], trust: &trust, advisories: None }, policy)
}

/// Judges a component under a policy. As [`vet`], with where it comes from and what it was built of.
pub fn judge(submission: &Submission<'_>, policy: &Policy) -> Report {
    let Submission { file, bytes, before, manifest, evidence, trust, advisories } = *submission;
    let unreadable = |error: &dyn std::fmt::Display| Report {
        policy: policy.name.clone(),
        ..unreadable(file, bytes.len(), &error.to_string())
    };
    let before = match before.map(|before| Examined::of(before).map(|e| (name_of(before), e.facts()))).transpose() {
        Ok(before) => before,
        Err(error) => return unreadable(&format!("the version before cannot be read: {error}")),
    };
    let examined = match Examined::of(bytes) {
        Ok(examined) => examined,
        Err(error) => return unreadable(&error),
    };
    let provenance = Provenance::judge(Subject { bytes, manifest }, evidence, trust);
    let mismatches = match world::World::ours() {
        Ok(world) => world.mismatches(&examined.anatomy.interfaces),
        Err(error) => return unreadable(&error),
    };
    let mut facts = examined.facts();
    facts.provenance = Some(provenance);
    facts.advisories_asked = advisories.is_some();
    facts.difference = before.map(|(digest, before)| difference::between(&before, digest, &facts));
    let Examined { anatomy, reach, content, manifest } = &examined;
    let case =
        judge::Case { anatomy, reach, content, manifest, mismatches: &mismatches, facts: &facts, advisories, policy };
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

/// What a component could use a grant for, and what its author says that it will: lines that mean the same from version to
/// version.
///
/// # Errors
/// [`Unreadable`].
pub fn authority(bytes: &[u8]) -> Result<Vec<String>, Unreadable> {
    Ok(Examined::of(bytes)?.facts().authority)
}

/// What a line of [`authority`] means, for somebody who decides.
pub fn in_words(line: &str) -> String {
    let (kind, what) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "import" => {
            let (interface, function) = what.split_once('.').unwrap_or((what, ""));
            authority::function(interface, function).words.to_owned()
        }
        "provider" => format!("it asks for credentials of {what}"),
        "scope" => format!("it asks for the right {what}"),
        "host" => format!("it calls {what}"),
        "claim" => format!("it reads your {what}"),
        _ => String::new(),
    }
}

/// The report of a file of which nothing could be learnt.
pub fn unreadable(file: &str, size: usize, why: &str) -> Report {
    Report {
        version: 1,
        verdict: Verdict::Unreadable,
        summary: why.to_owned(),
        policy: String::new(),
        file: file.to_owned(),
        digest: None,
        size,
        findings: Vec::new(),
        facts: None,
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
        let mut facts = facts::facts(&self.anatomy, &self.reach, &self.content, &self.manifest);
        facts.authority = difference::authority(&facts).into_iter().collect();
        facts
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
