//! A secret with its bytes escaped one by one, as encoders for URLs, JSON and HTML do, each with its own idea of which.

use super::scrub::{Found, Search};
use zeroize::Zeroizing;

/// Matches a secret whose every byte may stand as itself, as `%41`, as `\u0041`, as `\"` or as `&#65;`, in any mixture.
///
/// Wiped when dropped.
pub(super) struct Escapes {
    secret: Zeroizing<Vec<u8>>,
    /// Bytes with which a spelling can begin.
    begins: [bool; 256],
}

/// How a text begins, compared with one byte of the secret.
enum Unit {
    /// It is that byte, in so many bytes of text.
    Took(usize),
    /// It is an escape that is cut off.
    Short,
    Other,
}

/// `&quot;` and `&#x0041;` fit; nothing that stands for one byte is longer.
const LONGEST: usize = 8;

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

    /// Compares the whole secret with a text from its first byte on.
    fn compare(&self, text: &[u8], at: usize, last: bool) -> Option<Found> {
        let mut end = at;
        for &byte in self.secret.iter() {
            match unit(&text[end..], byte, last) {
                Unit::Took(length) => end += length,
                Unit::Short => return Some(Found::Begun(at)),
                Unit::Other => return None,
            }
        }
        Some(Found::Whole(at..end))
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

/// An escape comes before the byte itself: where the secret holds `\`, `\\` is one of it, not two.
fn unit(text: &[u8], byte: u8, last: bool) -> Unit {
    let escape = match text {
        [] if last => return Unit::Other,
        [] => return Unit::Short,
        [b'%', rest @ ..] => hexadecimal(rest, 2, byte).map(|is| if is { 3 } else { 0 }),
        [b'\\', b'u', rest @ ..] => hexadecimal(rest, 4, byte).map(|is| if is { 6 } else { 0 }),
        [b'\\', next, ..] => Ok(if *next == byte && b"\"\\/'".contains(next) { 2 } else { 0 }),
        [b'\\'] => Err(()),
        [b'&', ..] => entity(text, byte),
        _ => Ok(0),
    };
    match escape {
        Ok(taken) if taken > 0 => Unit::Took(taken),
        Err(()) if !last => Unit::Short,
        _ if text.first() == Some(&byte) => Unit::Took(1),
        _ => Unit::Other,
    }
}

/// Whether so many digits are this byte; an error if they are cut off.
fn hexadecimal(text: &[u8], digits: usize, byte: u8) -> Result<bool, ()> {
    let text = text.get(..digits).ok_or(())?;
    Ok(number(text, 16) == Some(u32::from(byte)))
}

/// The length of an entity, if it is this byte; zero if it is not; an error if it is cut off.
fn entity(text: &[u8], byte: u8) -> Result<usize, ()> {
    let Some(end) = text.iter().take(LONGEST).position(|b| *b == b';') else {
        return if text.len() < LONGEST { Err(()) } else { Ok(0) };
    };
    let value = match &text[1..end] {
        b"amp" => Some(u32::from(b'&')),
        b"quot" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => number(digits, 16),
        [b'#', digits @ ..] if !digits.is_empty() => number(digits, 10),
        _ => None,
    };
    Ok(if value == Some(u32::from(byte)) { end + 1 } else { 0 })
}

/// At most six digits, so it cannot overflow.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, digit| Some(value * radix + char::from(*digit).to_digit(radix)?))
}
