//! The authorization-code step that both development providers share (RFC 6749 §4.1, RFC 7636).

use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// An authorization request (RFC 6749 §4.1.1), as the browser brings it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Ask {
    #[serde(default)]
    pub(super) response_type: String,
    #[serde(default)]
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) redirect_uri: String,
    #[serde(default)]
    pub(super) scope: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    #[serde(default)]
    pub(super) code_challenge: String,
    #[serde(default)]
    pub(super) code_challenge_method: String,
}

/// The one client of a provider.
pub(super) struct Client {
    pub(super) id: &'static str,
    /// Where it may be answered: this, or anything below it where it ends in `/`.
    pub(super) redirect: String,
}

/// What a code stands for.
pub(super) struct Promise {
    pub(super) ask: Ask,
    pub(super) user: &'static str,
    expires_at: Timestamp,
}

/// The codes that are out.
pub(super) struct Codes {
    client: Client,
    issuer: String,
    clock: Clock,
    out: Mutex<HashMap<String, Promise>>,
}

const LIFETIME: Duration = Duration::from_secs(60);

impl Codes {
    pub(super) fn new(client: Client, issuer: &str, clock: Clock) -> Self {
        Self { client, issuer: issuer.to_owned(), clock, out: Mutex::default() }
    }

    /// Whether the request is one of ours. What it says is for the developer, on the page.
    pub(super) fn check(&self, ask: &Ask) -> Result<Url, String> {
        if ask.client_id != self.client.id {
            return Err(format!("`client_id` must be `{}`", self.client.id));
        }
        let below = self.client.redirect.ends_with('/') && ask.redirect_uri.starts_with(&self.client.redirect);
        if ask.redirect_uri != self.client.redirect && !below {
            return Err(format!("`redirect_uri` must be `{}`", self.client.redirect));
        }
        if ask.response_type != "code" || ask.code_challenge_method != "S256" || ask.code_challenge.len() != 43 {
            return Err("`response_type=code` with a PKCE challenge by `S256` is needed (RFC 9700 §2.1.1)".to_owned());
        }
        Url::parse(&ask.redirect_uri).map_err(|error| format!("`redirect_uri` is no URL: {error}"))
    }

    /// Makes a code for this user and says where the browser goes with it.
    pub(super) fn issue(&self, ask: Ask, user: &'static str) -> Result<String, String> {
        let mut back = self.check(&ask)?;
        let code = random();
        let state = ask.state.clone();
        let now = self.clock.now();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.retain(|_, promise| promise.expires_at > now);
        out.insert(code.clone(), Promise { ask, user, expires_at: now.plus(LIFETIME) });
        answer(&mut back, &[("code", &code), ("iss", &self.issuer)], state);
        Ok(back.into())
    }

    /// Where the browser goes when the user says no (RFC 6749 §4.1.2.1).
    pub(super) fn deny(&self, ask: Ask) -> Result<String, String> {
        let mut back = self.check(&ask)?;
        answer(&mut back, &[("error", "access_denied"), ("iss", &self.issuer)], ask.state);
        Ok(back.into())
    }

    /// Takes a code back, once (RFC 6749 §4.1.3).
    pub(super) fn redeem(&self, form: &HashMap<String, String>) -> Option<Promise> {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let promise = self.out.lock().unwrap_or_else(PoisonError::into_inner).remove(field("code"))?;
        let challenge = URL_SAFE_NO_PAD.encode(crate::ids::sha256(field("code_verifier").as_bytes()));
        let good = promise.expires_at > self.clock.now()
            && promise.ask.redirect_uri == field("redirect_uri")
            && promise.ask.code_challenge == challenge;
        good.then_some(promise)
    }
}

/// With `iss` (RFC 9207) and the client's `state`.
fn answer(back: &mut Url, pairs: &[(&str, &str)], state: Option<String>) {
    let mut query = back.query_pairs_mut();
    query.extend_pairs(pairs);
    if let Some(state) = state {
        query.append_pair("state", &state);
    }
}

/// 256 bits, URL-safe. These tokens open nothing but a calendar that does not exist.
pub(super) fn random() -> String {
    Secret::random().expose_text().unwrap_or_default().to_owned()
}

/// The user of this name, if there is one.
pub(super) fn user(name: &str) -> Option<&'static str> {
    super::USERS.into_iter().find(|user| *user == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> (Codes, Clock) {
        let clock = Clock::held(Timestamp::from_secs(1000));
        let client = Client { id: "attache", redirect: "http://127.0.0.1:1/oauth2/callback/".into() };
        (Codes::new(client, "http://127.0.0.1:2", clock.clone()), clock)
    }

    fn ask(verifier: &str) -> Ask {
        Ask {
            response_type: "code".into(),
            client_id: "attache".into(),
            redirect_uri: "http://127.0.0.1:1/oauth2/callback/google-calendar".into(),
            state: Some("s".into()),
            code_challenge: URL_SAFE_NO_PAD.encode(crate::ids::sha256(verifier.as_bytes())),
            code_challenge_method: "S256".into(),
            ..Ask::default()
        }
    }

    fn form(back: &str, verifier: &str) -> HashMap<String, String> {
        let code = Url::parse(back).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        [("code", code.as_str()), ("code_verifier", verifier), ("redirect_uri", &ask(verifier).redirect_uri)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn a_code_is_good_once_and_only_with_its_verifier() {
        let (codes, clock) = codes();
        let back = codes.issue(ask("right"), "alice").unwrap();
        assert!(back.ends_with("&iss=http%3A%2F%2F127.0.0.1%3A2&state=s"), "{back}");
        assert_eq!(codes.redeem(&form(&back, "right")).unwrap().user, "alice");
        assert!(codes.redeem(&form(&back, "right")).is_none(), "twice");
        let back = codes.issue(ask("right"), "alice").unwrap();
        assert!(codes.redeem(&form(&back, "wrong")).is_none());
        assert!(codes.redeem(&form(&back, "right")).is_none(), "a wrong verifier burns the code");
        let back = codes.issue(ask("right"), "alice").unwrap();
        clock.advance(LIFETIME);
        assert!(codes.redeem(&form(&back, "right")).is_none(), "late");
    }

    #[test]
    fn only_the_registered_client_is_answered_and_only_where_it_is() {
        let (codes, _) = codes();
        for bad in [
            Ask { client_id: "other".into(), ..ask("v") },
            Ask { redirect_uri: "http://127.0.0.1:1/elsewhere".into(), ..ask("v") },
            Ask { redirect_uri: "https://evil.example/oauth2/callback/".into(), ..ask("v") },
            Ask { code_challenge_method: "plain".into(), ..ask("v") },
            Ask { response_type: "token".into(), ..ask("v") },
        ] {
            assert!(codes.issue(bad.clone(), "alice").is_err(), "{bad:?}");
        }
    }
}
