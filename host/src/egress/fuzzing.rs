//! Addresses that guests ask for, for fuzzing.

use super::Destinations;
use http::Uri;
use url::Url;

/// An address: where it is allowed, another parser sees the same allowed place.
pub fn destination(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from(bytes) else { return };
    let allowed =
        Destinations::parse(["https://api.example.com/v1/", "https://other.example:8443"]).expect("two places");
    if !allowed.allows(&uri) {
        return;
    }
    let url = Url::parse(&uri.to_string()).expect("an allowed address is one to every parser");
    assert_eq!(url.scheme(), "https");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    match url.host_str() {
        Some("api.example.com") => {
            assert_eq!(url.port_or_known_default(), Some(443));
            assert!(url.path().starts_with("/v1/") || url.path() == "/v1", "{url}");
        }
        Some("other.example") => assert_eq!(url.port(), Some(8443)),
        other => panic!("{other:?}"),
    }
}
