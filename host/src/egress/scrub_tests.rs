use super::super::ScrubHits;
use super::super::reply::Window;
use super::*;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

const TOKEN: &str = "ya29.a0+Af/B_yZ~canary-\"q\\7==";

/// Passes a text through in chunks of this size.
fn stream(secret: &str, text: &[u8], size: usize) -> (Vec<u8>, u64) {
    let hits = ScrubHits::default();
    let scrubber = Arc::new(Scrubber::new(&Secret::from_text(secret.into())));
    let mut window = Window::new(scrubber, hits.clone());
    let mut out = Vec::new();
    for chunk in text.chunks(size) {
        out.extend_from_slice(&window.pass(Bytes::copy_from_slice(chunk)));
    }
    out.extend_from_slice(&window.finish());
    (out, hits.count())
}

fn percent(secret: &str, keep: &str, upper: bool) -> String {
    let one = |b: u8| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") };
    secret.bytes().map(|b| if keep.contains(b as char) { (b as char).to_string() } else { one(b) }).collect()
}

/// What servers write, made with other means than the scrubber's own.
fn echoes(secret: &str) -> Vec<String> {
    let alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    vec![
        secret.to_owned(),
        secret.to_ascii_lowercase(),
        secret.to_ascii_uppercase(),
        percent(secret, "", true),
        percent(secret, "", false),
        percent(secret, &format!("{alphanumeric}-._~"), true),
        percent(secret, &format!("{alphanumeric}-._~"), false),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        crate::ids::hex(secret.as_bytes()),
        crate::ids::hex(secret.as_bytes()).to_uppercase(),
        json.replace('/', "\\/"),
        json.replace('=', "\\u003d").replace('&', "\\u0026"),
        json,
        secret
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('+', "&#43;")
            .replace('=', "&#x3D;")
            .replace('/', "&#x2F;"),
        secret.bytes().map(|b| format!("\\u{b:04X}")).collect(),
        secret
            .replace('&', "&AMP;")
            .replace('"', "&#34;")
            .replace('\'', "&apos;")
            .replace('<', "&LT;")
            .replace('>', "&gt;"),
        secret
            .bytes()
            .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("\\x{b:02x}") })
            .collect(),
        STANDARD.encode(secret),
        STANDARD.encode(format!("a{secret}b")),
        STANDARD.encode(format!("ab{secret}cd")),
        STANDARD.encode(format!("abc{secret}")),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(format!("Bearer {secret}")),
        URL_SAFE_NO_PAD.encode(format!("Bearer: {secret}!")),
    ]
}

/// Of an echo at most its edges are left: the base64 characters that also depend on neighbours.
fn check_covered(secret: &str, echo: &str, size: usize) {
    let text = format!("{{\"you sent\": \"{echo}\"}} and the rest");
    let (out, hits) = stream(secret, text.as_bytes(), size);
    assert_eq!(hits, 1, "{echo} in chunks of {size}");
    assert_eq!(out.len(), text.len());
    let stars = out.iter().filter(|b| **b == b'*').count();
    let own = secret.len().min(echo.len());
    assert!(stars >= own, "{stars} of {own} in {}", String::from_utf8_lossy(&out));
    assert!(out.starts_with(b"{\"you sent\": \"") && out.ends_with(b"\"} and the rest"));
}

/// Every spelling, in chunks of every size.
fn check_all(secret: &str) {
    for echo in echoes(secret) {
        for size in (1..echo.len() + 20).chain([4096]) {
            check_covered(secret, &echo, size);
        }
    }
}

#[test]
fn every_spelling_is_covered_however_it_is_cut() {
    check_all(TOKEN);
}

