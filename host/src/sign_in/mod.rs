//! The user's own sign-in at the host's pages: authorization code, PKCE S256, state and nonce (OIDC Core §3.1), and the
//! visit that follows.
//!
//! The host is a relying party of the users' identity provider, so that its consent page knows who is in front of it
//! without believing any app. An answer is taken only from the browser that was sent away: `state` is bound to a cookie,
//! works once and for ten minutes. Visits live in memory for eight hours and are known by the hash of their cookie; a
//! restart ends them all.

mod shelf;

use crate::audit::{Action, Actor, Outcome, Trail, Unwritable, codes, with_cause};
use crate::clock::Clock;
use crate::identity::{Rejected, RelyingParty, VerifiedUser, Verifier};
use crate::ids::sha256;
use crate::oauth::{AuthorizationRequest, CallbackError, More, OAuth, OAuthError, Pkce, Proofs, Provider};
use crate::secret::Secret;
use shelf::Shelf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use url::Url;

/// How long a browser may be away at the identity provider.
const AWAY: Duration = Duration::from_secs(600);
/// Browsers that are away, at most.
const MOST_AWAY: usize = 20_000;
/// How long a visit lasts.
const VISIT: Duration = Duration::from_secs(8 * 3600);
/// Visits, at most.
const MOST_VISITS: usize = 100_000;

/// Sign-ins and visits of one host. One per process; only where the operator configured an identity provider for them.
pub struct SignIns {
    oauth: Arc<OAuth>,
    verifier: Arc<Verifier>,
    trail: Trail,
    party: RelyingParty,
    provider: Arc<Provider>,
    redirect_uri: String,
    away: Shelf<Away>,
    visits: Shelf<Arc<VerifiedUser>>,
}

struct Away {
    browser: [u8; 32],
    nonce: String,
    verifier: Secret,
    return_to: String,
}

/// A browser is sent to the identity provider.
pub struct Departure {
    /// Where to.
    pub url: Url,
    /// What its cookie must hold when it comes back.
    pub browser: String,
}

/// What the identity provider sent back with the browser (RFC 6749 §4.1.2, RFC 9207). Unchecked.
#[derive(Default)]
pub struct Answer {
    /// `state`.
    pub state: Option<String>,
    /// `code`.
    pub code: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// A browser came back, and its user is known.
pub struct Arrival {
    /// The visit's cookie: 256 random bits.
    pub cookie: String,
    /// Where the browser wanted to go.
    pub return_to: String,
}

/// Somebody who is signed in at the host's pages.
pub struct Visit {
    user: Arc<VerifiedUser>,
    form_token: String,
}

impl Visit {
    /// Who.
    pub fn user(&self) -> &Arc<VerifiedUser> {
        &self.user
    }

