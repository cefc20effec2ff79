//! What stands in a component's data: what looks like a secret, hosts, and paths of whoever built it. One pass over the
//! bytes, most of which are looked at once.

use super::part::{Body, Part};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const MOST: usize = 200;

/// Where something was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) part: String,
    pub(super) offset: usize,
}

/// What was found. Secrets themselves are not kept: reports travel.
#[derive(Default)]
pub(super) struct Content {
    /// What it looks like, with its first letters.
    pub(super) secrets: Vec<(String, Seen)>,
    pub(super) hosts: BTreeMap<String, Seen>,
    /// Homes of builders.
    pub(super) homes: BTreeMap<String, Seen>,
    /// There was more than is kept.
    pub(super) cut: bool,
}

/// A token that a third party makes recognizable on purpose.
struct Token {
    prefix: &'static str,
    what: &'static str,
    letters: fn(u8) -> bool,
    least: usize,
}

const fn token(prefix: &'static str, least: usize, letters: fn(u8) -> bool, what: &'static str) -> Token {
    Token { prefix, what, letters, least }
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn wordlike(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const TOKENS: &[Token] = &[
    token("AKIA", 16, capital, "an AWS access key"),
    token("ASIA", 16, capital, "an AWS access key"),
    token("AIza", 35, wordlike, "a Google API key"),
    token("ya29.", 30, wordlike, "a Google access token"),
    token("GOCSPX-", 24, wordlike, "a Google client secret"),
    token("ghp_", 36, alphanumeric, "a GitHub token"),
    token("gho_", 36, alphanumeric, "a GitHub token"),
    token("ghu_", 36, alphanumeric, "a GitHub token"),
    token("ghs_", 36, alphanumeric, "a GitHub token"),
    token("ghr_", 36, alphanumeric, "a GitHub token"),
    token("github_pat_", 40, wordlike, "a GitHub token"),
    token("glpat-", 20, wordlike, "a GitLab token"),
    token("xoxb-", 30, wordlike, "a Slack token"),
    token("xoxp-", 30, wordlike, "a Slack token"),
    token("xapp-", 30, wordlike, "a Slack token"),
    token("sk-ant-", 40, wordlike, "an Anthropic API key"),
    token("sk-proj-", 40, wordlike, "an OpenAI API key"),
    token("sk_live_", 24, alphanumeric, "a Stripe secret key"),
    token("rk_live_", 24, alphanumeric, "a Stripe restricted key"),
    token("whsec_", 32, alphanumeric, "a Stripe signing secret"),
    token("npm_", 36, alphanumeric, "an npm token"),
    token("pypi-AgEIcHlwaS5vcmc", 40, wordlike, "a PyPI token"),
    token("hf_", 34, alphanumeric, "a Hugging Face token"),
    token("shpat_", 32, alphanumeric, "a Shopify token"),
    token("dop_v1_", 64, alphanumeric, "a DigitalOcean token"),
    token("SG.", 60, wordlike_or_dot, "a SendGrid key"),
];

fn wordlike_or_dot(byte: u8) -> bool {
    wordlike(byte) || byte == b'.'
}

/// Looks through data segments, and for paths through debug information and names, too.
pub(super) fn search(parts: &[Part<'_>]) -> Content {
    let mut content = Content::default();
    for part in parts {
        if let Body::Module(module) = &part.body {
            for (offset, data) in &module.data {
                content.scan(&part.path, *offset, data, true);
            }
        }
        for custom in &part.customs {
            // Anybody can put anything into a section of a name of their own.
            let usual = ["name", "component-name", "producers", "target_features", ".dep-v0", "attache:manifest"];
            let known = usual.contains(&custom.name)
                || custom.name.starts_with(".debug")
                || custom.name.starts_with("component-type");
            if !matches!(custom.name, ".dep-v0" | "attache:manifest") {
                content.scan(&part.path, custom.offset, custom.data, !known);
            }
        }
    }
    content
}

/// Whether anything that is looked for can begin with these two bytes.
static BEGINNINGS: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let mut table = vec![false; 1 << 16];
    let others = ["ht", "--", "ey", "/h", "/U", "/r", "C:"];
    for text in TOKENS.iter().map(|token| token.prefix).chain(others) {
        let bytes = text.as_bytes();
        table[pair(bytes[0], bytes[1])] = true;
    }
    table
});

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

impl Content {
    fn scan(&mut self, part: &str, offset: usize, data: &[u8], all: bool) {
        let beginnings = &*BEGINNINGS;
        let mut at = 0;
        while at + 1 < data.len() {
            if !beginnings[pair(data[at], data[at + 1])] {
                at += 1;
                continue;
            }
            let rest = &data[at..];
            let seen = || Seen { part: part.to_owned(), offset: offset + at };
            match rest[0] {
                b'/' | b'C' => {
                    if let Some(home) = home(rest) {
                        if self.homes.len() < MOST {
                            self.homes.entry(home).or_insert_with(seen);
                        } else {
                            self.cut = true;
                        }
                    }
                }
                _ if !all => {}
                b'h' if rest.starts_with(b"http") => {
                    if let Some(host) = host(rest) {
                        if self.hosts.len() < MOST {
                            self.hosts.entry(host).or_insert_with(seen);
                        } else {
                            self.cut = true;
                        }
                    }
                }
                _ => {
                    // A token starts where a word does, or strings without an end between them would hide it: so the byte
                    // before is not looked at, and the letters must look random instead.
                    if let Some((what, length)) = secret(rest) {
                        if self.secrets.len() < MOST {
                            let first: String = rest.iter().take(4).map(|b| char::from(*b)).collect();
                            self.secrets.push((format!("{what} (`{first}…`, {length} bytes)"), seen()));
                        } else {
                            self.cut = true;
                        }
                        at += length;
                        continue;
                    }
                }
            }
            at += 1;
        }
    }
}

fn secret(rest: &[u8]) -> Option<(&'static str, usize)> {
    match rest[0] {
        b'-' => private_key(rest),
        b'e' if rest.starts_with(b"eyJ") => jwt(rest),
        _ => TOKENS.iter().find_map(|token| {
            let body = rest.strip_prefix(token.prefix.as_bytes())?;
            let length = body.iter().take(512).take_while(|byte| (token.letters)(**byte)).count();
            // Those of a fixed length may run into the next string.
            (length >= token.least && random(&body[..token.least])).then_some((token.what, token.prefix.len() + length))
        }),
    }
}

/// Not one letter over and over, an alphabet, or the example of a manual.
fn random(bytes: &[u8]) -> bool {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = bytes.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum();
    let runs = bytes.windows(2).filter(|pair| pair[1] == pair[0] || pair[1] == pair[0].wrapping_add(1)).count();
    let example = bytes.windows(7).any(|window| window.eq_ignore_ascii_case(b"example"));
    entropy >= 2.8 && runs * 2 < bytes.len() && !example
}

/// A header alone is what parsers of keys carry; a key has lines of base64 after it.
fn private_key(rest: &[u8]) -> Option<(&'static str, usize)> {
    let text = rest.strip_prefix(b"-----BEGIN ")?;
    let end = text.iter().take(40).position(|byte| *byte == b'-')?;
    if !text[..end].ends_with(b"PRIVATE KEY") {
        return None;
    }
    let body = text[end..].strip_prefix(b"-----")?;
    let base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'+' | b'/' | b'=' | b'\n' | b'\r');
    let length = body.iter().take(16 << 10).take_while(base64).count();
    (length >= 40).then_some(("a private key", rest.len() - body.len() + length))
}

