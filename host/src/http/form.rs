//! Forms of the host's own pages: small, prompt, and from nowhere else.

use super::problem::Problem;
use super::site::Site;
use crate::sign_in::Visit;
use http::HeaderMap;
use http::header::ORIGIN;
use std::time::Duration;
use url::form_urlencoded;

/// No form of ours is larger.
const MOST: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(10);
/// The field that every form carries.
pub(super) const TOKEN: &str = "form_token";

/// The fields of a form that came from a page of this visit.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first field of this name.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a form.
///
/// Its token proves where it comes from; what browsers say of its origin is looked at besides, where they say it.
pub(super) async fn read(
    site: &Site,
    visit: &Visit,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Fields, Problem> {
    if !from_here(headers, &site.origin) {
        return Err(Problem::foreign_form());
    }
    let bytes = small(body, MOST, PATIENCE).await?;
    let fields = Fields(form_urlencoded::parse(&bytes).into_owned().collect());
    match fields.field(TOKEN) {
        Some(token) if visit.sent_form(token) => Ok(fields),
        _ => Err(Problem::foreign_form()),
    }
}

/// A whole body, if it is small and comes soon.
pub(super) async fn small(body: axum::body::Body, most: usize, patience: Duration) -> Result<bytes::Bytes, Problem> {
    use http_body::Body as _;
    if body.size_hint().lower() > most as u64 {
        return Err(Problem::too_large(most as u64));
    }
    let read = tokio::time::timeout(patience, axum::body::to_bytes(body, most));
    read.await.map_err(|_| Problem::too_slow())?.map_err(|_| Problem::too_large(most as u64))
}

/// Our pages have `Referrer-Policy: no-referrer`, for which browsers send `Origin: null` with their forms, so that counts
/// as nothing said.
fn from_here(headers: &HeaderMap, origin: &str) -> bool {
    let said = |name: &str, good: &[&str]| {
        headers.get_all(name).iter().all(|value| good.iter().any(|good| value.as_bytes() == good.as_bytes()))
    };
    said(ORIGIN.as_str(), &[origin, "null"]) && said("sec-fetch-site", &["same-origin", "none"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_known_by_what_the_browser_says() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
                .collect();
            from_here(&headers, "https://agents.example.com")
        };
        assert!(from(&[]));
        assert!(from(&[("origin", "https://agents.example.com"), ("sec-fetch-site", "same-origin")]));
        assert!(from(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!from(&[("origin", "https://evil.example")]));
        assert!(!from(&[("origin", "https://agents.example.com"), ("origin", "https://evil.example")]));
        assert!(!from(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
    }

    #[tokio::test]
    async fn a_large_form_is_not_read() {
        let body = axum::body::Body::from(vec![b'x'; MOST + 1]);
        assert_eq!(small(body, MOST, PATIENCE).await.unwrap_err().status, 413);
    }
}
