//! A secret with its bytes escaped one by one, as encoders for URLs, JSON and HTML do, each with its own idea of which.

use super::scrub::{Found, Search};
use zeroize::Zeroizing;

/// Matches a secret whose every byte may stand as itself, as `%41`, as `\u0041`, `\x41` or `\"`, or as `&#65;`, in any mixture.
///
/// Wiped when dropped.
pub(super) struct Escapes {
    secret: Zeroizing<Vec<u8>>,
    /// Bytes with which a spelling can begin.
    begins: [bool; 256],
}

/// How a text begins, compared with one byte of the secret. Both can be true: where the secret holds `\`, `\\` is one of
/// it to JSON and two of it to HTML, and only what follows tells.
struct Unit {
    /// With the byte itself.
    plain: bool,
    escape: Escape,
}

/// Whether a text begins with an escape of one byte.
#[derive(Clone, Copy)]
enum Escape {
    /// It does, in so many bytes.
    Whole(usize),
    /// With one that is cut off.
    Cut,
    None,
}

/// `&quot;` and `&#x0041;` fit; nothing that stands for one byte is longer.
const LONGEST: usize = 8;
/// Addresses in addresses.
const NESTED: usize = 3;

impl Escapes {
    pub(super) fn new(secret: &[u8]) -> Self {
        let mut begins = [false; 256];
        if let Some(first) = secret.first() {
            for byte in [*first, b'%', b'\\', b'&'] {
                begins[usize::from(byte)] = true;
            }
        }
        Self { secret: Zeroizing::new(secret.to_vec()), begins }
    }

    /// Compares the whole secret with a text from its first byte on, as long as there is one way to read it.
    fn compare(&self, text: &[u8], at: usize, last: bool) -> Option<Found> {
        let mut end = at;
        for &byte in self.secret.iter() {
            match unit(&text[end..], byte, last) {
                Unit { plain: true, escape: Escape::None } => end += 1,
                Unit { plain: false, escape: Escape::Whole(length) } => end += length,
                Unit { plain: false, escape: Escape::None } => return None,
                Unit { .. } => return self.compare_all(text, at, last),
            }
        }
        Some(Found::Whole(at..end))
    }

    /// Compares in every way to read the text, which no secret makes many of: ways that meet again are one.
    fn compare_all(&self, text: &[u8], at: usize, last: bool) -> Option<Found> {
        let (mut ends, mut cut) = (vec![at], false);
        for &byte in self.secret.iter() {
            let mut next = Vec::with_capacity(2 * ends.len());
            for end in ends {
                let Unit { plain, escape } = unit(&text[end..], byte, last);
                next.extend(plain.then_some(end + 1));
                match escape {
                    Escape::Whole(length) => next.push(end + length),
                    Escape::Cut => cut = true,
                    Escape::None => {}
                }
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
        }
        if cut {
            return Some(Found::Begun(at));
        }
        ends.last().map(|end| Found::Whole(at..*end))
    }
}

impl Search for Escapes {
    fn find(&self, text: &[u8], from: usize, last: bool) -> Found {
        let mut at = from;
        while let Some(next) = text[at..].iter().position(|byte| self.begins[usize::from(*byte)]) {
            at += next;
            if let Some(found) = self.compare(text, at, last) {
                return found;
            }
            at += 1;
        }
        Found::Nothing
    }
}

/// Of the `last` of a text nothing is cut off: it is not an escape.
fn unit(text: &[u8], byte: u8, last: bool) -> Unit {
    let escape = match text {
        [] => Escape::Cut,
        [b'%', rest @ ..] => percent(rest, byte),
        [b'\\', b'u', rest @ ..] => hexadecimal(2, rest, 4, byte),
        [b'\\', b'x', rest @ ..] => hexadecimal(2, rest, 2, byte),
        [b'\\', next, ..] if *next == byte && byte.is_ascii_punctuation() => Escape::Whole(2),
        [b'\\'] => Escape::Cut,
        [b'&', ..] => entity(text, byte),
        _ => Escape::None,
    };
    let escape = match escape {
        Escape::Cut if last => Escape::None,
        other => other,
    };
    Unit { plain: text.first() == Some(&byte), escape }
}

/// `%2F`, and `%252F` where an address was put into another.
fn percent(text: &[u8], byte: u8) -> Escape {
    let (mut before, mut text) = (1, text);
    for _ in 0..NESTED {
        match (hexadecimal(before, text, 2, byte), text) {
            (Escape::None, [b'2', b'5', rest @ ..]) => (before, text) = (before + 2, rest),
            (found, _) => return found,
        }
    }
    hexadecimal(before, text, 2, byte)
}

/// So many digits after a beginning of this length.
fn hexadecimal(before: usize, text: &[u8], digits: usize, byte: u8) -> Escape {
    match text.get(..digits) {
        None => Escape::Cut,
        Some(text) if number(text, 16) == Some(u32::from(byte)) => Escape::Whole(before + digits),
        Some(_) => Escape::None,
    }
}

/// HTML's, by name or by number.
fn entity(text: &[u8], byte: u8) -> Escape {
    let Some(end) = text.iter().take(LONGEST).position(|b| *b == b';') else {
        return if text.len() < LONGEST { Escape::Cut } else { Escape::None };
    };
    let value = match &text[1..end] {
        b"amp" | b"AMP" => Some(u32::from(b'&')),
        b"quot" | b"QUOT" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        b"lt" | b"LT" => Some(u32::from(b'<')),
        b"gt" | b"GT" => Some(u32::from(b'>')),
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => number(digits, 16),
        [b'#', digits @ ..] if !digits.is_empty() => number(digits, 10),
        _ => None,
    };
    if value == Some(u32::from(byte)) { Escape::Whole(end + 1) } else { Escape::None }
}

/// At most six digits, so it cannot overflow.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, digit| Some(value * radix + char::from(*digit).to_digit(radix)?))
}
