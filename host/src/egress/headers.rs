//! Header names that a guest may neither send nor see.
//!
//! One list for both ways: what says who somebody is belongs to the host, and what says how a connection works belongs to
//! the connection. `runtime` and `http` filter by the same list.

use http::HeaderName;
use std::borrow::Cow;

/// Whether a header carries an identity, a credential or the state of a connection.
///
/// Guests cannot set such a header, and never receive one: not of the caller, not of an upstream.
pub fn forbidden_header(name: &HeaderName) -> bool {
    of_connection(name) || of_identity(name)
}

/// Headers of one connection, not of the message (RFC 9110 §7.6.1), and those that the client writes itself.
pub(super) fn of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Headers that carry a credential, or by which a proxy in front of a service tells it who is asking.
pub(super) fn of_identity(name: &HeaderName) -> bool {
    let name = &*as_read(name.as_str());
    let exact = matches!(
        name,
        "authorization"
            | "authentication-info"
            | "www-authenticate"
            | "cookie"
            | "cookie2"
            | "set-cookie"
            | "set-cookie2"
            | "api-key"
            | "apikey"
            | "dpop"
            | "dpop-nonce"
            | "forwarded"
            | "job-token"
            | "ocp-apim-subscription-key"
            | "private-token"
            | "remote-user"
            | "x-access-token"
            | "x-amz-security-token"
            | "x-api-key"
            | "x-auth-token"
            | "x-goog-api-key"
            | "x-real-ip"
            | "x-remote-user"
            | "x-vault-token"
    );
    // Families: `proxy-authorization`, Google IAP, AWS ALB, Azure EasyAuth, oauth2-proxy, Cloudflare Access, and whatever
    // calls itself somebody's authorization.
    exact
        || ["proxy-", "x-forwarded-", "x-goog-iap-", "x-goog-authenticated-", "x-amzn-oidc-", "x-ms-client-principal"]
            .iter()
            .chain(&["x-ms-token-", "x-auth-request-", "cf-access-", "tailscale-user-"])
            .any(|family| name.starts_with(family))
        || name.ends_with("-authorization")
}

/// A name as it reaches programs that get headers as variables (RFC 3875 §4.1.18, WSGI, PHP): `_` and `-` are one there.
pub(super) fn as_read(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, forbidden: bool) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).unwrap();
        assert_eq!(forbidden_header(&parsed), forbidden, "{name}");
    }

    #[test]
    fn every_spelling_of_an_identity_header_is_forbidden() {
        for name in ["authorization", "Authorization", "AUTHORIZATION", "aUTHORIZATION", "Cookie", "Set-Cookie"] {
            check(name, true);
        }
        for name in ["X-Api-Key", "Proxy-Authorization", "proxy-anything", "X-Original-Authorization", "DPoP"] {
            check(name, true);
        }
        for name in ["X_Api_Key", "x_forwarded_for", "Remote_User", "x-original_authorization"] {
            check(name, true);
        }
        for name in ["x-goog-iap-jwt-assertion", "x-amzn-oidc-data", "X-MS-CLIENT-PRINCIPAL-ID", "x-forwarded-for"] {
            check(name, true);
        }
    }

    #[test]
    fn headers_of_the_connection_are_forbidden() {
        for name in ["Connection", "keep-alive", "Transfer-Encoding", "upgrade", "Host", "te", "expect"] {
            check(name, true);
        }
    }

    #[test]
    fn ordinary_headers_pass() {
        for name in ["accept", "content-type", "content-length", "etag", "x-request-id", "location", "range"] {
            check(name, false);
        }
    }
}
