//! Documents and answers of hostile providers, for fuzzing.

use super::discovery;
use super::tokens::{self, Reading};
use super::vendor::Quirks;
use crate::ids::Issuer;
use crate::secret::Secret;
use std::time::Duration;

const ISSUER: &str = "https://issuer.example";
const SENT: &str = "a-secret-that-we-sent-0123456789";

/// A discovery document: every endpoint that is taken from it is one that may be asked.
pub fn discovery(bytes: &[u8]) {
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    let Ok(server) = discovery::parse(&issuer, bytes) else { return };
    assert_eq!(server.issuer.as_ref().map(Issuer::as_str), Some(ISSUER));
    let endpoints =
        [&server.authorization, &server.revocation, &server.device_authorization, &server.pushed_authorization];
    for url in endpoints.into_iter().flatten().chain([&server.token]) {
        assert!(url.scheme() == "https" || crate::egress::check_url(url).is_ok(), "{url}");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    }
    assert!(!server.requires_pushed || server.pushed_authorization.is_some());
}

/// A token endpoint's answer, granted or refused: bounded, and no message repeats what we sent.
pub fn answer(bytes: &[u8]) {
    let sent = Secret::new(SENT.as_bytes().to_vec());
    let quirks = Quirks::default();
    let reading = Reading { separator: ' ', quirks: &quirks, bound: false, assertion: false, sent: &[&sent] };
    match tokens::granted(&reading, bytes) {
        Ok(tokens) => {
            assert!(!tokens.access.expose().is_empty());
            assert!(tokens.expires_in.is_none_or(|span| span <= Duration::from_secs(90 * 86_400)));
        }
        Err(error) => quiet(&error.to_string()),
    }
    quiet(&tokens::refused(&reading, 400, bytes).to_string());
}

fn quiet(message: &str) {
    assert!(!message.contains(SENT), "{message}");
    assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
    assert!(message.len() < 4096, "{}", message.len());
}
