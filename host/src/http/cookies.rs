//! The two cookies of the host's pages (RFC 6265). Both are `__Host-`: set by this origin alone, for the whole of it, and
//! never sent in the clear.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// Names a visit.
pub(super) const SESSION: &str = "__Host-attache-session";
/// Names a browser that is away at the identity provider.
pub(super) const AWAY: &str = "__Host-attache-sign-in";

/// The value of this cookie; none where it is missing or sent twice, which no browser of ours does.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Sets one until the browser is closed, or for so many seconds. `value` is one of ours: base64url.
///
/// `SameSite=Lax`, since the browser comes back from providers by a link of theirs; what changes something takes a form
/// with a token besides.
pub(super) fn set(name: &str, value: &str, seconds: u32) -> HeaderValue {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Removes one.
pub(super) fn clear(name: &str) -> HeaderValue {
    set(name, "", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[&str]) -> HeaderMap {
        headers.iter().map(|header| (COOKIE, HeaderValue::from_str(header).unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        for (headers, expect) in [
            (vec!["__Host-attache-session=abc"], Some("abc")),
            (vec!["a=1; __Host-attache-session=abc; b=2"], Some("abc")),
            (vec!["a=1", "__Host-attache-session=abc"], Some("abc")),
            (vec!["attache-session=abc"], None),
            (vec!["x__Host-attache-session=abc"], None),
            (vec!["__host-attache-session=abc"], None),
            (vec!["__Host-attache-session=abc; __Host-attache-session=def"], None),
            (vec![], None),
        ] {
            assert_eq!(read(&sent(&headers), SESSION), expect, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_origin_alone() {
        let cookie = set(SESSION, "abc", 60);
        let parts: Vec<&str> = cookie.to_str().unwrap().split("; ").collect();
        assert_eq!(parts[0], "__Host-attache-session=abc");
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=60"] {
            assert!(parts.contains(&part), "{parts:?}");
        }
        assert!(!cookie.to_str().unwrap().contains("Domain"));
        assert!(clear(SESSION).to_str().unwrap().contains("Max-Age=0"));
    }
}
