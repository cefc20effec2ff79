//! What each import gives, in words for whoever decides.

use super::signature::bare;
use serde::Serialize;

/// What an import is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Given to everybody: streams, clocks, random numbers, log lines.
    Harmless,
    /// Given to everybody, and nothing is there: std imports it, and finds no variable, no directory and no terminal.
    Empty,
    /// Of use only where the operator grants something to this agent.
    NeedsGrant,
    /// Known, and never given.
    Forbidden,
    /// Not known, and so never given.
    Unknown,
}

impl Class {
    /// As a person reads it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Empty => "harmless: linked empty",
            Self::NeedsGrant => "needs a grant",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown",
        }
    }
}

/// What one interface, or one function of it, means.
struct Meaning {
    name: &'static str,
    class: Class,
    words: &'static str,
}

const fn means(name: &'static str, class: Class, words: &'static str) -> Meaning {
    Meaning { name, class, words }
}

/// The credentials of its user, as handles.
pub(super) const CREDENTIALS: &str = "attache:identity/credentials";
/// Their bytes.
pub(super) const REVEAL: &str = "attache:identity/reveal";
/// Who it is and for whom.
pub(super) const IDENTITY: &str = "attache:identity/identity";
/// Requests without a credential.
pub(super) const EGRESS: &str = "wasi:http/outgoing-handler";

/// Functions that differ from the rest of their interface.
const FUNCTIONS: &[Meaning] = &[
    means("attache:identity/identity.claim", Class::NeedsGrant, "claims of its user that the operator lets it read"),
    means("wasi:cli/environment.get-arguments", Class::Empty, "arguments; there are none"),
];

/// Interfaces that the host gives, and what each means. What is neither here nor in [`REFUSED`] is unknown.
const GIVEN: &[Meaning] = &[
    means(IDENTITY, Class::Harmless, "who it is and whom it serves"),
    means(CREDENTIALS, Class::NeedsGrant, "credentials of its user, as handles that the host attaches to requests"),
    means(REVEAL, Class::NeedsGrant, "the secrets themselves: this component can hold your users' secrets"),
    means(EGRESS, Class::NeedsGrant, "requests without a credential, to hosts that the operator lists"),
    means("wasi:cli/environment", Class::Empty, "environment variables; it finds none"),
    means("wasi:cli/exit", Class::Harmless, "ending itself"),
    means("wasi:cli/stderr", Class::Harmless, "lines in the host's log"),
    means("wasi:cli/stdin", Class::Empty, "input from a terminal; there is none"),
    means("wasi:cli/stdout", Class::Harmless, "lines in the host's log"),
    means("wasi:cli/terminal-input", Class::Empty, "a terminal; there is none"),
    means("wasi:cli/terminal-output", Class::Empty, "a terminal; there is none"),
    means("wasi:cli/terminal-stderr", Class::Empty, "a terminal; there is none"),
    means("wasi:cli/terminal-stdin", Class::Empty, "a terminal; there is none"),
    means("wasi:cli/terminal-stdout", Class::Empty, "a terminal; there is none"),
    means("wasi:clocks/monotonic-clock", Class::Harmless, "how long things take"),
    means("wasi:clocks/wall-clock", Class::Harmless, "what time it is"),
    means("wasi:filesystem/preopens", Class::Empty, "directories; it finds none"),
    means("wasi:filesystem/types", Class::Empty, "files; it finds none"),
    means("wasi:http/types", Class::Harmless, "the shape of requests and replies"),
    means("wasi:io/error", Class::Harmless, "streams"),
    means("wasi:io/poll", Class::Harmless, "waiting"),
    means("wasi:io/streams", Class::Harmless, "streams"),
    means("wasi:random/insecure", Class::Harmless, "random numbers"),
    means("wasi:random/insecure-seed", Class::Harmless, "random numbers"),
    means("wasi:random/random", Class::Harmless, "random numbers"),
];

/// Powers with a name that this host never gives.
const REFUSED: &[Meaning] = &[
    means("wasi:sockets/", Class::Forbidden, "sockets: connections that nobody checks"),
    means("wasi:blobstore/", Class::Forbidden, "a store of files"),
    means("wasi:keyvalue/", Class::Forbidden, "a store of values that outlives the invocation"),
    means("wasi:messaging/", Class::Forbidden, "a message queue"),
    means("wasi:sql/", Class::Forbidden, "a database"),
    means("wasi:config/", Class::Forbidden, "configuration of the host"),
    means("wasi:nn/", Class::Forbidden, "machine learning on the host's hardware"),
    means("wasi:tls/", Class::Forbidden, "TLS connections of its own"),
    means("wasi:webgpu/", Class::Forbidden, "graphics hardware"),
];

/// What an import means.
pub(super) struct Judged {
    pub(super) class: Class,
    pub(super) words: &'static str,
}

/// Of an interface with its version.
pub(super) fn interface(name: &str) -> Judged {
    let found = |meaning: &Meaning| Judged { class: meaning.class, words: meaning.words };
    if let Some(meaning) = REFUSED.iter().find(|meaning| name.starts_with(meaning.name)) {
        return found(meaning);
    }
    match GIVEN.iter().find(|meaning| meaning.name == bare(name)) {
        Some(meaning) if on_track(name) => found(meaning),
        Some(_) => Judged {
            class: Class::Forbidden,
            words: "a version that this host does not offer; it offers those of WASI 0.2 and of `attache:identity` 0.1",
        },
        None => Judged { class: Class::Unknown, words: "not known here; the host will refuse it" },
    }
}

/// Of a function of an interface with its version.
pub(super) fn function(interface_name: &str, function: &str) -> Judged {
    let whole = interface(interface_name);
    if matches!(whole.class, Class::Forbidden | Class::Unknown) {
        return whole;
    }
    // Resources of one interface are built and dropped everywhere; a drop gives nothing.
    let name = format!("{}.{function}", bare(interface_name));
    match FUNCTIONS.iter().find(|meaning| meaning.name == name) {
        Some(meaning) => Judged { class: meaning.class, words: meaning.words },
        None => whole,
    }
}

/// Whether this version is linked: for 0.x, the same x.
fn on_track(name: &str) -> bool {
    let track = if name.starts_with("attache:") { "0.1." } else { "0.2." };
    name.split_once('@').is_some_and(|(_, version)| version.starts_with(track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_harmless() {
        for (name, class) in [
            ("wasi:io/poll@0.2.0", Class::Harmless),
            ("wasi:io/poll@0.3.0", Class::Forbidden),
            ("wasi:io/poll@0.20.0", Class::Forbidden),
            ("wasi:io/poll", Class::Forbidden),
            ("wasi:sockets/tcp@0.2.0", Class::Forbidden),
            ("wasi:filesystem/preopens@0.2.3", Class::Empty),
            ("attache:identity/credentials@0.1.0", Class::NeedsGrant),
            ("attache:identity/credentials@0.10.0", Class::Forbidden),
            ("evil:corp/everything@1.0.0", Class::Unknown),
            ("wasi:io/pol@0.2.0", Class::Unknown),
            ("", Class::Unknown),
        ] {
            assert_eq!(interface(name).class, class, "{name}");
        }
        assert_eq!(function("attache:identity/identity@0.1.0", "claim").class, Class::NeedsGrant);
        assert_eq!(function("attache:identity/identity@0.1.0", "user").class, Class::Harmless);
        assert_eq!(function("evil:identity/identity@0.1.0", "user").class, Class::Unknown);
    }
}