fn jwt(rest: &[u8]) -> Option<(&'static str, usize)> {
    let whole = rest.iter().take(8 << 10).take_while(|byte| wordlike_or_dot(**byte)).count();
    let mut segments = rest[..whole].split(|byte| *byte == b'.');
    let (header, payload, signature) = (segments.next()?, segments.next()?, segments.next()?);
    if payload.len() < 10 || signature.len() < 20 || !payload.starts_with(b"eyJ") {
        return None;
    }
    let header: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    header.get("alg")?.as_str()?;
    Some(("a signed JWT", whole))
}

/// Where the superuser of most systems is at home.
const SUPERUSER: &str = "/root";

/// The home folder that a path goes through.
fn home(rest: &[u8]) -> Option<String> {
    // Of the superuser, whose home is no folder of others; what is hidden in it is a tool's.
    if rest.strip_prefix(SUPERUSER.as_bytes()).is_some_and(|below| below.starts_with(b"/.")) {
        return Some(SUPERUSER.to_owned());
    }
    let prefix = ["/home/", "/Users/", "C:\\Users\\"].into_iter().find(|prefix| rest.starts_with(prefix.as_bytes()))?;
    let name = &rest[prefix.len()..];
    let length = name.iter().take(64).take_while(|byte| wordlike_or_dot(**byte)).count();
    // A name, and then a folder in it.
    let goes_on = matches!(name.get(length), Some(b'/' | b'\\'));
    let name = std::str::from_utf8(&name[..length]).ok()?;
    (length > 0 && goes_on).then(|| format!("{prefix}{name}"))
}