    /// What every form of this visit's pages carries. Another site cannot know it.
    pub fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether a form came from one of this visit's pages. Takes the same time for every wrong one.
    pub fn sent_form(&self, token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// `state` is missing, unknown, expired or was used before.
    #[error("this sign-in has expired or was used before; start again")]
    State,
    /// Another browser was sent away: somebody wants this one to be signed in as himself.
    #[error("this sign-in was started in another browser; start again in this one")]
    OtherBrowser,
    /// The identity provider, or the user there, said no.
    #[error("the identity provider answered `{0}`; start again")]
    Declined(String),
    /// `iss` is missing or another (RFC 9207 §2.4).
    #[error("the answer does not come from the configured identity provider")]
    Issuer(#[source] CallbackError),
    /// The identity provider sent neither a code nor an error.
    #[error("the identity provider sent no authorization code; start again")]
    NoCode,
    /// The identity provider gave no ID token for the code.
    #[error("the identity provider sent no ID token; it must be asked for the scope `openid`")]
    NoIdToken,
    /// The identity provider cannot be asked, or refused the code.
    #[error("the identity provider could not be asked; try again")]
    Provider(#[from] OAuthError),
    /// The ID token does not verify.
    #[error("the identity provider's ID token is not accepted")]
    Rejected(#[from] Rejected),
    /// The audit trail cannot be written.
    #[error("nothing is done that cannot be written down")]
    Unwritable(#[from] Unwritable),
}

impl SignIns {
    /// For users of this identity provider, at which the host is this client. `public_url` has no slash at its end.
    pub fn new(
        (party, provider): (RelyingParty, Arc<Provider>),
        public_url: &str,
        oauth: Arc<OAuth>,
        verifier: Arc<Verifier>,
        trail: Trail,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            oauth,
            verifier,
            trail,
            party,
            provider,
            redirect_uri: format!("{public_url}/sign-in/callback"),
            away: Shelf::new(AWAY, MOST_AWAY, clock.clone()),
            visits: Shelf::new(VISIT, MOST_VISITS, clock),
        })
    }

    /// Sends a browser to the identity provider. `browser` is its cookie from an earlier departure, so that two tabs can
    /// sign in at the same time. With `anew` the user is asked who they are even if the identity provider knows already.
    ///
    /// # Errors
    /// [`SignInError::Provider`] when the identity provider's metadata cannot be read.
    pub async fn depart(&self, browser: Option<&str>, return_to: String, anew: bool) -> Result<Departure, SignInError> {
        let browser = browser.filter(|cookie| is_cookie(cookie)).map_or_else(random_text, str::to_owned);
        let (state, nonce, pkce) = (Secret::random(), random_text(), Pkce::new());
        let key = sha256(state.expose());
        let request = AuthorizationRequest {
            redirect_uri: self.redirect_uri.clone(),
            state,
            pkce_challenge: pkce.challenge,
            scopes: self.provider.scopes.clone(),
            nonce: Some(nonce.clone()),
            more: More::default(),
            force: anew,
        };
        let url = self.oauth.authorization_url(&self.provider, Proofs::default(), &request).await?;
        let away = Away { browser: sha256(browser.as_bytes()), nonce, verifier: pkce.verifier, return_to };
        self.away.put(key, away);
        Ok(Departure { url, browser })
    }

    /// The identity provider's answer, in a browser with this cookie. Whatever is wrong with it, nobody is signed in and
    /// the `state` is used up.
    ///
    /// # Errors
    /// [`SignInError`]. What looks like an attack leaves a record.
    pub async fn arrive(&self, browser: Option<&str>, answer: Answer) -> Result<Arrival, SignInError> {
        let state = answer.state.as_deref().ok_or(SignInError::State)?;
        // Not recorded: anybody can send any number of these.
        let away = self.away.take(&sha256(state.as_bytes())).ok_or(SignInError::State)?;
        let return_to = away.return_to.clone();
        let verified = self.verify(browser, away, answer).await;
        let (actor, outcome) = match &verified {
            Ok(user) => (Actor::user(user), Outcome::allowed()),
            Err(error @ SignInError::Provider(_)) => (Actor::default(), Outcome::failed(with_cause(error))),
            Err(error) => (Actor::default(), Outcome::refused(with_cause(error))),
        };
        let ticket = self.trail.note(actor, Action::new(codes::SIGN_IN, self.party.issuer.as_str()), outcome)?;
        let user = verified?;
        self.trail.journal().durable(ticket).await?;
        let cookie = random_text();
        self.visits.put(sha256(cookie.as_bytes()), user);
        Ok(Arrival { cookie, return_to })
    }

    async fn verify(
        &self,
        browser: Option<&str>,
        away: Away,
        answer: Answer,
    ) -> Result<Arc<VerifiedUser>, SignInError> {
        // The cookie first: of an answer that was pushed into this browser, nothing is sent anywhere.
        let same = browser.is_some_and(|cookie| sha256(cookie.as_bytes()).ct_eq(&away.browser).into());
        if !same {
            return Err(SignInError::OtherBrowser);
        }
        self.oauth.check_callback_issuer(&self.provider, answer.iss.as_deref()).await.map_err(SignInError::Issuer)?;
        if let Some(error) = answer.error {
            return Err(SignInError::Declined(plain_code(&error)));
        }
        let code = answer.code.filter(|code| !code.is_empty() && code.len() <= 8192).ok_or(SignInError::NoCode)?;
        let code = Secret::from_text(code);
        let tokens =
            self.oauth.exchange(&self.provider, Proofs::default(), &code, &away.verifier, &self.redirect_uri).await?;
        let id_token = tokens.id_token.ok_or(SignInError::NoIdToken)?;
        Ok(self.verifier.verify_sign_in(&id_token, &self.party, &away.nonce).await?)
    }

    /// Who visits with this cookie.
    pub fn visit(&self, cookie: &str) -> Option<Visit> {
        let user = self.visits.find(&sha256(cookie.as_bytes()))?;
        Some(Visit { user, form_token: form_token(cookie) })
    }

    /// Ends a visit. The cookie is worth nothing from here on.
    pub fn leave(&self, cookie: &str) {
        self.visits.take(&sha256(cookie.as_bytes()));
    }
}

/// Derived, so that it needs no memory of its own; one way, so that a page that leaks it does not leak the cookie.
fn form_token(cookie: &str) -> String {
    crate::ids::hex(&sha256(format!("attache form\0{cookie}").as_bytes()))
}

/// 256 random bits in base64url, for cookies and nonces.
fn random_text() -> String {
    Secret::random().expose_text().unwrap_or_default().to_owned()
}

/// The form of [`random_text`]: nothing else is taken over from a browser.
fn is_cookie(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An error code of RFC 6749 §4.1.2.1, without what does not belong in one.
fn plain_code(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_is_of_one_visit_and_tells_nothing_of_its_cookie() {
        let (one, other) = (random_text(), random_text());
        assert!(is_cookie(&one) && one != other);
        assert_eq!(form_token(&one), form_token(&one));
        assert_ne!(form_token(&one), form_token(&other));
        assert!(!form_token(&one).contains(&one));
    }

    #[test]
    fn a_cookie_that_we_did_not_make_is_not_taken_over() {
        for bad in ["", "short", &"a".repeat(42), &"a".repeat(44), &format!("{};", "a".repeat(42))] {
            assert!(!is_cookie(bad), "{bad}");
        }
    }

    #[test]
    fn an_error_code_carries_no_markup() {
        assert_eq!(plain_code("access_denied"), "access_denied");
        assert_eq!(plain_code("<script>alert(1)</script>"), "scriptalert1script");
        assert_eq!(plain_code(&"x".repeat(1000)).len(), 64);
    }
}
