use super::*;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");

fn vectors(file: &str) -> String {
    std::fs::read_to_string(format!("{VECTORS}/{file}")).unwrap()
}

fn check(destination: &str, uri: &str, allowed: bool) {
    let destination = Destination::parse(destination).unwrap();
    // What is no URI to begin with leads nowhere.
    let outcome = uri.parse().is_ok_and(|uri| destination.allows(&uri));
    assert_eq!(outcome, allowed, "{destination} {uri}");
}

#[test]
fn scheme_host_and_port_are_exact() {
    for uri in ["https://api.example.com/", "https://api.example.com:443/a", "https://API.example.com/a?b=c"] {
        check("https://api.example.com", uri, true);
    }
    for uri in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com:80/",
        "https://api.example.com.:443/",
        "https://api.example.com./",
        "https://xapi.example.com/",
        "https://example.com/",
        "https://api.example.com.evil.example/",
        "https://evil.example/api.example.com",
        "https://user@api.example.com/",
        "https://user@api.example.com:443/",
        "https://user:password@api.example.com:443/",
        "https://api.example.com@evil.example/",
        "https://api.example.com%2eevil.example/",
        "api.example.com:443",
        "/relative",
    ] {
        check("https://api.example.com", uri, false);
    }
    check("https://api.example.com:8443", "https://api.example.com:8443/", true);
    check("https://api.example.com:8443", "https://api.example.com/", false);
    check("https://[2606:4700::1111]", "https://[2606:4700::1111]/", true);
    check("https://[2606:4700::1111]", "https://[2606:4700:0::1111]/", false);
}

#[test]
fn a_path_prefix_ends_at_a_segment() {
    for path in ["/calendar", "/calendar/", "/calendar/v3/x", "/calendar?q=../.."] {
        check("https://a.example/calendar", &format!("https://a.example{path}"), true);
    }
    for path in ["/", "/calendars", "/calendar.json", "/Calendar", "/x/calendar", "//calendar", "/drive"] {
        check("https://a.example/calendar", &format!("https://a.example{path}"), false);
    }
    check("https://a.example/calendar/", "https://a.example/calendar", false);
    check("https://a.example/calendar/", "https://a.example/calendar/v3", true);
}

#[test]
fn no_spelling_leads_out_of_a_prefix() {
    for path in [
        "/c/../d",
        "/c/..",
        "/c/./../d",
        "/c/%2e%2e/d",
        "/c/.%2E/d",
        "/c/%2E./d",
        "/c/..%2fd",
        "/c/%2f..%2fd",
        "/c/..%5cd",
        "/c/..\\d",
        "/c/..;/d",
        "/c/..;x=y/d",
        "/c/.;/d",
        "/c/%252e%252e/d",
        "/c/..%252fd",
        "/c/%00/../d",
        "/c/x/../../d",
    ] {
        check("https://a.example/c/", &format!("https://a.example{path}"), false);
    }
    // With the whole host allowed there is nothing to lead out of.
    check("https://a.example", "https://a.example/projects/a%2Fb/..", true);
}

#[test]
fn only_the_normal_spelling_is_a_destination() {
    for (text, says) in [
        ("api.example.com", "relative URL without a base"),
        ("http://api.example.com", "it must be https"),
        ("ftp://api.example.com", "it must be https"),
        ("https://API.example.com", "`https://api.example.com/`"),
        ("https://api.example.com:443", "`https://api.example.com/`"),
        ("https://bücher.example", "`https://xn--bcher-kva.example/`"),
        ("https://0x7f000001", "`https://127.0.0.1/`"),
        ("https://api.example.com/a/../b", "`https://api.example.com/b`"),
        ("https://api.example.com/a%2fb", "encoded separators"),
        ("https://api.example.com.", "without a dot"),
        ("https://*.example.com", "without `*`"),
        ("https://user:hunter2@api.example.com", "user name"),
        ("https://api.example.com/?a=b", "query"),
        ("https://api.example.com/#a", "fragment"),
        ("https://", "empty host"),
        ("", "relative URL"),
    ] {
        let Malformed(why) = Destination::parse(text).unwrap_err();
        assert!(why.contains(says), "{text}: {why}");
        assert!(why.contains("write it as `https://host`"), "{why}");
    }
    for text in
        ["https://a.example", "https://a.example/", "https://a.example/b", "http://127.0.0.1:8080", "http://localhost"]
    {
        assert_eq!(Destination::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn nothing_configured_allows_nothing() {
    assert!(!Destinations::default().allows(&"https://a.example/".parse().unwrap()));
}

/// Two parsers read each URL: the one that connects and the browsers' one. Where they disagree on where it leads, a
/// destination check on one would be no check on the other.
#[test]
fn no_two_parsers_disagree_about_an_allowed_uri() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(&vectors("url/urltestdata.json")).unwrap();
    let mut texts: Vec<String> =
        cases.iter().filter_map(|case| Some(case.get("input")?.as_str()?.to_owned())).collect();
    for file in ["openredirects.txt", "Open-Redirect-payloads.txt", "open_redirect_wordlist.txt", "crlfinjection.txt"] {
        for line in vectors(&format!("payloads/{file}")).lines() {
            texts.extend([line.to_owned(), format!("https://example.com{line}"), format!("https:{line}")]);
        }
    }
    texts.extend(vectors("payloads/ssrf_urls.txt").lines().map(str::to_owned));

    let origins: std::collections::BTreeSet<String> = texts
        .iter()
        .filter_map(|text| Some(Url::parse(text).ok()?.origin().ascii_serialization()))
        .filter(|origin| Destination::parse(origin).is_ok())
        .collect();
    let (mut read, mut allowed) = (0, 0);
    for text in &texts {
        let Ok(uri) = text.parse::<Uri>() else { continue };
        read += 1;
        for origin in origins.iter().filter(|origin| Destination::parse(origin).unwrap().allows(&uri)) {
            allowed += 1;
            let browser = Url::parse(&uri.to_string()).unwrap();
            assert_eq!(&browser.origin().ascii_serialization(), origin, "{text}");
        }
    }
    assert!(read > 300 && allowed > 150, "{read} read, {allowed} allowed");
}
