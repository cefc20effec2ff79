//! Nonces that servers gave for the next proof (RFC 9449 §8, §9).

use http::{HeaderMap, HeaderName, Uri};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// `DPoP-Nonce`.
pub(super) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// So many servers are remembered; the next one displaces another, which costs that one a round trip.
const MOST: usize = 1024;
/// A longer nonce would not leave room in a header.
const LONGEST: usize = 512;

/// The last nonce of every server, in memory alone. Shared by all keys: a nonce is the server's, not a key's.
#[derive(Default)]
pub struct DpopNonces(Mutex<HashMap<Server, String>>);

/// An authorization server and a resource server of one origin give nonces of their own (RFC 9449 §9).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Server {
    origin: String,
    resource: bool,
}

impl Server {
    pub(super) fn of(uri: &Uri, resource: bool) -> Self {
        let authority = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        Self { origin: format!("{}://{authority}", uri.scheme_str().unwrap_or_default()), resource }
    }
}

impl DpopNonces {
    /// What this server said last.
    pub(super) fn last(&self, server: &Server) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    /// Takes the nonce of a response, if it has a usable one. True if it is another than the last.
    pub(super) fn take(&self, server: Server, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(NONCE).iter();
        // Two nonces are none: which one counts would be a guess.
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some(nonce) = value.to_str().ok().filter(|nonce| well_formed(nonce)) else { return false };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST
            && !known.contains_key(&server)
            && let Some(other) = known.keys().next().cloned()
        {
            known.remove(&other);
        }
        known.insert(server, nonce.to_owned()).as_deref() != Some(nonce)
    }
}

/// `1*NQCHAR` (RFC 9449 §8.1, RFC 6749 appendix A).
fn well_formed(nonce: &str) -> bool {
    (1..=LONGEST).contains(&nonce.len()) && nonce.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn said(nonces: &[&str]) -> HeaderMap {
        nonces.iter().map(|nonce| (NONCE, HeaderValue::from_str(nonce).unwrap())).collect()
    }

    fn server(uri: &'static str, resource: bool) -> Server {
        Server::of(&Uri::from_static(uri), resource)
    }

    #[test]
    fn a_nonce_is_of_one_origin_and_one_role() {
        let nonces = DpopNonces::default();
        assert!(nonces.take(server("https://As.example/token?a", false), &said(&["one"])));
        assert_eq!(nonces.last(&server("https://as.example/other", false)).as_deref(), Some("one"));
        for other in [
            server("https://as.example/token", true),
            server("https://as.example:8443/token", false),
            server("http://as.example/token", false),
            server("https://rs.example/token", false),
        ] {
            assert_eq!(nonces.last(&other), None);
        }
    }

    #[test]
    fn only_another_nonce_is_news() {
        let nonces = DpopNonces::default();
        let take = |said: &HeaderMap| nonces.take(server("https://as.example", false), said);
        assert!(take(&said(&["one"])));
        assert!(!take(&said(&["one"])));
        assert!(take(&said(&["two"])));
        assert!(!take(&HeaderMap::new()));
    }

    #[test]
    fn what_is_no_nonce_changes_nothing() {
        let nonces = DpopNonces::default();
        let at = || server("https://as.example", false);
        nonces.take(at(), &said(&["good"]));
        for bad in [said(&["one", "two"]), said(&["two words"]), said(&["quo\"te"]), said(&[&"x".repeat(513)])] {
            assert!(!nonces.take(at(), &bad), "{bad:?}");
            assert_eq!(nonces.last(&at()).as_deref(), Some("good"));
        }
    }

    #[test]
    fn a_crowd_of_servers_does_not_fill_the_memory() {
        let nonces = DpopNonces::default();
        for port in 1..=2000 {
            let uri: Uri = format!("https://as.example:{port}/").parse().unwrap();
            nonces.take(Server::of(&uri, false), &said(&["n"]));
            assert!(nonces.last(&Server::of(&uri, false)).is_some());
        }
        assert_eq!(nonces.0.lock().unwrap().len(), MOST);
    }
}
