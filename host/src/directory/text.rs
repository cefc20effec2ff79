//! Checks of text: what people read and decide by, and where browsers are sent.

use super::ChangeError;
use unicode_script::{Script, UnicodeScript as _};

/// More allowed return URLs than any app has.
pub(super) const MOST_RETURN_URLS: usize = 32;

/// Text that is shown to people who decide by it: it must look like what it is.
pub(super) fn visible(what: &'static str, text: String) -> Result<String, ChangeError> {
    let misleads = |c: char| {
        c.is_control()
            || (c.is_whitespace() && c != ' ')
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    if !(1..=128).contains(&text.len()) || text.trim().len() != text.len() || text.chars().any(misleads) {
        return Err(ChangeError::NotVisible { what });
    }
    Ok(text)
}

/// The name of a publisher: visible, and in one alphabet of those whose letters pass for one another's.
pub(super) fn publisher(text: String) -> Result<String, ChangeError> {
    let text = visible("the publisher", text)?;
    let passing = [Script::Latin, Script::Greek, Script::Cyrillic, Script::Armenian, Script::Cherokee, Script::Coptic];
    if passing.iter().filter(|script| text.chars().any(|c| c.script() == **script)).count() > 1 {
        return Err(ChangeError::MixedAlphabets);
    }
    Ok(text)
}

/// What a text looks like to people, twice: but for its case, and but for letters and digits that pass for others (UTS #39
/// §4). Two texts that share one of them would be one to people.
pub(super) fn faces(text: &str) -> [String; 2] {
    let skeleton: String = unicode_security::confusable_detection::skeleton(text).collect();
    [text.to_lowercase(), skeleton.to_lowercase()]
}

/// Checks every URL and keeps each once.
pub(super) fn return_urls(urls: Vec<String>) -> Result<Vec<String>, ChangeError> {
    if urls.len() > MOST_RETURN_URLS {
        return Err(ChangeError::TooManyReturnUrls);
    }
    let mut kept = Vec::with_capacity(urls.len());
    for url in urls {
        if let Err(why) = return_url(&url) {
            return Err(ChangeError::ReturnUrl {
                url: url.chars().take(256).collect::<String>().escape_debug().to_string(),
                why,
            });
        }
        if !kept.contains(&url) {
            kept.push(url);
        }
    }
    Ok(kept)
}

/// Whether a browser may be sent to this address after a consent: `https`; `http` on loopback (RFC 8252 §7.3); or a
/// private-use scheme of an app, which has a dot because it is a domain name in reverse (RFC 8252 §7.1). AgentCore's pattern
/// takes any scheme; `javascript:`, `data:`, `file:` and their like are not addresses of apps, and none of them has a dot.
///
/// Text first: a URL parser forgives tabs, backslashes and missing slashes, and browsers forgive differently.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn return_url(text: &str) -> Result<(), &'static str> {
    if text.len() > 2048 {
        return Err("it must be at most 2048 bytes");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`')) {
        return Err("write it in ASCII, percent-encoded, without spaces or backslashes");
    }
    let url = url::Url::parse(text).map_err(|_| "it must be an absolute URL")?;
    if text.contains('#') {
        return Err("it must have no fragment");
    }
    if private_use(url.scheme()) {
        // Both forms are in use: `com.example.app:/done` (RFC 8252 §7.1) and `com.example.app://done`.
        return match text.starts_with(&format!("{}:/", url.scheme())) {
            true => named_user(text),
            false => Err("an app's own scheme is written in lower case and followed by `:/`"),
        };
    }
    if !text.starts_with(&format!("{}://", url.scheme())) {
        return Err(ALLOWED);
    }
    named_user(text)?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err(ALLOWED),
    }
}

const ALLOWED: &str = "it must begin with `https://`, with `http://` for a loopback address, or with an app's own scheme \
                       that has a dot, such as `com.example.app:/`";

/// A domain name in reverse: labels of letters, digits and hyphens, at least two.
fn private_use(scheme: &str) -> bool {
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    scheme.contains('.') && scheme.split('.').all(label)
}

/// In the text: the parser drops an empty user.
fn named_user(text: &str) -> Result<(), &'static str> {
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('@') { Err("it must name no user") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_urls_are_exact_and_safe() {
        for good in [
            "https://app.example/done",
            "https://app.example:8443/done?tab=1",
            "http://127.0.0.1:3000/cb",
            "http://localhost/cb",
            "http://[::1]:3000/cb",
            "com.example.app:/done",
            "com.example.app://done",
            "com.example.app:/done?tab=1",
            "com.my-company.app2:/",
        ] {
            assert_eq!(return_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/done",
            "//app.example/done",
            "http://app.example/done",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https:app.example/done",
            "https:/app.example/done",
            "HTTPS://app.example/done",
            "https://app.example/done#",
            "https://app.example/done#x",
            "https://user@app.example/done",
            "https://:pw@app.example/done",
            "https://@app.example/done",
            "https://app.example\\@evil.example/",
            "https://app.example/a b",
            "https://app.example/\nx",
            "https://äpp.example/",
            "javascript:alert(1)",
            "javascript://app.example/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "view-source:https://app.example/",
            "blob:https://app.example/x",
            "intent://scan/",
            "myapp://done",
            "com.example.app:done",
            "COM.example.app:/done",
            "com..app:/done",
            "com.example.:/done",
            "com.example.app:/done#x",
            "com.example.app://user@done",
        ] {
            assert!(return_url(bad).is_err(), "{bad:?}");
        }
        assert!(return_url(&format!("https://app.example/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn texts_that_pass_for_one_another_have_a_face_in_common() {
        let alike = |a: &str, b: &str| faces(a).iter().any(|face| faces(b).contains(face));
        for (a, b) in [
            ("calendar", "ca1endar"),
            ("calendar", "caIendar"),
            ("INDEX", "index"),
            ("modern", "modem"),
            ("mail0", "mailO"),
            ("acme.example", "\u{430}cme.example"),
            ("Müller", "Mu\u{308}ller"),
        ] {
            assert!(alike(a, b) && alike(b, a), "{a} {b}");
        }
        for (a, b) in [("calendar", "calender"), ("a-b", "a_b"), ("agent-2", "agent-3"), ("one", "onee")] {
            assert!(!alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_publisher_looks_like_what_it_is() {
        let publisher = |text: &str| publisher(text.to_owned()).is_ok();
        for good in ["Example Ltd", "Müller & Söhne", "株式会社", "Acme 株式会社", "Ромашка", &"a".repeat(128)]
        {
            assert!(publisher(good), "{good:?}");
        }
        for bad in [
            "",
            " ",
            " Example",
            "Example\n",
            "Ex\u{202e}elpma",
            "Goo\u{200b}gle",
            "a\u{a0}b",
            "\u{2066}x",
            "\u{430}cme",
            "Ac\u{3bc}e",
            &"a".repeat(129),
        ] {
            assert!(!publisher(bad), "{bad:?}");
        }
    }
}
