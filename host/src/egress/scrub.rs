//! Finds one secret in what comes back, in the spellings in which servers echo it, and covers it with `*`.
//!
//! It knows exact values, not meanings: a server that cuts a token in two or reverses it gets through, and such a server
//! already has the token. What this stops is the honest echo: a debug page, an error that quotes the request, a redirect
//! with the header in its query. Covered text keeps its length, so `content-length` stays true and JSON stays JSON.

use super::escapes::Escapes;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::ops::Range;
use zeroize::Zeroizing;

/// Searches for one secret in many spellings.
///
/// Spellings: raw, in lower and in upper case; hexadecimal (both cases); base64 and base64url at each of the three
/// alignments, so also inside a longer encoded text; and, byte by byte in any mixture, percent-encoded, escaped as in
/// JSON or written as an HTML entity. A secret under 8 bytes is not searched for: it would cover ordinary words.
///
/// Building costs a few microseconds, so it is done once a response is there. Spellings are wiped when dropped.
pub struct Scrubber {
    pub(super) literals: Literals,
    pub(super) escapes: Escapes,
}

impl Scrubber {
    /// Prepares the spellings.
    pub fn new(secret: &Secret) -> Self {
        let secret = if secret.len() < HEAD { &[] } else { secret.expose() };
        Self { literals: Literals::new(secret), escapes: Escapes::new(secret) }
    }

    /// Covers every spelling in a complete text and says how many there were.
    pub fn cover(&self, text: &mut [u8]) -> u64 {
        cover(&self.literals, text) + cover(&self.escapes, text)
    }

    /// Whether a complete text holds the secret in any spelling.
    pub fn finds_in(&self, text: &[u8]) -> bool {
        self.literals.find(text, 0, true) != Found::Nothing || self.escapes.find(text, 0, true) != Found::Nothing
    }
}

/// What a search came upon first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A spelling.
    Whole(Range<usize>),
    /// From here on it could be the beginning of one; more bytes will tell.
    Begun(usize),
    Nothing,
}

/// A search whose outcome does not depend on where a text was cut.
pub(super) trait Search {
    /// The first spelling that begins at `from` or later; of several at one place, the longest. Unless this is the `last`
    /// of the text, a spelling that may still be growing comes before anything after its beginning.
    fn find(&self, text: &[u8], from: usize, last: bool) -> Found;
}

pub(super) fn cover(search: &impl Search, text: &mut [u8]) -> u64 {
    let mut hits = 0;
    let mut from = 0;
    while let Found::Whole(at) = search.find(text, from, true) {
        from = at.end;
        hits += 1;
        text[at].fill(b'*');
    }
    hits
}

/// The spellings that are fixed texts, all searched for at once.
///
/// Wu-Manber over the first 8 bytes of each: most of a body is passed over in steps of seven bytes.
pub(super) struct Literals {
    /// All spellings, end to end.
    text: Zeroizing<Vec<u8>>,
    spellings: Vec<Range<usize>>,
    /// The first 8 bytes of each.
    heads: Zeroizing<Vec<u64>>,
    /// By the last two bytes of a window of 8: how far no spelling can begin. Zero: look.
    skips: Box<[u8; BLOCKS]>,
}

const HEAD: usize = 8;
const BLOCKS: usize = 4096;

impl Literals {
    fn new(secret: &[u8]) -> Self {
        let mut literals = Self {
            text: Zeroizing::new(Vec::with_capacity(secret.len() * 16)),
            spellings: Vec::new(),
            heads: Zeroizing::new(Vec::new()),
            skips: Box::new([(HEAD - 1) as u8; BLOCKS]),
        };
        spell(secret, &mut |spelling| literals.add(spelling));
        // As it stands in a query, encoded once more with the address around it.
        let encoded = Zeroizing::new(percent_encoded(secret));
        if *encoded != secret {
            spell(&encoded, &mut |spelling| literals.add(spelling));
        }
        literals
    }

    fn compare(&self, text: &[u8], at: usize, last: bool) -> Option<Found> {
        let rest = &text[at..];
        let mut longest = None;
        for spelling in self.spellings() {
            if rest.starts_with(spelling) {
                longest = longest.max(Some(spelling.len()));
            } else if !last && spelling.starts_with(rest) {
                return Some(Found::Begun(at));
            }
        }
        longest.map(|length| Found::Whole(at..at + length))
    }

    fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        self.spellings.iter().map(|range| &self.text[range.clone()])
    }

    fn add(&mut self, spelling: &[u8]) {
        if spelling.len() < HEAD || self.spellings().any(|known| known == spelling) {
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(spelling);
        self.spellings.push(start..self.text.len());
        self.heads.push(head(spelling));
        for end in 2..=HEAD {
            let skip = &mut self.skips[block(spelling[end - 2], spelling[end - 1])];
            *skip = (*skip).min((HEAD - end) as u8);
        }
    }
}

impl Search for Literals {
    fn find(&self, text: &[u8], from: usize, last: bool) -> Found {
        let mut at = from;
        while at + HEAD <= text.len() && !self.spellings.is_empty() {
            let skip = self.skips[block(text[at + HEAD - 2], text[at + HEAD - 1])];
            if skip > 0 {
                at += usize::from(skip);
                continue;
            }
            if self.heads.contains(&head(&text[at..]))
                && let Some(found) = self.compare(text, at, last)
            {
                return found;
            }
            at += 1;
        }
        if !last {
            while at < text.len() {
                if self.spellings().any(|spelling| spelling.starts_with(&text[at..])) {
                    return Found::Begun(at);
                }
                at += 1;
            }
        }
        Found::Nothing
    }
}

/// The first 8 bytes as a number; callers have checked that they are there.
fn head(text: &[u8]) -> u64 {
    text.first_chunk::<HEAD>().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn block(first: u8, second: u8) -> usize {
    (usize::from(first) << 4 ^ usize::from(second)) & (BLOCKS - 1)
}

/// Every byte but the unreserved ones as `%2F` (RFC 3986 §2.1).
pub(super) fn percent_encoded(secret: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(3 * secret.len());
    for &byte in secret {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
            text.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}

/// Calls `add` with every spelling; equal ones come more than once.
fn spell(secret: &[u8], add: &mut dyn FnMut(&[u8])) {
    add(secret);
    // A header's name comes in lower case.
    add(&Zeroizing::new(secret.to_ascii_lowercase()));
    add(&Zeroizing::new(secret.to_ascii_uppercase()));

    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let nibbles = secret.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut text = Zeroizing::new(Vec::with_capacity(2 * secret.len()));
        text.extend(nibbles.map(|nibble| digits[usize::from(nibble)]));
        add(&text);
    }

    // Six bits a character: of an encoding that began 0, 1 or 2 bytes before the secret, the characters that depend on the
    // secret alone.
    for (before, dropped) in [(0, 0), (1, 2), (2, 3)] {
        let mut padded = Zeroizing::new(Vec::with_capacity(before + secret.len()));
        padded.resize(before, 0);
        padded.extend_from_slice(secret);
        let whole = padded.len() * 8 / 6;
        let mut text = Zeroizing::new(STANDARD_NO_PAD.encode(padded.as_slice()).into_bytes());
        add(text.get(dropped..whole).unwrap_or_default());
        for byte in text.iter_mut() {
            *byte = match *byte {
                b'+' => b'-',
                b'/' => b'_',
                other => other,
            };
        }
        add(text.get(dropped..whole).unwrap_or_default());
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