/// A sign-in page is told where to go back to, with the key in it.
#[test]
fn an_address_that_was_put_into_another_is_covered() {
    const KEY: &str = "AIza/canary+key=&0123";
    let encode =
        |text: &str, upper| percent(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", upper);
    let once = encode(KEY, true);
    let (twice, lower) = (encode(&once, true), encode(&encode(KEY, false), false));
    let thrice = encode(&twice, true);
    let base64 = STANDARD.encode(format!("https://api.example/v1?key={once}"));
    for echo in [&twice, &thrice, &lower, &base64, &crate::ids::hex(once.as_bytes())] {
        for size in (1..echo.len() + 20).chain([4096]) {
            let (out, _) = stream(KEY, format!("next={echo}&rest").as_bytes(), size);
            let out = String::from_utf8_lossy(&out).into_owned();
            let left = out.bytes().filter(|byte| *byte != b'*').count();
            assert!(left <= "next=&rest".len() + "https://api.example/v1?key=".len() * 4 / 3 + 4, "{out}");
            assert!(!out.contains("canary") && out.ends_with("&rest"), "{out}");
        }
    }
}

/// In the spelling of one encoder a part of a secret can look like an escape of another.
#[test]
fn a_secret_that_looks_like_escapes_is_covered_in_every_spelling() {
    check_all(r#")%<`fIs?C&?5nnr'?b8,.^L$-9(\\=(N5""vx"x"#);
    check_all(r#")%<`fIs?C&?5nnr'?b8,.^L$-9(\=(N5""vx"x"#);
    check_all("pass%25word&more");
    check_all(r"pass&amp;word=\u005c%5C%\/");
    check_all(r#"k\"&#38;&amp;%2525%41\x41=/"#);
}

#[test]
fn what_holds_no_secret_passes_unchanged() {
    let text = TOKEN[..TOKEN.len() - 1].repeat(20) + "ya29.a0" + &TOKEN[1..];
    for size in [1, 7, 8, 9, 50, 4096] {
        assert_eq!(stream(TOKEN, text.as_bytes(), size), (text.clone().into_bytes(), 0));
    }
}

#[test]
fn a_chunk_without_a_beginning_is_neither_copied_nor_held_back() {
    let scrubber = Arc::new(Scrubber::new(&Secret::from_text(TOKEN.into())));
    let mut window = Window::new(scrubber, ScrubHits::default());
    let event = Bytes::from_static(b"data: {\"text\":\"hello\"}\n\n");
    let passed = window.pass(event.clone());
    assert_eq!((passed.as_ptr(), passed.len()), (event.as_ptr(), event.len()));
    assert_eq!(window.pass(Bytes::from_static(b"data: ya29.a0+A")), "data: ");
    assert_eq!(window.pass(Bytes::from_static(b"nother")), "ya29.a0+Another");
}

#[test]
fn several_in_a_row_are_all_covered_and_counted() {
    let (out, hits) = stream("secret-secret-1", b"secret-secret-1secret-secret-1,secret-secret-1", 5);
    assert_eq!((out.as_slice(), hits), (b"******************************,***************".as_slice(), 3));
}

#[test]
fn a_secret_under_eight_bytes_is_not_searched_for() {
    assert_eq!(stream("seven77", b"seven77 seven77", 4), (b"seven77 seven77".to_vec(), 0));
    assert_eq!(stream("eight888", b"eight888", 4).1, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_secret_is_covered_in_any_spelling(secret in "[!-)+-~]{8,40}", which in 0usize..24, size in 1usize..60) {
        check_covered(&secret, &echoes(&secret)[which], size);
    }

    /// Made of the beginnings and ends of escapes. Several can be found in one echo, so they are not counted.
    #[test]
    fn any_secret_made_of_escapes_is_covered_wherever_the_text_is_cut(
        parts in prop::collection::vec("[\\\\%&#;u25xa\"/=]|&amp;|%25|%5C|\\\\u005c|\\\\x5C|&#x26;|\\\\\\\\", 8..16),
        size in 1usize..60,
    ) {
        let secret = parts.concat();
        for echo in echoes(&secret) {
            let text = format!("You sent: {echo} and the rest");
            let whole = stream(&secret, text.as_bytes(), 4096);
            let stars = whole.0.iter().filter(|b| **b == b'*').count();
            prop_assert!(stars >= secret.len(), "{} of {}", String::from_utf8_lossy(&whole.0), echo);
            prop_assert_eq!(stream(&secret, text.as_bytes(), size), whole, "{}", echo);
        }
    }

    /// A small alphabet makes near misses, overlaps and repetitions.
    #[test]
    fn where_a_text_is_cut_makes_no_difference(
        secret in "[ab]{8,12}", text in "[ab]{0,60}", size in 1usize..20,
    ) {
        let whole = stream(&secret, text.as_bytes(), 4096);
        prop_assert_eq!(&stream(&secret, text.as_bytes(), size), &whole);
        let left = String::from_utf8(whole.0).unwrap();
        prop_assert!(!left.contains(&secret));
        prop_assert_eq!(whole.1 > 0, text.contains(&secret));
    }
}
