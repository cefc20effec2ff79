//! Which headers pass between callers and guests, and which every page has.

use crate::egress::forbidden_header;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// On everything that we send.
pub(super) const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
/// The caller's session: read, and told back.
pub(super) const SESSION: HeaderName = HeaderName::from_static("attache-session-id");
/// Where a browser goes after a consent that this invocation starts.
pub(super) const RETURN_URL: HeaderName = HeaderName::from_static("attache-return-url");
/// This invocation, as it stands in the audit trail.
pub(super) const INVOCATION: HeaderName = HeaderName::from_static("attache-invocation-id");

/// What of a caller's request reaches a guest. Everything else stays here: tokens, cookies, and what a proxy in front
/// says of the caller.
const INBOUND: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("idempotency-key"),
];

/// What a guest may not say besides: these speak for the whole origin, on which other agents and our own pages live.
const ORIGIN_WIDE: [&str; 8] = [
    "alt-svc",
    "clear-site-data",
    "content-security-policy-report-only",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "strict-transport-security",
];

/// A caller's headers, as the guest sees them. `also` is what the operator lets this agent see.
pub(super) fn inbound(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(INBOUND.len());
    for name in INBOUND.iter().chain(also) {
        if forbidden_header(name) || passed.contains_key(name) {
            continue;
        }
        for value in headers.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// A guest's headers, as the caller sees them. Whatever the body claims to be, a browser that shows it runs nothing of it
/// and gives it no origin.
pub(super) fn outbound(headers: &mut HeaderMap) {
    let removed: Vec<HeaderName> = headers.keys().filter(|name| stays_inside(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'"),
    );
}

fn stays_inside(name: &HeaderName) -> bool {
    forbidden_header(name) || name.as_str().starts_with("attache-") || ORIGIN_WIDE.contains(&name.as_str())
}

/// The headers of every page of ours. `tls`: whether browsers reach us over TLS; `development`: whether providers may be
/// on loopback.
pub(super) fn of_pages(tls: bool, development: bool) -> HeaderMap {
    // Chromium holds every redirect that follows a form to `form-action`, and a provider may send the browser on to
    // whatever host its users sign in at. So a list of hosts would break signing in at some providers; the scheme is
    // what can be said. There is no script to inject a form with.
    let forms = if development { "https: http://127.0.0.1:* http://localhost:*" } else { "https:" };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {forms}; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_guest_sees_only_what_is_on_the_list() {
        let sent = map(&[
            ("Authorization", "Bearer secret"),
            ("Cookie", "__Host-attache-session=secret"),
            ("X-Forwarded-User", "root"),
            ("X-Goog-IAP-JWT-Assertion", "secret"),
            ("Proxy-Authorization", "secret"),
            ("Attache-Return-Url", "https://app.example.com"),
            ("Content-Type", "application/json"),
            ("Accept", "text/html"),
            ("Accept", "text/plain"),
            ("X-Mine", "1"),
        ]);
        assert_eq!(
            inbound(&sent, &[]),
            map(&[("content-type", "application/json"), ("accept", "text/html"), ("accept", "text/plain")])
        );
        assert!(inbound(&sent, &[HeaderName::from_static("x-mine")]).contains_key("x-mine"));
    }

    #[test]
    fn no_configuration_lets_a_token_in() {
        let sent = map(&[("authorization", "Bearer secret"), ("cookie", "secret"), ("x-api-key", "secret")]);
        assert!(
            inbound(&sent, &[header::AUTHORIZATION, header::COOKIE, HeaderName::from_static("x-api-key")]).is_empty()
        );
    }

    #[test]
    fn a_guest_cannot_speak_for_the_origin() {
        let mut said = map(&[
            ("set-cookie", "__Host-attache-session=mine; Secure; Path=/"),
            ("www-authenticate", "Basic"),
            ("clear-site-data", "\"*\""),
            ("service-worker-allowed", "/"),
            ("strict-transport-security", "max-age=0"),
            ("content-security-policy", "default-src *"),
            ("x-content-type-options", "sniff"),
            ("attache-session-id", "another"),
            ("content-type", "text/html"),
        ]);
        outbound(&mut said);
        assert_eq!(
            said,
            map(&[
                ("content-type", "text/html"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
            ])
        );
    }

    #[test]
    fn pages_run_no_script_and_show_in_no_frame() {
        let headers = of_pages(true, false);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe") && !policy.contains("http://"),
            "{policy}"
        );
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(!of_pages(false, true).contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