/// Endings by which a host is told from the string after it: Rust puts constants next to each other with nothing between.
const ENDINGS: &[&str] = &[
    "com", "org", "net", "dev", "app", "cloud", "example", "test", "invalid", "local", "info", "edu", "gov", "ai",
    "io", "de", "eu", "uk",
];

/// The host of a URL, as well as it can be told.
fn host(rest: &[u8]) -> Option<String> {
    let after = rest.strip_prefix(b"https://").or_else(|| rest.strip_prefix(b"http://"))?;
    let length = after.iter().take(253).take_while(|b| b.is_ascii_alphanumeric() || matches!(**b, b'.' | b'-')).count();
    let text = std::str::from_utf8(&after[..length]).ok()?.to_ascii_lowercase();
    let text = text.trim_end_matches(['.', '-']);
    let labels: Vec<&str> = text.split('.').collect();
    if labels.len() < 2 || labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return None;
    }
    let closed = matches!(
        after.get(length),
        Some(b'/' | b':' | b'?' | b'#' | b'"' | b'\'' | b' ' | b'\n' | b'\r' | b'\t' | 0 | b'>' | b')') | None
    );
    if closed && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Some(text.to_owned());
    }
    let last = labels[labels.len() - 1];
    if closed && last.len() <= 10 && last.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Some(text.to_owned());
    }
    let ending = ENDINGS.iter().find(|ending| last.starts_with(**ending))?;
    Some(format!("{}.{ending}", labels[..labels.len() - 1].join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(data: &str) -> Content {
        let mut content = Content::default();
        content.scan("component/module 0", 100, data.as_bytes(), true);
        content
    }

    #[test]
    fn what_looks_like_a_secret_is_found_and_not_repeated() {
        // Put together here, so that no scanner takes this file for one that leaks.
        let github = format!("ghp_{}", "x7Kq9Zt2Lm4Rw8Vb3Nc6Yd1Hf5Js0Pg7TuQe");
        let aws = format!("AKIA{}", "J7QX2WZK9PLM4RTB");
        let stripe = format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc");
        let pem = format!(
            "-----BEGIN {} KEY-----\n{}\n-----END",
            "PRIVATE", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"
        );
        let jwt = format!(
            "{}.{}.{}",
            "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        for (secret, what) in [
            (github, "a GitHub token"),
            (aws, "an AWS access key"),
            (stripe, "a Stripe secret key"),
            (pem, "a private key"),
            (jwt, "a signed JWT"),
        ] {
            let content = found(&format!("before{secret} after"));
            assert_eq!(content.secrets.len(), 1, "{what}");
            let (text, seen) = &content.secrets[0];
            assert!(text.starts_with(what), "{text}");
            assert_eq!(seen.offset, 106);
            assert!(!text.contains(&secret[..secret.len().min(12)]), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_from_afar_is_left_alone() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "-----BEGIN PRIVATE KEY-----\n and nothing",
            "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUT0VjWk0vZXhhbXBsZS1jZXJ0aWZpY2F0ZQ",
            "eyJ.eyJ.eyJ",
            "ghp_short",
        ] {
            assert!(found(text).secrets.is_empty(), "{text}");
        }
    }

    #[test]
    fn hosts_are_told_from_the_string_after_them() {
        let hosts = |text: &str| found(text).hosts.into_keys().collect::<Vec<_>>();
        assert_eq!(hosts("https://www.googleapis.com/calendar"), ["www.googleapis.com"]);
        assert_eq!(hosts("https://www.googleapis.comgoogle-calendar"), ["www.googleapis.com"]);
        assert_eq!(hosts("http://10.0.0.1:80/"), ["10.0.0.1"]);
        assert_eq!(hosts("https://museum.museum/"), ["museum.museum"]);
        assert!(hosts("https://{}/ http:// https://localhost").is_empty());
    }

    #[test]
    fn homes_are_found_and_folders_of_the_system_are_not() {
        let homes = |text: &str| found(text).homes.into_keys().collect::<Vec<_>>();
        assert_eq!(homes("/home/alice/src/x.rs"), ["/home/alice"]);
        assert_eq!(homes("/root/.cargo/registry/x.rs"), ["/root"]);
        assert_eq!(homes("C:\\Users\\bob\\x.rs"), ["C:\\Users\\bob"]);
        assert!(homes("/home/ /home/alice /rustc/abc/library").is_empty());
    }
}
