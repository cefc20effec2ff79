//! What comes back with a browser, for fuzzing.

use super::sign_in::Returned;
use axum::extract::Query;

/// A callback's query: a name that stands twice is not read as either, and what is read is what another parser reads.
pub fn callback(bytes: &[u8]) {
    let Ok(uri) = http::Uri::try_from([b"/oauth2/callback/any?".as_slice(), bytes].concat()) else { return };
    let Ok(Query(returned)) = Query::<Returned>::try_from_uri(&uri) else { return };
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    for (name, value) in [
        ("state", &returned.state),
        ("code", &returned.code),
        ("iss", &returned.iss),
        ("error", &returned.error),
        ("error_description", &returned.error_description),
    ] {
        let mut same = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        assert_eq!(same.next(), value.as_ref(), "{name}");
        assert_eq!(same.next(), None, "`{name}` stands twice");
    }
}
