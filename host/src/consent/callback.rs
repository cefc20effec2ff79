//! From the provider's answer to the grant: callback, complete, exchange.
//!
//! The two attacks that this file is about. *A forwarded link*: mallory starts a session and gets alice to open it, so
//! that alice's account ends up with mallory's agent; the user who is there is not the user it belongs to, and the code
//! is burnt. *An overtaken app*: the browser of the first attack is on its way to the app, and mallory, who knows the
//! session URI that the agent gave, calls for completion before the app does; so the browser carries a URI of its own,
//! made at the callback, and only that one completes.

use super::error::ConsentError;
use super::flow::{CODE, Consents, Parts, VERIFIER, View, action, state_hash};
use super::session::{ConsentSession, Stage};
use crate::audit::{Action, Actor, Attempt, Outcome, codes, with_cause};
use crate::directory::Unresolved;
use crate::identity::{Binding, User, VerifiedUser};
use crate::ids::{ConsentId, GrantId, ProviderName, sha256};
use crate::oauth::Proofs;
use crate::secret::Secret;
use serde_json::json;
use std::sync::Arc;
use url::Url;

/// Longer codes are refused unread.
const LONGEST_CODE: usize = 8192;

/// What the provider sent back with the browser (RFC 6749 §4.1.2, RFC 9207). Unchecked.
pub struct Callback {
    /// `state`.
    pub state: Option<String>,
    /// `code`: as good as a token until it is exchanged.
    pub code: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_description`. Read by nobody: it is text of a stranger.
    pub error_description: Option<String>,
}

/// Where the browser goes from the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The grant is stored; the host's page says so.
    Stored(Box<View>),
    /// To the app, which says who is there and completes.
    ReturnToApp {
        /// The return URL with `session_id` added, which is a session URI for the completion call only, known to this browser
        /// only; and with the app's own `state`, where the agent gave one.
        url: Url,
    },
}

impl Consents {
    /// The provider's answer. A session of the host's page is exchanged at once, if `user` is the user it belongs to; a
    /// session of an app waits, with its code sealed, for [`Consents::complete`].
    ///
    /// A `state` works once. Whatever is wrong with the answer, the session is over, nothing is stored for anybody, and
    /// a record says why.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub async fn callback(
        &self,
        provider: &ProviderName,
        callback: Callback,
        user: Option<&Arc<VerifiedUser>>,
    ) -> Result<Landing, ConsentError> {
        let parts = &self.parts;
        let user = user.map(|user| User::from(user.clone()));
        let user = user.as_ref();
        let Callback { state, code, iss, error, .. } = callback;
        let (state, code) = (state.map(Secret::from_text), code.map(Secret::from_text));
        let session = match &state {
            Some(state) => parts.sessions.by_state(state_hash(state)).await?,
            None => None,
        };
        let Some(session) = session else {
            if let Some(left_out) = parts.strays.take() {
                let actor = Actor { user: user.map(|user| user.id().clone()), ..Actor::default() };
                let outcome = Outcome::refused("`state` is missing, unknown or used up");
                let action = Action::new(codes::CONSENT_COMPLETE, provider.as_str()).with(left_out_of(left_out));
                parts.trail.note(actor, action, outcome)?;
            }
            return Err(ConsentError::State);
        };
        if session.stage != Stage::AtProvider {
            if parts.strays.take().is_none() {
                return Err(ConsentError::Over);
            }
            return Err(parts.refused(codes::CONSENT_COMPLETE, &session, user, ConsentError::Over));
        }
        match parts.judge(&session, provider, iss.as_deref(), error.as_deref(), code, user).await {
            Ok((code, Some(user))) => {
                let session = parts.claim(session, &user).await?;
                parts.exchange(session, user, code).await.map(|view| Landing::Stored(Box::new(view)))
            }
            Ok((code, None)) => parts.land(session, &code).await,
            Err(error) => {
                let error = parts.refused(codes::CONSENT_COMPLETE, &session, user, error);
                parts.fail(session).await?;
                Err(error)
            }
        }
    }

    /// The app says who is there. `id` is the session URI that the return URL was called with.
    ///
    /// Anybody but the user it belongs to burns the code and leaves a record.
    ///
    /// # Errors
    /// [`ConsentError`]; [`ConsentError::NotFromBrowser`] for the session URI that the agent gave.
    pub async fn complete(&self, id: ConsentId, user: &User) -> Result<View, ConsentError> {
        let parts = &self.parts;
        let Some(session) = parts.sessions.by_state(landing_hash(id)).await? else {
            let session = parts.sessions.by_id(id).await?.ok_or(ConsentError::NotFound)?;
            let error = match session.stage {
                _ if *user.id() != session.user => ConsentError::NotYours,
                Stage::Started | Stage::AtProvider => ConsentError::NotAnswered,
                Stage::AwaitingCompletion => ConsentError::NotFromBrowser,
                Stage::Exchanging | Stage::Completed | Stage::Failed => ConsentError::Over,
            };
            return Err(parts.refused(codes::CONSENT_COMPLETE, &session, Some(user), error));
        };
        if session.stage != Stage::AwaitingCompletion {
            return Err(parts.refused(codes::CONSENT_COMPLETE, &session, Some(user), ConsentError::Over));
        }
        let error = match &session.sealed_code {
            _ if *user.id() != session.user => ConsentError::NotYours,
            _ if session.is_void(parts.clock.now()) => ConsentError::Expired,
            None => ConsentError::NoCode,
            Some(sealed) => match parts.unseal(&session, CODE, sealed) {
                Ok(code) => {
                    let session = parts.claim(session, user).await?;
                    return parts.exchange(session, user.clone(), code).await;
                }
                Err(error) => error.into(),
            },
        };
        let error = parts.refused(codes::CONSENT_COMPLETE, &session, Some(user), error);
        parts.fail(session).await?;
        Err(error)
    }
}

impl Parts {
    /// Is this answer for this session, from the right provider, in front of the right user? The user comes back only
    /// when the host's page completes.
    async fn judge(
        &self,
        session: &ConsentSession,
        provider: &ProviderName,
        iss: Option<&str>,
        error: Option<&str>,
        code: Option<Secret>,
        user: Option<&User>,
    ) -> Result<(Secret, Option<User>), ConsentError> {
        if *provider != session.provider {
            return Err(ConsentError::WrongProvider);
        }
        if session.is_void(self.clock.now()) {
            return Err(ConsentError::Expired);
        }
        let user = match user {
            Some(user) if *user.id() != session.user => return Err(ConsentError::NotYours),
            Some(user) if session.return_url.is_none() => Some(user.clone()),
            None if session.return_url.is_none() => return Err(ConsentError::SignInNeeded),
            _ => None,
        };
        let provider = self.provider(session)?;
        self.oauth.check_callback_issuer(&provider, iss).await.map_err(ConsentError::Issuer)?;
        if let Some(error) = error {
            return Err(ConsentError::Declined { error: error_code(error) });
        }
        let code = code.filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE).ok_or(ConsentError::NoCode)?;
        Ok((code, user))
    }

    /// Of two that hold the same code, one exchanges it.
    pub(super) async fn claim(&self, mut session: ConsentSession, user: &User) -> Result<ConsentSession, ConsentError> {
        let from = session.stage;
        session.stage = Stage::Exchanging;
        session.sealed_code = None;
        if self.sessions.advance(from, session.clone()).await? {
            return Ok(session);
        }
        Err(self.refused(codes::CONSENT_COMPLETE, &session, Some(user), ConsentError::Over))
    }

    /// Seals the code and sends the browser to the app, with a session URI of its own.
    async fn land(&self, mut session: ConsentSession, code: &Secret) -> Result<Landing, ConsentError> {
        let id = ConsentId::random();
        // The list of return URLs may have changed since; what was allowed at the start was checked there.
        let url = session.return_url.as_deref().and_then(|url| Url::parse(url).ok());
        let mut url = url.ok_or_else(|| ConsentError::ReturnUrl(session.agent.clone()))?;
        let state = self.wishes(&session)?.state;
        let session_id = id.session_uri();
        let added = [("session_id", Some(session_id.as_str())), ("state", state.as_deref())];
        let added: Vec<_> = added.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        add_pairs(&mut url, &added);
        session.sealed_code = Some(self.seal(&session, CODE, code)?);
        session.state_hash = Some(landing_hash(id));
        session.stage = Stage::AwaitingCompletion;
        let refused = session.clone();
        if self.sessions.advance(Stage::AtProvider, session).await? {
            return Ok(Landing::ReturnToApp { url });
        }
        Err(self.refused(codes::CONSENT_COMPLETE, &refused, None, ConsentError::Over))
    }

    /// A task of its own: a browser that goes away does not lose the tokens of a code that is spent already.
    async fn exchange(
        self: &Arc<Self>,
        session: ConsentSession,
        user: User,
        code: Secret,
    ) -> Result<View, ConsentError> {
        let parts = self.clone();
        let work = tokio::spawn(async move {
            let mut session = session;
            if let Err(error) = parts.exchange_bound(&session, &user, &code).await {
                parts.fail(session).await?;
                return Err(error);
            }
            session.stage = Stage::Completed;
            session.sealed_verifier = None;
            if let Err(error) = parts.sessions.advance(Stage::Exchanging, session.clone()).await {
                // The grant is stored, and the session can no longer do anything: it is over at the latest when it expires.
                tracing::warn!(%error, session = %session.id, "a completed consent session could not be marked");
            }
            parts.view(&session)
        });
        work.await.unwrap_or(Err(ConsentError::Stopped))
    }

    /// Bind, open, act, close.
    async fn exchange_bound(&self, session: &ConsentSession, user: &User, code: &Secret) -> Result<(), ConsentError> {
        let attempt = self.bound(session, user)?;
        let result = self.exchange_attempted(&attempt, session, code).await;
        attempt.close(match &result {
            Ok(()) => Outcome::allowed(),
            Err(error) => Outcome::failed(with_cause(error)),
        });
        result
    }

    /// Binds the agent that asked and the user who is there, and opens the attempt to store what was granted.
    pub(super) fn bound(&self, session: &ConsentSession, user: &User) -> Result<Attempt, ConsentError> {
        let agent = match self.agent(session) {
            Ok(agent) => agent,
            Err(error) => return Err(self.refused(codes::CONSENT_COMPLETE, session, Some(user), error)),
        };
        let mut action = action(codes::CONSENT_COMPLETE, session);
        if agent.digest() != session.digest {
            // Deployed anew while the user was reading. The grant is the workload's, not that of one version.
            action.detail["asked_by_digest"] = json!(session.digest);
        }
        let binding = Binding::bind(agent, Some(user.clone()), session.session.clone(), self.trail.host());
        Ok(self.trail.open(&binding, action)?)
    }

    async fn exchange_attempted(
        &self,
        attempt: &Attempt,
        session: &ConsentSession,
        code: &Secret,
    ) -> Result<(), ConsentError> {
        let written = attempt.written().await?;
        let provider = self.provider(session)?;
        self.own_client(&provider).await?;
        let sealed = session.sealed_verifier.as_deref().ok_or(ConsentError::Over)?;
        let verifier = self.unseal(session, VERIFIER, sealed)?;
        let redirect_uri = self.redirect_uri(&session.provider);
        let prover = self.vault.prover_for(&provider).await?;
        let workload = attempt.binding().workload();
        let proofs = Proofs { workload: Some(&workload), dpop: prover.as_ref() };
        let tokens = self.oauth.exchange(&provider, proofs, code, &verifier, &redirect_uri).await?;
        let key = prover.as_ref().map(|prover| &**prover.key());
        let grant = self.vault.keep(&written, &provider, &session.wanted()?, tokens, key).await?;
        self.still_there(attempt.binding(), grant).await?;
        Ok(())
    }
}

/// Adds pairs to a query, in place of those that have the name already: of two, an app could read either.
fn add_pairs(url: &mut Url, added: &[(&str, &str)]) {
    let replaced = |name: &str| added.iter().any(|(added, _)| *added == name);
    if url.query_pairs().any(|(name, _)| replaced(&name)) {
        let kept: Vec<_> = url
            .query_pairs()
            .filter(|(name, _)| !replaced(name))
            .map(|(n, v)| (n.into_owned(), v.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    url.query_pairs_mut().extend_pairs(added);
}

impl Parts {
    /// Kept first and asked then: a deletion retires the workload before it revokes what was granted, so it finds this grant,
    /// or is found here. Nothing is left for the next of the same name.
    pub(super) async fn still_there(&self, who: &Binding, grant: GrantId) -> Result<(), ConsentError> {
        let agent = who.agent();
        if let Err(deleted @ Unresolved::Retired(_)) = self.directory.current_terms(agent) {
            self.vault.revoke(grant, Actor::default().about(agent), None).await?;
            return Err(deleted.into());
        }
        Ok(())
    }
}

/// How the session URI of the browser rests: where the `state` rested, which is used up by then, and never equal to the
/// hash of one.
pub(super) fn landing_hash(id: ConsentId) -> [u8; 32] {
    sha256(format!("attache landing {id}").as_bytes())
}

/// How many records were left out before this one.
fn left_out_of(count: u64) -> serde_json::Value {
    if count == 0 { serde_json::Value::Null } else { serde_json::json!({ "left_out": count }) }
}

/// An error code as RFC 6749 §4.1.2.1 allows it, cut to what an audit record should hold.
fn error_code(error: &str) -> String {
    let good = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '`');
    error.chars().filter(good).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_to_an_app_stands_there_once() {
        for (before, after) in [
            ("https://app.example/done", "https://app.example/done?session_id=urn%3Ax&state=y"),
            ("https://app.example/done?a=b", "https://app.example/done?a=b&session_id=urn%3Ax&state=y"),
            (
                "https://app.example/?state=1&a=b&session_id=2&state=3",
                "https://app.example/?a=b&session_id=urn%3Ax&state=y",
            ),
            ("com.example.app:/done", "com.example.app:/done?session_id=urn%3Ax&state=y"),
        ] {
            let mut url = Url::parse(before).unwrap();
            add_pairs(&mut url, &[("session_id", "urn:x"), ("state", "y")]);
            assert_eq!(url.as_str(), after);
        }
    }

    #[test]
    fn a_strangers_error_code_is_cut_to_plain_text() {
        assert_eq!(error_code("access_denied"), "access_denied");
        assert_eq!(error_code("a\r\nb\u{202e}c`d\"\\"), "abcd");
        assert_eq!(error_code(&"x".repeat(1000)).len(), 64);
    }
}
