//! Finds one secret in what comes back, in the spellings in which servers echo it, and covers it with `*`.
//!
//! It knows exact values, not meanings: a server that cuts a token in two or reverses it gets through, and such a server
//! already has the token. What this stops is the honest echo: a debug page, an error that quotes the request, a redirect
//! with the header in its query. Covered text keeps its length, so `content-length` stays true and JSON stays JSON.

use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::ops::Range;
use zeroize::Zeroizing;

/// Searches for all spellings of one secret at once.
///
/// Spellings: raw, in lower and in upper case; percent-encoded (only what must be, or every byte; both cases); hexadecimal (both cases);
/// JSON-escaped in the four ways common libraries do; base64 and base64url at each of the three alignments, so also
/// inside a longer encoded text. A secret under 8 bytes is not searched for: it would cover ordinary words.
///
/// Wu-Manber over the first 8 bytes of each spelling: most of a body is passed over in steps of seven bytes.
/// Building costs a few microseconds, so it is done once a response is there. The spellings are wiped when dropped.
pub struct Scrubber {
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

/// What a search came upon first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A spelling.
    Whole(Range<usize>),
    /// From here on it could be the beginning of one; more bytes will tell.
    Begun(usize),
    Nothing,
}

impl Scrubber {
    /// Prepares the spellings.
    pub fn new(secret: &Secret) -> Self {
        let mut scrubber = Self {
            text: Zeroizing::new(Vec::with_capacity(secret.len() * 24)),
            spellings: Vec::new(),
            heads: Zeroizing::new(Vec::new()),
            skips: Box::new([(HEAD - 1) as u8; BLOCKS]),
        };
        if secret.len() >= HEAD {
            spell(secret.expose(), &mut |spelling| scrubber.add(spelling));
        }
        scrubber
    }

    /// Covers every spelling in a complete text and says how many there were.
    pub fn cover(&self, text: &mut [u8]) -> u64 {
        let mut hits = 0;
        let mut from = 0;
        while let Found::Whole(at) = self.find(text, from, true) {
            from = at.end;
            hits += 1;
            text[at].fill(b'*');
        }
        hits
    }

    /// Whether a complete text holds the secret in any spelling.
    pub fn finds_in(&self, text: &[u8]) -> bool {
        self.find(text, 0, true) != Found::Nothing
    }

    /// The first spelling that begins at `from` or later; of several at one place, the longest. Unless this is the `last`
    /// of the text, a spelling that may still be growing comes before anything after its beginning, so that the outcome
    /// does not depend on where the text was cut.
    pub(super) fn find(&self, text: &[u8], from: usize, last: bool) -> Found {
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

/// The first 8 bytes as a number; callers have checked that they are there.
fn head(text: &[u8]) -> u64 {
    text.first_chunk::<HEAD>().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn block(first: u8, second: u8) -> usize {
    (usize::from(first) << 4 ^ usize::from(second)) & (BLOCKS - 1)
}

/// Calls `add` with every spelling; equal ones come more than once.
fn spell(secret: &[u8], add: &mut dyn FnMut(&[u8])) {
    add(secret);
    // A header's name comes in lower case.
    add(&Zeroizing::new(secret.to_ascii_lowercase()));
    add(&Zeroizing::new(secret.to_ascii_uppercase()));

    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let form = |b: u8| b.is_ascii_alphanumeric() || b"-._*".contains(&b);
    let component = |b: u8| unreserved(b) || b"!*'()".contains(&b);
    let percent_upper = |out: &mut Vec<u8>, b: u8| hexadecimal(out, b"%", UPPER, b);
    let percent_lower = |out: &mut Vec<u8>, b: u8| hexadecimal(out, b"%", LOWER, b);
    for keeps in [&unreserved as &dyn Fn(u8) -> bool, &form, &component, &nothing] {
        escaped(secret, keeps, percent_upper, add);
        escaped(secret, keeps, percent_lower, add);
    }

    escaped(secret, &nothing, |out, b| hexadecimal(out, b"", LOWER, b), add);
    escaped(secret, &nothing, |out, b| hexadecimal(out, b"", UPPER, b), add);

    // RFC 8259 §7; then `\/` as PHP writes it; then what .NET, and Go and Gson, escape besides, each in its case.
    let plain = |b: u8| !b"\"\\".contains(&b) && b >= 0x20;
    escaped(secret, &plain, json, add);
    escaped(secret, &|b| plain(b) && b != b'/', json, add);
    escaped(secret, &|b| plain(b) && !b"+<>&'`".contains(&b), |out, b| hexadecimal(out, b"\\u00", UPPER, b), add);
    escaped(secret, &|b| plain(b) && !b"=<>&'".contains(&b), json, add);

    // Six bits a character: of an encoding that began 0, 1 or 2 bytes before the secret, the characters that depend on the
    // secret alone.
    for (before, dropped) in [(0, 0), (1, 2), (2, 3)] {
        let mut padded = Zeroizing::new(vec![0u8; before]);
        padded.reserve_exact(secret.len());
        padded.extend_from_slice(secret);
        let whole = padded.len() * 8 / 6;
        let mut text = Zeroizing::new(STANDARD_NO_PAD.encode(padded.as_slice()).into_bytes());
        add(&text[dropped..whole]);
        for byte in text.iter_mut() {
            *byte = match *byte {
                b'+' => b'-',
                b'/' => b'_',
                other => other,
            };
        }
        add(&text[dropped..whole]);
    }
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn nothing(_: u8) -> bool {
    false
}

fn hexadecimal(out: &mut Vec<u8>, before: &[u8], digits: &[u8; 16], byte: u8) {
    out.extend_from_slice(before);
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

fn json(out: &mut Vec<u8>, byte: u8) {
    if b"\"\\/".contains(&byte) {
        out.extend_from_slice(&[b'\\', byte]);
    } else {
        hexadecimal(out, b"\\u00", LOWER, byte);
    }
}

/// Adds the secret with every byte replaced that `keeps` does not keep, if there is one.
fn escaped(secret: &[u8], keeps: &dyn Fn(u8) -> bool, replace: impl Fn(&mut Vec<u8>, u8), add: &mut dyn FnMut(&[u8])) {
    if secret.iter().all(|&byte| keeps(byte)) {
        return;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(secret.len() * 6));
    for &byte in secret {
        if keeps(byte) {
            out.push(byte);
        } else {
            replace(&mut out, byte);
        }
    }
    add(&out);
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
