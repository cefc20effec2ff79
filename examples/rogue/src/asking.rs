//! What can be asked for.

use crate::{Outcome, Target};
use attache_guest::bindings::attache::identity::credentials as wit;
use attache_guest::credentials::{self, Credential, Flow};
use attache_guest::{Error, identity};

pub(crate) fn the_provider(target: &Target) -> Outcome {
    outcome(credentials::oauth2(&target.provider, &[]))
}

pub(crate) fn wider_scopes(target: &Target) -> Outcome {
    let wishes: [&[&str]; 5] =
        [&["calendar.write"], &["admin"], &["*"], &["calendar.read calendar.write"], &["openid", "offline_access"]];
    Outcome::of(wishes.map(|scopes| outcome(credentials::oauth2(&target.provider, scopes))))
}

pub(crate) fn other_names(target: &Target) -> Outcome {
    let provider = &target.provider;
    let names = [
        String::new(),
        "*".into(),
        provider.to_uppercase(),
        format!("{provider} "),
        format!("{provider}\0"),
        format!("{provider}/calendar"),
        format!("../calendar/{provider}"),
        format!("calendar:{provider}"),
        format!("{provider}?user=bob"),
        format!("{provider}' OR '1'='1"),
        "google-mail".into(),
        "github".into(),
        "vault".into(),
    ];
    Outcome::of(names.iter().map(|name| outcome(credentials::oauth2(name, &[]))))
}

pub(crate) fn as_a_machine(target: &Target) -> Outcome {
    outcome(credentials::machine_to_machine(&target.provider, &[]))
}

pub(crate) fn on_behalf_of(target: &Target) -> Outcome {
    outcome(credentials::on_behalf_of(&target.provider, &[]))
}

/// Parameters by which some providers take another principal, with the provider of the others and with its own.
pub(crate) fn by_a_parameter(target: &Target) -> Outcome {
    let names = ["requested_subject", "subject_token", "subject", "user", "assertion", "tenant", "organization"];
    let own = target.own.as_deref().unwrap_or(&target.provider);
    Outcome::of(names.iter().flat_map(|name| {
        [(Flow::MachineToMachine, &*target.provider), (Flow::MachineToMachine, own), (Flow::OnBehalfOf, own)]
            .map(|(flow, provider)| outcome(credentials::request(flow, provider).parameter(name, "bob").acquire()))
    }))
}

pub(crate) fn for_an_api_key(target: &Target) -> Outcome {
    outcome(credentials::api_key(&target.provider))
}

/// The claims that would help: those that hold a token, or name somebody to pretend to be.
pub(crate) fn for_claims(_: &Target) -> Outcome {
    let names = ["access_token", "id_token", "refresh_token", "token", "authorization", "cnf", "jti", "", "*", "."];
    Outcome::of(names.map(|name| match identity::claim::<serde_json::Value>(name) {
        Ok(Some(value)) => Outcome::Got(format!("claim `{name}`: {value}")),
        Ok(None) => Outcome::Nothing(format!("there is no claim `{name}`")),
        Err(error) => Outcome::Got(error.to_string()),
    }))
}

/// A handle that this agent was granted itself, if it was.
pub(crate) fn own(target: &Target) -> Result<Credential, Error> {
    credentials::oauth2(target.own.as_deref().unwrap_or(&target.provider), &[])
}

/// Uses every small number as a handle. The first one that is not ours ends this instance.
pub(crate) fn guessed_handle() -> String {
    for number in 1..10_000 {
        #[expect(unsafe_code, reason = "the attack: what a compiler keeps others from doing, this agent does by hand")]
        let handle = std::mem::ManuallyDrop::new(unsafe { wit::Credential::from_handle(number) });
        let provider = handle.provider();
        if !provider.is_empty() {
            return format!("handle {number} is a credential of `{provider}`");
        }
    }
    "nothing".into()
}

/// Uses a handle after giving it up. Ends this instance, unless there was no handle to begin with.
pub(crate) fn dropped_handle(target: &Target) -> String {
    let held = match own(target) {
        Ok(held) => held,
        Err(error) => return format!("nothing: {error}"),
    };
    drop(held);
    guessed_handle()
}

fn outcome(answer: Result<Credential, Error>) -> Outcome {
    match answer {
        Ok(held) => Outcome::Got(format!("a credential of `{}` for `{}`", held.provider(), held.scopes().join(" "))),
        // The URL in a consent is for the user's own browser; it is worth nothing here, but is looked at all the same.
        Err(Error::ConsentRequired(consent)) => Outcome::in_text(&format!("consent required: {consent:?}")),
        Err(error) => Outcome::in_text(&error.to_string()),
    }
}
